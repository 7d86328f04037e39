package dialog_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// The callee wants a longer interval: 422 with Min-SE, and the caller asks again, with
// the same Call-ID and tags and the next number (RFC 4028 sections 7.3 and 9).
func TestIntervalTooSmall(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		bob := newLayer(t, n, bobAddr, &dialog.Config{
			SessionTimer: &dialog.SessionTimer{Min: 10 * time.Minute}, OnInvite: accepting(t, sessions)})
		alice := newLayer(t, n, aliceAddr, &dialog.Config{SessionTimer: &dialog.SessionTimer{Interval: 2 * time.Minute}})
		s := call(t, alice, "sip:bob@"+bobAddr, "1")
		time.Sleep(time.Second)
		wantLadder(t, n, "alice: INVITE 1", "bob: 422 INVITE 1", "alice: ACK 1",
			"alice: INVITE 2", "bob: 200 INVITE 2", "alice: ACK 2")
		first, second := sent(n, aliceAddr, "INVITE 1")[0], sent(n, aliceAddr, "INVITE 2")[0]
		if first.CallID() != second.CallID() || first.From().Tag() != second.From().Tag() || second.To().Tag() != "" {
			t.Errorf("the second INVITE is no repetition of the first:\n%s", second)
		}
		for _, name := range []string{"Session-Expires", "Min-SE"} {
			if got, _ := second.Value(name); got != "600" {
				t.Errorf("the second INVITE has %s %q, want 600", name, got)
			}
		}
		if got, _ := sent(n, bobAddr, "422 INVITE 1")[0].Value("Min-SE"); got != "600" {
			t.Errorf("the 422 has Min-SE %q, want 600", got)
		}
		if err := s.Bye(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		wantEmpty(t, alice, bob)
	})
}

// A program that says an interval itself hears that it is too short: the same again would
// be refused again. What the peer wants is known for later requests.
func TestIntervalOfTheProgramTooSmall(t *testing.T) {
	for _, method := range []sip.Method{sip.INVITE, sip.UPDATE} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			alice := newLayer(t, n, aliceAddr, &dialog.Config{SessionTimer: &dialog.SessionTimer{Interval: 2 * time.Minute}})
			c := place(t.Context(), t, alice)
			p.reply(p.expect("INVITE 1"), sip.StatusOK, p.contact())
			s := c.answered()
			p.expect("ACK 1")
			ask := func(edits ...sip.Edit) chan sip.Status {
				result := make(chan sip.Status, 1)
				go func() { // ends with the answer
					send := s.Do
					if method == sip.INVITE {
						send = func(ctx context.Context, _ sip.Method, edits ...sip.Edit) (*sip.Response, error) {
							return s.Invite(ctx, nil, edits...)
						}
					}
					resp, err := send(t.Context(), method, edits...)
					if err != nil {
						t.Error(err)
						result <- 0
						return
					}
					result <- resp.Status()
				}()
				return result
			}
			result := ask(sip.SessionExpires{Seconds: 100})
			p.reply(p.expect(summaryOf(method, 2)), sip.StatusSessionIntervalTooSmall, sip.MinSE(200))
			if got, want := <-result, sip.StatusSessionIntervalTooSmall; got != want {
				t.Errorf("%s: the answer is %d, want %d", method, got, want)
			}
			p.silent(time.Second, "ACK 2")
			result = ask()
			in := p.expect(summaryOf(method, 3))
			if got, _ := in.Message.Value("Session-Expires"); got != "200" {
				t.Errorf("%s: the next one asks for %q, want 200", method, got)
			}
			p.reply(in, sip.StatusNotAcceptableHere)
			<-result
			p.silent(time.Second, "ACK 3")
		})
	}
}

