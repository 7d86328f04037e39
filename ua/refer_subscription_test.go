package ua_test

import (
	"context"
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

// Who has sent a REFER asks for more of it with SUBSCRIBE, and then for no more (RFC 3515 section
// 2.4.4): each SUBSCRIBE has its NOTIFY, and nothing comes after the last.
func TestReferSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		referrals := make(chan *ua.Referral, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnRefer: func(_ context.Context, r *ua.Referral) {
			r.Accept()
			referrals <- r
		}})
		notifies := make(chan string, 9)
		var d *dialog.Dialog
		stranger := newCaller(t, n, "192.0.2.9", &dialog.Config{OnRequest: func(tx *dialog.Server, req *sip.Request) {
			state, _ := sip.Get[sip.SubscriptionState](req)
			d = tx.Dialog()
			tx.Reply(sip.StatusOK)
			notifies <- state.State + " " + strings.TrimSpace(req.Body())
		}})
		_, err := stranger.Subscribe(t.Context(), request(sip.REFER, bobURI, contactAt("192.0.2.9"), sip.ReferTo{URI: sip.URI{Scheme: "sip", Host: "192.0.2.3"}}), nil)
		if err != nil {
			t.Fatal(err)
		}
		r := <-referrals
		r.Report(180)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if d == nil {
			t.Fatal("no NOTIFY has come")
		}
		for len(notifies) > 0 {
			<-notifies
		}
		for _, step := range []struct {
			expires sip.Expires
			want    string
		}{{60, "active SIP/2.0 180 Ringing"}, {0, "terminated SIP/2.0 180 Ringing"}} {
			resp, err := d.Do(t.Context(), sip.SUBSCRIBE, sip.Event{Package: "refer"}, step.expires)
			if err != nil || resp.Status() != 200 {
				t.Fatalf("the SUBSCRIBE got %v, %v", resp, err)
			}
			if got := <-notifies; got != step.want {
				t.Errorf("the NOTIFY is %q, want %q", got, step.want)
			}
		}
		r.Report(200)
		time.Sleep(time.Minute)
		if len(notifies) != 0 {
			t.Errorf("one more NOTIFY came: %s", <-notifies)
		}
	})
}

// referral is a REFER that Bob has accepted, within a call, and what he tells of it.
type referral struct {
	*ua.Referral
	n    *siptest.Network
	bob  *ua.Agent
	d    *dialog.Dialog  // of who has sent it
	told chan string     // "active;expires=300 100"
	no   chan sip.Status // what the next NOTIFYs are refused with
}

// newReferral has Bob do something about a REFER, which asks for Carol; nil accepts it.
func newReferral(t *testing.T, refer func(context.Context, *ua.Referral)) *referral {
	t.Helper()
	if refer == nil {
		refer = func(_ context.Context, r *ua.Referral) { r.Accept() }
	}
	x := &referral{n: siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond}), told: make(chan string, 99), no: make(chan sip.Status, 99)}
	referrals := make(chan *ua.Referral, 1)
	x.bob = newAgent(t, x.n, "192.0.2.2", "sip:bob@b.example", ua.Config{
		OnInvite: answerWith(make(chan *ua.Call, 1), newStream(t)),
		OnRefer: func(ctx context.Context, r *ua.Referral) {
			referrals <- r
			refer(ctx, r)
		},
	})
	alice := newCaller(t, x.n, "192.0.2.1", &dialog.Config{OnRequest: func(tx *dialog.Server, req *sip.Request) {
		if req.Method() == sip.NOTIFY {
			state, _ := req.Value("Subscription-State")
			x.told <- state + " " + strings.Fields(req.Body())[1]
			if len(x.no) > 0 {
				tx.Reply(<-x.no, sip.RetryAfter{Seconds: 40})
				return
			}
		}
		tx.Reply(sip.StatusOK)
	}})
	s, _, err := alice.Invite(t.Context(), request(sip.INVITE, bobURI, describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0")), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Ack(t.Context())
	x.d = &s.Dialog
	if resp, err := x.d.Do(t.Context(), sip.REFER, sip.ReferTo{URI: mustURI(carolURI)}); err != nil || !resp.Status().Success() {
		t.Fatal(resp, err)
	}
	x.Referral = <-referrals
	return x
}

// want waits, and compares what came since.
func (x *referral) want(t *testing.T, wait time.Duration, want string) {
	t.Helper()
	time.Sleep(wait)
	var got []string
	for len(x.told) > 0 {
		got = append(got, <-x.told)
	}
	if got := strings.Join(got, ", "); got != want {
		t.Errorf("Bob told %q, want %q", got, want)
	}
}

func (x *referral) subscribe(t *testing.T, expires sip.Expires) {
	t.Helper()
	resp, err := x.d.Do(t.Context(), sip.SUBSCRIBE, sip.Event{Package: "refer"}, expires)
	if err != nil {
		t.Fatal(err)
	}
	if granted, err := sip.Get[sip.Expires](resp); err != nil || granted != expires {
		t.Errorf("the SUBSCRIBE got %v, want what it asks for", resp)
	}
}

// What is told keeps to the time that a SUBSCRIBE got, and after the last NOTIFY there is none,
// also if there was news that waited.
func TestReferSubscriptionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newReferral(t, nil)
		x.want(t, 200*time.Millisecond, "active;expires=300 100")
		x.subscribe(t, 10)
		x.want(t, 3*time.Second, "active;expires=10 100")
		x.Report(180)
		x.want(t, 100*time.Millisecond, "active;expires=7 180")
		x.Report(181) // waits for the interval
		x.subscribe(t, 0)
		x.want(t, 10*time.Second, "terminated;reason=timeout 181")
		x.Report(200)
		x.want(t, 10*time.Second, "")
	})
	synctest.Test(t, func(t *testing.T) {
		x := newReferral(t, nil)
		x.subscribe(t, 10)
		x.Report(180)
		time.Sleep(9 * time.Second)
		for len(x.told) > 0 {
			<-x.told
		}
		x.want(t, 2*time.Second, "terminated;reason=timeout 180")
		x.Report(200) // too late
		x.want(t, time.Second, "")
	})
}

