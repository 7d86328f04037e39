package dialog_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
)

// ringing is an OnInvite that rings and waits.
func ringing(ctx context.Context, in *dialog.Invitation) {
	in.Provisional(sip.StatusRinging)
	<-ctx.Done()
}

// Bob's program is started anew while it rings. The one after it answers, and
// Alice, who sees nothing of that, hangs up later.
func TestRestartWhileRinging(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: ringing})
		ended := make(chan error, 2)
		time.AfterFunc(time.Second, func() {
			again(t, n, bobAddr, keep(t, bob), &dialog.Config{
				OnInvite: func(ctx context.Context, in *dialog.Invitation) {
					if !in.Restored() || in.Answer() != nil || in.Re() {
						t.Errorf("Restored() = %v, Answer() = %v, Re() = %v, want one that is not answered", in.Restored(), in.Answer(), in.Re())
					}
					<-time.After(time.Second)
					if _, err := in.Accept(sip.Body{Type: "text/plain", Content: "the answer"}); err != nil {
						t.Error(err)
					}
				},
				OnEnd: func(s *dialog.Session) { ended <- s.Err() },
			})
		})
		alice := newLayer(t, n, aliceAddr, nil)
		s := call(t, alice, "sip:bob@"+bobAddr, "call-1")
		time.Sleep(time.Minute)
		if err := s.Bye(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, dialog.ErrBye) || len(ended) > 0 {
			t.Errorf("Bob's call ended with %v, want %v, once", err, dialog.ErrBye)
		}
		wantLadder(t, n,
			"alice: INVITE 1", "bob: 180 INVITE 1", "bob: 200 INVITE 1", "alice: ACK 1",
			"alice: BYE 2", "bob: 200 BYE 2")
	})
}

// The caller gives up after the restart, or the INVITE expires, or the callee
// lets it go: it gets its answer as it would have got it before.
func TestRestoredInvitationEnds(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(p *peer, invite *sip.Request, ringing sip.Message)
		how  error
		want string
	}{
		{"CANCEL", func(p *peer, invite *sip.Request, _ sip.Message) {
			p.sendAs(bobAddr, sip.NewRequest(sip.CANCEL, invite.URI(), sip.MaxForwards(70), invite.From(), invite.To(),
				sip.CallID(invite.CallID()), sip.CSeq{Seq: 1, Method: sip.CANCEL}), invite.Via().Branch())
			p.expect("200 CANCEL 1")
		}, transaction.ErrCancelled, "487 INVITE 1"},
		{"BYE", func(p *peer, invite *sip.Request, ringing sip.Message) {
			p.send(bobAddr, p.within(ringing, sip.BYE, 2))
			p.expect("200 BYE 2")
		}, dialog.ErrBye, "487 INVITE 1"},
		{"Expires", func(*peer, *sip.Request, sip.Message) {}, dialog.ErrExpired, "487 INVITE 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: ringing})
				p := newPeer(t, n, aliceAddr)
				invite := p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "call-1", p.contact(), sip.Expires(90)))
				rings := p.expect("180 INVITE 1").Message
				time.Sleep(time.Second)
				ended := make(chan error, 1)
				start := time.Now()
				l, _ := again(t, n, bobAddr, keep(t, bob), &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
					<-ctx.Done()
					ended <- context.Cause(ctx)
				}})
				if test.name != "Expires" {
					p.silent(30 * time.Second) // in Proceeding nothing goes by itself
				}
				test.end(p, invite, rings)
				refusal := p.expect(test.want, "180 INVITE 1").Message
				p.refused(bobAddr, invite, refusal)
				if err := <-ended; !errors.Is(err, test.how) {
					t.Errorf("the context ended with %v, want %v", err, test.how)
				}
				if got := time.Since(start).Round(time.Second); test.name == "Expires" && got != 89*time.Second {
					t.Errorf("the INVITE expired after %v, want the 89s that were left", got)
				}
				if sessions, _ := l.Left(); sessions != 0 {
					t.Errorf("%d calls are left, want none", sessions)
				}
			})
		})
	}
}

// A program that lasts for a minute only goes on to ring: the 180 is sent again
// for the proxies on the way (RFC 3261 section 13.3.1.1).
func TestRestoredGoesOnToRing(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: ringing})
		p := newPeer(t, n, aliceAddr)
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "call-1", p.contact()))
		first := p.expect("180 INVITE 1").Message
		time.Sleep(30 * time.Second)
		again(t, n, bobAddr, keep(t, bob), &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) { <-ctx.Done() }})
		if second := p.expect("180 INVITE 1").Message; second.String() != first.String() {
			t.Errorf("it rings with\n%s\nwant\n%s", second, first)
		}
	})
}

// Bob's program dies right after its 200, and nobody hears the ACK. The one
// after it sends the same 200 again, which gets the ACK again.
func TestRestartBeforeTheACK(t *testing.T) {
	for _, accepts := range []bool{true, false} {
		t.Run(fmt.Sprint("Accept is called: ", accepts), func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) { in.Accept() }})
				p := newPeer(t, n, aliceAddr)
				lose(n, aliceAddr, "ACK 1", 1)
				p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "call-1", p.contact()))
				first := p.expect("200 INVITE 1").Message
				p.send(bobAddr, p.within(first, sip.ACK, 1))
				kept := keep(t, bob)
				acks := make(chan string, 1)
				_, sessions := again(t, n, bobAddr, kept, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
					if !in.Restored() || in.Answer() == nil || in.Answer().String() != first.String() {
						t.Errorf("Restored() = %v, Answer() = %v, want the 200", in.Restored(), in.Answer())
					}
					if err := in.Reject(486); !errors.Is(err, transaction.ErrCompleted) {
						t.Errorf("Reject() = %v, want %v", err, transaction.ErrCompleted)
					}
					if !accepts {
						return
					}
					ack, err := in.Accept()
					if err != nil {
						t.Errorf("Accept() = %v", err)
						return
					}
					acks <- ack.Body()
				}})
				if second := p.expect("200 INVITE 1").Message; second.String() != first.String() {
					t.Errorf("sent again is\n%s\nwant\n%s", second, first)
				}
				p.send(bobAddr, p.within(first, sip.ACK, 1, sip.Body{Type: "text/plain", Content: "v=0"}))
				if accepts {
					if got := <-acks; got != "v=0" {
						t.Errorf("the ACK has %q, want v=0", got)
					}
				}
				p.silent(time.Minute)
				if err := sessions[0].Err(); err != nil {
					t.Errorf("Err() = %v, want a call that is up", err)
				}
			})
		})
	}
}

// No ACK comes at all: what was left of 32 s goes by, and the call is ended
// with BYE.
func TestRestartAndNoACK(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) { in.Accept() }})
		p := newPeer(t, n, aliceAddr)
		start := time.Now()
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "call-1", p.contact()))
		p.expect("200 INVITE 1")
		time.Sleep(10 * time.Second)
		ended := make(chan error, 1)
		again(t, n, bobAddr, keep(t, bob), &dialog.Config{OnEnd: func(s *dialog.Session) { ended <- s.Err() }})
		in := p.expect("BYE 1", "200 INVITE 1")
		p.reply(in, 200)
		if got := time.Since(start).Round(time.Second); got != 32*time.Second {
			t.Errorf("the BYE came after %v, want 32s", got)
		}
		if err := <-ended; !errors.Is(err, dialog.ErrNoACK) {
			t.Errorf("the call ended with %v, want %v", err, dialog.ErrNoACK)
		}
	})
}
