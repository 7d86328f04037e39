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
)

// The headers of subscriptions.
func event(name string) sip.Edit     { return sip.Field{Name: "Event", Value: name} }
func state(value string) sip.Edit    { return sip.Field{Name: "Subscription-State", Value: value} }
func referTo(target string) sip.Edit { return sip.Field{Name: "Refer-To", Value: "<" + target + ">"} }

// newRequest makes a request from Alice that begins a dialog.
func newRequest(t *testing.T, method sip.Method, callID string, edits ...sip.Edit) *sip.Request {
	t.Helper()
	invite := newInvite(t, "sip:bob@"+bobAddr, callID)
	return sip.NewRequest(method, invite.URI(), append([]sip.Edit{
		sip.MaxForwards(70), invite.From(), invite.To(), sip.CallID(callID), sip.CSeq{Seq: 1, Method: method},
	}, edits...)...)
}

// subscribed is what came of a SUBSCRIBE.
type subscribed struct {
	resp *sip.Response
	err  error
}

// subscribes has Alice subscribe, in a goroutine that ends with the answer.
func subscribes(ctx context.Context, alice *dialog.Layer, req *sip.Request, value any) chan subscribed {
	result := make(chan subscribed, 1)
	go func() {
		resp, err := alice.Subscribe(ctx, req, value)
		result <- subscribed{resp, err}
	}()
	return result
}

// noted hands over the dialog of each request, which gets 200.
func noted(dialogs chan *dialog.Dialog) func(tx *dialog.Server, req *sip.Request) {
	return func(tx *dialog.Server, _ *sip.Request) {
		tx.Reply(sip.StatusOK)
		dialogs <- tx.Dialog()
	}
}

// A SUBSCRIBE is forked. Each NOTIFY makes a dialog of its own, the first before the
// 200, the second after it; all carry on what the program has given, and have their own
// numbers, targets and route sets. What comes after 64*T1 is not known (RFC 6665
// sections 4.1.2.4 and 4.4.1).
func TestSubscribeForks(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		dialogs := make(chan *dialog.Dialog, 10)
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{OnRequest: noted(dialogs)})
		result := subscribes(t.Context(), alice, newRequest(t, sip.SUBSCRIBE, "1", event("presence"), sip.Expires(600)), "mine")
		subscribe := p.expect("SUBSCRIBE 1")
		notify := func(tag string, seq int, want string, edits ...sip.Edit) {
			t.Helper()
			p.send(aliceAddr, p.back(subscribe.Message, tagged(subscribe.Message, tag), sip.NOTIFY, uint32(seq),
				append([]sip.Edit{event("presence"), state("active;expires=600"), p.known(tag)}, edits...)...))
			p.expect(want + " " + summaryOf(sip.NOTIFY, seq))
		}
		notify("one", 1, "200", p.via("near"), p.via("far"))
		one := <-dialogs
		p.reply(subscribe, sip.StatusOK, tagged(subscribe.Message, "one"), p.contact(), sip.Expires(600))
		if r := <-result; r.err != nil || r.resp.Status() != 200 {
			t.Errorf("Subscribe() = %v, %v", r.resp, r.err)
		}
		notify("two", 70, "200")
		two := <-dialogs
		notify("one", 2, "200")
		if d := <-dialogs; d != one {
			t.Error("the second NOTIFY of a fork is of another dialog")
		}
		if one == two || one.Value() != "mine" || two.Value() != "mine" || one.Session() != nil {
			t.Errorf("the dialogs are %v and %v with %v and %v", one.ID(), two.ID(), one.Value(), two.Value())
		}
		for _, d := range []*dialog.Dialog{one, two} {
			done := does(t, d, sip.SUBSCRIBE, event("presence"), sip.Expires(600))
			again := p.expect("SUBSCRIBE 2")
			if d == one {
				wantWay(t, again, "near", "far", "one") // the NOTIFY is a request
			} else {
				wantWay(t, again, "two")
			}
			p.reply(again, sip.StatusOK, p.known("new"), sip.Expires(600))
			<-done
			if got := d.Target().User; got != "new" {
				t.Errorf("the target is %s, want new", got)
			}
		}
		if alice.Asking() != 1 {
			t.Errorf("%d SUBSCRIBEs are waiting for forks, want 1", alice.Asking())
		}
		time.Sleep(time.Minute)
		notify("three", 1, "481")
		notify("one", 3, "200", state("terminated;reason=timeout"))
		notify("one", 4, "481")
		done := does(t, two, sip.SUBSCRIBE, event("presence"), sip.Expires(0))
		p.reply(p.expect("SUBSCRIBE 3"), sip.StatusOK, p.contact(), sip.Expires(0))
		<-done
		notify("two", 71, "200", state("terminated"))
		notify("two", 72, "481")
		wantEmpty(t, alice)
	})
}

