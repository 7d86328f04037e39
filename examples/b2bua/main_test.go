package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// The hosts of the stories: Alice calls Bob through the bridge.
const (
	aliceAddr  = "192.0.2.1"
	bridgeAddr = "192.0.2.9"
	bobAddr    = "192.0.2.2"
	carolAddr  = "192.0.2.3"
)

var names = map[string]string{aliceAddr: "alice", bridgeAddr: "bridge", bobAddr: "bob", carolAddr: "carol"}

// world is a network with a bridge to Bob.
type world struct {
	*testing.T
	net    *siptest.Network
	bridge *bridge
}

// story runs a test in fake time. At its end no leg may be left at the bridge.
func story(t *testing.T, run func(t *testing.T, w *world)) {
	t.Helper()
	storyOn(t, siptest.NetworkConfig{}, run)
}

func storyOn(t *testing.T, cfg siptest.NetworkConfig, run func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg.Delay, cfg.Record = 10*time.Millisecond, true
		w := &world{T: t, net: siptest.NewNetwork(&cfg)}
		b, err := start(w.sockets(bridgeAddr), sip.URI{Scheme: "sip", Host: bobAddr})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		w.bridge = b
		run(t, w)
		time.Sleep(5 * time.Minute)
		for leg := range w.bridge.Dialogs() {
			t.Errorf("the bridge has a leg to %s left", leg.Remote().URI)
		}
	})
}

func (w *world) sockets(addr string) *transport.Config {
	local := netip.AddrPortFrom(netip.MustParseAddr(addr), 5060).String()
	return &transport.Config{Listen: []string{"udp:" + local, "tcp:" + local}, Network: w.net.Host(addr)}
}

// phone is a user agent that does what the story says.
type phone struct {
	*dialog.Layer
	w        *world
	invites  chan *dialog.Invitation // those that begin a call, and are held until the story has answered
	requests chan *sip.Request
	ended    chan *dialog.Session
	reinvite func(in *dialog.Invitation)
	request  func(tx *dialog.Server, req *sip.Request) // nil accepts everything
}

func (w *world) phone(addr string) *phone {
	w.Helper()
	p := &phone{w: w, invites: make(chan *dialog.Invitation, 8), requests: make(chan *sip.Request, 64), ended: make(chan *dialog.Session, 8)}
	l, err := dialog.Listen(w.sockets(addr), &dialog.Config{
		OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			if in.Re() {
				p.reinvite(in)
				return
			}
			p.invites <- in
			select { // ends with the answer to the INVITE, or when the call is over
			case <-ctx.Done():
			case <-in.Session().Done():
			}
		},
		OnRequest: func(tx *dialog.Server, req *sip.Request) {
			p.requests <- req
			if p.request != nil {
				p.request(tx, req)
			} else {
				tx.Reply(sip.StatusOK)
			}
		},
		OnEnd: func(s *dialog.Session) { p.ended <- s },
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { l.Close() })
	p.Layer = l
	return p
}

// call has the phone place a call to Bob. Its provisional responses are told to ring.
func (p *phone) call(ring func(s *dialog.Session, resp *sip.Response), edits ...sip.Edit) (*dialog.Session, *sip.Response) {
	p.w.Helper()
	s, resp, err := p.Invite(p.w.Context(), p.invite(edits...), ring)
	if err != nil {
		p.w.Fatal(err)
	}
	return s, resp
}

func (p *phone) invite(edits ...sip.Edit) *sip.Request {
	p.w.Helper()
	return p.outside(sip.INVITE, edits...)
}

// outside makes a request outside of a dialog.
func (p *phone) outside(method sip.Method, edits ...sip.Edit) *sip.Request {
	host := p.Transactions().Endpoint().Addr("udp").Addr().String()
	return sip.NewRequest(method, sip.URI{Scheme: "sip", User: "bob", Host: bridgeAddr}, append([]sip.Edit{
		sip.MaxForwards(70),
		sip.From{URI: sip.URI{Scheme: "sip", User: names[host], Host: "a.example"}, Params: ";tag=from-" + sip.Params(names[host])},
		sip.To{URI: sip.URI{Scheme: "sip", User: "bob", Host: "b.example"}},
		sip.CallID("call-of-" + names[host]), sip.CSeq{Seq: 7, Method: method},
	}, edits...)...)
}

