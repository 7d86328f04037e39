package transport

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/goparley/parley/sip"
)

// What is stamped as it came is the usual request of a phone. Anything that
// takes a second look is left to stamp.
func TestAppendStamped(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"rport", options + "\r\nVia: SIP/2.0/UDP a;rport;branch=z9hG4bK1\r\nTo: b\r\n",
			options + "\r\nVia: SIP/2.0/UDP a;rport=5060;branch=z9hG4bK1;received=192.0.2.1\r\nTo: b\r\n"},
		{"rport last, and white space", options + "\r\nVia:\tSIP / 2.0 / UDP a ;branch=z9hG4bK1;RPORT  \r\nTo: b\r\n",
			options + "\r\nVia:\tSIP / 2.0 / UDP a ;branch=z9hG4bK1;rport=5060;received=192.0.2.1  \r\nTo: b\r\n"},
		{"compact", options + "\r\nV: SIP/2.0/UDP a;rport\r\n\r\n", options + "\r\nV: SIP/2.0/UDP a;rport=5060;received=192.0.2.1\r\n\r\n"},
		{"no rport", options + "\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\r\n", ""},
		{"two of them", options + "\r\nVia: SIP/2.0/UDP a;rport;rport\r\n\r\n", ""},
		{"forged rport", options + "\r\nVia: SIP/2.0/UDP a;rport=53\r\n\r\n", ""},
		{"forged received", options + "\r\nVia: SIP/2.0/UDP a;rport;received=203.0.113.9\r\n\r\n", ""},
		{"forged with white space", options + "\r\nVia: SIP/2.0/UDP a;rport; received=203.0.113.9\r\n\r\n", ""},
		{"two Vias in a line", options + "\r\nVia: SIP/2.0/UDP a,SIP/2.0/UDP b;rport\r\n\r\n", ""},
		{"quotes", options + "\r\nVia: SIP/2.0/UDP a;x=\"\\\";rport;\"\r\n\r\n", ""},
		{"fold", options + "\r\nVia: SIP/2.0/UDP a;rport\r\n ;received=203.0.113.9\r\n\r\n", ""},
		{"fold after nothing", options + "\r\nVia: SIP/2.0/UDP a;rport\r\n", ""},
		{"line feed alone", options + "\r\nVia: SIP/2.0/UDP a;rport\n;received=203.0.113.9\r\n\r\n", ""},
		{"carriage return alone", options + "\r\nVia: SIP/2.0/UDP a;rport\r;received=203.0.113.9\r\n\r\n", ""},
		{"behind another header field", options + "\r\nMax-Forwards: 70\r\nVia: SIP/2.0/UDP a;rport\r\n\r\n", ""},
		{"response", "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;rport\r\n\r\n", ""},
		{"response in lower case", "sip/2.0 200 OK\r\nVia: SIP/2.0/UDP a;rport\r\n\r\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := appendStamped(nil, []byte(c.text), alice)
			if string(got) != c.want || ok != (c.want != "") {
				t.Errorf("appendStamped = %q, %v, want %q", got, ok, c.want)
			}
		})
	}
}

// Where appendStamped does its work, it does what stamp does: whatever the
// sender wrote, no message is taken that would not have been, and the user sees
// the same Via in the same message.
func FuzzAppendStamped(f *testing.F) {
	for _, via := range []string{
		"SIP/2.0/UDP a;rport;branch=z9hG4bK1", "SIP/2.0/UDP [2001:db8::1]:5060 ;branch=z9hG4bK1; x ;rport ",
		"SIP/2.0/TCP a;rport;received=203.0.113.9", "SIP/2.0/UDP a;rportx=1;rport\r\n ;received=1.2.3.4",
		"SIP/2.0/UDP a, SIP/2.0/UDP b;rport;received=203.0.113.9", "SIP / 2.0 / UDP a;r=\";rport\";rport",
	} {
		f.Add(message(options, "Via: "+via))
		f.Add(message(options, "v: "+via, "Via: SIP/2.0/UDP b;received=203.0.113.9"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		raw, ok := appendStamped(nil, []byte(text), alice)
		if !ok {
			return
		}
		m, err := sip.ParseBytes(raw)
		if err != nil {
			return // and then the text itself is parsed
		}
		got, ok := m.(*sip.Request)
		if !ok {
			t.Fatalf("%q became a response", text)
		}
		plain, err := sip.Parse(text)
		if err != nil {
			t.Fatalf("taken as %q although it came as %q: %v", raw, text, err)
		}
		want := stamp(plain.(*sip.Request), alice)
		if want.Err() != nil {
			t.Fatalf("taken as %q although it came as %q: %v", raw, text, want.Err())
		}
		if got.Via() != want.Via() {
			t.Errorf("topmost Via of %q = %+v, want %+v", text, got.Via(), want.Via())
		}
		if port, _ := got.Via().RPort(); port != int(alice.Port()) || got.Via().Received() != alice.Addr() {
			t.Errorf("topmost Via of %q = %+v, want received and rport of %v", text, got.Via(), alice)
		}
		if got, want := withoutTopVia(got), withoutTopVia(want); got != want {
			t.Errorf("%q has become %q, want %q", text, got, want)
		}
	})
}

func withoutTopVia(r *sip.Request) string { return r.With(popVia).String() }

// The trace shows a request as it came, with its text and its Via.
func TestTraceBeforeStamp(t *testing.T) {
	play(t, nil, func(s *scene) {
		e, alice := s.listen(nil), s.peerSocket(s.alice, aliceAddr)
		text := message(options, "Via: SIP/2.0/UDP 10.1.1.1;rport;branch=z9hG4bK1")
		alice.send(text, bobAddr)
		r := s.one(e).Message.(*sip.Request)
		if port, _ := r.Via().RPort(); port != 5060 || r.Via().Received() != netip.MustParseAddr("192.0.2.1") {
			t.Errorf("handed over with Via %+v, want it stamped", r.Via())
		}
		if len(e.received) != 1 {
			t.Fatalf("the trace has %d messages received, want 1", len(e.received))
		}
		if m := e.received[0]; m.Text != text || m.Message.String() != text {
			t.Errorf("the trace has %q of %q, want it as it came", m.Message, m.Text)
		}
	})
}

// What is wrong with a request is told of the text that came.
func TestMalformedBeforeStamp(t *testing.T) {
	play(t, nil, func(s *scene) {
		e, alice := s.listen(nil), s.peerSocket(s.alice, aliceAddr)
		text := strings.Replace(message(options, "Via: SIP/2.0/UDP 10.1.1.1;rport;branch=z9hG4bK1"), "CSeq: ", "CSeq: x", 1)
		alice.send(text, bobAddr)
		s.none(e)
		if got, _ := alice.receive(); !strings.HasPrefix(got, "SIP/2.0 400 ") || !strings.Contains(got, "rport=5060;branch=z9hG4bK1;received=192.0.2.1\r\n") {
			t.Errorf("answered %q, want a 400 with a stamped Via", got)
		}
		if len(e.malformed) != 1 || e.malformed[0].Text != text {
			t.Errorf("the trace has %+v, want the text as it came", e.malformed)
		}
	})
}