// The NOTIFYs of some peers say in no Contact and no Record-Route where the peer is, as
// in a dialog that the 2xx has made. Then it is where the 2xx says, which may come after
// the NOTIFY.
func TestNotifyWithoutContact(t *testing.T) {
	for _, late := range []bool{false, true} {
		story(t, func(t *testing.T, n *siptest.Network) {
			dialogs := make(chan *dialog.Dialog, 10)
			p := newPeer(t, n, bobAddr)
			alice := newLayer(t, n, aliceAddr, &dialog.Config{OnRequest: noted(dialogs)})
			result := subscribes(t.Context(), alice, newRequest(t, sip.SUBSCRIBE, "1", event("presence"), sip.Expires(600)), nil)
			subscribe := p.expect("SUBSCRIBE 1")
			to := tagged(subscribe.Message, "one")
			notify := p.back(subscribe.Message, to, sip.NOTIFY, 111, event("presence"), state("active;expires=600"))
			accept := func() {
				p.reply(subscribe, sip.StatusOK, to, p.known("one"), p.via("near"), p.via("far"), sip.Expires(600))
				if r := <-result; r.err != nil {
					t.Fatal(r.err)
				}
			}
			if !late {
				accept()
			}
			p.send(aliceAddr, notify)
			p.expect("200 " + summaryOf(sip.NOTIFY, 111))
			d := <-dialogs
			if late {
				accept()
			}
			done := does(t, d, sip.SUBSCRIBE, event("presence"), sip.Expires(0))
			again := p.expect("SUBSCRIBE 2")
			wantWay(t, again, "far", "near", "one") // the 2xx is a response
			p.reply(again, sip.StatusOK, sip.Expires(0))
			<-done
			p.send(aliceAddr, p.back(subscribe.Message, to, sip.NOTIFY, 112, event("presence"), state("terminated")))
			p.expect("200 " + summaryOf(sip.NOTIFY, 112))
			time.Sleep(time.Minute)
			wantEmpty(t, alice)
		})
	}
}

// NOTIFYs that answer nothing of ours get 481: another event or id, another call,
// another tag of ours, none at all (RFC 6665 section 4.1.3).
func TestNotifyOfNothing(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		dialogs := make(chan *dialog.Dialog, 10)
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{OnRequest: noted(dialogs), OnInvite: accepting(t, nil)})
		result := subscribes(t.Context(), alice, newRequest(t, sip.SUBSCRIBE, "1", event("presence;id=7")), nil)
		subscribe := p.expect("SUBSCRIBE 1")
		seq := 0
		notify := func(want string, edits ...sip.Edit) {
			t.Helper()
			seq++
			p.send(aliceAddr, p.back(subscribe.Message, tagged(subscribe.Message, "b"), sip.NOTIFY, uint32(seq),
				append([]sip.Edit{p.contact(), state("active")}, edits...)...))
			p.expect(want + " " + summaryOf(sip.NOTIFY, seq))
		}
		unknown := func() {
			t.Helper()
			notify("481")
			notify("481", event("presence"))
			notify("481", event("presence;id=8"))
			notify("481", event("presence.winfo;id=7"))
			notify("481", event("Presence;id=7"))
		}
		unknown()
		notify("481", event("presence;id=7"), sip.CallID("2"))
		notify("481", event("presence;id=7"), sip.To(subscribe.Message.From().WithTag("other")))
		notify("481", event("presence;id=7"), sip.Field{Name: "Contact", Value: "<tel:+1>"})
		if dialogs, _ := alice.Left(); dialogs != 0 {
			t.Errorf("%d dialogs of NOTIFYs that answer nothing", dialogs)
		}
		notify("200", event("presence;id=7"))
		d := <-dialogs
		unknown() // within the dialog, too
		if len(dialogs) != 0 {
			t.Error("the program is given a NOTIFY that answers nothing")
		}
		p.reply(subscribe, sip.StatusOK, tagged(subscribe.Message, "b"), p.contact())
		<-result
		ok := p.calls(aliceAddr, "3")
		p.send(aliceAddr, p.within(ok, sip.NOTIFY, 2, event("refer"), state("active"), p.contact()))
		p.expect("481 NOTIFY 2")
		if d.Session() != nil {
			t.Error("a subscription is a call")
		}
	})
}