// Bob accepts a REFER, and never says what has become of it: Alice hears of that when the time
// is over that she was told, and he does not know of it any more.
func TestReferNeverReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newReferral(t, nil)
		x.want(t, time.Second, "active;expires=300 100")
		time.Sleep(298 * time.Second)
		if _, _, others := x.bob.Left(); others != 1 {
			t.Errorf("Bob knows of %d referrals, want one", others)
		}
		x.want(t, 2*time.Second, "terminated;reason=timeout 100")
		if _, _, others := x.bob.Left(); others != 0 {
			t.Errorf("Bob knows of %d referrals in the end", others)
		}
	})
}

// Alice refuses a NOTIFY, for she is busy: she is told again, when she wants to be or when she asks
// (RFC 6665 section 4.2.2). It is over if what she says ends it, or the time is.
func TestReferNotifyRefused(t *testing.T) {
	for _, test := range []struct {
		name  string
		no    []sip.Status
		after func(t *testing.T, x *referral)
	}{
		{"once", []sip.Status{sip.StatusServiceUnavailable}, func(t *testing.T, x *referral) {
			x.Report(200)
			x.want(t, 37*time.Second, "")
			x.want(t, 3*time.Second, "terminated;reason=noresource 200")
		}},
		{"twice", []sip.Status{sip.StatusServerInternalError, sip.StatusServerInternalError}, func(t *testing.T, x *referral) {
			x.want(t, 40*time.Second, "active;expires=258 180")
			x.Report(200)
			x.want(t, time.Minute, "terminated;reason=noresource 200")
		}},
		{"and she asks", []sip.Status{sip.StatusServiceUnavailable}, func(t *testing.T, x *referral) {
			x.subscribe(t, 100)
			x.want(t, time.Second, "active;expires=100 180")
			x.Report(200)
			x.want(t, time.Second, "terminated;reason=noresource 200")
		}},
		{"for ever", slices.Repeat([]sip.Status{sip.StatusServerInternalError}, 99), func(t *testing.T, x *referral) {
			time.Sleep(5 * time.Minute)
			for len(x.told) > 1 {
				<-x.told
			}
			x.want(t, 0, "terminated;reason=timeout 180")
		}},
		{"for good", []sip.Status{sip.StatusCallDoesNotExist}, func(t *testing.T, x *referral) {
			x.Report(200)
			x.want(t, 10*time.Minute, "")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newReferral(t, nil)
				x.want(t, 2*time.Second, "active;expires=300 100")
				for _, status := range test.no {
					x.no <- status
				}
				x.Report(180)
				x.want(t, time.Second, "active;expires=298 180")
				test.after(t, x)
				if _, _, others := x.bob.Left(); others != 0 {
					t.Errorf("Bob knows of %d referrals in the end", others)
				}
			})
		})
	}
}

// Alice goes on subscribing: within an hour there is an end.
func TestReferSubscribedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newReferral(t, nil)
		for range 13 {
			time.Sleep(4 * time.Minute)
			x.subscribe(t, 300)
		}
		time.Sleep(4 * time.Minute)
		resp, err := x.d.Do(t.Context(), sip.SUBSCRIBE, sip.Event{Package: "refer"}, sip.Expires(300))
		if err != nil {
			t.Fatal(err)
		}
		if granted, _ := sip.Get[sip.Expires](resp); granted != 239 {
			t.Errorf("after 56 minutes she got %v, want what is left of an hour", resp)
		}
		x.want(t, time.Second, strings.Repeat("active;expires=300 100, ", 14)+"active;expires=239 100")
		x.want(t, 4*time.Minute, "terminated;reason=timeout 100")
		if _, _, others := x.bob.Left(); others != 0 {
			t.Errorf("Bob knows of %d referrals in the end", others)
		}
	})
}

// Bob shuts down while the call rings that he was to place: who wants it is told that it is
// over, and so is who waits for what only the program knows.
func TestReferShutdown(t *testing.T) {
	for _, test := range []struct {
		name  string
		refer func(context.Context, *ua.Referral)
		want  string
	}{
		{"a call", func(ctx context.Context, r *ua.Referral) { r.Invite(ctx, nil) }, "terminated;reason=noresource 487"},
		{"something else", nil, "terminated;reason=noresource 100"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newReferral(t, test.refer)
				newPeer(t, x.n, "192.0.2.3", func(tx *transaction.Server, req *sip.Request) {
					if req.Method() == sip.INVITE {
						tx.Reply(sip.StatusRinging)
						<-tx.Context().Done()
						tx.Reply(sip.StatusRequestTerminated)
					}
				})
				time.Sleep(5 * time.Second)
				for len(x.told) > 0 {
					<-x.told
				}
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				if err := x.bob.Shutdown(ctx); err != nil {
					t.Errorf("Shutdown() = %v", err)
				}
				x.want(t, time.Minute, test.want)
			})
		})
	}
}
