package dialog_test

import (
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
)

// notifies makes a notifier: it accepts each SUBSCRIBE and REFER with a dialog.
func notifies(t *testing.T, status sip.Status, dialogs chan *dialog.Dialog, edits ...sip.Edit) func(tx *dialog.Server, req *sip.Request) {
	return func(tx *dialog.Server, req *sip.Request) {
		was := tx.Dialog()
		d, err := tx.Accept(status, edits...)
		if err != nil {
			t.Errorf("Accept() = %v", err)
			return
		}
		if was == nil {
			dialogs <- d
		}
	}
}

// The notifier's side: Accept makes the dialog, in which NOTIFYs go out, the refreshes
// come in, and which the last NOTIFY ends.
func TestAcceptSubscription(t *testing.T) {
	for _, end := range []string{"by the notifier", "by the subscriber", "a NOTIFY is refused", "a NOTIFY is not answered",
		"a refresh is refused", "nothing more is heard"} {
		t.Run(end, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				dialogs := make(chan *dialog.Dialog, 1)
				accept := notifies(t, sip.StatusOK, dialogs, sip.Expires(600))
				refuse := false
				bob := newLayer(t, n, bobAddr, &dialog.Config{OnRequest: func(tx *dialog.Server, req *sip.Request) {
					if refuse {
						tx.Reply(sip.StatusCallDoesNotExist)
						return
					}
					accept(tx, req)
				}})
				p := newPeer(t, n, aliceAddr)
				p.send(bobAddr, newRequest(t, sip.SUBSCRIBE, "1", event("presence"), sip.Expires(600), p.known("watcher"), p.via("proxy")))
				ok := p.expect("200 SUBSCRIBE 1").Message
				d := <-dialogs
				if got, want := d.ID(), (dialog.ID{CallID: "1", LocalTag: ok.To().Tag(), RemoteTag: ok.From().Tag()}); got != want {
					t.Errorf("the dialog is %v, want %v", got, want)
				}
				done := does(t, d, sip.NOTIFY, event("presence"), state("active;expires=600"))
				notify := p.expect("NOTIFY 1")
				wantWay(t, notify, "proxy", "watcher")
				if _, has := notify.Message.Value("Contact"); !has {
					t.Error("the NOTIFY has no Contact")
				}
				p.reply(notify, sip.StatusOK)
				<-done
				time.Sleep(5 * time.Minute)
				p.send(bobAddr, p.within(ok, sip.SUBSCRIBE, 2, event("presence"), sip.Expires(600), p.known("moved")))
				if _, has := p.expect("200 SUBSCRIBE 2").Message.Value("Contact"); !has {
					t.Error("the 200 has no Contact")
				}
				time.Sleep(7 * time.Minute)
				if dialogs, _ := bob.Left(); dialogs != 1 {
					t.Fatalf("%d dialogs, want that which was refreshed", dialogs)
				}
				switch end {
				case "by the notifier":
					done = does(t, d, sip.NOTIFY, event("presence"), state("terminated;reason=noresource"))
					last := p.expect("NOTIFY 2")
					wantWay(t, last, "proxy", "moved")
					p.reply(last, sip.StatusOK)
					<-done
				case "by the subscriber":
					p.send(bobAddr, p.within(ok, sip.SUBSCRIBE, 3, event("presence"), sip.Expires(0), p.contact()))
					p.expect("200 SUBSCRIBE 3")
					done = does(t, d, sip.NOTIFY, event("presence"), state("terminated;reason=timeout"))
					p.reply(p.expect("NOTIFY 2"), sip.StatusOK)
					<-done
				case "a NOTIFY is refused":
					done = does(t, d, sip.NOTIFY, event("presence"), state("active"))
					p.reply(p.expect("NOTIFY 2"), sip.StatusCallDoesNotExist)
					<-done
				case "a NOTIFY is not answered":
					if _, err := d.Do(t.Context(), sip.NOTIFY, event("presence"), state("active")); !errors.Is(err, transaction.ErrTimeout) {
						t.Errorf("NOTIFY: %v, want ErrTimeout", err)
					}
				case "a refresh is refused":
					refuse = true
					p.send(bobAddr, p.within(ok, sip.SUBSCRIBE, 3, event("presence"), p.contact()))
					p.expect("481 SUBSCRIBE 3")
				case "nothing more is heard":
					time.Sleep(11 * time.Minute)
				}
				wantEmpty(t, bob)
				if _, err := d.Do(t.Context(), sip.NOTIFY, event("presence"), state("active")); !errors.Is(err, dialog.ErrEnded) {
					t.Errorf("another NOTIFY: %v, want ErrEnded", err)
				}
			})
		})
	}
}

