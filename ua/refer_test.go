package ua_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// scriptedTransferee is a peer of Alice whose word on a REFER is a script, given the REFER.
func scriptedTransferee(t *testing.T, n *siptest.Network, contact sip.Edit, refer func(tx *dialog.Server, req *sip.Request)) (*ua.Call, *ua.Agent) {
	t.Helper()
	newCaller(t, n, "192.0.2.2", &dialog.Config{
		OnInvite: func(_ context.Context, in *dialog.Invitation) {
			edits := []sip.Edit{describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0")}
			if contact != nil {
				edits = append(edits, contact, sip.Supported{sip.OptionTDialog})
			}
			in.Accept(edits...)
		},
		OnRequest: refer,
	})
	alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
	call, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
	if err != nil {
		t.Fatal(err)
	}
	return call, alice
}

// notify tells of a REFER. id is that of the Event, "" for none.
func notify(d *dialog.Dialog, id, state, sipfrag string) (*sip.Response, error) {
	event := sip.Event{Package: "refer"}
	if id != "" {
		event.Params = sip.Params(";id=" + id)
	}
	s := sip.SubscriptionState{State: state, Params: ";expires=60"}
	if state == "terminated" {
		s.Params = ";reason=noresource"
	}
	return d.Do(context.Background(), sip.NOTIFY, event, s, sip.Body{Type: "message/sipfrag", Content: sipfrag})
}

func seqOf(req *sip.Request) string { return fmt.Sprint(req.CSeq().Seq) }

// What a transferee may do with a REFER that it has got.
func TestTransferRaces(t *testing.T) {
	ok := func(t *testing.T, resp *sip.Response, err error) {
		t.Helper()
		if err != nil || !resp.Status().Success() {
			t.Errorf("the NOTIFY got %v, %v", resp, err)
		}
	}
	for _, test := range []struct {
		name  string
		refer func(t *testing.T, tx *dialog.Server, req *sip.Request)
		want  error
		took  time.Duration
		ended bool // the call
	}{
		{name: "NOTIFY before the 202", refer: func(t *testing.T, tx *dialog.Server, req *sip.Request) {
			resp, err := notify(tx.Dialog(), seqOf(req), "terminated", "SIP/2.0 200 OK\r\n")
			ok(t, resp, err)
			tx.Reply(sip.StatusAccepted)
		}, ended: true},
		{name: "without an id", refer: func(t *testing.T, tx *dialog.Server, req *sip.Request) {
			tx.Reply(sip.StatusAccepted)
			resp, err := notify(tx.Dialog(), "", "terminated", "SIP/2.0 200 OK\r\n")
			ok(t, resp, err)
		}, ended: true},
		{name: "final status, and not terminated", refer: func(t *testing.T, tx *dialog.Server, req *sip.Request) {
			tx.Reply(sip.StatusAccepted)
			resp, err := notify(tx.Dialog(), seqOf(req), "active", "SIP/2.0 200 OK\r\n")
			ok(t, resp, err)
		}, ended: true},
		{name: "BYE before the NOTIFY", refer: func(t *testing.T, tx *dialog.Server, req *sip.Request) {
			tx.Reply(sip.StatusAccepted)
			tx.Dialog().Session().Bye(context.Background())
			resp, err := notify(tx.Dialog(), seqOf(req), "terminated", "SIP/2.0 200 OK\r\n")
			ok(t, resp, err)
		}, ended: true},
		{name: "BYE, and no NOTIFY", refer: func(t *testing.T, tx *dialog.Server, req *sip.Request) {
			tx.Reply(sip.StatusAccepted)
			tx.Dialog().Session().Bye(context.Background())
		}, want: ua.ErrTransfer, took: 32 * time.Second, ended: true},
		{name: "no NOTIFY", refer: func(t *testing.T, tx *dialog.Server, req *sip.Request) { tx.Reply(sip.StatusAccepted) },
			want: ua.ErrTransfer, took: 32 * time.Second},
		{name: "one, and then none", refer: func(t *testing.T, tx *dialog.Server, req *sip.Request) {
			tx.Reply(sip.StatusAccepted)
			resp, err := notify(tx.Dialog(), seqOf(req), "active", "SIP/2.0 100 Trying\r\n")
			ok(t, resp, err)
		}, want: ua.ErrTransfer, took: 92 * time.Second},
		{name: "terminated without a word", refer: func(t *testing.T, tx *dialog.Server, req *sip.Request) {
			tx.Reply(sip.StatusAccepted)
			resp, err := tx.Dialog().Do(context.Background(), sip.NOTIFY, sip.Event{Package: "refer"}, sip.SubscriptionState{State: "terminated", Params: ";reason=giveup"})
			ok(t, resp, err)
		}, want: ua.ErrTransfer},
		{name: "for ever", refer: func(t *testing.T, tx *dialog.Server, req *sip.Request) {
			tx.Reply(sip.StatusAccepted)
			for range 1000 {
				resp, err := notify(tx.Dialog(), seqOf(req), "active", "SIP/2.0 180 Ringing\r\n")
				if err != nil || resp.Status() != 200 {
					if err == nil && resp.Status() != 481 {
						t.Errorf("the NOTIFY got %v", resp)
					}
					return
				}
				time.Sleep(10 * time.Second)
			}
			t.Error("the NOTIFYs are never refused")
		}, want: context.DeadlineExceeded, took: 10 * time.Minute},
		{name: "nonsense", refer: func(t *testing.T, tx *dialog.Server, req *sip.Request) {
			tx.Reply(sip.StatusAccepted)
			resp, err := notify(tx.Dialog(), seqOf(req), "active", "hello")
			if err != nil || resp.Status() != 400 {
				t.Errorf("the NOTIFY got %v, %v, want 400", resp, err)
			}
			resp, err = notify(tx.Dialog(), seqOf(req), "terminated", "SIP/2.0 486 Busy Here\r\n")
			ok(t, resp, err)
		}, want: sip.StatusBusyHere},
		{name: "of another REFER", refer: func(t *testing.T, tx *dialog.Server, req *sip.Request) {
			tx.Reply(sip.StatusAccepted)
			synctest.Wait()
			resp, err := notify(tx.Dialog(), "4711", "terminated", "SIP/2.0 200 OK\r\n")
			if err != nil || resp.Status() != 481 {
				t.Errorf("the NOTIFY got %v, %v, want 481", resp, err)
			}
			resp, err = notify(tx.Dialog(), seqOf(req), "terminated", "SIP/2.0 486 Busy Here\r\n")
			ok(t, resp, err)
		}, want: sip.StatusBusyHere},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				call, _ := scriptedTransferee(t, n, nil, func(tx *dialog.Server, req *sip.Request) { test.refer(t, tx, req) })
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				start := time.Now()
				err := call.Transfer(ctx, carolURI, nil)
				if took := time.Since(start); !errors.Is(err, test.want) || (err == nil) != (test.want == nil) || took != test.took {
					t.Errorf("Transfer() = %v after %v, want %v after %v", err, took, test.want, test.took)
				}
				time.Sleep(time.Minute)
				select {
				case <-call.Done():
					if !test.ended {
						t.Errorf("the call has ended: %v", call.Err())
					}
				default:
					if test.ended {
						t.Error("the call has not ended")
					}
				}
				call.Hangup(t.Context())
			})
		})
	}
}

