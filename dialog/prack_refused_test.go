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

// noOffers refuses what has an offer, and accepts all else.
func noOffers(tx *dialog.Server, req *sip.Request) {
	if req.Body() != "" {
		tx.Reply(sip.StatusNotAcceptableHere)
		return
	}
	tx.Reply(sip.StatusOK)
}

// The offer in a PRACK is refused: another one without may follow (RFC 6337 section 2.3),
// and need not, for the 183 has arrived. Then it is acknowledged, and 481 is for what comes
// on top (RFC 3262 section 3).
func TestPRACKAgainWithoutOffer(t *testing.T) {
	for _, again := range []bool{true, false} {
		story(t, func(t *testing.T, n *siptest.Network) {
			result := make(chan error, 2)
			bob := newLayer(t, n, bobAddr, &dialog.Config{
				OnInvite: func(_ context.Context, in *dialog.Invitation) {
					result <- in.Reliable(sip.StatusSessionProgress, session)
					time.Sleep(time.Second)
					_, err := in.Accept()
					result <- err
				},
				OnRequest: noOffers,
			})
			p := newPeer(t, n, aliceAddr)
			p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact(), session, sip.Supported{sip.Option100rel}))
			ring := p.expect("183 INVITE 1").Message
			rseq, _ := sip.Get[sip.RSeq](ring)
			rack := sip.RAck{RSeq: rseq, CSeq: ring.CSeq()}
			p.send(bobAddr, p.within(ring, sip.PRACK, 2, rack, session))
			p.expect("488 PRACK 2")
			if again {
				other := rack
				other.RSeq++
				p.send(bobAddr, p.within(ring, sip.PRACK, 3, other))
				p.expect("481 PRACK 3")
				p.send(bobAddr, p.within(ring, sip.PRACK, 4, rack, session))
				p.expect("488 PRACK 4")
				p.send(bobAddr, p.within(ring, sip.PRACK, 5, rack))
				p.expect("200 PRACK 5")
				p.send(bobAddr, p.within(ring, sip.PRACK, 6, rack))
				p.expect("481 PRACK 6")
			}
			ok := p.expect("200 INVITE 1").Message
			p.send(bobAddr, p.within(ok, sip.ACK, 1))
			for range 2 {
				if err := <-result; err != nil {
					t.Error(err)
				}
			}
			p.send(bobAddr, p.within(ok, sip.BYE, 7))
			p.expect("200 BYE 7")
			wantEmpty(t, bob)
		})
	}
}

// While a PRACK is looked at that was sent again without its offer, that of the next response
// comes, and either may be challenged: each is answered, and has its credentials taken.
func TestPRACKsAtOnce(t *testing.T) {
	for _, challenged := range []uint32{3, 4} {
		for _, first := range []uint32{3, 4} {
			story(t, func(t *testing.T, n *siptest.Network) {
				result := make(chan error, 3)
				held := make(chan *dialog.Server, 2)
				newLayer(t, n, bobAddr, &dialog.Config{
					OnInvite: func(_ context.Context, in *dialog.Invitation) {
						result <- in.Reliable(sip.StatusSessionProgress, session)
						result <- in.Reliable(sip.StatusRinging)
						_, err := in.Accept()
						result <- err
					},
					OnRequest: func(tx *dialog.Server, req *sip.Request) {
						if seq := req.CSeq().Seq; seq == 3 || seq == 4 {
							tx.Hold()
							held <- tx
							return
						}
						noOffers(tx, req)
					},
				})
				p := newPeer(t, n, aliceAddr)
				p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact(), session, sip.Supported{sip.Option100rel}))
				ring := p.expect("183 INVITE 1").Message
				rseq, _ := sip.Get[sip.RSeq](ring)
				racks := map[uint32]sip.RAck{3: {RSeq: rseq, CSeq: ring.CSeq()}, 4: {RSeq: rseq + 1, CSeq: ring.CSeq()}}
				p.send(bobAddr, p.within(ring, sip.PRACK, 2, racks[3], session))
				p.expect("488 PRACK 2")
				p.expect("180 INVITE 1")
				asked := map[uint32]*dialog.Server{}
				for _, seq := range []uint32{3, 4} {
					p.send(bobAddr, p.within(ring, sip.PRACK, seq, racks[seq]))
					asked[seq] = <-held
				}
				for _, seq := range []uint32{first, 7 - first} {
					if seq == challenged {
						asked[seq].Reply(sip.StatusUnauthorized, challenge("one"))
						p.expect("401 "+summaryOf(sip.PRACK, int(seq)), "180 INVITE 1", "200 INVITE 1")
						continue
					}
					asked[seq].Reply(sip.StatusOK)
					p.expect("200 "+summaryOf(sip.PRACK, int(seq)), "180 INVITE 1", "200 INVITE 1")
				}
				p.send(bobAddr, p.within(ring, sip.PRACK, 5, racks[challenged]))
				p.expect("200 PRACK 5", "180 INVITE 1", "200 INVITE 1")
				for range 3 {
					if err := <-result; err != nil && !errors.Is(err, dialog.ErrNoACK) {
						t.Errorf("Bob got %v", err)
					}
				}
			})
		}
	}
}