// A refusal, the end of the context and the end of the Layer have nobody wait for
// NOTIFYs any more.
func TestSubscribeComesToNothing(t *testing.T) {
	for _, how := range []string{"refused", "given up", "closed"} {
		t.Run(how, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				p := newPeer(t, n, bobAddr)
				alice := newLayer(t, n, aliceAddr, &dialog.Config{OnRequest: func(*dialog.Server, *sip.Request) {
					t.Error("the program is asked")
				}})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				result := subscribes(ctx, alice, newRequest(t, sip.SUBSCRIBE, "1", event("presence")), nil)
				subscribe := p.expect("SUBSCRIBE 1")
				if _, err := alice.Subscribe(ctx, newRequest(t, sip.SUBSCRIBE, "1", event("presence")), nil); err == nil {
					t.Error("the same tags are taken twice")
				}
				switch how {
				case "refused":
					p.reply(subscribe, sip.StatusForbidden)
					if r := <-result; r.err != nil || r.resp.Status() != sip.StatusForbidden {
						t.Errorf("Subscribe() = %v, %v, want 403", r.resp, r.err)
					}
				case "given up":
					cancel()
					if r := <-result; !errors.Is(r.err, context.Canceled) {
						t.Errorf("Subscribe() = %v, want that of the context", r.err)
					}
				case "closed":
					alice.Close()
					if r := <-result; r.err == nil {
						t.Error("Subscribe() succeeded")
					}
					return
				}
				p.send(aliceAddr, p.back(subscribe.Message, tagged(subscribe.Message, "b"), sip.NOTIFY, 1,
					event("presence"), state("active"), p.contact()))
				p.expect("481 NOTIFY 1")
				wantEmpty(t, alice)
			})
		})
	}
}

// A hostile peer has a thousand forks accept. What that costs is bounded.
func TestThousandForksOfSubscribe(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(200) }})
		result := subscribes(t.Context(), alice, newRequest(t, sip.SUBSCRIBE, "1", event("presence")), nil)
		subscribe := p.expect("SUBSCRIBE 1")
		p.reply(subscribe, sip.StatusOK, tagged(subscribe.Message, "b"), p.contact())
		<-result
		for i := range 1000 {
			p.send(aliceAddr, p.back(subscribe.Message, tagged(subscribe.Message, fmt.Sprint("tag-", i)), sip.NOTIFY, 1,
				event("presence"), state("active;expires=100"), p.contact()))
			if i%20 == 0 {
				p.silent(20*time.Millisecond, "200 NOTIFY 1", "481 NOTIFY 1")
			}
		}
		if dialogs, _ := alice.Left(); dialogs > 32 {
			t.Errorf("%d dialogs", dialogs)
		}
		time.Sleep(3 * time.Minute)
		wantEmpty(t, alice)
	})
}

