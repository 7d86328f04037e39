package transaction

import (
	"fmt"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// Carol sends requests without end that claim to belong to a dialog, and take long.
// They fill what there is for all, and half of what is kept for dialogs: alice can
// end her calls. When it is over nothing of that is remembered.
func TestOneSourceDoesNotTakeAllPlaces(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		l := listen(t, n.Host(bobAddr), &Config{MaxHandlers: 50, Handler: func(tx *Server, req *sip.Request) {
			if req.Method() == sip.INFO {
				<-time.After(10 * time.Second)
			}
			tx.Reply(sip.StatusOK)
		}})
		tag := sip.To{URI: sip.URI{Scheme: "sip", Host: "h"}, Params: ";tag=x"}
		carol := newPeer(t, n.Host(carolAddr), bobAddr)
		for i := range 100 {
			carol.send(carol.with(fmt.Sprint("z9hG4bKc", i), request(sip.INFO, bobURI, tag, sip.CallID(fmt.Sprint("c", i)))))
		}
		pass(time.Second)
		if got := l.open.Load(); got != 45 {
			t.Errorf("carol has %d of 50 places, want 45", got)
		}
		alice := alicePeer(t, n)
		for i := range 20 {
			alice.send(alice.with(fmt.Sprint("z9hG4bKa", i), request(sip.BYE, bobURI, tag, sip.CallID(fmt.Sprint("a", i)))))
			alice.response("200 BYE")
		}
		pass(time.Minute)
		if l.open.Load() != 0 || len(l.kept.counts) != 0 {
			t.Errorf("%d places are taken, those of %v are kept", l.open.Load(), l.kept.counts)
		}
	})
}

// Those who are refused for want of places do not all come back in the same second.
func TestRefusedComeBackAtTimesOfTheirOwn(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{MaxHandlers: 1, Handler: func(tx *Server, req *sip.Request) {
			<-tx.Context().Done()
		}})
		alice := alicePeer(t, n)
		invite := alice.with("z9hG4bK", request(sip.INVITE, bobURI))
		alice.send(invite)
		alice.response("100 INVITE")
		times := map[uint32]int{}
		for i := range 200 {
			alice.send(alice.with(fmt.Sprint("z9hG4bK", i), request(sip.OPTIONS, bobURI, sip.CallID(fmt.Sprint(i)))))
			after, err := sip.Get[sip.RetryAfter](alice.response("503 OPTIONS"))
			if err != nil || after.Seconds < 1 || after.Seconds > 10 {
				t.Fatalf("Retry-After: %d, %v; want 1 to 10", after.Seconds, err)
			}
			times[after.Seconds]++
		}
		if len(times) < 8 {
			t.Errorf("they come back at %v", times)
		}
		alice.send(cancelOf(invite))
		alice.response("200 CANCEL")
		alice.send(ackFor(invite, alice.response("487 INVITE")))
	})
}