// Two transfers of one call at once: each hears of its own.
func TestTwoTransfers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		call, _ := scriptedTransferee(t, n, nil, func(tx *dialog.Server, req *sip.Request) {
			to, err := sip.Get[sip.ReferTo](req)
			if err != nil {
				t.Error(err)
			}
			d := tx.Dialog()
			go func() { // ends with the answer
				// That of the second one may be here before its 202.
				if _, err := notify(d, seqOf(req), "active", "SIP/2.0 100 Trying\r\n"); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second)
				status := "SIP/2.0 486 Busy Here\r\n"
				if to.URI.User == "dave" {
					status = "SIP/2.0 404 Not Found\r\n"
				}
				notify(d, seqOf(req), "terminated", status)
			}()
			time.Sleep(50 * time.Millisecond)
			tx.Reply(sip.StatusAccepted)
		})
		results := make(chan error, 2)
		for target, want := range map[string]sip.Status{carolURI: 486, "sip:dave@192.0.2.4": 404} {
			go func() { // ends with the transfer
				var told []sip.Status
				err := call.Transfer(t.Context(), target, &ua.TransferOptions{OnProgress: func(s sip.Status) { told = append(told, s) }})
				if !errors.Is(err, want) || !slices.Equal(told, []sip.Status{100, want}) {
					t.Errorf("Transfer(%s) = %v and told %v, want 100 and %v", target, err, told, want)
				}
				results <- err
			}()
		}
		<-results
		<-results
		call.Hangup(t.Context())
	})
}

