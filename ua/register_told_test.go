package ua_test

import (
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

// teller is a registrar with the reg event package, at one or two addresses.
type teller struct {
	*testing.T
	registers chan *sip.Request
	watching  chan *dialog.Dialog
	busy      int // how many SUBSCRIBEs get 503 first
	asked     int
}

func newTeller(t *testing.T, n *siptest.Network, outbound bool, addrs ...string) *teller {
	r := &teller{T: t, registers: make(chan *sip.Request, 1000), watching: make(chan *dialog.Dialog, 10)}
	for _, addr := range addrs {
		newCaller(t, n, addr, &dialog.Config{OnRequest: func(tx *dialog.Server, req *sip.Request) {
			switch req.Method() {
			case sip.REGISTER:
				c, _ := sip.Get[sip.Contact](req)
				edits := []sip.Edit{c.WithExpires(3600)}
				if outbound {
					edits = append(edits, sip.Require{sip.OptionOutbound})
				}
				r.registers <- req
				tx.Reply(sip.StatusOK, edits...)
			case sip.SUBSCRIBE:
				if r.asked++; r.asked <= r.busy {
					tx.Reply(sip.StatusServiceUnavailable, sip.RetryAfter{Seconds: 5})
					return
				}
				if d, _ := tx.Accept(sip.StatusOK, sip.Expires(3600)); req.To().Tag() == "" {
					select {
					case r.watching <- d:
					default: // again, because no NOTIFY has come
					}
				}
			}
		}})
	}
	return r
}

// tell sends a NOTIFY with all of the state, of these contacts.
func (r *teller) tell(d *dialog.Dialog, contacts string) {
	r.Helper()
	_, err := d.Do(r.Context(), sip.NOTIFY, sip.Event{Package: "reg"}, sip.SubscriptionState{State: "active", Params: ";expires=3600"},
		sip.Body{Type: "application/reginfo+xml", Content: `<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full">` +
			`<registration aor="sip:alice@a.example" id="a" state="active">` + contacts + `</registration></reginfo>`})
	if err != nil {
		r.Fatal(err)
	}
}

// of writes what a registrar tells of the binding that a REGISTER has made.
func of(register *sip.Request, state, event, more string) string {
	c, _ := sip.Get[sip.Contact](register)
	return fmt.Sprintf(`<contact id="1" state="%s" event="%s" callid="%s"%s><uri>%s</uri></contact>`, state, event, register.CallID(), more, c.URI)
}

// What a registrar tells that is out of the ordinary, or a lie.
func TestRegistrationToldBadly(t *testing.T) {
	const years = "4294967295"
	for _, test := range []struct {
		name        string
		contacts    func(own *sip.Request) string
		first, last time.Duration // of the next REGISTER
		told, over  bool
	}{
		{"removed by another phone", func(own *sip.Request) string {
			return of(own.With(sip.CallID("of the other")), "terminated", "unregistered", "")
		}, 0, 0, true, true},
		{"no contacts at all", func(*sip.Request) string { return "" }, 0, 3 * time.Second, false, false},
		{"others alone, from one who may call us otherwise", func(own *sip.Request) string {
			return of(own.With(contactAt("192.0.2.77")), "active", "created", "")
		}, 45 * time.Minute, time.Hour, false, false},
		{"on probation for years", func(own *sip.Request) string {
			return of(own, "terminated", "probation", ` retry-after="`+years+`"`)
		}, 24 * time.Hour, 24*time.Hour + time.Second, true, false},
		{"on probation for more", func(own *sip.Request) string {
			return of(own, "terminated", "probation", ` retry-after="4294967296"`)
		}, 24 * time.Hour, 24*time.Hour + time.Second, true, false},
		{"shortened to years", func(own *sip.Request) string {
			return of(own, "active", "shortened", ` expires="`+years+`"`)
		}, 45 * time.Minute, time.Hour, false, false},
		{"terminated, and made again", func(own *sip.Request) string {
			return of(own, "terminated", "unregistered", "") + of(own, "active", "created", "")
		}, 45 * time.Minute, time.Hour, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				r := newTeller(t, n, false, registrarAddr)
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Proxy: "sip:" + registrarAddr})
				failed := make(chan error, 10)
				reg, err := alice.Register(t.Context(), &ua.RegisterOptions{Watch: true, OnError: func(err error) { failed <- err }})
				if err != nil {
					t.Fatal(err)
				}
				r.tell(<-r.watching, test.contacts(<-r.registers))
				told := time.Now()
				select {
				case <-r.registers:
					if at := time.Since(told); test.over || at < test.first || at > test.last {
						t.Errorf("REGISTER %v later, want between %v and %v", at, test.first, test.last)
					}
				case <-time.After(48 * time.Hour):
					if !test.over {
						t.Error("no REGISTER in two days")
					}
				}
				if (len(failed) > 0) != test.told || errors.Is(reg.Err(), ua.ErrUnregistered) != test.over {
					t.Errorf("told %d errors, and Err() = %v", len(failed), reg.Err())
				}
			})
		})
	}
}