// Every proxy on the way has its own least interval, and one of them asks for more
// each time, or always for the same: the caller gives up after a few.
func TestIntervalTooSmallAgainAndAgain(t *testing.T) {
	for _, test := range []struct {
		name   string
		least  []uint32 // of each 422
		asks   []string // Session-Expires of each INVITE
		accept bool
	}{
		{"two proxies", []uint32{200, 3600}, []string{"120", "200", "3600"}, true},
		{"the same again", []uint32{200, 200}, []string{"120", "200"}, false},
		{"less the next time", []uint32{200, 100}, []string{"120", "200"}, false},
		{"without end", []uint32{200, 300, 400, 500, 600}, []string{"120", "200", "300", "400"}, false},
		{"without saying", []uint32{0}, []string{"120"}, false},
	} {
		for _, method := range []string{"INVITE", "re-INVITE", "UPDATE"} {
			t.Run(test.name+", "+method, func(t *testing.T) {
				story(t, func(t *testing.T, n *siptest.Network) {
					p := newPeer(t, n, bobAddr)
					alice := newLayer(t, n, aliceAddr, &dialog.Config{SessionTimer: &dialog.SessionTimer{Interval: 2 * time.Minute}})
					c := place(t.Context(), t, alice)
					seq := 1
					var s *dialog.Session
					result := make(chan sip.Status, 1)
					m := sip.Method(strings.TrimPrefix(method, "re-"))
					if method != "INVITE" {
						p.reply(p.expect("INVITE 1"), sip.StatusOK, p.contact())
						s = c.answered()
						p.expect("ACK 1")
						seq = 2
						go func() { // ends with the last answer
							var resp *sip.Response
							var err error
							if m == sip.UPDATE {
								resp, err = s.Do(t.Context(), sip.UPDATE)
							} else {
								resp, err = s.Invite(t.Context(), nil)
							}
							if err != nil {
								t.Error(err)
								result <- 0
								return
							}
							result <- resp.Status()
						}()
					}
					for i, asks := range test.asks {
						in := p.expect(summaryOf(m, seq))
						if got, _ := in.Message.Value("Session-Expires"); got != asks {
							t.Errorf("request %d asks for %q, want %q", i, got, asks)
						}
						if i == len(test.least) {
							p.reply(in, sip.StatusOK, p.contact())
							break
						}
						var least []sip.Edit
						if test.least[i] != 0 {
							least = append(least, sip.MinSE(test.least[i]))
						}
						p.reply(in, sip.StatusSessionIntervalTooSmall, least...)
						if m == sip.INVITE {
							p.expect(summaryOf(sip.ACK, seq))
						}
						seq++
					}
					if method == "INVITE" {
						a := <-c.result
						s = a.s
						result <- a.resp.Status()
					}
					got, want := <-result, sip.StatusSessionIntervalTooSmall
					if test.accept {
						want = sip.StatusOK
					}
					if got != want {
						t.Errorf("the answer is %d, want %d", got, want)
					}
					p.silent(time.Second)
				})
			})
		}
	}
}

// An interval that the peer asks for within the call may be too short, too.
func TestPeerAsksForTooShortAnInterval(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		newLayer(t, n, bobAddr, &dialog.Config{SessionTimer: &dialog.SessionTimer{}, OnInvite: accepting(t, nil)})
		p := newPeer(t, n, aliceAddr)
		short := p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "0", p.contact(), timers, expires("89")))
		refusal := p.expect("422 INVITE 1").Message
		p.refused(bobAddr, short, refusal)
		ok := p.calls(bobAddr, "1", timers, expires("90"))
		re := p.send(bobAddr, p.within(ok, sip.INVITE, 2, p.contact(), timers, expires("10")))
		p.refused(bobAddr, re, p.expect("422 INVITE 2").Message)
		p.send(bobAddr, p.within(ok, sip.UPDATE, 3, p.contact(), timers, expires("10")))
		if got, _ := p.expect("422 UPDATE 3").Message.Value("Min-SE"); got != "90" {
			t.Errorf("Min-SE %q, want 90", got)
		}
		p.send(bobAddr, p.within(ok, sip.UPDATE, 4, p.contact(), timers, expires("90")))
		p.expect("200 UPDATE 4") // and the one before is not in the way
	})
}

// A peer that knows nothing of timers has none (RFC 4028 section 7.2). If a proxy
// asks on its behalf, it is for us to refresh.
func TestPeerWithoutSessionTimers(t *testing.T) {
	for _, who := range []string{"caller", "caller with a proxy"} {
		t.Run(who, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				cfg := &dialog.Config{SessionTimer: &dialog.SessionTimer{}, OnInvite: accepting(t, nil)}
				p := newPeer(t, n, aliceAddr)
				newLayer(t, n, bobAddr, cfg)
				var edits []sip.Edit
				if who == "caller with a proxy" {
					edits = append(edits, expires("1800"))
				}
				ok := p.calls(bobAddr, "1", edits...)
				se, err := sip.Get[sip.SessionExpires](ok)
				if len(edits) == 0 {
					if err == nil {
						t.Errorf("the 200 says %v", se)
					}
					p.silent(10 * time.Hour)
					return
				}
				if se.Seconds != 1800 || se.Refresher() != "uas" {
					t.Errorf("the 200 says %v, %v, want 1800 by us", se, err)
				}
				if _, has := ok.Value("Require"); has {
					t.Error("the 200 requires something of who does not know it")
				}
				start := time.Now()
				for i := range 3 {
					update := p.expect(summaryOf(sip.UPDATE, i+1))
					if got, want := update.Time.Sub(start).Round(time.Second), time.Duration(i+1)*15*time.Minute; got != want {
						t.Errorf("refresh %d comes after %v, want %v", i, got, want)
					}
					p.reply(update, sip.StatusOK, p.contact(), expires("1800;refresher=uac"))
				}
			})
		})
	}
}

// The callee has no timers: nothing is sent, for hours.
func TestCalleeWithoutSessionTimers(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{SessionTimer: &dialog.SessionTimer{}})
		c := place(t.Context(), t, alice)
		p.reply(p.expect("INVITE 1"), sip.StatusOK, p.contact())
		c.answered()
		p.expect("ACK 1")
		p.silent(10 * time.Hour)
	})
}