// OnProgress is slow: it hears of all in order, and the peer does not wait for it. A panic is
// one of Transfer.
func TestSlowOnProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		told := make(chan time.Duration, 1)
		refer := func(tx *dialog.Server, req *sip.Request) {
			start := time.Now()
			tx.Reply(sip.StatusAccepted)
			for i := range 40 {
				notify(tx.Dialog(), seqOf(req), "active", fmt.Sprintf("SIP/2.0 %d x\r\n", 101+i))
			}
			notify(tx.Dialog(), seqOf(req), "terminated", "SIP/2.0 200 OK\r\n")
			told <- time.Since(start)
		}
		call, _ := scriptedTransferee(t, n, nil, refer)
		var heard []sip.Status
		err := call.Transfer(t.Context(), carolURI, &ua.TransferOptions{Keep: true, OnProgress: func(s sip.Status) {
			heard = append(heard, s)
			time.Sleep(time.Minute)
		}})
		if took := <-told; err != nil || took != 0 {
			t.Errorf("Transfer() = %v, and the NOTIFYs took %v", err, took)
		}
		if len(heard) > 33 || !slices.IsSorted(heard) || heard[len(heard)-1] != 200 {
			t.Errorf("OnProgress heard %v, want some in order and 200 in the end", heard)
		}
		if !panics(func() {
			call.Transfer(t.Context(), carolURI, &ua.TransferOptions{OnProgress: func(sip.Status) { panic("bug") }})
		}) {
			t.Error("Transfer() did not panic")
		}
		<-told
		call.Hangup(t.Context())
	})
}

// A transferee that has a GRUU, and knows Target-Dialog, gets the REFER outside of the call, with the name of the call in
// it (RFC 7647 section 4, RFC 4538).
func TestTransferToGRUU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		contact := sip.Contact{URI: sip.URI{Scheme: "sip", User: "bob", Host: "192.0.2.2", Params: ";gr=urn:x"}}
		var inviteID string
		call, _ := scriptedTransferee(t, n, contact, func(tx *dialog.Server, req *sip.Request) {
			td, err := sip.Get[sip.TargetDialog](req)
			if tx.Dialog() != nil || err != nil || string(td.CallID) != inviteID || td.CallID == sip.CallID(req.CallID()) {
				t.Errorf("the REFER is within %v, and Target-Dialog is %v, %v", tx.Dialog(), td, err)
			}
			d, err := tx.Accept(sip.StatusAccepted)
			if err != nil {
				t.Error(err)
				return
			}
			notify(d, "", "active", "SIP/2.0 100 Trying\r\n")
			notify(d, "", "terminated", "SIP/2.0 200 OK\r\n")
		})
		inviteID = call.Dialog().ID().CallID
		var told []sip.Status
		if err := call.Transfer(t.Context(), carolURI, &ua.TransferOptions{OnProgress: func(s sip.Status) { told = append(told, s) }}); err != nil {
			t.Errorf("Transfer() = %v", err)
		}
		if !slices.Equal(told, []sip.Status{100, 200}) {
			t.Errorf("Bob told %v, want 100 and 200", told)
		}
		<-call.Done()
	})
}

