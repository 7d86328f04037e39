package dialog_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// A plain call over UDP and TCP: INVITE, 180, 200, ACK, BYE (RFC 3261 section
// 4). OnEnd is called once on each side, and after that nothing is left.
func TestCall(t *testing.T) {
	for _, target := range []string{"sip:bob@" + bobAddr, "sip:bob@" + bobAddr + ";transport=tcp"} {
		story(t, func(t *testing.T, n *siptest.Network) {
			var ends atomic.Int32
			sessions := make(chan *dialog.Session, 1)
			bob := newLayer(t, n, bobAddr, &dialog.Config{
				OnInvite: func(ctx context.Context, in *dialog.Invitation) {
					in.Provisional(sip.StatusRinging)
					time.Sleep(time.Second)
					accepting(t, sessions)(ctx, in)
				},
				OnEnd: func(*dialog.Session) { ends.Add(1) },
			})
			alice := newLayer(t, n, aliceAddr, &dialog.Config{OnEnd: func(*dialog.Session) { ends.Add(1) }})
			s := call(t, alice, target, "1")
			at := <-sessions
			if got, want := s.ID(), (dialog.ID{CallID: at.ID().CallID, LocalTag: at.ID().RemoteTag, RemoteTag: at.ID().LocalTag}); got != want {
				t.Errorf("the sides disagree: %+v and %+v", got, want)
			}
			time.Sleep(time.Hour) // an idle call sends nothing
			if err := s.Bye(t.Context()); err != nil {
				t.Error(err)
			}
			if err := s.Bye(t.Context()); err != nil {
				t.Errorf("a second Bye() = %v, want nil", err)
			}
			<-at.Done()
			if err := at.Err(); !errors.Is(err, dialog.ErrBye) {
				t.Errorf("Bob's call ended with %v, want ErrBye", err)
			}
			if err := s.Err(); !errors.Is(err, dialog.ErrEnded) {
				t.Errorf("Alice's call ended with %v, want ErrEnded", err)
			}
			time.Sleep(time.Minute)
			wantLadder(t, n, "alice: INVITE 1", "bob: 180 INVITE 1", "bob: 200 INVITE 1", "alice: ACK 1",
				"alice: BYE 2", "bob: 200 BYE 2")
			if got := ends.Load(); got != 2 {
				t.Errorf("OnEnd was called %d times, want 2", got)
			}
			wantEmpty(t, alice, bob)
		})
	}
}

func wantEmpty(t *testing.T, layers ...*dialog.Layer) {
	t.Helper()
	for i, l := range layers {
		if sessions, invites := l.Left(); sessions != 0 || invites != 0 {
			t.Errorf("layer %d holds %d sessions and %d INVITEs, want none", i, sessions, invites)
		}
		if n := l.LatePRACKs(); n != 0 {
			t.Errorf("layer %d waits for %d PRACKs, want none", i, n)
		}
		if n := l.Asking(); n != 0 {
			t.Errorf("layer %d waits for NOTIFYs to %d requests, want none", i, n)
		}
	}
}

// A refusal is a response, not an error, and leaves no session.
func TestRefusal(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		rejected := make(chan *dialog.Session, 1)
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
			if err := in.Reject(sip.StatusOK); !errors.Is(err, transaction.ErrStatus) {
				t.Errorf("Reject(200) = %v, want ErrStatus", err)
			}
			if err := in.Provisional(sip.StatusOK); !errors.Is(err, transaction.ErrStatus) {
				t.Errorf("Provisional(200) = %v, want ErrStatus", err)
			}
			if err := in.Reject(sip.StatusBusyHere); err != nil {
				t.Error(err)
			}
			if err := in.Reject(sip.StatusDecline); !errors.Is(err, transaction.ErrCompleted) {
				t.Errorf("a second Reject() = %v, want ErrCompleted", err)
			}
			if _, err := in.Accept(); !errors.Is(err, transaction.ErrCompleted) {
				t.Errorf("Accept() after Reject() = %v, want ErrCompleted", err)
			}
			rejected <- in.Session()
		}})
		alice := newLayer(t, n, aliceAddr, nil)
		s, resp, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
		if s != nil || err != nil || resp.Status() != sip.StatusBusyHere {
			t.Errorf("Invite() = %v, %v, %v, want the 486 alone", s, resp, err)
		}
		<-(<-rejected).Done() // a call that does not come about is over
		time.Sleep(time.Minute)
		wantEmpty(t, alice, bob)
	})
}

