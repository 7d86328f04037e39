package ua_test

import (
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// The registrar tells what has become of a binding (RFC 3680 section 5.1). Some of it
// wants the agent back, at once or later; some is the end, after which nothing is
// sent, not even by Close.
func TestToldEnded(t *testing.T) {
	for _, test := range []struct {
		event string
		after time.Duration
		again time.Duration // when it is back; 0: never
		told  int           // times
	}{
		{"expired", 0, 3 * time.Second, 0},
		{"deactivated", 0, 3 * time.Second, 0},
		{"probation", 10 * time.Minute, 10*time.Minute + time.Second, 2},
		{"rejected", 0, 0, 1},
		{"unregistered", 0, 0, 1},
	} {
		t.Run(test.event, func(t *testing.T) {
			onSite(t, nil, func(t *testing.T, s *site) {
				alice := s.alice(ua.Config{})
				told := make(chan error, 10)
				reg, err := alice.Register(t.Context(), &ua.RegisterOptions{Proxies: proxies, OnError: func(err error) { told <- err }})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				s.took(homeAddr, sip.REGISTER)
				reg.ToldEnded(test.event, test.after)
				if reg.Err() == nil {
					t.Error("Err() = nil when the registrar has ended it")
				}
				if test.after > 0 {
					time.Sleep(test.after - time.Second)
					if n := len(s.took(homeAddr, sip.REGISTER)); n != 0 {
						t.Errorf("%d REGISTERs before %v", n, test.after)
					}
					time.Sleep(2 * time.Second)
				} else {
					time.Sleep(max(test.again, time.Hour-59*time.Minute))
				}
				registers := len(s.took(homeAddr, sip.REGISTER))
				if test.again > 0 {
					if registers != 2 || reg.Err() != nil || len(told) != test.told {
						t.Errorf("%d REGISTERs, Err() = %v, told %d times, want one for each flow, and told %d times", registers, reg.Err(), len(told), test.told)
					}
					return
				}
				time.Sleep(2 * time.Hour)
				closeErr := reg.Close()
				registers += len(s.took(homeAddr, sip.REGISTER))
				if registers != 0 || closeErr != nil || !errors.Is(reg.Err(), ua.ErrUnregistered) {
					t.Errorf("%d REGISTERs, Close() = %v, Err() = %v, want none, nil, ErrUnregistered", registers, closeErr, reg.Err())
				}
				if err := reg.Refresh(t.Context()); !errors.Is(err, ua.ErrUnregistered) {
					t.Errorf("Refresh() = %v, want ErrUnregistered", err)
				}
				if err := <-told; !errors.Is(err, ua.ErrUnregistered) || len(told) != 0 {
					t.Errorf("OnError(%v), want ErrUnregistered, once", err)
				}
			})
		})
	}
}

// The registrar has no time now, and says how long. It is left alone for that long,
// and up to a day (RFC 5626 section 4.5).
func TestRetryAfterOfRegistrar(t *testing.T) {
	for _, test := range []struct {
		after         uint32
		least, latest time.Duration
	}{
		{0, 0, 0}, // once
		{900, 15 * time.Minute, 16 * time.Minute},
		{1<<32 - 1, 24 * time.Hour, 24*time.Hour + time.Minute},
	} {
		onSite(t, nil, func(t *testing.T, s *site) {
			alice := s.alice(ua.Config{})
			failed := make(chan error, 100)
			reg, err := alice.Register(t.Context(), &ua.RegisterOptions{Expires: time.Minute, OnError: func(err error) { failed <- err }})
			if err != nil {
				t.Fatal(err)
			}
			busy := func(tx *transaction.Server, req *sip.Request) bool {
				tx.Reply(sip.StatusServiceUnavailable, sip.RetryAfter{Seconds: test.after})
				return true
			}
			s.set(busy)
			if err := <-failed; !errors.Is(err, sip.StatusServiceUnavailable) {
				t.Errorf("OnError(%v), want 503", err)
			}
			start := time.Now()
			s.set(nil)
			s.took(homeAddr, sip.REGISTER)
			time.Sleep(max(0, test.least-time.Second))
			if n := len(s.took(homeAddr, sip.REGISTER)); n != 0 && test.least > 0 {
				t.Errorf("a REGISTER before %v", test.least)
			}
			time.Sleep(time.Until(start.Add(test.latest + time.Second)))
			if n := len(s.took(homeAddr, sip.REGISTER)); n == 0 || reg.Err() != nil {
				t.Errorf("%d REGISTERs by %v, Err() = %v", n, test.latest, reg.Err())
			}
		})
	}
}

// What a registrar, or somebody on the way, may put into a 2xx. The agent stays
// registered, refreshes within the time that it has asked for, and its own requests
// can be sent.
func TestOddRegistrar(t *testing.T) {
	long := make([]byte, 20000)
	for i := range long {
		long[i] = 'a'
	}
	for name, fields := range map[string][]sip.Field{
		"nothing":             nil,
		"star":                {{Name: "Contact", Value: "*"}},
		"tel":                 {{Name: "Contact", Value: "<tel:+1>;expires=10"}},
		"for ever":            {{Name: "Contact", Value: "<sip:x@y>"}, {Name: "Expires", Value: "4294967295"}},
		"others":              {{Name: "Contact", Value: "<sip:a@b>;expires=0, <sip:c@d>;expires=4294967295"}},
		"GRUU that is none":   {{Name: "Contact", Value: `<sip:alice@192.0.2.1:5060>;pub-gruu="tel:+1";temp-gruu="<"`}},
		"GRUU of a character": {{Name: "Contact", Value: `<sip:alice@192.0.2.1:5060>;pub-gruu="sip:` + string(long) + `@x"`}},
		"Flow-Timer 0":        {{Name: "Require", Value: "outbound"}, {Name: "Flow-Timer", Value: "0"}},
		"Flow-Timer for ever": {{Name: "Require", Value: "outbound"}, {Name: "Flow-Timer", Value: "4294967295"}},
		"Feature-Caps":        {{Name: "Feature-Caps", Value: `*;+sip.pns="webpush";+sip.pnsreg="99999999999999999999"`}},
		"pnsreg beyond":       {{Name: "Feature-Caps", Value: `*;+sip.pns="webpush";+sip.pnsreg="4000000000"`}},
	} {
		t.Run(name, func(t *testing.T) {
			onSite(t, nil, func(t *testing.T, s *site) {
				s.set(func(tx *transaction.Server, req *sip.Request) bool {
					if req.Method() != sip.REGISTER {
						return false
					}
					var edits []sip.Edit
					for _, f := range fields {
						edits = append(edits, f)
					}
					tx.Reply(sip.StatusOK, edits...)
					return true
				})
				alice := s.alice(ua.Config{})
				reg, err := alice.Register(t.Context(), &ua.RegisterOptions{Expires: 10 * time.Minute, Push: webPush})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(11 * time.Minute)
				if n := len(s.took(homeAddr, sip.REGISTER)); n < 2 || n > 700 || reg.Err() != nil {
					t.Errorf("%d REGISTERs, Err() = %v", n, reg.Err())
				}
				if _, err := alice.Options(t.Context(), "sip:"+homeAddr); err != nil {
					t.Errorf("Options() = %v", err)
				}
				if err := reg.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
