package transport

import (
	"errors"
	"strings"
	"testing"

	"github.com/goparley/parley/sip"
)

// The trace of a wildcard socket names the address that leads to the peer, and
// shows a message before its answer, with what was on the wire.
func TestTrace(t *testing.T) {
	play(t, nil, func(s *scene) {
		var e *inbox
		e = s.listen(&Config{Listen: []string{"udp:0.0.0.0:5060"}, Handle: func(in *Inbound) { ok(&e)(in) }})
		alice := s.peerSocket(s.alice, aliceAddr)
		text := message(options, "Content-Length: 4", "\nbody and more")
		alice.send(text, bobAddr)
		s.one(e)
		if len(e.received) != 1 || len(e.sent) != 1 {
			t.Fatalf("the trace has %d and %d messages, want one each way", len(e.received), len(e.sent))
		}
		for _, m := range []TraceMessage{e.received[0], e.sent[0]} {
			if m.Transport != "UDP" || m.Local.String() != bobAddr || m.Remote.String() != aliceAddr || !m.Time.Equal(s.began) || m.Err != nil {
				t.Errorf("the trace has %+v", m)
			}
		}
		if got := e.received[0].Text; got != text {
			t.Errorf("received %q, want %q", got, text)
		}
		if got := e.sent[0]; got.Text != got.Message.String() || !strings.HasPrefix(got.Text, "SIP/2.0 200 ") {
			t.Errorf("sent %q, want a 200", got.Text)
		}
	})
}

// A message that cannot be queued is neither traced nor counted.
func TestTraceOfWhatIsNotSent(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		phone := s.dial(s.alice, bobAddr)
		phone.send(message(options, tcpVia))
		flow := s.one(e).Flow
		phone.Close()
		s.none(e)
		if err := e.Send(flow, outgoing(t)); !errors.Is(err, ErrNoFlow) {
			t.Errorf("Send = %v, want ErrNoFlow", err)
		}
		broken := outgoing(t).With(sip.Field{Name: "a b", Value: "c"})
		if err := e.Send(flow, broken); err == nil {
			t.Error("Send of a broken request: no error")
		}
		if len(e.sent) != 0 {
			t.Errorf("the trace has %d messages sent, want 0", len(e.sent))
		}
		s.stats(e, Stats{Received: 1})
	})
}
