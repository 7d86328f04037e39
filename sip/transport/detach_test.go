package transport

import (
	"runtime"
	"testing"
	"testing/synctest"
)

// Whoever detaches a message may keep its goroutine: the socket is read by
// another one, in the order of arrival, and Close does not wait for the first.
// What ends its goroutine instead ends nothing else.
func TestDetach(t *testing.T) {
	play(t, nil, func(s *scene) {
		var order []string
		release, left := make(chan struct{}), make(chan struct{})
		e := s.listen(&Config{Handle: func(in *Inbound) {
			id := in.Message.CallID()
			order = append(order, id)
			switch id {
			case "stays":
				in.Detach()
				in.Detach() // once is enough
				<-release
				in.Detach()
				close(left)
			case "exits":
				runtime.Goexit()
			case "returns":
				defer in.Detach() // too early to matter
			}
		}})
		phone := s.peerSocket(s.alice, aliceAddr)
		for _, id := range []string{"exits", "stays", "returns", "exits", "last"} {
			phone.send(message(options, "Call-ID: "+id), bobAddr)
		}
		synctest.Wait()
		if got, want := len(order), 5; got != want || order[1] != "stays" || order[4] != "last" {
			t.Errorf("handled %q, want all five in order", order)
		}
		if err := e.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
		close(release)
		<-left
	})
}
