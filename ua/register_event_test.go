package ua_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// A registrar tells what has become of the binding (RFC 3680): the agent registers anew at
// once, later, or no more. What is said of others changes nothing.
func TestRegistrationWatched(t *testing.T) {
	contact := func(uri, callID, state, event, more string) string {
		return fmt.Sprintf(`<contact id="1" state="%s" event="%s" callid="%s"%s><uri>%s</uri></contact>`, state, event, callID, more, uri)
	}
	for _, test := range []struct {
		name        string
		event, more string
		other       bool // it is of another binding
		first, last time.Duration
		over        bool
	}{
		{"deactivated", "deactivated", "", false, 0, 3 * time.Second, false},
		{"expired", "expired", "", false, 0, 3 * time.Second, false},
		{"on probation", "probation", ` retry-after="600"`, false, 10 * time.Minute, 11 * time.Minute, false},
		{"shortened", "shortened", ` expires="300"`, false, time.Minute, 5 * time.Minute, false},
		{"rejected", "rejected", "", false, 0, 0, true},
		{"unregistered", "unregistered", "", false, 0, 0, true},
		{"somebody else", "rejected", "", true, 0, 0, false},
		{"refreshed", "refreshed", "", false, 0, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				registers := make(chan *sip.Request, 10)
				watching := make(chan *dialog.Dialog, 1)
				newCaller(t, n, registrarAddr, &dialog.Config{OnRequest: func(tx *dialog.Server, req *sip.Request) {
					switch req.Method() {
					case sip.REGISTER:
						c, _ := sip.Get[sip.Contact](req)
						registers <- req
						tx.Reply(sip.StatusOK, c.WithExpires(3600))
					case sip.SUBSCRIBE:
						d, err := tx.Accept(sip.StatusOK, sip.Expires(3600))
						if e, _ := sip.Get[sip.Event](req); err != nil || e.Package != "reg" {
							t.Errorf("SUBSCRIBE to %v: %v", e, err)
						}
						if tx.Request().To().Tag() == "" {
							watching <- d
						}
					}
				}})
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Proxy: "sip:" + registrarAddr})
				failed := make(chan error, 1)
				reg, err := alice.Register(t.Context(), &ua.RegisterOptions{Watch: true, OnError: func(err error) { failed <- err }})
				if err != nil {
					t.Fatal(err)
				}
				first := <-registers
				d := <-watching
				bound, _ := sip.Get[sip.Contact](first)
				uri, state := bound.URI.String(), "terminated"
				if test.other {
					uri = "sip:alice@192.0.2.77"
				}
				if test.event == "shortened" || test.event == "refreshed" {
					state = "active"
				}
				time.Sleep(time.Second)
				_, err = d.Do(t.Context(), sip.NOTIFY, sip.Event{Package: "reg"},
					sip.SubscriptionState{State: "active", Params: ";expires=3600"},
					sip.Body{Type: "application/reginfo+xml", Content: `<?xml version="1.0"?><reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full">` +
						`<registration aor="sip:alice@a.example" id="a" state="active">` + contact(uri, first.CallID(), state, test.event, test.more) + `</registration></reginfo>`})
				if err != nil {
					t.Fatal(err)
				}
				told := time.Now()
				if test.over {
					if err := <-failed; !errors.Is(err, ua.ErrUnregistered) || !errors.Is(reg.Err(), ua.ErrUnregistered) {
						t.Errorf("told of %v, and Err() = %v, want %v", err, reg.Err(), ua.ErrUnregistered)
					}
				}
				wait := 20 * time.Minute
				select {
				case <-registers:
					if at := time.Since(told); test.last == 0 || at < test.first || at > test.last {
						t.Errorf("REGISTER %v later, want between %v and %v", at, test.first, test.last)
					}
				case <-time.After(wait):
					if test.last > 0 {
						t.Errorf("no REGISTER in %v", wait)
					}
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				alice.Shutdown(ctx)
			})
		})
	}
}
