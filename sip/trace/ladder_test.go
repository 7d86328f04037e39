package trace

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// drawn checks what a Ladder shows.
func drawn(t *testing.T, l *Ladder, want string) {
	t.Helper()
	if got := l.String(); got != strings.TrimPrefix(want, "\n") {
		t.Errorf("drawn:\n%s\nwant:\n%s", got, strings.TrimPrefix(want, "\n"))
	}
}

var aliceAndBob = &LadderConfig{Names: map[string]string{"192.0.2.1": "alice", "192.0.2.2:5060": "bob"}}

const drawnCall = `
          alice                         bob
   0.000    |------ INVITE (1) SDP ----->|
   0.020    |<- 100 Trying (1 INVITE) ---|
   0.040    |<- 180 Ringing (1 INVITE) --|
   1.500    |<- 200 OK (1 INVITE) SDP ---|
   1.520    |--------- ACK (1) --------->|
`

// A call as its caller sees it, as its callee does, and as both do that share
// the recorder: it is the same picture.
func TestLadder(t *testing.T) {
	for name, tell := range map[string]func(*transport.Trace, passing){
		"both":               func(tr *transport.Trace, p passing) { tr.Sent(p.sent()); tr.Received(p.received()) },
		"both, late to tell": func(tr *transport.Trace, p passing) { tr.Received(p.received()); tr.Sent(p.sent()) },
		"the senders only":   func(tr *transport.Trace, p passing) { tr.Sent(p.sent()) },
		"the receivers only": func(tr *transport.Trace, p passing) { tr.Received(p.received()) },
	} {
		t.Run(name, func(t *testing.T) {
			l := NewLadder(aliceAndBob)
			for _, p := range call(t, "UDP") {
				tell(l.Trace(), p)
			}
			drawn(t, l, drawnCall)
		})
	}
}

// A session description is marked wherever it stands in the body.
func TestLadderMarksDescriptions(t *testing.T) {
	l := NewLadder(aliceAndBob)
	text := sip.Body{Type: "text/plain", Content: "hello"}
	both, err := sip.Multipart("multipart/mixed", sip.NewPart(text), sip.NewPart(sip.Body{Type: "Application/SDP", Content: sdp}))
	if err != nil {
		t.Fatal(err)
	}
	for i, body := range []sip.Body{text, both} {
		r := invite(t, "1@192.0.2.1", "").With(body)
		l.Trace().Sent(passing{"UDP", "192.0.2.1:5060", "192.0.2.2:5060", time.Duration(i) * time.Second, r}.sent())
	}
	drawn(t, l, `
          alice                 bob
   0.000    |---- INVITE (1) --->|
   1.000    |-- INVITE (1) SDP ->|
`)
}

// Retransmissions are messages of their own, also if some are lost.
func TestLadderRetransmissions(t *testing.T) {
	l := NewLadder(aliceAndBob)
	tr := l.Trace()
	p := call(t, "UDP")[0]
	tr.Sent(p.sent()) // lost
	p.after = 500 * time.Millisecond
	tr.Sent(p.sent())
	tr.Received(p.received())
	p.after = 1500 * time.Millisecond
	tr.Sent(p.sent())
	tr.Received(p.received())
	drawn(t, l, `
          alice                 bob
   0.000    |-- INVITE (1) SDP ->|
   0.500    |-- INVITE (1) SDP ->|
   1.500    |-- INVITE (1) SDP ->|
`)
}

