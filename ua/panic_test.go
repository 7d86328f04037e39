package ua_test

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

func bug(context.Context) error { panic("bug") }

// panics runs f and reports whether it has panicked with the bug of a stream.
func panics(f func()) (does bool) {
	defer func() {
		p := recover()
		text, _ := p.(string)
		does = contains(text, "bug")
	}()
	f()
	return false
}

// A stream or OnProvisional panics while Invite sets a call up. It is a panic of
// Invite, which the program may recover from; the streams are closed, and the
// callee hears the end of it.
func TestPanicInInvite(t *testing.T) {
	for _, test := range []struct {
		where string
		set   func(*fakeStream, *ua.InviteOptions)
		want  sip.Method // what the callee gets
	}{
		{"Offer", func(s *fakeStream, _ *ua.InviteOptions) { s.onOffer = bug }, ""},
		{"Update", func(s *fakeStream, _ *ua.InviteOptions) { s.onUpdate = bug }, sip.BYE},
		{"OnProvisional", func(_ *fakeStream, o *ua.InviteOptions) {
			o.OnProvisional = func(*ua.Call, *sip.Response) { panic("bug") }
		}, sip.CANCEL},
		{"OnAnswer", func(_ *fakeStream, o *ua.InviteOptions) {
			o.OnAnswer = func(*ua.Call, *sip.Response) { panic("bug") }
		}, sip.BYE},
	} {
		t.Run(test.where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				var got sip.Method
				newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
					switch req.Method() {
					case sip.INVITE:
						tx.Reply(sip.StatusRinging, contactAt("192.0.2.2"))
						select {
						case <-tx.Context().Done():
							got = sip.CANCEL
						case <-time.After(time.Second):
							tx.Reply(sip.StatusOK, contactAt("192.0.2.2"), describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0", "audio 0 RTP/AVP 0"))
						}
					case sip.BYE:
						got = sip.BYE
						tx.Reply(sip.StatusOK)
					}
				})
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
				first, second := newStream(t), newStream(t)
				opts := streams(first, second)
				test.set(first, opts)
				if !panics(func() { alice.Invite(t.Context(), bobURI, opts) }) {
					t.Error("Invite has not panicked")
				}
				first.told()
				first.check(t, "the one that panics", "", true)
				second.check(t, "the other", "", true)
				synctest.Wait()
				if got != test.want {
					t.Errorf("the callee got %q, want %q", got, test.want)
				}
			})
		})
	}
}

// A stream panics while a call is answered, before the 200 or after it. The
// caller gets 500, or BYE, and the streams are closed though the program
// recovers.
func TestPanicInAnswer(t *testing.T) {
	for _, where := range []string{"Answer", "Update"} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			first, second := newStream(t), newStream(t)
			offer := []sip.Edit{describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0", "audio 5002 RTP/AVP 0")}
			if second.onAnswer = bug; where == "Update" {
				second.onAnswer, first.onUpdate, offer = nil, bug, nil
			}
			newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
				if !panics(func() { in.Answer(ctx, first, second) }) {
					t.Error("Answer has not panicked")
				}
			}})
			alice := newCaller(t, n, "192.0.2.1", nil)
			s, resp, err := alice.Invite(t.Context(), request(sip.INVITE, bobURI, offer...), nil)
			if err != nil {
				t.Fatal(err)
			}
			if where == "Update" {
				s.Ack(t.Context(), describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0", "audio 5002 RTP/AVP 0"))
				<-s.Done() // by a BYE
			} else if resp.Status() != sip.StatusServerInternalError {
				t.Errorf("the INVITE got %v, want 500", resp.Status())
			}
			synctest.Wait()
			first.told()
			first.check(t, "first", "", true)
			second.check(t, "second", "", true)
		})
	}
}

// Our stream panics in a Hold of ours, the peer's in the change that it gets, and
// both in Close. The call goes on as it was, and ends as it should.
func TestPanicInChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.ours.onOffer = func(context.Context) error { p.ours.onOffer = nil; panic("bug") }
		if !panics(func() { p.a.Hold(t.Context()) }) {
			t.Error("Hold has not panicked")
		}
		p.theirs.onAnswer = func(context.Context) error { p.theirs.onAnswer = nil; panic("bug") }
		if err := p.a.Hold(t.Context()); err == nil {
			t.Error("Hold() worked, want 500")
		}
		p.theirs.check(t, "Bob", "", false)
		if err := p.b.Hold(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		p.theirs.check(t, "Bob", "sendonly 192.0.2.1:4000", false)
		p.ours.onClose, p.theirs.onClose = bug, bug
		if err := p.a.Hangup(t.Context()); err != nil {
			t.Error(err)
		}
		<-p.b.Done()
	})
}

// A stream panics when its call is refreshed, or told where we are now: nobody of the program's
// waits for the first, and of the second it is an error. The call goes on.
func TestPanicInRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Record: true})
		newCaller(t, n, "192.0.2.2", &dialog.Config{
			SessionTimer: &dialog.SessionTimer{},
			OnInvite: func(_ context.Context, in *dialog.Invitation) {
				in.Accept(sip.Allow{sip.INVITE, sip.ACK, sip.BYE, sip.CANCEL}, describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
			},
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{SessionTimer: 2 * time.Minute})
		s := newStream(t)
		var buggy atomic.Bool
		s.onOffer = func(context.Context) error {
			if buggy.Swap(false) {
				panic("bug")
			}
			return nil
		}
		call, err := alice.Invite(t.Context(), bobURI, streams(s))
		if err != nil {
			t.Fatal(err)
		}
		buggy.Store(true)
		time.Sleep(61 * time.Second)
		if err := alice.NetworkChanged(t.Context()); err != nil || buggy.Load() {
			t.Errorf("NetworkChanged() = %v; the refresh is to come: %t", err, buggy.Load())
		}
		buggy.Store(true)
		if err := alice.NetworkChanged(t.Context()); err == nil {
			t.Error("NetworkChanged() worked, and a stream has panicked")
		}
		if err := call.Hangup(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// addressed is a stream that panics when it learns its address.
type addressed struct{ *fakeStream }

func (addressed) UseAddress(netip.Addr) { panic("bug") }

// A stream panics when it is told the address, before it is offered: that is a panic of Add, the
// stream is closed, and the call goes on without it.
func TestPanicInUseAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		added := newStream(t)
		if !panics(func() { p.a.Add(t.Context(), addressed{added}) }) {
			t.Error("Add has not panicked")
		}
		added.check(t, "added", "", true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.a.Hold(ctx); err != nil {
			t.Errorf("Hold() = %v", err)
		}
		synctest.Wait()
		p.ours.check(t, "Alice", "sendonly 192.0.2.2:4000", false)
		if err := p.a.Hangup(ctx); err != nil {
			t.Error(err)
		}
		p.ours.check(t, "Alice", "", true)
	})
}
