package ua_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// atDomain is the configuration of an agent of a.example.
func atDomain(cfg ua.Config) ua.Config {
	cfg.Password, cfg.Proxy = "secret", proxyURI
	return cfg
}

// A registration over three hours. Each refresh comes before the binding ends,
// with the Call-ID of the first and a higher CSeq; the nonce, which lives five
// minutes, is stale each time, and that is no failure. In the end the binding
// is gone, and that of the other phone is still there.
func TestRegisterThreeHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 20 * time.Millisecond})
		d := newDomain(t, n)
		other := sip.URI{Scheme: "sip", User: "alice", Host: "192.0.2.77"}
		d.bindings["alice"] = []binding{{other, time.Now().Add(10 * time.Second)}}
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", atDomain(ua.Config{}))
		d.most = 1800
		reg, err := alice.Register(t.Context(), &ua.RegisterOptions{
			OnError: func(err error) { t.Errorf("refresh failed: %v", err) },
		})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		granted := start
		for time.Since(start) < 3*time.Hour {
			time.Sleep(10 * time.Second)
			d.set(func() {
				if b := d.bindings["alice"]; len(b) < 2 || time.Now().After(b[1].until) {
					t.Fatalf("no binding after %v", time.Since(start))
				}
			})
		}
		asked := d.asked()
		if last := len(asked) - 1; asked[last].status != sip.StatusOK {
			asked = asked[:last] // a refresh that is under way in this moment
		}
		refreshes := 0
		for i, r := range asked {
			if i > 0 && (r.callID != asked[0].callID || r.seq != asked[i-1].seq+1) {
				t.Errorf("REGISTER %d: Call-ID %s CSeq %d after Call-ID %s CSeq %d", i, r.callID, r.seq, asked[i-1].callID, asked[i-1].seq)
			}
			if r.status == sip.StatusOK {
				if i > 2 {
					if after := r.at.Sub(granted); after < 24*time.Minute || after > 27*time.Minute+time.Second {
						t.Errorf("refresh %d came after %v, want 81 to 90 %% of 30m", refreshes, after)
					}
				}
				refreshes++
				granted = r.at
			} else if i > 0 && !r.stale {
				t.Errorf("REGISTER %d got %v", i, r.status)
			}
		}
		if refreshes < 7 || refreshes > 8 || len(asked) != 2*refreshes {
			t.Errorf("%d REGISTERs for %d bindings, want 7 or 8 with a challenge each", len(asked), refreshes)
		}
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
		if b := d.bindings["alice"]; len(b) != 1 || !b[0].contact.Equal(other) {
			t.Errorf("bindings after Close: %v, want that of the other phone", b)
		}
		d.asked()
		if err := reg.Close(); err != nil || len(d.asked()) != 0 {
			t.Errorf("second Close() = %v", err)
		}
	})
}

// The registrar is away for two hours: the agent asks again, less and less
// often, is told of each failure, and is back when the registrar is.
func TestRegistrarDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		d := newDomain(t, n)
		d.most = 600
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", atDomain(ua.Config{}))
		var mu sync.Mutex
		var failed []time.Time
		reg, err := alice.Register(t.Context(), &ua.RegisterOptions{OnError: func(err error) {
			if !errors.Is(err, transaction.ErrTimeout) {
				t.Errorf("OnError(%v), want ErrTimeout", err)
			}
			mu.Lock()
			failed = append(failed, time.Now())
			mu.Unlock()
		}})
		if err != nil {
			t.Fatal(err)
		}
		seq := d.asked()[1].seq
		n.Host("192.0.2.100").Down()
		time.Sleep(2 * time.Hour)
		n.Host("192.0.2.100").Up()
		mu.Lock()
		if len(failed) < 7 || len(failed) > 12 {
			t.Errorf("%d tries in two hours", len(failed))
		}
		for i := range failed {
			if i == 0 {
				continue
			}
			pause := failed[i].Sub(failed[i-1]) - 32*time.Second // of the transaction
			most := min(30*time.Second<<i, 30*time.Minute)       // RFC 5626 section 4.5
			if pause < most/2 || pause > most+time.Second {
				t.Errorf("pause %d is %v, want %v to %v", i, pause, most/2, most)
			}
		}
		mu.Unlock()
		time.Sleep(31 * time.Minute)
		asked := d.asked()
		if len(asked) == 0 || asked[len(asked)-1].status != sip.StatusOK {
			t.Fatalf("the registrar is back and got %v", asked)
		}
		for _, r := range asked {
			if r.seq <= seq {
				t.Errorf("CSeq %d after %d", r.seq, seq)
			}
			seq = r.seq
		}
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
	})
}