// What OnInvite leaves open gets 480, and 500 if it panics. Neither stays.
func TestInvitationLeftOpen(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := newLayer(t, n, bobAddr, &dialog.Config{
			OnInvite: func(_ context.Context, in *dialog.Invitation) {
				if in.Request().CallID() == "panic" {
					panic("a bug of the program's")
				}
			},
			Transaction: transaction.Config{Logger: discard},
		})
		alice := newLayer(t, n, aliceAddr, nil)
		for callID, want := range map[string]sip.Status{
			"open": sip.StatusTemporarilyUnavailable, "panic": sip.StatusServerInternalError,
		} {
			_, resp, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, callID), nil)
			if err != nil || resp.Status() != want {
				t.Errorf("%s: Invite() = %v, %v, want %v", callID, resp, err, want)
			}
		}
		time.Sleep(time.Minute)
		wantEmpty(t, alice, bob)
	})
}

// Requests within the call: one more each time, both ways; gaps are fine, lower
// numbers get 500, unknown dialogs 481 (RFC 3261 section 12.2.2).
func TestRequestsWithinCall(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		newLayer(t, n, bobAddr, &dialog.Config{
			OnInvite: accepting(t, sessions),
			OnRequest: func(tx *dialog.Server, _ *sip.Request) {
				if tx.Dialog().Session() == nil {
					t.Error("OnRequest got no session")
				}
				tx.Reply(sip.StatusOK)
			},
		})
		p := newPeer(t, n, aliceAddr)
		ok := p.calls(bobAddr, "1")
		s := <-sessions
		for _, step := range []struct {
			seq  uint32
			want string
		}{{2, "200 INFO 2"}, {7, "200 INFO 7"}, {6, "500 INFO 6"}, {8, "200 INFO 8"}} {
			p.send(bobAddr, p.within(ok, sip.INFO, step.seq))
			p.expect(step.want)
		}
		to := ok.To().WithTag("nobody")
		p.send(bobAddr, p.within(ok, sip.INFO, 9, to))
		p.expect("481 INFO 9")
		p.send(bobAddr, p.within(ok, sip.BYE, 1, to))
		p.expect("481 BYE 1")
		noTag := sip.To{URI: to.URI}
		p.send(bobAddr, p.within(ok, sip.BYE, 1, noTag))
		p.expect("481 BYE 1")

		for seq := range 3 {
			done := make(chan error, 1)
			go func() { // ends with the answer below
				_, err := s.Do(t.Context(), sip.INFO)
				done <- err
			}()
			in := p.expect(summaryOf(sip.INFO, seq+1))
			if got, want := in.Message.(*sip.Request).URI().Host, aliceAddr; got != want {
				t.Errorf("Bob's request goes to %s, want the Contact %s", got, want)
			}
			p.reply(in, sip.StatusOK)
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// The target follows the Contact of a re-INVITE that is accepted, not that of
// any other request; the routes stay what they were (RFC 3261 section 12.2).
func TestTargetRefresh(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		refuse := false
		newLayer(t, n, bobAddr, &dialog.Config{
			OnInvite: func(ctx context.Context, in *dialog.Invitation) {
				if refuse {
					in.Reject(sip.StatusNotAcceptableHere)
					return
				}
				accepting(t, sessions)(ctx, in)
			},
			OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) },
		})
		p := newPeer(t, n, aliceAddr)
		ok := p.calls(bobAddr, "1", sip.Add(sip.RecordRoute{URI: sip.URI{Scheme: "sip", Host: aliceAddr, Params: ";lr"}}))
		s := <-sessions
		at := func(user string) sip.Contact {
			return sip.Contact{URI: sip.URI{Scheme: "sip", User: user, Host: aliceAddr}}
		}
		elsewhere := sip.RecordRoute{URI: sip.URI{Scheme: "sip", Host: carolAddr, Params: ";lr"}}
		seq := uint32(0)
		target := func(want string) {
			t.Helper()
			seq++
			go s.Do(t.Context(), sip.INFO) // ends with the answer below
			in := p.expect(summaryOf(sip.INFO, int(seq)))
			req := in.Message.(*sip.Request)
			if got := req.URI().User; got != want {
				t.Errorf("the target is %s, want %s", got, want)
			}
			if route, err := sip.Get[sip.Route](req); err != nil || route.URI.Host != aliceAddr {
				t.Errorf("Route %v, %v, want the one of the first INVITE", route, err)
			}
			p.reply(in, sip.StatusOK)
		}
		target("peer")
		p.send(bobAddr, p.within(ok, sip.INFO, 2, at("info")))
		p.expect("200 INFO 2")
		target("peer")
		refuse = true
		change := p.send(bobAddr, p.within(ok, sip.INVITE, 3, at("refused")))
		p.refused(bobAddr, change, p.expect("488 INVITE 3").Message)
		target("peer")
		refuse = false
		p.send(bobAddr, p.within(ok, sip.INVITE, 4, at("moved"), elsewhere))
		p.expect("200 INVITE 4")
		p.send(bobAddr, p.within(ok, sip.ACK, 4, at("ack")))
		time.Sleep(time.Second)
		target("moved")
	})
}

