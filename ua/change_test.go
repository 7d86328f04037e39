package ua_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/ua"
)

// pair is a call between two agents.
type pair struct {
	n            *siptest.Network
	a, b         *ua.Call
	ours, theirs *fakeStream
}

// call sets a call up and forgets what the streams were told.
func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{n: siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond}), ours: newStream(t), theirs: newStream(t)}
	calls := make(chan *ua.Call, 1)
	newAgent(t, p.n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: answerWith(calls, p.theirs)})
	alice := newAgent(t, p.n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
	var err error
	if p.a, err = alice.Invite(t.Context(), bobURI, streams(p.ours)); err != nil {
		t.Fatal(err)
	}
	p.b = <-calls
	p.ours.told()
	p.theirs.told()
	return p
}

// Both hold in the same moment, twenty times over: 491, and both get it.
func TestGlare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		results := make(chan error, 2)
		for i := range 20 {
			alice, bob, want := p.a.Hold, p.b.Hold, "inactive"
			if i%2 == 1 {
				alice, bob, want = p.a.Resume, p.b.Resume, "sendrecv"
			}
			go func() { results <- alice(t.Context()) }()
			go func() { results <- bob(t.Context()) }()
			for range 2 {
				if err := <-results; err != nil {
					t.Errorf("round %d: %v", i, err)
				}
			}
			synctest.Wait()
			if told := p.ours.told(); !contains(told, want+" 192.0.2.2") {
				t.Errorf("round %d: Alice's stream was told %q, want %s in the end", i, told, want)
			}
		}
		p.a.Hangup(t.Context())
		<-p.b.Done()
	})
}

// offerer is a call whose one side writes its own descriptions.
type offerer struct {
	s      *dialog.Session
	call   *ua.Call
	stream *fakeStream
}

func newOfferer(t *testing.T, onInvite func(context.Context, *dialog.Invitation)) *offerer {
	t.Helper()
	return newOffererTo(t, ua.Config{}, onInvite)
}

// newOffererTo is newOfferer with a configuration for the other side.
func newOffererTo(t *testing.T, cfg ua.Config, onInvite func(context.Context, *dialog.Invitation)) *offerer {
	t.Helper()
	n := siptest.NewNetwork(nil)
	o := &offerer{stream: newStream(t)}
	calls := make(chan *ua.Call, 1)
	cfg.OnInvite = answerWith(calls, o.stream)
	newAgent(t, n, "192.0.2.2", "sip:bob@b.example", cfg)
	alice := newCaller(t, n, "192.0.2.1", &dialog.Config{OnInvite: onInvite})
	var err error
	o.s, _, err = alice.Invite(t.Context(), request(sip.INVITE, bobURI, describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0")), nil)
	if err != nil {
		t.Fatal(err)
	}
	o.s.Ack(t.Context())
	o.call = <-calls
	o.stream.told()
	return o
}

// offer sends a re-INVITE and returns its answer.
func (o *offerer) offer(t *testing.T, edits ...sip.Edit) *sip.Response {
	t.Helper()
	synctest.Wait()
	resp, err := o.s.Invite(t.Context(), nil, edits...)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Status().Success() {
		o.s.Ack(t.Context())
	}
	synctest.Wait()
	return resp
}

// update is offer with an UPDATE.
func (o *offerer) update(t *testing.T, edits ...sip.Edit) *sip.Response {
	t.Helper()
	resp, err := o.s.Do(t.Context(), sip.UPDATE, edits...)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return resp
}

// What a peer may change, and what its stream is told of it.
func TestReinvite(t *testing.T) {
	several := multipart(t, "mixed", picture(";handling=optional"), sip.NewPart(describe("192.0.2.7", 2, "audio 5008 RTP/AVP 0")))
	for _, test := range []struct {
		name   string
		offer  sip.Body
		status sip.Status
		answer string // is part of it
		told   string
	}{
		{"hold", describe("192.0.2.1", 2, "audio 5000 RTP/AVP 0|a=sendonly"), 200, "a=recvonly", "recvonly 192.0.2.1:5000"},
		{"hold as in RFC 2543", describe("0.0.0.0", 2, "audio 5000 RTP/AVP 0"), 200, "m=audio 4000", "recvonly 0.0.0.0:5000"},
		{"address", describe("192.0.2.7", 2, "audio 5008 RTP/AVP 0"), 200, "m=audio 4000", "sendrecv 192.0.2.7:5008"},
		{"one part of several", several, 200, "m=audio 4000", "sendrecv 192.0.2.7:5008"},
		{"refresh", describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0"), 200, "m=audio 4000", ""},
		{"further section", describe("192.0.2.1", 2, "audio 5000 RTP/AVP 0", "audio 5002 RTP/AVP 0"), 200, "m=audio 0 RTP/AVP 0", ""},
		{"section removed", describe("192.0.2.1", 2, "audio 0 RTP/AVP 0"), 200, "m=audio 0 RTP/AVP 0", "sendrecv 192.0.2.1:0"},
		{"codec gone", describe("192.0.2.1", 2, "audio 5000 RTP/AVP 8"), 488, "", ""},
		{"nonsense", sip.Body{Type: "application/sdp", Content: "hello"}, 400, "", ""},
		{"other body", sip.Body{Type: "text/plain", Content: "v=0"}, 415, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOfferer(t, nil)
				resp := o.offer(t, test.offer)
				if resp.Status() != test.status {
					t.Errorf("the re-INVITE got %v, want %v", resp.Status(), test.status)
				}
				if !contains(resp.Body(), test.answer) {
					t.Errorf("the answer is %q, want it to have %q", resp.Body(), test.answer)
				}
				o.stream.check(t, "callee", test.told, false)
				// Whatever it was, the old state can be had again.
				resp = o.offer(t, describe("192.0.2.1", 9, "audio 5000 RTP/AVP 0"))
				if !resp.Status().Success() || !contains(resp.Body(), "m=audio 4000") {
					t.Errorf("going back got %v", resp)
				}
				want := ""
				if test.told != "" {
					want = "sendrecv 192.0.2.1:5000"
				}
				o.stream.check(t, "callee, back again", want, false)
			})
		})
	}
}

