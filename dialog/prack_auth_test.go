package dialog_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

const asks = `Digest realm="b", nonce="1"`

var knows = sip.Field{Name: "Authorization", Value: `Digest username="a"`}

// The callee challenges the PRACK, which has the answer to the offer in the 183. The
// 183 waits for the PRACK with credentials, and the 200 behind it, too.
func TestChallengedPRACK(t *testing.T) {
	for _, waits := range []bool{false, true} { // until the 183 comes again
		story(t, func(t *testing.T, n *siptest.Network) {
			result := make(chan error, 2)
			newLayer(t, n, bobAddr, &dialog.Config{
				OnInvite: func(_ context.Context, in *dialog.Invitation) {
					go func() { result <- in.Reliable(sip.StatusSessionProgress, session) }() // ends with the PRACK
					time.Sleep(15 * time.Millisecond)
					_, err := in.Accept()
					result <- err
				},
				OnRequest: func(tx *dialog.Server, req *sip.Request) {
					if _, ok := req.Value("Authorization"); !ok {
						tx.Reply(sip.StatusUnauthorized, sip.Field{Name: "WWW-Authenticate", Value: asks})
						return
					}
					tx.Reply(sip.StatusOK)
				},
			})
			p := newPeer(t, n, aliceAddr)
			p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact(), sip.Supported{sip.Option100rel}))
			ring := p.expect("183 INVITE 1").Message
			rseq, _ := sip.Get[sip.RSeq](ring)
			rack := sip.RAck{RSeq: rseq, CSeq: ring.CSeq()}
			p.send(bobAddr, p.within(ring, sip.PRACK, 2, rack, session))
			p.expect("401 PRACK 2")
			if waits {
				p.expect("183 INVITE 1")
			}
			p.send(bobAddr, p.within(ring, sip.UPDATE, 3, p.contact(), session))
			p.expect("491 UPDATE 3", "183 INVITE 1") // the offer has no answer yet
			p.send(bobAddr, p.within(ring, sip.PRACK, 4, rack, session, knows))
			p.expect("200 PRACK 4", "183 INVITE 1")
			if err := <-result; err != nil {
				t.Errorf("Reliable() = %v", err)
			}
			p.send(bobAddr, p.within(p.expect("200 INVITE 1").Message, sip.ACK, 1))
			if err := <-result; err != nil {
				t.Errorf("Accept() = %v", err)
			}
			p.send(bobAddr, p.within(ring, sip.UPDATE, 5, p.contact(), session, knows))
			p.expect("200 UPDATE 5")
		})
	}
}

// A PRACK that was challenged is sent again with credentials: by the Layer, if it has
// them, or by the program, and then so is what the one before has said.
func TestPRACKAgainWithCredentials(t *testing.T) {
	for _, has := range []bool{true, false} {
		story(t, func(t *testing.T, n *siptest.Network) {
			cfg := &dialog.Config{}
			if has {
				cfg.Auth = &answerer{}
			}
			p := newPeer(t, n, bobAddr)
			c := place(t.Context(), t, newLayer(t, n, aliceAddr, cfg), sip.Supported{sip.Option100rel})
			invite := p.expect("INVITE 1")
			p.rings(invite, 5, session)
			s, _ := c.rings(sip.StatusSessionProgress)
			p.rings(invite, 6)
			c.rings(sip.StatusSessionProgress)
			done := does(t, s, sip.PRACK, session)
			p.reply(p.expect("PRACK 2"), sip.StatusUnauthorized, sip.Field{Name: "WWW-Authenticate", Value: asks})
			if !has {
				if got := <-done; got != sip.StatusUnauthorized {
					t.Errorf("the PRACK is answered with %v, want 401", got)
				}
				if _, err := s.Do(t.Context(), sip.UPDATE, session); !errors.Is(err, dialog.ErrPending) {
					t.Errorf("an offer before the one of the peer is answered: %v, want ErrPending", err)
				}
				done = does(t, s, sip.PRACK, session, knows)
			}
			again := <-p.in
			wantRAck(t, again, 5, 1)
			p.reply(again, sip.StatusOK)
			if got := <-done; got != sip.StatusOK {
				t.Errorf("the PRACK with credentials is answered with %v", got)
			}
			done = does(t, s, sip.PRACK)
			next := <-p.in
			wantRAck(t, next, 6, 1)
			p.reply(next, sip.StatusOK)
			<-done
		})
	}
}

// The callee behind a back-to-back user agent challenges the PRACK of the caller, who
// sends it again with credentials.
func TestRelayChallengedPRACK(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		newBridge(t, n)
		alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact(), sip.Supported{sip.Option100rel}))
		invite := bob.expect("INVITE 1")
		bob.rings(invite, 1, session)
		early := alice.expect("183 INVITE 1").Message
		rseq, _ := sip.Get[sip.RSeq](early)
		rack := sip.RAck{RSeq: rseq, CSeq: early.CSeq()}
		alice.send(carolAddr, alice.within(early, sip.PRACK, 2, rack, session))
		bob.reply(bob.expect("PRACK 2"), sip.StatusUnauthorized, sip.Field{Name: "WWW-Authenticate", Value: asks})
		if got, _ := alice.expect("401 PRACK 2").Message.Value("WWW-Authenticate"); got != asks {
			t.Errorf("Alice is asked for %q", got)
		}
		alice.send(carolAddr, alice.within(early, sip.PRACK, 3, rack, session, knows))
		prack := bob.expect("PRACK 3")
		wantRAck(t, prack, 1, 1)
		if got := prack.Message.Body(); got != session.Content {
			t.Errorf("the PRACK has the body %q", got)
		}
		bob.reply(prack, sip.StatusOK)
		alice.expect("200 PRACK 3", "183 INVITE 1")
		bob.reply(invite, sip.StatusOK, tagged(invite.Message, "b"), bob.contact())
		alice.send(carolAddr, alice.within(alice.expect("200 INVITE 1").Message, sip.ACK, 1))
		bob.expect("ACK 1")
	})
}
