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

// A panic in a trace is logged, and harms neither the message nor who sends it.
func TestPanicInTrace(t *testing.T) {
	play(t, nil, func(s *scene) {
		boom := func(TraceMessage) { panic("a bug in a trace") }
		var e *inbox
		e = s.listen(&Config{Handle: func(in *Inbound) { ok(&e)(in) }, Trace: &Trace{Received: boom, Sent: boom, Malformed: boom}})
		alice, phone := s.peerSocket(s.alice, aliceAddr), s.dial(s.alice, bobAddr)
		alice.send(message(options), bobAddr)
		if text, _ := alice.receive(); !strings.HasPrefix(text, "SIP/2.0 200 ") {
			t.Errorf("a request by UDP is answered with %q", text)
		}
		phone.send(message(options, tcpVia))
		if text := phone.receive(); !strings.HasPrefix(text, "SIP/2.0 200 ") {
			t.Errorf("a request by TCP is answered with %q", text)
		}
		alice.send("OPTIONS sip:b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n\r\n", bobAddr)
		if text, _ := alice.receive(); !strings.HasPrefix(text, "SIP/2.0 400 ") {
			t.Errorf("half a request is answered with %q", text)
		}
		if got, want := strings.Count(s.log.String(), "a bug in a trace"), 6; got != want {
			t.Errorf("%d panics were logged, want %d", got, want)
		}
	})
}