// What the registrar may say to the first REGISTER, and how many there are.
func TestRegisterAnswers(t *testing.T) {
	for _, test := range []struct {
		name     string
		password string
		expires  time.Duration
		set      func(*domain)
		want     error
		expiries []uint32 // of each REGISTER
	}{
		{name: "accepted", expiries: []uint32{3600, 3600}},
		{name: "wrong password", password: "wrong", want: ua.ErrPassword, expiries: []uint32{3600, 3600}},
		{name: "no password", password: "-", want: ua.ErrPassword, expiries: []uint32{3600}},
		{name: "too brief", expires: time.Minute, set: func(d *domain) { d.least = 300 }, expiries: []uint32{60, 60, 300}},
		{name: "too brief again", expires: time.Minute, set: func(d *domain) { d.least, d.raise = 300, 900 }, want: sip.StatusIntervalTooBrief, expiries: []uint32{60, 60, 300}},
		{name: "half a second", expires: time.Second / 2, expiries: []uint32{1, 1}},
		{name: "refused", set: func(d *domain) { d.refuse = sip.StatusForbidden }, want: sip.StatusForbidden, expiries: []uint32{3600}},
		{name: "too brief for ever", set: func(d *domain) { d.refuse = sip.StatusIntervalTooBrief }, want: sip.StatusIntervalTooBrief, expiries: []uint32{3600}},
		{name: "too brief for no reason", set: func(d *domain) { d.refuse, d.least = sip.StatusIntervalTooBrief, 3600 },
			want: sip.StatusIntervalTooBrief, expiries: []uint32{3600}},
		{name: "no time granted", set: func(d *domain) { d.most = 0 }, want: errAny, expiries: []uint32{3600, 3600}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				d := newDomain(t, n)
				if test.set != nil {
					test.set(d)
				}
				cfg := atDomain(ua.Config{})
				switch test.password {
				case "":
				case "-":
					cfg.Password = ""
				default:
					cfg.Password = test.password
				}
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", cfg)
				reg, err := alice.Register(t.Context(), &ua.RegisterOptions{Expires: test.expires})
				if (err == nil) != (test.want == nil) || test.want != nil && test.want != errAny && !errors.Is(err, test.want) {
					t.Errorf("Register() = %v, want %v", err, test.want)
				}
				var expiries []uint32
				for _, r := range d.asked() {
					expiries = append(expiries, r.expires)
				}
				if fmt.Sprint(expiries) != fmt.Sprint(test.expiries) {
					t.Errorf("REGISTERs asked for %v, want %v", expiries, test.expiries)
				}
				if reg != nil {
					reg.Close()
				}
				d.asked()
				alice.Close()
				if asked := d.asked(); len(asked) != 0 {
					t.Errorf("closing the agent sent %v", asked)
				}
			})
		})
	}
}

var errAny = errors.New("any error")

// The address of record says how its registrar is reached: the Request-URI of a REGISTER does, too,
// but not From and To (RFC 3261 sections 10.2 and 19.1.1). So do the questions for the bindings.
func TestRegisterAsAddressSays(t *testing.T) {
	for aor, want := range map[string]string{
		"sip:alice@192.0.2.2":                               "UDP to sip:192.0.2.2",
		"sip:alice@192.0.2.2;transport=tcp":                 "TCP to sip:192.0.2.2;transport=tcp",
		"sip:alice@a.example;maddr=192.0.2.2;transport=TCP": "TCP to sip:a.example;transport=TCP;maddr=192.0.2.2",
		"sip:alice@192.0.2.2:5060;lr;method=INVITE;x=y":     "UDP to sip:192.0.2.2:5060",
	} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			var got []string
			newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
				got = append(got, fmt.Sprintf("%s to %s", tx.Flow().Transport(), req.URI()))
				if from, to := req.From().URI, req.To().URI; from.String() != to.String() || from.Params.Has("transport") || from.Params.Has("maddr") {
					t.Errorf("From is %s, and To %s", from, to)
				}
				if contact, err := sip.Get[sip.Contact](req); err == nil {
					tx.Reply(sip.StatusOK, contact, sip.Expires(3600))
				} else {
					tx.Reply(sip.StatusOK)
				}
			})
			alice := newAgent(t, n, "192.0.2.1", aor, ua.Config{})
			reg, err := alice.Register(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := alice.Bindings(t.Context(), nil); err != nil {
				t.Error(err)
			}
			reg.Close()
			if want := slices.Repeat([]string{want}, 3); !slices.Equal(got, want) {
				t.Errorf("%s: REGISTERs by %q, want %q", aor, got, want)
			}
		})
	}
}