// SUBSCRIBE with Expires 0 asks once (RFC 6665 section 4.4.3): one NOTIFY, and nothing
// is left, though none was sent.
func TestFetch(t *testing.T) {
	for _, notified := range []bool{true, false} {
		story(t, func(t *testing.T, n *siptest.Network) {
			dialogs := make(chan *dialog.Dialog, 1)
			bob := newLayer(t, n, bobAddr, &dialog.Config{OnRequest: notifies(t, sip.StatusOK, dialogs, sip.Expires(0))})
			p := newPeer(t, n, aliceAddr)
			p.send(bobAddr, newRequest(t, sip.SUBSCRIBE, "1", event("presence"), sip.Expires(0), p.contact()))
			p.expect("200 SUBSCRIBE 1")
			d := <-dialogs
			if notified {
				done := does(t, d, sip.NOTIFY, event("presence"), state("terminated;reason=timeout"))
				p.reply(p.expect("NOTIFY 1"), sip.StatusOK)
				<-done
			} else {
				time.Sleep(33 * time.Second)
			}
			wantEmpty(t, bob)
		})
	}
}

// Two subscriptions of each side in one dialog are told apart, by event, id and side.
// One ends, the others stay (RFC 5057 section 5.5).
func TestSubscriptionsInOneDialog(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		dialogs := make(chan *dialog.Dialog, 10)
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnRequest: notifies(t, sip.StatusOK, dialogs)})
		p := newPeer(t, n, aliceAddr)
		p.send(bobAddr, newRequest(t, sip.SUBSCRIBE, "1", event("presence"), p.contact()))
		ok := p.expect("200 SUBSCRIBE 1").Message
		d := <-dialogs
		p.send(bobAddr, p.within(ok, sip.SUBSCRIBE, 2, event("presence;id=2"), p.contact()))
		p.expect("200 SUBSCRIBE 2")
		done := does(t, d, sip.SUBSCRIBE, event("presence"))
		p.reply(p.expect("SUBSCRIBE 1"), sip.StatusOK, p.contact())
		<-done
		// Ours ends, then the peer's one by one.
		p.send(bobAddr, p.within(ok, sip.NOTIFY, 3, event("presence"), state("terminated"), p.contact()))
		p.expect("200 NOTIFY 3")
		p.send(bobAddr, p.within(ok, sip.NOTIFY, 4, event("presence"), state("terminated"), p.contact()))
		p.expect("481 NOTIFY 4")
		for i, name := range []string{"presence", "presence;id=2"} {
			if dialogs, _ := bob.Left(); dialogs != 1 {
				t.Errorf("%d dialogs before the end of %s, want 1", dialogs, name)
			}
			done := does(t, d, sip.NOTIFY, event(name), state("terminated"))
			p.reply(p.expect(summaryOf(sip.NOTIFY, i+2)), sip.StatusOK)
			<-done
		}
		wantEmpty(t, bob)
	})
}

// A NOTIFY that the program refuses as one that it does not know, or cannot make
// anything of, ends the subscription at this side, too (RFC 5057 section 5.1).
func TestRefusedNotifyLeavesNothing(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusBadEvent) }})
		result := subscribes(t.Context(), alice, newRequest(t, sip.SUBSCRIBE, "1", event("presence")), nil)
		subscribe := p.expect("SUBSCRIBE 1")
		p.reply(subscribe, sip.StatusOK, tagged(subscribe.Message, "b"), p.contact())
		<-result
		p.send(aliceAddr, p.back(subscribe.Message, tagged(subscribe.Message, "b"), sip.NOTIFY, 1, event("presence"), state("active"), p.contact()))
		p.expect("489 NOTIFY 1")
		time.Sleep(33 * time.Second)
		wantEmpty(t, alice)
	})
}