// connect has Alice call Bob, who answers at once, and returns both ends.
func connect(w *world, alice, bob *phone, edits ...sip.Edit) (a, b *dialog.Session) {
	w.Helper()
	accepted := make(chan *dialog.Session)
	go func() { // ends with the ACK
		in := <-bob.invites
		if _, err := in.Accept(desc("B1"), sip.Allow{sip.INVITE, sip.UPDATE}); err != nil {
			w.Error(err)
		}
		accepted <- in.Session()
	}()
	a, resp := alice.call(nil, append([]sip.Edit{desc("A1"), sip.Allow{sip.INVITE, sip.UPDATE}}, edits...)...)
	if a == nil {
		w.Fatalf("the call is answered with %v", resp.Status())
	}
	if err := a.Ack(w.Context()); err != nil {
		w.Fatal(err)
	}
	return a, <-accepted
}

// desc is a description, of which only the name matters here.
func desc(name string) sip.Body { return sip.Body{Type: "application/sdp", Content: name} }

// ladder lists the messages that were sent from a packet on, and what they carry.
func (w *world) ladder(from int) []string {
	w.Helper()
	var lines []string
	for _, p := range w.net.Packets()[from:] {
		m, err := sip.Parse(string(p.Data))
		if err != nil {
			w.Fatalf("%s sent what is no message: %v\n%s", p.From, err, p.Data)
		}
		what := string(m.CSeq().Method)
		if resp, ok := m.(*sip.Response); ok {
			what = fmt.Sprintf("%d %s", resp.Status(), what)
		}
		line := names[p.From.Addr().String()] + ": " + what
		if m.Body() != "" {
			line += " " + m.Body()
		}
		lines = append(lines, line)
	}
	return lines
}

