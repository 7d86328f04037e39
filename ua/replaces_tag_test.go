package ua_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// A call whose caller has no tag, as one of RFC 2543: what names it has "0" in place of that
// (RFC 3891 section 6.1, RFC 3911 section 7.1), where we write it and where we read it.
func TestReplacesOfAPeerWithoutTag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		calls := make(chan *ua.Call, 1)
		var joins *ua.Call
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{Join: true, OnInvite: func(ctx context.Context, in *ua.Invitation) {
			if joins = in.Joins(); joins != nil {
				in.Reject(ctx, sip.StatusBusyHere)
				return
			}
			answerWith(calls, newStream(t))(ctx, in)
		}})
		old := newPeer(t, n, "192.0.2.1", func(tx *transaction.Server, req *sip.Request) { tx.Reply(sip.StatusOK) })
		offer := describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0")
		invite := request(sip.INVITE, bobURI, sip.From{URI: sip.URI{Scheme: "sip", User: "x", Host: "192.0.2.1"}}, contactAt("192.0.2.1"), offer)
		resp, err := old.Do(t.Context(), invite)
		if err != nil || resp.Status() != sip.StatusOK {
			t.Fatalf("the INVITE got %v, %v", resp, err)
		}
		contact, _ := sip.Get[sip.Contact](resp)
		old.Send(t.Context(), sip.NewRequest(sip.ACK, contact.URI, sip.MaxForwards(70), invite.From(), resp.To(),
			sip.CallID(invite.CallID()), sip.CSeq{Seq: 1, Method: sip.ACK}))
		call := <-calls

		ours := resp.To().Tag()
		want := invite.CallID() + ";to-tag=0;from-tag=" + ours
		if got := string(call.Replaces().AppendValue(nil)); got != want {
			t.Errorf("Replaces() = %s, want %s", got, want)
		}
		if got := string(call.Join().AppendValue(nil)); got != want {
			t.Errorf("Join() = %s, want %s", got, want)
		}
		for name, value := range call.ReferTo().Header() {
			if name == "Replaces" && value != want {
				t.Errorf("ReferTo() has %s, want %s", value, want)
			}
		}

		carol := newAgent(t, n, "192.0.2.3", "sip:carol@c.example", ua.Config{})
		join := sip.Join{CallID: sip.CallID(invite.CallID()), ToTag: ours, FromTag: "0"}
		_, err = carol.Invite(t.Context(), bobURI, &ua.InviteOptions{Header: []sip.Edit{join}})
		if !errors.Is(err, sip.StatusBusyHere) || joins != call {
			t.Errorf("Invite() = %v, and joins %p, want 486 and %p", err, joins, call)
		}
		replaces := sip.Replaces{CallID: join.CallID, ToTag: ours, FromTag: "0"}
		opts := streams(newStream(t))
		opts.Header = []sip.Edit{replaces}
		if _, err := carol.Invite(t.Context(), bobURI, opts); err != nil {
			t.Error(err)
		}
		<-calls
		<-call.Done()
		if err := call.Err(); !errors.Is(err, ua.ErrReplaced) {
			t.Errorf("Err() = %v, want ErrReplaced", err)
		}
		opts = streams(newStream(t))
		opts.Header = []sip.Edit{replaces}
		if _, err := carol.Invite(t.Context(), bobURI, opts); !errors.Is(err, sip.StatusDecline) {
			t.Errorf("Invite() = %v, want 603: the call is over", err)
		}
		time.Sleep(time.Minute)
	})
}