// A REFER outside of a call names one, or one that is not there, which is as if it named none
// (RFC 4538 section 4).
func TestReferWithTargetDialog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		bobs := make(chan *ua.Call, 1)
		referrals := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
			OnInvite: answerWith(bobs, newStream(t)),
			OnRefer: func(_ context.Context, r *ua.Referral) {
				referrals <- r.Call()
				r.Reject(sip.StatusForbidden)
			},
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		call, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
		if err != nil {
			t.Fatal(err)
		}
		bob := <-bobs
		id := call.Dialog().ID()
		stranger := newCaller(t, n, "192.0.2.9", nil)
		refer := func(td sip.TargetDialog) sip.Status {
			resp, err := stranger.Do(t.Context(), request(sip.REFER, bobURI, contactAt("192.0.2.9"), td, sip.ReferTo{URI: sip.URI{Scheme: "sip", Host: "192.0.2.3"}}))
			if err != nil {
				t.Fatal(err)
			}
			return resp.Status()
		}
		td := sip.TargetDialog{CallID: sip.CallID(id.CallID), LocalTag: id.RemoteTag, RemoteTag: id.LocalTag}
		if got := refer(td); got != 403 || <-referrals != bob {
			t.Errorf("the REFER got %v, want 403 of OnRefer, which has the call", got)
		}
		td.LocalTag, td.RemoteTag = td.RemoteTag, td.LocalTag
		if got := refer(td); got != 403 || <-referrals != nil {
			t.Errorf("the REFER with its tags the wrong way round got %v, want 403 of OnRefer, which has no call", got)
		}
		call.Hangup(t.Context())
	})
}

// A call that rings cannot be transferred to: the callee would refuse who comes with Replaces.
func TestTransferToEarlyCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTrio(t, func(ctx context.Context, in *ua.Invitation) {
			in.Ring(ctx)
			<-ctx.Done()
		}, nil)
		opts := streams(newStream(t))
		opts.OnProvisional = func(c *ua.Call, _ *sip.Response) {
			if err := x.a.TransferTo(context.Background(), c, nil); !errors.Is(err, ua.ErrNotAnswered) {
				t.Errorf("TransferTo() = %v, want ErrNotAnswered", err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		x.alice.Invite(ctx, carolURI, opts)
		if x.a.Err() != nil {
			t.Error("the call has ended")
		}
	})
}

// A REFER whose Refer-To would have the INVITE say who it is from and which way it goes: none of
// that gets into it, and what it replaces does.
func TestReferToWithHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		invites := make(chan *sip.Request, 1)
		newCaller(t, n, "192.0.2.3", &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
			invites <- in.Request()
			in.Reject(sip.StatusCallDoesNotExist)
		}})
		result := make(chan error, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnRefer: func(ctx context.Context, r *ua.Referral) {
			_, err := r.Invite(ctx, streams(newStream(t)))
			result <- err
		}})
		stranger := newCaller(t, n, "192.0.2.9", &dialog.Config{OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) }})
		uri, err := sip.ParseURI("sip:x@192.0.2.3?Replaces=abc%3Bto-tag%3D1%3Bfrom-tag%3D2&Via=SIP%2F2.0%2FUDP%20evil&Route=%3Csip%3A192.0.2.9%3E" +
			"&From=%3Csip%3Aboss%40b.example%3E&P-Asserted-Identity=%3Csip%3Aboss%40b.example%3E&Call-ID=abc&Contact=%3Csip%3A192.0.2.9%3E&Max-Forwards=0&Authorization=x")
		if err != nil {
			t.Fatal(err)
		}
		resp, err := stranger.Subscribe(t.Context(), request(sip.REFER, bobURI, contactAt("192.0.2.9"), sip.ReferTo{URI: uri}), nil)
		if err != nil || !resp.Status().Success() {
			t.Fatalf("the REFER got %v, %v", resp, err)
		}
		invite := <-invites
		if r, err := sip.Get[sip.Replaces](invite); err != nil || r.CallID != "abc" || r.ToTag != "1" || r.FromTag != "2" {
			t.Errorf("Replaces is %+v, %v", r, err)
		}
		if s := invite.String(); strings.Contains(s, "evil") || strings.Contains(s, "boss") || strings.Contains(s, "192.0.2.9") || strings.Contains(s, "Authorization") {
			t.Errorf("the INVITE is\n%s", s)
		}
		if err := <-result; !errors.Is(err, sip.StatusCallDoesNotExist) {
			t.Errorf("Invite() = %v, want 481", err)
		}
		synctest.Wait()
	})
}