// A SUBSCRIBE that is challenged goes out again with the next number, and the next one
// in the dialog with the number after that. The id of a REFER is that of the one that
// was accepted (RFC 3515 section 2.4.6).
func TestSubscribeAfterAChallenge(t *testing.T) {
	for _, method := range []sip.Method{sip.SUBSCRIBE, sip.REFER} {
		story(t, func(t *testing.T, n *siptest.Network) {
			dialogs := make(chan *dialog.Dialog, 10)
			p := newPeer(t, n, bobAddr)
			alice := newLayer(t, n, aliceAddr, &dialog.Config{OnRequest: noted(dialogs), Auth: &answerer{}})
			edits := []sip.Edit{event("presence")}
			names := "presence"
			if method == sip.REFER {
				edits, names = []sip.Edit{referTo("sip:carol@c.example")}, "refer;id=2"
			}
			result := subscribes(t.Context(), alice, newRequest(t, method, "1", edits...), nil)
			p.reply(p.expect(summaryOf(method, 1)), sip.StatusUnauthorized, sip.Field{Name: "WWW-Authenticate", Value: `Digest realm="b", nonce="1"`})
			again := p.expect(summaryOf(method, 2))
			p.reply(again, sip.StatusAccepted, tagged(again.Message, "b"), p.contact())
			<-result
			p.send(aliceAddr, p.back(again.Message, tagged(again.Message, "b"), sip.NOTIFY, 1, event(names), state("active"), p.contact()))
			p.expect("200 NOTIFY 1")
			d := <-dialogs
			done := does(t, d, method, edits...)
			p.reply(p.expect(summaryOf(method, 3)), sip.StatusUnauthorized, sip.Field{Name: "WWW-Authenticate", Value: `Digest realm="b", nonce="2"`})
			p.reply(p.expect(summaryOf(method, 4)), sip.StatusAccepted, p.contact())
			<-done
			if method == sip.REFER {
				names = "refer;id=4"
			}
			p.send(aliceAddr, p.back(again.Message, tagged(again.Message, "b"), sip.NOTIFY, 2, event(names), state("terminated"), p.contact()))
			p.expect("200 NOTIFY 2")
		})
	}
}

// An INVITE within the dialog of a subscription is a second use of it, and refused by
// the one status that ends nothing (RFC 5057 section 5.6).
func TestInviteWithinASubscription(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		dialogs := make(chan *dialog.Dialog, 10)
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnRequest: notifies(t, sip.StatusOK, dialogs), OnInvite: accepting(t, nil)})
		p := newPeer(t, n, aliceAddr)
		p.send(bobAddr, newRequest(t, sip.SUBSCRIBE, "1", event("presence"), p.contact()))
		ok := p.expect("200 SUBSCRIBE 1").Message
		invite := p.send(bobAddr, p.within(ok, sip.INVITE, 2, p.contact()))
		p.refused(bobAddr, invite, p.expect("603 INVITE 2").Message)
		for i, method := range []sip.Method{sip.UPDATE, sip.INFO, sip.PRACK, sip.BYE} {
			p.send(bobAddr, p.within(ok, method, uint32(3+i), p.contact()))
			p.expect("481 " + summaryOf(method, 3+i))
		}
		if dialogs, _ := bob.Left(); dialogs != 1 {
			t.Errorf("%d dialogs, want 1", dialogs)
		}
	})
}

// A NOTIFY that says nothing of the state is for the program to judge, and changes
// nothing; one without an Event is of no subscription.
func TestNotifyWithoutState(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		dialogs := make(chan *dialog.Dialog, 10)
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{OnRequest: noted(dialogs)})
		result := subscribes(t.Context(), alice, newRequest(t, sip.SUBSCRIBE, "1", event("presence")), nil)
		subscribe := p.expect("SUBSCRIBE 1")
		p.reply(subscribe, sip.StatusOK, tagged(subscribe.Message, "b"), p.contact(), sip.Expires(600))
		<-result
		for i, step := range []struct {
			want  string
			edits []sip.Edit
		}{
			{"200", []sip.Edit{event("presence")}},
			{"481", nil},
			{"200", []sip.Edit{event("presence"), state("nonsense;expires=soon")}},
			{"200", []sip.Edit{event("presence"), state("TERMINATED")}},
			{"481", []sip.Edit{event("presence"), state("active")}},
		} {
			p.send(aliceAddr, p.back(subscribe.Message, tagged(subscribe.Message, "b"), sip.NOTIFY, uint32(i+1), append(step.edits, p.contact())...))
			p.expect(step.want + " " + summaryOf(sip.NOTIFY, i+1))
		}
		time.Sleep(time.Minute)
		wantEmpty(t, alice)
	})
}