// A re-INVITE is cancelled while the stream takes its time over it. Whether the
// stream heeds its context or not, everything is as it was (RFC 3261 section
// 14.1).
func TestReinviteCancelled(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			o := newOfferer(t, nil)
			o.stream.onUpdate = func(ctx context.Context) error {
				o.stream.onUpdate = nil
				if deaf {
					time.Sleep(2 * time.Second)
					return nil
				}
				<-ctx.Done()
				return ctx.Err()
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			resp, err := o.s.Invite(ctx, nil, describe("192.0.2.1", 2, "audio 7000 RTP/AVP 0|a=sendonly"))
			if !errors.Is(err, context.DeadlineExceeded) || resp == nil || resp.Status() != sip.StatusRequestTerminated {
				t.Errorf("the re-INVITE got %v, %v, want 487", resp, err)
			}
			synctest.Wait()
			o.stream.check(t, "callee", "recvonly 192.0.2.1:7000, sendrecv 192.0.2.1:5000", false)
			// The section is not held either: a refresh says nothing new.
			if resp := o.offer(t, describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0")); !contains(resp.Body(), "a=sendrecv") {
				t.Errorf("the refresh got %q, want sendrecv", resp.Body())
			}
			o.stream.check(t, "callee", "", false)
		})
	}
}

// A re-INVITE without an offer: the stream offers, and the ACK answers.
func TestReinviteWithoutOffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOfferer(t, nil)
		resp, err := o.s.Invite(t.Context(), nil)
		if err != nil || !contains(resp.Body(), "m=audio 4000") {
			t.Fatalf("the re-INVITE got %v, %v", resp, err)
		}
		o.s.Ack(t.Context(), describe("192.0.2.1", 2, "audio 5010 RTP/AVP 0"))
		synctest.Wait()
		o.stream.check(t, "callee", "sendrecv 192.0.2.1:5010", false)

		// An ACK without an answer changes nothing, and a later offer works.
		if _, err := o.s.Invite(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		o.s.Ack(t.Context())
		synctest.Wait()
		o.stream.check(t, "callee", "", false)
		if resp := o.offer(t, describe("192.0.2.1", 3, "audio 5012 RTP/AVP 0")); !resp.Status().Success() {
			t.Errorf("the offer after it got %v", resp.Status())
		}
		o.stream.check(t, "callee", "sendrecv 192.0.2.1:5012", false)
	})
}