// A peer that has forgotten the call, or does not answer within it, has lost
// it: it is over, and a BYE says so (RFC 3261 section 12.2.1.2).
func TestLostCall(t *testing.T) {
	for _, status := range []sip.Status{sip.StatusCallDoesNotExist, sip.StatusRequestTimeout, 0} {
		story(t, func(t *testing.T, n *siptest.Network) {
			sessions := make(chan *dialog.Session, 1)
			bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions)})
			p := newPeer(t, n, aliceAddr)
			p.calls(bobAddr, "1")
			s := <-sessions
			go s.Do(t.Context(), sip.INFO) // ends with the answer, or 32 s later
			if in := p.expect("INFO 1"); status != 0 {
				p.reply(in, status)
			}
			p.reply(p.expect("BYE 2", "INFO 1"), sip.StatusCallDoesNotExist)
			<-s.Done()
			if err := s.Err(); !errors.Is(err, dialog.ErrLost) {
				t.Errorf("Err() = %v, want ErrLost", err)
			}
			if _, err := s.Do(t.Context(), sip.INFO); !errors.Is(err, dialog.ErrLost) {
				t.Errorf("Do() = %v, want ErrLost", err)
			}
			time.Sleep(time.Second)
			wantEmpty(t, bob)
		})
	}
}

// Other refusals leave the call up.
func TestRefusedRequestLeavesCallUp(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil)})
		alice := newLayer(t, n, aliceAddr, nil)
		s := call(t, alice, "sip:bob@"+bobAddr, "1")
		resp, err := s.Do(t.Context(), sip.INFO)
		if err != nil || resp.Status() != sip.StatusMethodNotAllowed {
			t.Errorf("Do() = %v, %v, want 405", resp, err)
		}
		if err := s.Err(); err != nil {
			t.Errorf("Err() = %v, want nil", err)
		}
	})
}

// An UPDATE with an offer, where nobody is there to answer it, is refused for its offer
// (RFC 3311 section 5.2): the method is served, and Allow says so.
func TestOfferInUpdateForNobody(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil)})
		alice := newLayer(t, n, aliceAddr, nil)
		s := call(t, alice, "sip:bob@"+bobAddr, "1")
		for _, test := range []struct {
			edits []sip.Edit
			want  sip.Status
		}{{[]sip.Edit{session}, sip.StatusNotAcceptableHere}, {nil, sip.StatusOK}} {
			resp, err := s.Do(t.Context(), sip.UPDATE, test.edits...)
			if err != nil || resp.Status() != test.want {
				t.Errorf("Do() = %v, %v, want %v", resp, err, test.want)
			}
		}
	})
}

// Close ends what is open, tells OnEnd, and leaves nothing.
func TestCloseEndsCalls(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var ends atomic.Int32
		late := make(chan error, 1)
		bob := newLayer(t, n, bobAddr, &dialog.Config{
			OnInvite: func(ctx context.Context, in *dialog.Invitation) {
				if in.Request().CallID() == "ringing" {
					in.Provisional(sip.StatusRinging)
					<-ctx.Done()
					return
				}
				_, err := in.Accept()
				late <- err
			},
			OnEnd: func(*dialog.Session) { ends.Add(1) },
		})
		p := newPeer(t, n, aliceAddr)
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "accepted", p.contact()))
		p.expect("200 INVITE 1") // and no ACK
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "ringing", p.contact()))
		p.expect("180 INVITE 1", "200 INVITE 1")
		if err := bob.Close(); err != nil {
			t.Error(err)
		}
		if err := <-late; !errors.Is(err, transport.ErrClosed) {
			t.Errorf("Accept() = %v, want ErrClosed", err)
		}
		if got := ends.Load(); got != 1 {
			t.Errorf("OnEnd was called %d times, want 1", got)
		}
		if err := bob.Close(); err != nil {
			t.Errorf("a second Close() = %v", err)
		}
		if _, _, err := bob.Invite(t.Context(), newInvite(t, "sip:a@"+aliceAddr, "2"), nil); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("Invite() = %v, want ErrClosed", err)
		}
		wantEmpty(t, bob)
	})
}