// A proxy between two phones, one of which speaks TCP from whatever port, and
// somebody without a name.
func TestLadderOfThree(t *testing.T) {
	l := NewLadder(&LadderConfig{Names: map[string]string{"192.0.2.1": "alice", "192.0.2.2": "proxy", "192.0.2.3": "bob"}})
	tr := l.Trace()
	r := invite(t, "1@192.0.2.1", "")
	ok := r.Reply(sip.StatusOK)
	for _, p := range []passing{
		{"UDP", "192.0.2.1:5060", "192.0.2.2:5060", 0, r},
		{"TCP", "192.0.2.2:49152", "192.0.2.3:5060", time.Millisecond, r},
		{"TCP", "192.0.2.3:5060", "192.0.2.2:49152", 2 * time.Millisecond, ok},
		{"UDP", "192.0.2.2:5060", "192.0.2.1:5060", 3 * time.Millisecond, ok},
		{"UDP", "192.0.2.2:5060", "192.0.2.2:5060", 4 * time.Millisecond, r},
		{"UDP", "192.0.2.1:5060", "192.0.2.3:5060", 5 * time.Millisecond, r},
		{"UDP", "[2001:db8::1]:5060", "192.0.2.3:5060", 6 * time.Millisecond, r},
	} {
		tr.Sent(p.sent())
	}
	bad := passing{"UDP", "192.0.2.9:1234", "192.0.2.2:5060", 7 * time.Millisecond, r}.received()
	_, bad.Err = sip.Parse("rubbish")
	bad.Message, bad.Text = nil, "rubbish"
	tr.Malformed(bad)
	drawn(t, l, `
          alice                   proxy                    bob      [2001:db8::1]:5060   192.0.2.9:1234
   0.000    |----- INVITE (1) ----->|                       |                |                  |
   0.001    |                       |===== INVITE (1) =====>|                |                  |
   0.002    |                       |<= 200 OK (1 INVITE) ==|                |                  |
   0.003    |<- 200 OK (1 INVITE) --|                       |                |                  |
   0.004    |                       |<> INVITE (1)          |                |                  |
   0.005    |----------------- INVITE (1) ----------------->|                |                  |
   0.006    |                       |                       |<- INVITE (1) --|                  |
   0.007    |                       |<------------------ malformed (7 bytes) -------------------|
`)
}

// What a peer wrote does not spoil the terminal.
func TestLadderHostileText(t *testing.T) {
	m, err := sip.Parse("SIP/2.0 200 \u202e" + strings.Repeat("x", 1000) + "\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n" +
		"From: <sip:a@b>;tag=a\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 " + strings.Repeat("Y", 1000) + "\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	l := NewLadder(nil)
	l.Trace().Received(passing{"UDP", "192.0.2.1:5060", "192.0.2.2:5060", 0, m}.received())
	got := l.String()
	for _, r := range got {
		if r != '\n' && (r < ' ' || r > '~') {
			t.Errorf("%q is drawn", r)
		}
	}
	if len(got) > 500 {
		t.Errorf("%d bytes are drawn, want a short label", len(got))
	}
}

// The oldest messages go when there are too many, and are counted. Any number
// of addresses make a bounded number of lifelines.
func TestLadderIsBounded(t *testing.T) {
	l := NewLadder(&LadderConfig{Max: 3})
	tr := l.Trace()
	r := invite(t, "1", "")
	for i := range 3000 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 5060)
		tr.Received(passing{"UDP", from.String(), "192.0.2.2:5060", time.Duration(i) * time.Second, r}.received())
	}
	text := l.String()
	if !strings.HasPrefix(text, "(2997 earlier messages left out)\n") || strings.Count(text, "INVITE") != 3 || !strings.Contains(text, "2999.000") {
		t.Errorf("drawn:\n%s\nwant the last three and a count", text)
	}
	if got := len(l.pairs.waiting); got > maxWaiting {
		t.Errorf("%d messages wait for their second sight, want at most %d", got, maxWaiting)
	}

	l = NewLadder(nil)
	tr = l.Trace()
	for i := range 100 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 5060)
		tr.Received(passing{"UDP", from.String(), "192.0.2.2:5060", 0, r}.received())
	}
	names, _, _ := strings.Cut(l.String(), "\n")
	if got := len(strings.Fields(names)); got != maxLifelines || !strings.Contains(names, others) {
		t.Errorf("%d lifelines, want %d with one for the others", got, maxLifelines)
	}
}

func TestLadderOfNothing(t *testing.T) {
	if got := NewLadder(nil).String(); got != "" {
		t.Errorf("nothing is drawn as %q", got)
	}
}

func TestJoin(t *testing.T) {
	a, b := NewLadder(aliceAndBob), NewLadder(aliceAndBob)
	tr := Join(a.Trace(), nil, &transport.Trace{}, b.Trace())
	var wg sync.WaitGroup
	for _, p := range call(t, "UDP") {
		tr.Sent(p.sent())
		wg.Go(func() { tr.Received(p.received()) })
	}
	wg.Wait()
	drawn(t, a, drawnCall)
	drawn(t, b, drawnCall)
	if tr := Join(&transport.Trace{}); tr.Sent != nil || tr.Received != nil || tr.Malformed != nil {
		t.Error("Join of a Trace without functions has functions")
	}
}
