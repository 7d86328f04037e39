package dialog_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// What moves the target of a dialog: a target refresh request and its 2xx, no refusal,
// and of provisional responses a reliable one (RFC 3261 section 12.2, RFC 5057 section
// 5.4, RFC 6141 sections 4.6 and 4.7). The route set stays.
func TestTargetRefreshByMethod(t *testing.T) {
	refreshes := map[sip.Method]bool{sip.UPDATE: true, sip.SUBSCRIBE: true, sip.NOTIFY: true, sip.REFER: true}
	for _, method := range []sip.Method{sip.UPDATE, sip.SUBSCRIBE, sip.NOTIFY, sip.REFER, sip.INFO, sip.OPTIONS} {
		for _, status := range []sip.Status{200, 488} {
			t.Run(fmt.Sprint(method, " ", int(status)), func(t *testing.T) {
				story(t, func(t *testing.T, n *siptest.Network) {
					sessions := make(chan *dialog.Session, 1)
					answer := sip.Status(200)
					newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions),
						OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(answer) }})
					p := newPeer(t, n, aliceAddr)
					ok := p.calls(bobAddr, "1", p.via("proxy"))
					s := <-sessions
					seq := uint32(2)
					if method == sip.NOTIFY || method == sip.SUBSCRIBE { // of something there is
						p.send(bobAddr, p.within(ok, sip.SUBSCRIBE, seq, event("x"), p.contact()))
						p.expect("200 SUBSCRIBE 2")
						done := does(t, s, sip.SUBSCRIBE, event("x"))
						p.reply(p.expect("SUBSCRIBE 1"), sip.StatusOK)
						<-done
						seq++
					}
					answer = status
					want := "peer"
					p.send(bobAddr, p.within(ok, method, seq, event("x"), state("active"), referTo("sip:c@c.example"),
						p.known("asks"), p.via("other")))
					p.expect(fmt.Sprint(int(status), " ", summaryOf(method, int(seq))))
					if refreshes[method] && status == 200 {
						want = "asks"
					}
					if got := s.Target().User; got != want {
						t.Errorf("after a request the target is %s, want %s", got, want)
					}
					done := does(t, s, method, event("x"), state("active"), referTo("sip:c@c.example"))
					in := <-p.in
					wantWay(t, in, "proxy", want)
					if _, has := in.Message.Value("Contact"); has != refreshes[method] {
						t.Errorf("our %s has a Contact: %v", method, has)
					}
					p.reply(in, status, p.known("answers"), p.via("other"))
					<-done
					if refreshes[method] && status == 200 {
						want = "answers"
					}
					if got := s.Target().User; got != want {
						t.Errorf("after an answer the target is %s, want %s", got, want)
					}
				})
			})
		}
	}
}

// A reliable provisional response moves the target at both sides, another one at none.
func TestTargetOfProvisionalResponses(t *testing.T) {
	for _, reliable := range []bool{true, false} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			ring := make(chan *dialog.Invitation)
			alice := newLayer(t, n, aliceAddr, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
				if reliable {
					go in.Reliable(sip.StatusRinging) // ends with the refusal
					time.Sleep(time.Millisecond)
				} else {
					in.Provisional(sip.StatusRinging)
				}
				ring <- in
				<-ctx.Done()
			}})
			c := place(t.Context(), t, alice)
			invite := p.expect("INVITE 1")
			to := tagged(invite.Message, "b")
			p.reply(invite, sip.StatusOK, to, p.contact())
			s := c.answered()
			p.expect("ACK 1")
			done := make(chan error, 1)
			rang := make(chan bool, 1)
			go func() { // ends with the answer
				_, err := s.Invite(t.Context(), func(*sip.Response) { rang <- true }, sip.Supported{sip.Option100rel})
				done <- err
			}()
			re := p.expect("INVITE 2")
			edits := []sip.Edit{p.known("rings")}
			if reliable {
				edits = append(edits, reliably(1)...)
			}
			p.reply(re, sip.StatusSessionProgress, edits...)
			<-rang
			want := map[bool]string{true: "rings", false: "peer"}[reliable]
			if got := s.Target().User; got != want {
				t.Errorf("the target is %s, want %s", got, want)
			}
			p.reply(re, sip.StatusBusyHere)
			<-done
			p.expect("ACK 2")
			p.send(aliceAddr, p.back(invite.Message, to, sip.INVITE, 1, p.known("invites"), sip.Supported{sip.Option100rel}))
			in := <-ring
			if reliable {
				want = "invites"
			}
			if got := s.Target().User; got != want {
				t.Errorf("the target is %s, want %s", got, want)
			}
			in.Reject(sip.StatusBusyHere)
		})
	}
}