// An INVITE that cannot begin a call is refused before it is sent.
func TestInviteNeedsTag(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice := newLayer(t, n, aliceAddr, nil)
		_, _, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1",
			sip.From{URI: sip.URI{Scheme: "sip", User: "a", Host: "a.example"}}), nil)
		if err == nil {
			t.Error("Invite() without a tag in From succeeded")
		}
		wantLadder(t, n)
	})
}

// The Layer may be closed from OnEnd, which runs on no goroutine of its own.
func TestCloseFromOnEnd(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		closed := make(chan error, 1)
		var bob *dialog.Layer
		bob = newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil), OnEnd: func(*dialog.Session) { closed <- bob.Close() }})
		alice := newLayer(t, n, aliceAddr, nil)
		s := call(t, alice, "sip:bob@"+bobAddr, "1")
		s.Bye(t.Context())
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

// UPDATE refreshes the target like an INVITE: it has our Contact, and that of
// its 2xx counts (RFC 3311 section 5.1).
func TestUpdateRefreshesTarget(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions)})
		p := newPeer(t, n, aliceAddr)
		p.calls(bobAddr, "1")
		s := <-sessions
		if got := s.Remote().URI.User; got != "alice" {
			t.Errorf("Remote() is %s, want alice", got)
		}
		go func() { // ends with the answers
			s.Do(t.Context(), sip.UPDATE)
			s.Do(t.Context(), sip.INFO)
		}()
		update := p.expect("UPDATE 1")
		if contact, err := sip.Get[sip.Contact](update.Message); err != nil || contact.URI.Host != bobAddr {
			t.Errorf("the Contact of the UPDATE is %v, %v, want Bob's", contact, err)
		}
		moved := p.contact()
		moved.URI.User = "moved"
		p.reply(update, sip.StatusOK, moved)
		info := p.expect("INFO 2")
		if got := info.Message.(*sip.Request).URI().User; got != "moved" {
			t.Errorf("the target is %s, want moved", got)
		}
		p.reply(info, sip.StatusOK)
	})
}

// The offer is in the 200 and the answer in the ACK (RFC 3261 section 13.2.1).
// Accept returns it, and the ACK that is repeated has it, too. Ack says nothing
// twice.
func TestAnswerInACK(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		lose(n, aliceAddr, "ACK 1", 1)
		answers := make(chan string, 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
			if _, err := in.Accept(sip.Field{Name: "Bad", Value: "a\r\nb"}); err == nil {
				t.Error("Accept() takes a line break")
			}
			ack, err := in.Accept(sip.Body{Type: "text/plain", Content: "offer"})
			if err != nil {
				t.Error(err)
				return
			}
			answers <- ack.Body()
		}})
		alice := newLayer(t, n, aliceAddr, nil)
		s, resp, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
		if err != nil || resp.Body() != "offer" {
			t.Fatalf("Invite() = %v, %v, want the offer", resp, err)
		}
		for range 2 {
			if err := s.Ack(t.Context(), sip.Body{Type: "text/plain", Content: "answer"}); err != nil {
				t.Error(err)
			}
		}
		if got := <-answers; got != "answer" {
			t.Errorf("Accept() returned an ACK with %q, want the answer", got)
		}
		wantLadder(t, n, "alice: INVITE 1", "bob: 200 INVITE 1", "alice: ACK 1 lost", "bob: 200 INVITE 1", "alice: ACK 1")
	})
}

// An ACK that cannot be sent can be tried again.
func TestAckFails(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil)})
		alice := newLayer(t, n, aliceAddr, nil)
		s, _, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Ack(t.Context(), sip.Field{Name: "Bad", Value: "a\r\nb"}); err == nil {
			t.Error("Ack() takes a line break")
		}
		if err := s.Ack(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if got := count(t, n, "alice: ACK 1"); got != 1 {
			t.Errorf("%d ACKs, want 1", got)
		}
	})
}