// The interval changes in mid-call, by an answer to us and by a request of the peer,
// and a 200 without one ends the timer.
func TestIntervalChanges(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p, _, invite := upWithTimer(t, n, &dialog.SessionTimer{})
		start := time.Now()
		after := func(what string, want time.Duration) *transport.Inbound {
			t.Helper()
			in := p.expect(what)
			if got := in.Time.Sub(start).Round(time.Second); got != want {
				t.Errorf("%s comes after %v, want %v", what, got, want)
			}
			start = in.Time
			return in
		}
		p.reply(after("UPDATE 2", 5*time.Minute), sip.StatusOK, p.contact(), expires("200;refresher=uac"))
		p.reply(after("UPDATE 3", 100*time.Second), sip.StatusOK, p.contact(), expires("200;refresher=uac"))
		time.Sleep(50 * time.Second)
		p.send(aliceAddr, p.back(invite, tagged(invite, "b"), sip.UPDATE, 1, p.contact(), timers, expires("100;refresher=uas")))
		p.expect("200 UPDATE 1")
		start = time.Now()
		p.reply(after("UPDATE 4", 50*time.Second), sip.StatusOK, p.contact()) // no timer any more
		p.silent(time.Hour)
		p.send(aliceAddr, p.back(invite, tagged(invite, "b"), sip.UPDATE, 2, p.contact(), timers, expires("90;refresher=uac")))
		p.expect("200 UPDATE 2")
		start = time.Now()
		after("BYE 5", 60*time.Second)
	})
}

// An interval below the Min-SE beside it, or below 90 s on behalf of a caller without
// timers, which 422 would cost the call, may neither be granted nor be raised (RFC 4028
// sections 8.1 and 9): there is no timer. Within the call that ends the one there was.
func TestIntervalBelowTheLeast(t *testing.T) {
	for name, asks := range map[string][]sip.Edit{
		"less than there may be":                      {expires("30")},
		"less than a proxy wants":                     {expires("100"), sip.MinSE(120)},
		"less than the caller says, who knows timers": {timers, expires("100"), sip.MinSE(120)},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				newLayer(t, n, bobAddr, &dialog.Config{SessionTimer: &dialog.SessionTimer{}, OnInvite: accepting(t, nil)})
				p := newPeer(t, n, aliceAddr)
				none := func(ok sip.Message) {
					t.Helper()
					if se, has := ok.Value("Session-Expires"); has {
						t.Errorf("%s says %q", summary(ok), se)
					}
					if required, has := ok.Value("Require"); has {
						t.Errorf("%s requires %q", summary(ok), required)
					}
					p.silent(time.Hour)
				}
				ok := p.calls(bobAddr, "1", asks...)
				none(ok)
				p.send(bobAddr, p.within(ok, sip.UPDATE, 2, p.contact(), timers, expires("200;refresher=uas")))
				p.expect("200 UPDATE 2")
				p.reply(p.expect("UPDATE 1"), sip.StatusOK, p.contact(), expires("200;refresher=uac"))
				time.Sleep(time.Second)
				p.send(bobAddr, p.within(ok, sip.UPDATE, 3, append(asks, p.contact())...))
				none(p.expect("200 UPDATE 3").Message)
			})
		})
	}
}

// Our refreshes name the largest Min-SE that requests of the peer have said, be they
// refused and be it the 90 s that are meant without (RFC 4028 section 7.4).
func TestMinSEOfPeer(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		newLayer(t, n, bobAddr, &dialog.Config{SessionTimer: &dialog.SessionTimer{}, OnInvite: accepting(t, nil)})
		p := newPeer(t, n, aliceAddr)
		ok := p.calls(bobAddr, "1", timers, expires("200;refresher=uas"), sip.MinSE(90))
		seq := 0
		refresh := func(interval, least string) {
			t.Helper()
			seq++
			update := p.expect(summaryOf(sip.UPDATE, seq))
			se, _ := update.Message.Value("Session-Expires")
			min, _ := update.Message.Value("Min-SE")
			if se != interval+";refresher=uac" || min != least {
				t.Errorf("the refresh has Session-Expires %q and Min-SE %q, want %s by us and %q", se, min, interval, least)
			}
			p.reply(update, sip.StatusOK, p.contact(), expires(interval+";refresher=uac"))
		}
		refresh("200", "90")
		p.send(bobAddr, p.within(ok, sip.UPDATE, 2, p.contact(), timers, expires("80"), sip.MinSE(300)))
		p.expect("422 UPDATE 2")
		refresh("300", "300")
		p.send(bobAddr, p.within(ok, sip.UPDATE, 3, p.contact(), timers, expires("200;refresher=uas"), sip.MinSE(100)))
		p.expect("200 UPDATE 3")
		refresh("300", "300")
	})
}
