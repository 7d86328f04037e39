package ua_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// A server answers with the largest number that there is in place of that of the request,
// which it may not (RFC 3261 section 8.2.6.2). What follows is numbered as if it had not:
// binding and state are refreshed, and removed in the end, and a call goes where it is
// redirected to.
func TestResponsesWithAnotherNumber(t *testing.T) {
	for _, test := range []struct {
		name  string
		first sip.Status
		run   func(*testing.T, *ua.Agent)
		asked []uint32
	}{
		{"REGISTER", sip.StatusOK, func(t *testing.T, a *ua.Agent) {
			r, err := a.Register(t.Context(), &ua.RegisterOptions{OnError: func(err error) { t.Error(err) }})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(89 * time.Second)
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}, []uint32{1, 2, 3}},
		{"PUBLISH", sip.StatusOK, func(t *testing.T, a *ua.Agent) {
			p, err := a.Publish(t.Context(), "presence", pidf("open"), &ua.PublishOptions{OnError: func(err error) { t.Error(err) }})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(89 * time.Second)
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}, []uint32{1, 2, 3}},
		{"INVITE", sip.StatusMovedTemporarily, func(t *testing.T, a *ua.Agent) {
			call, err := a.Invite(t.Context(), "sip:bob@192.0.2.2", nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := call.Hangup(t.Context()); err != nil {
				t.Error(err)
			}
		}, []uint32{1, 2, 2, 3}}, // the ACK has the number of its INVITE
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: time.Millisecond})
				var asked []uint32
				status := test.first
				newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
					asked = append(asked, req.CSeq().Seq)
					contact := contactAt("192.0.2.2")
					if req.Method() == sip.REGISTER {
						contact, _ = sip.Get[sip.Contact](req)
					}
					contact.Params = contact.Params.With("expires", "90")
					edits := []sip.Edit{contact, sip.Expires(90), sip.SIPETag("a")}
					tx.Respond(req.Reply(status, edits...).With(sip.CSeq{Seq: 1<<31 - 1, Method: req.Method()}))
					status = sip.StatusOK
				})
				test.run(t, newAgent(t, n, "192.0.2.1", "sip:alice@192.0.2.2", ua.Config{}))
				synctest.Wait()
				if !slices.Equal(asked, test.asked) {
					t.Errorf("the server got the numbers %v, want %v", asked, test.asked)
				}
			})
		})
	}
}