// A strict router is the Request-URI of every kind of request, with the target at the
// end of Route (RFC 3261 section 12.2.1.1), in an early dialog as in a call, and of a
// subscription.
func TestStrictRouterOfEveryRequest(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		strict := sip.Add(sip.RecordRoute{URI: sip.URI{Scheme: "sip", User: "strict", Host: p.addr}})
		alice := newLayer(t, n, aliceAddr, nil)
		c := place(t.Context(), t, alice, sip.Supported{sip.Option100rel})
		invite := p.expect("INVITE 1")
		p.rings(invite, 1, p.known("early"), strict)
		s, _ := c.rings(sip.StatusSessionProgress)
		seq := 1
		sends := func(method sip.Method, target string) {
			t.Helper()
			done := does(t, s, method, event("x"), referTo("sip:c@c.example"))
			seq++
			in := p.expect(summaryOf(method, seq))
			wantWay(t, in, target, "strict")
			p.reply(in, sip.StatusOK)
			<-done
		}
		for _, method := range []sip.Method{sip.PRACK, sip.UPDATE, sip.INFO} {
			sends(method, "early")
		}
		p.reply(invite, sip.StatusOK, tagged(invite.Message, "b"), p.known("late"), strict)
		c.answered()
		wantWay(t, p.expect("ACK 1"), "late", "strict")
		for _, method := range []sip.Method{sip.UPDATE, sip.REFER, sip.SUBSCRIBE, sip.OPTIONS, sip.MESSAGE} {
			sends(method, "late")
		}
		go s.Bye(t.Context()) // ends with the answer
		bye := p.expect(summaryOf(sip.BYE, seq+1))
		wantWay(t, bye, "late", "strict")
		p.reply(bye, sip.StatusOK)
	})
}

// The peer is told of SetContact and Relocate by the next request or response that can
// tell it.
func TestSetContact(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions),
			OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) }})
		p := newPeer(t, n, aliceAddr)
		ok := p.calls(bobAddr, "1")
		s := <-sessions
		made := s.Contact()
		made.URI.User = "given" // it is still the one of that user
		given := sip.Contact{URI: sip.URI{Scheme: "sip", User: "given", Host: "203.0.113.9"}}
		seq := 1
		tells := func(m sip.Message, want sip.Contact) {
			t.Helper()
			got, err := sip.Get[sip.Contact](m)
			if err != nil || got.URI != want.URI {
				t.Errorf("%s has the Contact %v, %v, want %v", summary(m), got.URI, err, want.URI)
			}
		}
		for i, want := range []sip.Contact{given, made} {
			if i == 0 {
				s.SetContact(given)
			} else if _, err := s.Relocate(t.Context()); err != nil {
				t.Error(err)
			}
			for _, method := range []sip.Method{sip.UPDATE, sip.INVITE} {
				seq++
				p.send(bobAddr, p.within(ok, method, uint32(seq), p.contact()))
				resp := p.expect("200 " + summaryOf(method, seq)).Message
				tells(resp, want)
				if method == sip.INVITE {
					p.send(bobAddr, p.within(resp, sip.ACK, uint32(seq)))
				}
			}
			if i == 0 {
				s.SetContact(given)
			} else if _, err := s.Relocate(t.Context()); err != nil {
				t.Error(err)
			}
			done := does(t, s, sip.UPDATE)
			in := p.expect(summaryOf(sip.UPDATE, i+1))
			tells(in.Message, want)
			p.reply(in, sip.StatusOK)
			<-done
		}
	})
}

// The numbers of the peer may have gaps, and must not go back: 500. Ours go up by one,
// whatever they are for (RFC 3261 section 12.2.1.1).
func TestNumbersOfRequests(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		served := 0
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions),
			OnRequest: func(tx *dialog.Server, _ *sip.Request) { served++; tx.Reply(sip.StatusOK) }})
		p := newPeer(t, n, aliceAddr)
		ok := p.calls(bobAddr, "1")
		s := <-sessions
		for _, step := range []struct {
			seq    uint32
			status int
		}{{100, 200}, {99, 500}, {100, 500}, {2, 500}, {101, 200}, {1 << 30, 200}, {1<<31 - 1, 200}, {102, 500}} {
			p.send(bobAddr, p.within(ok, sip.UPDATE, step.seq, p.contact()))
			p.expect(fmt.Sprint(step.status, " ", summaryOf(sip.UPDATE, int(step.seq))))
		}
		if served != 4 {
			t.Errorf("the program was asked %d times, want 4", served)
		}
		for i, method := range []sip.Method{sip.INFO, sip.UPDATE, sip.OPTIONS} {
			done := does(t, s, method)
			p.reply(p.expect(summaryOf(method, i+1)), sip.StatusOK)
			<-done
		}
	})
}