// A Refer-To may have the INVITE require what Bob knows, and not what he does not know: then
// none is sent (RFC 3261 section 19.1.5). What media there is to be is not for it to say.
func TestReferToThatRequires(t *testing.T) {
	for _, test := range []struct {
		header string
		want   sip.Status
	}{
		{"Require=replaces", sip.StatusBusyHere},
		{"Require=replaces%2Cteleport", sip.StatusBadExtension},
		{"Content-Type=application/sdp&body=v%3D0%0D%0Ac%3DIN%20IP4%20192.0.2.66", sip.StatusBusyHere},
	} {
		t.Run(test.header, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newTrio(t, func(ctx context.Context, in *ua.Invitation) {
					if body := in.Request().Body(); body != "" {
						t.Errorf("the INVITE has body %q", body)
					}
					in.Reject(ctx, sip.StatusBusyHere)
				}, func(ctx context.Context, r *ua.Referral) {
					_, err := r.Invite(ctx, nil)
					if sent := errors.As(err, new(*ua.StatusError)); sent != (test.want == sip.StatusBusyHere) {
						t.Errorf("Invite() = %v; somebody was asked: %t", err, sent)
					}
				})
				if err := x.a.Transfer(t.Context(), carolURI+"?"+test.header, nil); !errors.Is(err, test.want) {
					t.Errorf("Transfer() = %v, want %v", err, test.want)
				}
			})
		})
	}
}

// A REFER without a Contact has nowhere for the NOTIFYs to go (RFC 3515 section 2.2).
func TestReferWithoutContact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnRefer: func(_ context.Context, r *ua.Referral) {
			if err := r.Accept(); !errors.Is(err, sip.ErrMissing) {
				t.Errorf("Accept() = %v, want ErrMissing", err)
			}
		}})
		stranger := newPeer(t, n, "192.0.2.9", func(*transaction.Server, *sip.Request) {})
		resp, err := stranger.Do(t.Context(), request(sip.REFER, bobURI, sip.ReferTo{URI: mustURI(carolURI)}))
		if err != nil || resp.Status() != 400 {
			t.Errorf("the REFER got %v, %v, want 400", resp, err)
		}
	})
}

// A Referral is decided once, and streams that come too late are closed.
func TestReferralDecidedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := newStream(t)
		p := newPairOf(t, ua.Config{}, ua.Config{OnRefer: func(ctx context.Context, r *ua.Referral) {
			if err := r.Reject(sip.StatusForbidden); err != nil {
				t.Error(err)
			}
			if _, err := r.Invite(ctx, streams(late)); !errors.Is(err, transaction.ErrCompleted) {
				t.Errorf("Invite() after Reject() = %v, want ErrCompleted", err)
			}
			if err := r.Reject(sip.StatusForbidden); !errors.Is(err, transaction.ErrCompleted) {
				t.Errorf("Reject() once more = %v, want ErrCompleted", err)
			}
		}})
		if err := p.a.Transfer(t.Context(), carolURI, nil); !errors.Is(err, sip.StatusForbidden) {
			t.Errorf("Transfer() = %v, want 403", err)
		}
		synctest.Wait()
		late.check(t, "late", "", true)
		p.a.Hangup(t.Context())
	})
}