// The caller's offer in a PRACK is refused: the next PRACK, without, is for the same
// response, unless another one waits for the first of its own.
func TestPRACKForRefusedOffer(t *testing.T) {
	for _, another := range []bool{false, true} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			c := place(t.Context(), t, newLayer(t, n, aliceAddr, nil), sip.Supported{sip.Option100rel}, session)
			invite := p.expect("INVITE 1")
			p.rings(invite, 5, session)
			s, _ := c.rings(sip.StatusSessionProgress)
			prack := func(seq int, rseq sip.RSeq, status sip.Status, edits ...sip.Edit) {
				t.Helper()
				done := does(t, s, sip.PRACK, edits...)
				in := p.expect(summaryOf(sip.PRACK, seq))
				wantRAck(t, in, rseq, 1)
				p.reply(in, status)
				<-done
			}
			prack(2, 5, sip.StatusNotAcceptableHere, session)
			seq := 3
			if another {
				p.rings(invite, 6)
				c.rings(sip.StatusSessionProgress)
				prack(seq, 6, sip.StatusOK)
				seq++
			}
			prack(seq, 5, sip.StatusOK)
			if _, err := s.Do(t.Context(), sip.PRACK); !errors.Is(err, dialog.ErrNothing) {
				t.Errorf("one more PRACK: %v, want ErrNothing", err)
			}
		})
	}
}

// Both of them by way of a back-to-back user agent.
func TestRelayPRACKAgainWithoutOffer(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		newBridge(t, n)
		alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact(), session, sip.Supported{sip.Option100rel}))
		bob.rings(bob.expect("INVITE 1"), 7, session)
		early := alice.expect("183 INVITE 1").Message
		rseq, _ := sip.Get[sip.RSeq](early)
		rack := sip.RAck{RSeq: rseq, CSeq: early.CSeq()}
		alice.send(carolAddr, alice.within(early, sip.PRACK, 2, rack, session))
		bob.reply(bob.expect("PRACK 2"), sip.StatusNotAcceptableHere)
		alice.expect("488 PRACK 2")
		alice.send(carolAddr, alice.within(early, sip.PRACK, 3, rack))
		prack := bob.expect("PRACK 3")
		wantRAck(t, prack, 7, 1)
		bob.reply(prack, sip.StatusOK)
		alice.expect("200 PRACK 3")
	})
}

// A refusal crosses the PRACK of what rang before. It gets 200 (RFC 3262 section 3), or 488
// if it has an offer, for nobody is there to answer that; what is no such PRACK, 481, and so
// does one that comes when its sender must know that the call is over.
func TestPRACKAfterRefusal(t *testing.T) {
	for name, refuse := range map[string]func(in *dialog.Invitation){
		"486":        func(in *dialog.Invitation) { in.Reject(sip.StatusBusyHere) },
		"480":        func(*dialog.Invitation) {},
		"480 by Bye": func(in *dialog.Invitation) { in.Session().Bye(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
					go in.Reliable(sip.StatusRinging)
					time.Sleep(100 * time.Millisecond)
					refuse(in)
				}})
				p := newPeer(t, n, aliceAddr)
				invite := p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact(), sip.Supported{sip.Option100rel}))
				ring := p.expect("180 INVITE 1").Message
				refusal := (<-p.in).Message
				p.refused(bobAddr, invite, refusal)
				rseq, _ := sip.Get[sip.RSeq](ring)
				rack := sip.RAck{RSeq: rseq, CSeq: ring.CSeq()}
				other := rack
				other.RSeq++
				for i, test := range []struct {
					rack   sip.RAck
					edits  []sip.Edit
					status string
				}{
					{other, nil, "481"}, {rack, []sip.Edit{session}, "488"}, {rack, nil, "200"}, {rack, nil, "481"},
				} {
					p.send(bobAddr, p.within(ring, sip.PRACK, uint32(2+i), append(test.edits, test.rack)...))
					p.expect(test.status + " " + summaryOf(sip.PRACK, 2+i))
				}
				wantEmpty(t, bob)
			})
		})
	}
}

// Nothing is kept for a PRACK that does not come in time.
func TestNoPRACKAfterRefusal(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
			go in.Reliable(sip.StatusRinging)
			time.Sleep(100 * time.Millisecond)
			in.Reject(sip.StatusBusyHere)
		}})
		p := newPeer(t, n, aliceAddr)
		invite := p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact(), sip.Supported{sip.Option100rel}))
		ring := p.expect("180 INVITE 1").Message
		p.refused(bobAddr, invite, p.expect("486 INVITE 1").Message)
		time.Sleep(33 * time.Second)
		wantEmpty(t, bob)
		rseq, _ := sip.Get[sip.RSeq](ring)
		p.send(bobAddr, p.within(ring, sip.PRACK, 2, sip.RAck{RSeq: rseq, CSeq: ring.CSeq()}))
		p.expect("481 PRACK 2")
	})
}
