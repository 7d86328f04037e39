package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
)

// Each side asks the other to call Carol, twice. The NOTIFYs name the REFER by the
// number that it had where it was made, and come when the call is over, too (RFC
// 3515 section 2.4.6, RFC 5057).
func TestTransfer(t *testing.T) {
	for _, who := range []string{"the caller", "the callee"} {
		t.Run(who, func(t *testing.T) {
			story(t, func(t *testing.T, w *world) {
				alice, bob := w.phone(aliceAddr), w.phone(bobAddr)
				from, to := connect(w, alice, bob)
				asks, asked := alice, bob
				if who == "the callee" {
					from, to, asks, asked = to, from, bob, alice
				}
				asked.request = func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusAccepted) }
				var said, want []sip.Event // what NOTIFYs have where they come from, and where they go to
				for range 2 {
					resp, err := from.Do(t.Context(), sip.REFER, sip.ReferTo{URI: sip.URI{Scheme: "sip", User: "carol", Host: "c.example"}})
					wantStatus(t, resp, err, sip.StatusAccepted)
					refer := <-asked.requests
					wantField(t, refer, "Refer-To", "<sip:carol@c.example>")
					want = append(want, eventOf(resp))
					said = append(said, eventOf(refer))
				}
				notify := func(i int, state string) {
					t.Helper()
					resp, err := to.Do(t.Context(), sip.NOTIFY, said[i], sip.SubscriptionState{State: state},
						sip.Body{Type: "message/sipfrag", Content: "SIP/2.0 200 OK\r\n"})
					wantStatus(t, resp, err, sip.StatusOK)
					got := <-asks.requests
					wantField(t, got, "Event", want[i].Package+string(want[i].Params))
					wantField(t, got, "Subscription-State", state)
				}
				notify(1, "active")
				from.Bye(t.Context())
				<-to.Done()
				notify(0, "terminated")
				notify(1, "terminated")
			})
		})
	}
}

// eventOf returns the Event that a REFER has where it has this number.
func eventOf(m sip.Message) sip.Event {
	return sip.Event{Package: "refer", Params: sip.Params(fmt.Sprintf(";id=%d", m.CSeq().Seq))}
}

// An attended transfer (RFC 5589 section 7): Bob talks to Alice and to Carol, and asks
// Alice to take over his call with Carol. Each of them knows that call by another
// dialog. Alice's INVITE comes back to the bridge, which hands it to Carol.
func TestAttendedTransfer(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		alice, bob, carol := w.phone(aliceAddr), w.phone(bobAddr), w.phone(carolAddr)
		a, toAlice := connect(w, alice, bob)
		c, toCarol := connect(w, carol, bob)
		id := toCarol.ID()
		replaces := sip.Replaces{CallID: sip.CallID(id.CallID), ToTag: id.RemoteTag, FromTag: id.LocalTag}
		resp, err := toAlice.Do(t.Context(), sip.REFER, sip.ReferTo{
			URI: toCarol.Target().WithHeader("Replaces", string(replaces.AppendValue(nil))).WithHeader("Subject", "for you"),
		})
		wantStatus(t, resp, err, sip.StatusOK)
		refer, err := sip.Get[sip.ReferTo](<-alice.requests)
		if err != nil {
			t.Fatal(err)
		}
		theirs := c.ID()
		want := sip.Replaces{CallID: sip.CallID(theirs.CallID), ToTag: theirs.LocalTag, FromTag: theirs.RemoteTag}
		_, edits, _ := refer.URI.Requested()
		for name, edits := range map[string][]sip.Edit{
			"as Alice was told": edits,
			"as Bob knows it":   {replaces},
		} {
			go func() { // ends with the refusal
				in := <-carol.invites
				if got, err := sip.Get[sip.Replaces](in.Request()); err != nil || got != want {
					t.Errorf("%s, Carol is to replace %+v, %v, want %+v", name, got, err, want)
				}
				in.Reject(sip.StatusBusyHere)
			}()
			_, resp := alice.call(nil, append(edits, sip.CallID(strings.Fields(name)[1]))...)
			wantStatus(t, resp, nil, sip.StatusBusyHere)
		}
		_, err = alice.Do(t.Context(), alice.outside(sip.MESSAGE, sip.CallID("names"),
			sip.Join{CallID: sip.CallID(id.CallID), ToTag: id.RemoteTag, FromTag: id.LocalTag},
			sip.TargetDialog{CallID: sip.CallID(id.CallID), LocalTag: id.RemoteTag, RemoteTag: id.LocalTag}))
		if err != nil {
			t.Fatal(err)
		}
		got := <-bob.requests
		if j, err := sip.Get[sip.Join](got); err != nil || string(j.CallID) != theirs.CallID || j.ToTag != theirs.LocalTag || j.FromTag != theirs.RemoteTag {
			t.Errorf("the Join names %+v, %v, want %+v", j, err, theirs)
		}
		if d, err := sip.Get[sip.TargetDialog](got); err != nil || string(d.CallID) != theirs.CallID || d.LocalTag != theirs.LocalTag || d.RemoteTag != theirs.RemoteTag {
			t.Errorf("the Target-Dialog names %+v, %v, want %+v", d, err, theirs)
		}
		a.Do(t.Context(), sip.NOTIFY, sip.Event{Package: "refer"}, sip.SubscriptionState{State: "terminated"})
		toAlice.Bye(t.Context())
		toCarol.Bye(t.Context())
	})
}