// Of a wrong and a missing password, the digest's error says which.
func TestPasswordErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newDomain(t, n)
		for i, want := range []error{digest.ErrRefused, digest.ErrNoCredentials} {
			cfg := atDomain(ua.Config{})
			cfg.Password = []string{"wrong", ""}[i]
			a := newAgent(t, n, fmt.Sprintf("192.0.2.%d", i+1), "sip:alice@a.example", cfg)
			_, err := a.Register(t.Context(), nil)
			if !errors.Is(err, ua.ErrPassword) || !errors.Is(err, want) || !errors.Is(err, sip.StatusUnauthorized) {
				t.Errorf("Register() = %v, want ErrPassword, 401 and %v", err, want)
			}
		}
	})
}

// Something on the way rewrites the Contact: the shortest binding counts.
func TestRegisterRewrittenContact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		var count atomic.Int32
		newPeer(t, n, "192.0.2.100", func(tx *transaction.Server, _ *sip.Request) {
			count.Add(1)
			contact := contactAt("198.51.100.1")
			contact.Params = ";expires=60"
			tx.Reply(sip.StatusOK, contact)
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", atDomain(ua.Config{}))
		if _, err := alice.Register(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if n := count.Load(); n < 11 || n > 14 {
			t.Errorf("%d REGISTERs in ten minutes, want one for each minute", n)
		}
	})
}

// Close in the middle of a refresh that nobody answers, and of a first attempt
// that nobody answers: both end, and the last word is that the binding goes.
func TestRegisterCloseMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		d := newDomain(t, n)
		d.most = 100
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", atDomain(ua.Config{}))
		reg, err := alice.Register(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		n.Host("192.0.2.100").Down()
		time.Sleep(95 * time.Second)
		n.Host("192.0.2.100").Up()
		start := time.Now()
		if err := reg.Close(); err != nil || time.Since(start) > 2*time.Second {
			t.Errorf("Close() = %v after %v", err, time.Since(start))
		}
		asked := d.asked()
		if last := asked[len(asked)-1]; last.expires != 0 || last.status != sip.StatusOK {
			t.Errorf("the last REGISTER is %+v", last)
		}
		time.Sleep(time.Hour)
		if asked := d.asked(); len(asked) != 0 {
			t.Errorf("REGISTERs after Close: %v", asked)
		}

		n.Host("192.0.2.100").Down()
		result := make(chan error, 1)
		go func() {
			_, err := alice.Register(context.Background(), nil)
			result <- err
		}()
		time.Sleep(time.Second)
		start = time.Now()
		alice.Close()
		if err := <-result; !errors.Is(err, ua.ErrClosed) {
			t.Errorf("Register() of a closed agent = %v, want ErrClosed", err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("Close took %v", took)
		}
	})
}

// The context of Register ends while the registrar thinks. The binding that it
// makes all the same is removed, and Shutdown waits for that.
func TestRegisterGivenUp(t *testing.T) {
	for _, shutdown := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
			bound := -1
			newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
				expires, _ := sip.Get[sip.Expires](req)
				contact, _ := sip.Get[sip.Contact](req)
				time.Sleep(time.Second)
				bound = int(expires)
				tx.Reply(sip.StatusOK, contact, expires)
			})
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Proxy: "sip:192.0.2.2"})
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			start := time.Now()
			if _, err := alice.Register(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Register() = %v, want the error of the context", err)
			}
			if took := time.Since(start); took != 500*time.Millisecond {
				t.Errorf("Register took %v, want 500ms", took)
			}
			if shutdown {
				shutDown(t, alice)
			} else {
				time.Sleep(10 * time.Second)
			}
			synctest.Wait()
			if bound != 0 {
				t.Errorf("the contact is bound for %d s, want 0", bound)
			}
		})
	}
}

// A registrar that grants no time to a refresh has no binding any more, and the registration
// says so.
func TestRefreshNotGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		d := newDomain(t, n)
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", atDomain(ua.Config{}))
		reg, err := alice.Register(t.Context(), &ua.RegisterOptions{OnError: func(error) {}})
		if err != nil {
			t.Fatal(err)
		}
		d.mu.Lock()
		d.most = 0
		d.mu.Unlock()
		if err := reg.Refresh(t.Context()); err == nil || reg.Err() == nil || !reg.Expires().IsZero() {
			t.Errorf("Refresh() = %v, Err() = %v, Expires() = %v, want no binding", err, reg.Err(), reg.Expires())
		}
	})
}