// A change that the stream cannot make, in time say, is refused with a status that leaves the
// call and all else as it was.
func TestChangeOfPeerStreamFails(t *testing.T) {
	for _, method := range []sip.Method{sip.INVITE, sip.UPDATE} {
		for _, err := range []error{errors.New("no route"), fmt.Errorf("no relay: %w", context.DeadlineExceeded), context.Canceled} {
			t.Run(fmt.Sprint(method, ", ", err), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newOfferer(t, nil)
					o.stream.onUpdate = func(context.Context) error { o.stream.onUpdate = nil; return err }
					offer := o.offer
					if method == sip.UPDATE {
						offer = o.update
					}
					if resp := offer(t, describe("192.0.2.7", 2, "audio 5008 RTP/AVP 0")); resp.Status() != sip.StatusNotAcceptableHere {
						t.Errorf("the %s got %v, want 488", method, resp.Status())
					}
					o.stream.check(t, "callee", "sendrecv 192.0.2.7:5008, sendrecv 192.0.2.1:5000", false)
					if resp := offer(t, describe("192.0.2.7", 2, "audio 5008 RTP/AVP 0")); resp.Status() != sip.StatusOK {
						t.Errorf("the second got %v, want 200", resp.Status())
					}
					o.stream.check(t, "callee", "sendrecv 192.0.2.7:5008", false)
				})
			})
		}
	}
}

// jammed is a network that does not take the next datagram.
type jammed struct {
	transport.Network
	next atomic.Bool
}

func (j *jammed) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	pc, err := j.Network.ListenPacket(ctx, network, address)
	return jammedConn{pc, j}, err
}

type jammedConn struct {
	net.PacketConn
	j *jammed
}

func (c jammedConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if c.j.next.Swap(false) {
		return 0, &net.OpError{Op: "write", Net: "udp", Addr: to, Err: syscall.ENOBUFS}
	}
	return c.PacketConn.WriteTo(b, to)
}

// The network does not take the 200 to an UPDATE. The peer asks again and gets it then, so what
// it answers is agreed.
func TestUpdateAnsweredLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		sessions := make(chan *dialog.Session, 1)
		newCaller(t, n, "192.0.2.2", &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
			in.Accept(describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
			sessions <- in.Session()
		}})
		network := &jammed{Network: n.Host("192.0.2.1")}
		alice, err := ua.New("sip:alice@a.example", &ua.Config{Network: network, Listen: []string{"udp:192.0.2.1:5060"}, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { alice.Close() })
		s := newStream(t)
		call, err := alice.Invite(t.Context(), bobURI, streams(s))
		if err != nil {
			t.Fatal(err)
		}
		s.told()
		peer := <-sessions
		synctest.Wait()
		network.next.Store(true)
		resp, err := peer.Do(t.Context(), sip.UPDATE, describe("192.0.2.2", 2, "audio 5002 RTP/AVP 0"))
		if err != nil || resp.Status() != sip.StatusOK {
			t.Errorf("the UPDATE got %v, %v, want 200", resp, err)
		}
		s.check(t, "callee", "sendrecv 192.0.2.2:5002", false)
		call.Hangup(t.Context())
	})
}

// An agent that takes no calls can be put on hold in those that it makes.
func TestReinviteOfCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t) // Alice has no OnInvite
		if err := p.b.Hold(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		p.ours.check(t, "Alice", "recvonly 192.0.2.2:4000", false)
	})
}

// Two sections, and three streams at the callee in another order: each section
// finds the stream that takes it, keeps it, and the one left over is closed with
// the call.
func TestSeveralStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		pcma := sdp.Format{PayloadType: 8, Name: "PCMA", ClockRate: 8000}
		var theirs [3]*fakeStream
		for i := range theirs {
			theirs[i] = newStream(t)
		}
		theirs[0].codec = sdp.Format{PayloadType: 9, Name: "G722", ClockRate: 8000}
		theirs[1].codec = pcma
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			call, err := in.Answer(ctx, theirs[0], theirs[1], theirs[2])
			if err != nil {
				t.Error(err)
			}
			calls <- call
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		var ours [3]*fakeStream
		for i := range ours {
			ours[i] = newStream(t)
		}
		ours[1].codec = pcma
		ours[2].codec = sdp.Format{PayloadType: 3, Name: "GSM", ClockRate: 8000} // nobody has it
		call, err := alice.Invite(t.Context(), bobURI, streams(ours[:]...))
		if err != nil {
			t.Fatal(err)
		}
		<-calls
		if err := call.Hold(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		told := "sendrecv 192.0.2.2:4000, sendonly 192.0.2.2:4000"
		for i, want := range []string{told, told, ""} {
			ours[i].check(t, "Alice", want, false)
		}
		told = "sendrecv 192.0.2.1:4000, recvonly 192.0.2.1:4000"
		for i, want := range []string{"", told, told} {
			theirs[i].check(t, "Bob", want, false)
		}
		if got := theirs[1].remote.RTP()[0].Name; got != "PCMA" {
			t.Errorf("the PCMA stream got %s", got)
		}
		call.Hangup(t.Context())
		synctest.Wait()
		for i := range 3 {
			ours[i].check(t, "Alice", "", true)
			theirs[i].check(t, "Bob", "", true)
		}
	})
}