func (w *world) wantLadder(from int, want ...string) {
	w.Helper()
	if got := w.ladder(from); !slices.Equal(got, want) {
		w.Errorf("the ladder is\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// so returns the number of packets that were sent, where a further ladder begins.
func (w *world) so() int { time.Sleep(100 * time.Millisecond); return len(w.net.Packets()) }

func wantField(t *testing.T, m sip.Entity, name, want string) {
	t.Helper()
	if got, _ := m.Value(name); got != want {
		t.Errorf("%s is %q, want %q", name, got, want)
	}
}

func wantStatus(t *testing.T, resp *sip.Response, err error, want sip.Status) {
	t.Helper()
	if err != nil {
		t.Errorf("no response: %v", err)
	} else if got := resp.Status(); got != want {
		t.Errorf("the response is %v, want %v", got, want)
	}
}

// A call with descriptions as they are, header fields that nobody knows, and a BYE
// that says why.
func TestCall(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		alice, bob := w.phone(aliceAddr), w.phone(bobAddr)
		go func() { // ends with the ACK
			in := <-bob.invites
			req := in.Request()
			wantField(t, req, "X-Any", "one")
			wantField(t, req, "Subject", "lunch")
			wantField(t, req, "Max-Forwards", "69")
			wantField(t, req, "Content-Disposition", "session")
			if got := req.From().URI.String(); got != "sip:alice@a.example" || req.From().Tag() == "from-alice" {
				t.Errorf("From is %v, want Alice with a tag of its own", req.From())
			}
			if got := req.CallID(); got == "call-of-alice" {
				t.Errorf("Call-ID is %s as on the other side", got)
			}
			if got := req.URI().String(); got != "sip:bob@"+bobAddr {
				t.Errorf("the INVITE is for %s", got)
			}
			in.Provisional(sip.StatusRinging, sip.Field{Name: "Alert-Info", Value: "<http://b.example/ring>"})
			time.Sleep(150 * time.Millisecond)
			in.Accept(desc("B1"), sip.Server("bob/1"))
		}()
		s, resp := alice.call(func(_ *dialog.Session, resp *sip.Response) {
			wantField(t, resp, "Alert-Info", "<http://b.example/ring>")
		}, desc("A1"), sip.Field{Name: "X-Any", Value: "one"}, sip.Subject("lunch"), sip.ContentDisposition{Type: "session"})
		wantField(t, resp, "Server", "bob/1")
		s.Ack(t.Context())
		w.so()
		s.Bye(t.Context(), sip.Reason{Protocol: "Q.850", Cause: 16})
		w.so()
		w.wantLadder(0,
			"alice: INVITE A1", "bridge: INVITE A1", "bob: 180 INVITE", "bridge: 180 INVITE",
			"bob: 200 INVITE B1", "bridge: 200 INVITE B1", "alice: ACK", "bridge: ACK",
			"alice: BYE", "bridge: 200 BYE", "bridge: BYE", "bob: 200 BYE")
		for _, p := range w.net.Packets() {
			if m, _ := sip.Parse(string(p.Data)); m.CSeq().Method == sip.BYE && p.To.Addr().String() == bobAddr {
				wantField(t, m, "Reason", "Q.850;cause=16")
			}
		}
	})
}

// Bob rings reliably with his answer: Alice's PRACK is what he gets, with what it
// carries. Then both change the session while it rings (RFC 3262, RFC 3311).
func TestReliableRinging(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		alice, bob := w.phone(aliceAddr), w.phone(bobAddr)
		answer := map[sip.Method]string{sip.PRACK: "B2", sip.UPDATE: "B3"}
		bob.request = func(tx *dialog.Server, req *sip.Request) { tx.Reply(sip.StatusOK, desc(answer[req.Method()])) }
		alice.request = func(tx *dialog.Server, req *sip.Request) { tx.Reply(sip.StatusOK, desc("A4")) }
		go func() { // ends with the ACK
			in := <-bob.invites
			if err := in.Reliable(sip.StatusSessionProgress, desc("B1")); err != nil {
				t.Error(err)
			}
			time.Sleep(100 * time.Millisecond)
			resp, err := in.Session().Do(t.Context(), sip.UPDATE, desc("B4"))
			wantStatus(t, resp, err, sip.StatusOK)
			in.Accept()
		}()
		s, _ := alice.call(func(s *dialog.Session, _ *sip.Response) {
			resp, err := s.Do(t.Context(), sip.PRACK, desc("A2"))
			wantStatus(t, resp, err, sip.StatusOK)
			resp, err = s.Do(t.Context(), sip.UPDATE, desc("A3"))
			wantStatus(t, resp, err, sip.StatusOK)
		}, desc("A1"), sip.Supported{sip.Option100rel})
		s.Ack(t.Context())
		w.so()
		w.wantLadder(0,
			"alice: INVITE A1", "bridge: INVITE A1", "bob: 183 INVITE B1", "bridge: 183 INVITE B1",
			"alice: PRACK A2", "bridge: PRACK A2", "bob: 200 PRACK B2", "bridge: 200 PRACK B2",
			"alice: UPDATE A3", "bridge: UPDATE A3", "bob: 200 UPDATE B3", "bridge: 200 UPDATE B3",
			"bob: UPDATE B4", "bridge: UPDATE B4", "alice: 200 UPDATE A4", "bridge: 200 UPDATE A4",
			"bob: 200 INVITE", "bridge: 200 INVITE", "alice: ACK", "bridge: ACK")
		s.Bye(t.Context())
	})
}

// An INVITE without an offer: Bob makes it, in the 200 or in a reliable 183, and Alice
// answers in the ACK or the PRACK.
func TestOfferOfCallee(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		alice, bob := w.phone(aliceAddr), w.phone(bobAddr)
		go func() { // ends with the ACK
			in := <-bob.invites
			ack, err := in.Accept(desc("B1"))
			if err != nil || ack.Body() != "A1" {
				t.Errorf("Accept() = %v, %v, want an answer", ack, err)
			}
		}()
		s, _ := alice.call(nil)
		s.Ack(t.Context(), desc("A1"))
		w.so()
		w.wantLadder(0, "alice: INVITE", "bridge: INVITE", "bob: 200 INVITE B1", "bridge: 200 INVITE B1",
			"alice: ACK A1", "bridge: ACK A1")
		s.Bye(t.Context())
		so := w.so()
		go func() { // ends with the ACK
			in := <-bob.invites
			in.Reliable(sip.StatusSessionProgress, desc("B1"))
			time.Sleep(100 * time.Millisecond)
			in.Accept()
		}()
		s, _ = alice.call(func(s *dialog.Session, _ *sip.Response) {
			s.Do(t.Context(), sip.PRACK, desc("A1"))
		}, sip.Supported{sip.Option100rel}, sip.CallID("again"))
		s.Ack(t.Context())
		w.so()
		w.wantLadder(so, "alice: INVITE", "bridge: INVITE", "bob: 183 INVITE B1", "bridge: 183 INVITE B1",
			"alice: PRACK A1", "bridge: PRACK A1", "bob: 200 PRACK", "bridge: 200 PRACK",
			"bob: 200 INVITE", "bridge: 200 INVITE", "alice: ACK", "bridge: ACK")
		s.Bye(t.Context())
	})
}