// A binding that was told of before is missing in all of the state: it is gone.
func TestRegistrationMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		r := newTeller(t, n, false, registrarAddr)
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Proxy: "sip:" + registrarAddr})
		if _, err := alice.Register(t.Context(), &ua.RegisterOptions{Watch: true}); err != nil {
			t.Fatal(err)
		}
		d, own := <-r.watching, <-r.registers
		other := of(own.With(contactAt("192.0.2.77")), "active", "created", "")
		r.tell(d, other+of(own, "active", "created", ""))
		r.tell(d, other)
		told := time.Now()
		if <-r.registers; time.Since(told) > 3*time.Second {
			t.Errorf("REGISTER %v later, want at once", time.Since(told))
		}
	})
}

// A registrar that ends each binding as soon as it is made gets a REGISTER less and less
// often.
func TestRegistrationEndedAgainAndAgain(t *testing.T) {
	for _, event := range []string{"deactivated", "probation", "shortened"} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			r := newTeller(t, n, false, registrarAddr)
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Proxy: "sip:" + registrarAddr})
			if _, err := alice.Register(t.Context(), &ua.RegisterOptions{Watch: true, OnError: func(error) {}}); err != nil {
				t.Fatal(err)
			}
			state := "terminated"
			if event == "shortened" {
				state = "active"
			}
			d, own := <-r.watching, <-r.registers
			began := time.Now()
			for time.Since(began) < 2*time.Hour {
				r.tell(d, of(own, state, event, ""))
				time.Sleep(5 * time.Second) // far more often than there may be REGISTERs
			}
			if n := len(r.registers); n < 4 || n > 15 {
				t.Errorf("%s: %d REGISTERs in two hours, want a few", event, n)
			}
		})
	}
}

// One of two flows is removed: it is made again later. When both are, it is over.
func TestRegistrationFlowEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		r := newTeller(t, n, true, "192.0.2.101", "192.0.2.102")
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		failed := make(chan error, 10)
		reg, err := alice.Register(t.Context(), &ua.RegisterOptions{
			Watch: true, Proxies: []string{"sip:192.0.2.101", "sip:192.0.2.102"}, OnError: func(err error) { failed <- err },
		})
		if err != nil {
			t.Fatal(err)
		}
		d, one, two := <-r.watching, <-r.registers, <-r.registers
		time.Sleep(time.Second)
		r.tell(d, of(two, "active", "created", "")+of(one, "terminated", "unregistered", ""))
		told := time.Now()
		if err := <-failed; errors.Is(err, ua.ErrUnregistered) || reg.Err() != nil {
			t.Errorf("told of %v, Err() = %v, want another flow up", err, reg.Err())
		}
		if again := <-r.registers; again.CallID() != one.CallID() || time.Since(told) < 90*time.Second || time.Since(told) > 180*time.Second {
			t.Errorf("a REGISTER %v later, want one for the flow that was removed", time.Since(told))
		}
		time.Sleep(time.Minute)
		r.tell(d, of(two, "terminated", "unregistered", "")+of(one, "terminated", "unregistered", ""))
		if err := <-failed; !errors.Is(err, ua.ErrUnregistered) || !errors.Is(reg.Err(), ua.ErrUnregistered) {
			t.Errorf("told of %v, Err() = %v, want the end", err, reg.Err())
		}
	})
}

// The registrar is busy when it is asked for the state first: it is asked again.
func TestRegistrationWatchedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		r := newTeller(t, n, false, registrarAddr)
		r.busy = 2
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Proxy: "sip:" + registrarAddr})
		began := time.Now()
		if _, err := alice.Register(t.Context(), &ua.RegisterOptions{Watch: true}); err != nil {
			t.Fatal(err)
		}
		if <-r.watching; time.Since(began) < 45*time.Second || time.Since(began) > 2*time.Minute {
			t.Errorf("watched after %v", time.Since(began))
		}
	})
}