// Each side puts the other on hold; a 491 is for who has asked; and where both ask at
// once, one of them gets it (RFC 3261 section 14).
func TestHold(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		alice, bob := w.phone(aliceAddr), w.phone(bobAddr)
		a, b := connect(w, alice, bob)
		alice.reinvite = func(in *dialog.Invitation) { in.Accept(desc("A-" + in.Request().Body())) }
		bob.reinvite = func(in *dialog.Invitation) {
			in.Provisional(sip.StatusRinging)
			time.Sleep(100 * time.Millisecond)
			in.Accept(desc("B-" + in.Request().Body()))
		}
		so := w.so()
		for _, s := range []*dialog.Session{a, b} {
			resp, err := s.Invite(t.Context(), nil, desc("hold"))
			wantStatus(t, resp, err, sip.StatusOK)
			s.Ack(t.Context())
			w.so()
		}
		w.wantLadder(so,
			"alice: INVITE hold", "bridge: INVITE hold", "bob: 180 INVITE", "bridge: 180 INVITE",
			"bob: 200 INVITE B-hold", "bridge: 200 INVITE B-hold", "alice: ACK", "bridge: ACK",
			"bob: INVITE hold", "bridge: INVITE hold", "alice: 200 INVITE A-hold", "bridge: 200 INVITE A-hold",
			"bob: ACK", "bridge: ACK")

		bob.reinvite = func(in *dialog.Invitation) { in.Reject(sip.StatusRequestPending) }
		resp, err := a.Invite(t.Context(), nil, desc("hold"))
		wantStatus(t, resp, err, sip.StatusRequestPending)

		statuses := make(chan sip.Status)
		for _, s := range []*dialog.Session{a, b} {
			go func() { // ends with the answer
				resp, err := s.Invite(t.Context(), nil, desc("hold"))
				if err != nil {
					t.Error(err)
				}
				s.Ack(t.Context())
				statuses <- resp.Status()
			}()
		}
		if one, other := <-statuses, <-statuses; one != 491 && other != 491 {
			t.Errorf("the answers are %v and %v, want a 491", one, other)
		}
		if a.Err() != nil || b.Err() != nil {
			t.Errorf("the call is over: %v, %v", a.Err(), b.Err())
		}
		b.Bye(t.Context())
	})
}

// Digits by INFO, a MESSAGE and an UPDATE go both ways within the call; a MESSAGE and
// OPTIONS outside of one, too; what would begin a subscription is refused.
func TestOtherRequests(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		alice, bob := w.phone(aliceAddr), w.phone(bobAddr)
		a, b := connect(w, alice, bob)
		bob.request = func(tx *dialog.Server, req *sip.Request) {
			tx.Reply(sip.StatusOK, sip.ReasonPhrase("Noted"), sip.Field{Name: "X-Got", Value: strings.TrimSpace(req.Body())})
		}
		alice.request = bob.request
		for _, method := range []sip.Method{sip.INFO, sip.MESSAGE, sip.UPDATE, "PING"} {
			for s, other := range map[*dialog.Session]*phone{a: bob, b: alice} {
				resp, err := s.Do(t.Context(), method, sip.InfoPackage{Name: "dtmf"}, sip.Body{Type: "application/dtmf-relay", Content: "Signal=5\r\n"})
				wantStatus(t, resp, err, sip.StatusOK)
				wantField(t, resp, "X-Got", "Signal=5")
				if got := resp.ReasonPhrase(); got != "Noted" {
					t.Errorf("the reason phrase is %q", got)
				}
				got := <-other.requests
				wantField(t, got, "Info-Package", "dtmf")
				wantField(t, got, "Content-Type", "application/dtmf-relay")
				if got.Body() != "Signal=5\r\n" || got.Method() != method {
					t.Errorf("the other side got %s with %q", got.Method(), got.Body())
				}
			}
		}
		for method, want := range map[sip.Method]sip.Status{sip.MESSAGE: 200, sip.OPTIONS: 200, sip.PUBLISH: 405, sip.SUBSCRIBE: 405} {
			resp, err := alice.Do(t.Context(), alice.outside(method, sip.CallID(method)))
			wantStatus(t, resp, err, want)
		}
		a.Bye(t.Context())
	})
}
