package dialog

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
)

// The one that refreshes does so at half of the interval, and tries again at half of
// what is left; a call that was not refreshed ends a third of the interval, but no
// more than 32 s, before that is over (RFC 4028 sections 7.2 and 10).
func TestTimerOfASession(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		interval time.Duration
		refresh  bool
		tries    int
		at, want time.Duration // since the last refresh
	}{
		{90 * time.Second, false, 0, 0, 60 * time.Second},
		{96 * time.Second, false, 0, 0, 64 * time.Second},
		{97 * time.Second, false, 0, 0, 65 * time.Second},
		{30 * time.Minute, false, 0, 0, 30*time.Minute - 32*time.Second},
		{30 * time.Minute, false, 0, time.Minute, 30*time.Minute - 32*time.Second},
		{30 * time.Minute, true, 0, 0, 15 * time.Minute},
		{30 * time.Minute, true, 1, 15 * time.Minute, 15*time.Minute + 434*time.Second},
		{30 * time.Minute, true, 2, 15*time.Minute + 434*time.Second, 15*time.Minute + 651*time.Second},
		{30 * time.Minute, true, 9, 30*time.Minute - 34*time.Second, 30*time.Minute - 32*time.Second},
		{30 * time.Minute, true, 9, 30*time.Minute - 33*time.Second, 30*time.Minute - 32*time.Second},
		{90 * time.Second, true, 0, 0, 45 * time.Second},
		{3 * time.Second, true, 0, 0, 1500 * time.Millisecond},
	} {
		timer := timer{interval: test.interval, refresh: test.refresh, since: start, tries: test.tries}
		if got := timer.nextAt(start.Add(test.at)).Sub(start); got != test.want {
			t.Errorf("interval %v, refresher %v, try %d at %v: next at %v, want %v",
				test.interval, test.refresh, test.tries, test.at, got, test.want)
		}
	}
}

// timedLayer is one with session timers and nothing else.
func timedLayer(cfg *SessionTimer) *Layer { return &Layer{cfg: Config{SessionTimer: cfg}} }

// The 2xx of the callee: RFC 4028 section 9 with its table 2.
func TestAnswerOfASessionTimer(t *testing.T) {
	standard := &SessionTimer{}
	for _, test := range []struct {
		name    string
		cfg     *SessionTimer
		request []string
		answer  []string // what the program says itself
		want    string   // Session-Expires
		require bool
	}{
		{"the caller knows timers, and asks for none", standard, []string{"Supported: timer"}, nil, "1800;refresher=uac", true},
		{"no more than it has as the least", standard, []string{"Supported: timer", "Min-SE: 3600"}, nil, "3600;refresher=uac", true},
		{"the caller leaves it open", standard, []string{"Supported: timer", "Session-Expires: 600"}, nil, "600;refresher=uac", true},
		{"the caller refreshes", standard, []string{"k: TIMER", "x: 600;refresher=uac"}, nil, "600;refresher=uac", true},
		{"the callee is to", standard, []string{"Supported: timer", "Session-Expires: 600;refresher=uas"}, nil, "600;refresher=uas", true},
		{"it asks for more than we want", &SessionTimer{Interval: 5 * time.Minute},
			[]string{"Supported: timer", "Session-Expires: 7200"}, nil, "300;refresher=uac", true},
		{"but its proxies want that", &SessionTimer{Interval: 5 * time.Minute},
			[]string{"Supported: timer", "Session-Expires: 7200", "Min-SE: 3600"}, nil, "3600;refresher=uac", true},
		{"a proxy asks, for a caller that does not know timers", standard, []string{"Session-Expires: 600"}, nil, "600;refresher=uas", false},
		{"for less than we want", &SessionTimer{Min: 10 * time.Minute}, []string{"Session-Expires: 120"}, nil, "120;refresher=uas", false},
		{"for less than there may be", standard, []string{"Session-Expires: 89"}, nil, "", false},
		{"for nothing", standard, []string{"Session-Expires: 0"}, nil, "", false},
		{"for less than another one wants", standard, []string{"Session-Expires: 100", "Min-SE: 120"}, nil, "", false},
		{"and the caller knows timers", standard, []string{"Supported: timer", "Session-Expires: 100", "Min-SE: 120"}, nil, "", false},
		{"for just that", standard, []string{"Supported: timer", "Session-Expires: 120", "Min-SE: 120"}, nil, "120;refresher=uac", true},
		{"nobody asks, and the caller does not know them", standard, nil, nil, "", false},
		{"who asks cannot be read", standard, []string{"Session-Expires: soon"}, nil, "", false},
		{"the program has said something", standard, []string{"Supported: timer", "Session-Expires: 600"},
			[]string{"Session-Expires: 500;refresher=uas"}, "500;refresher=uas", false},
		{"none of ours", nil, []string{"Supported: timer", "Session-Expires: 600"}, nil, "", false},
	} {
		s := newSession(timedLayer(test.cfg), state{})
		resp := s.timedAnswer(invite(t, test.request...), answer(t, test.answer...))
		if got, _ := resp.Value("Session-Expires"); got != test.want {
			t.Errorf("%s: Session-Expires %q, want %q", test.name, got, test.want)
		}
		if got := lists[sip.Require](resp, sip.OptionTimer); got != test.require {
			t.Errorf("%s: requires timer: %v, want %v", test.name, got, test.require)
		}
	}
}

// What a 2xx agrees on, at the side that has sent the request and at the other: RFC
// 4028 section 7.2.
func TestAgreementOfASessionTimer(t *testing.T) {
	for _, test := range []struct {
		answer   string
		ours     bool // the request was
		relay    bool // timers are for others to do
		interval time.Duration
		refresh  bool
	}{
		{"Session-Expires: 600;refresher=uac", true, false, 10 * time.Minute, true},
		{"Session-Expires: 600;refresher=uac", false, false, 10 * time.Minute, false},
		{"Session-Expires: 600;refresher=uas", true, false, 10 * time.Minute, false},
		{"Session-Expires: 600;refresher=uas", false, false, 10 * time.Minute, true},
		{"Session-Expires: 600;refresher=UAC", true, false, 10 * time.Minute, true},
		{"Session-Expires: 600", true, false, 10 * time.Minute, true}, // nobody else may do it
		{"Session-Expires: 600;refresher=uac", true, true, 10 * time.Minute, false},
		{"Session-Expires: 1;refresher=uac", true, false, 90 * time.Second, true},
		{"Session-Expires: 4294967295;refresher=uac", true, false, (1<<32 - 1) * time.Second, true},
		{"Session-Expires: 0", true, false, 0, false},
		{"Session-Expires: soon", true, false, 0, false},
		{"Supported: timer", true, false, 0, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := timedLayer(&SessionTimer{})
			if test.relay {
				l = timedLayer(nil)
			}
			s := newSession(l, state{})
			from := remote
			if test.ours {
				from = local
			}
			for _, before := range []bool{false, true} { // there was one before, of another kind
				if before {
					s.timerAgreed(answer(t, "Session-Expires: 3600;refresher=uas"), local)
				}
				s.timerAgreed(answer(t, test.answer), from)
				var got timer
				if s.timer != nil {
					got = *s.timer
				}
				if got.interval != test.interval || got.refresh != test.refresh {
					t.Errorf("%s to a request of ours %v: %v, refreshed by us %v; want %v, %v",
						test.answer, test.ours, got.interval, got.refresh, test.interval, test.refresh)
				}
			}
			s.stopTimer()
		})
	}
}

// Our requests ask for what is agreed on, and never for less than anybody has said to
// be the least (RFC 4028 section 7.4).
func TestRequestOfASessionTimer(t *testing.T) {
	for _, test := range []struct {
		name         string
		cfg          *SessionTimer
		timer        *timer
		least        time.Duration
		expires, min string
	}{
		{"the first", &SessionTimer{}, nil, 0, "1800", ""},
		{"the first, of a program that wants others", &SessionTimer{Interval: time.Hour, Min: 10 * time.Minute}, nil, 0, "3600", "600"},
		{"the interval is less than the least", &SessionTimer{Interval: time.Minute}, nil, 0, "90", ""},
		{"after a 422", &SessionTimer{}, nil, time.Hour, "3600", "3600"},
		{"we refresh", &SessionTimer{}, &timer{interval: 10 * time.Minute, refresh: true}, 0, "600;refresher=uac", ""},
		{"the peer does", &SessionTimer{}, &timer{interval: 10 * time.Minute}, 0, "600;refresher=uas", ""},
		{"the peer does, and has said a least", &SessionTimer{}, &timer{interval: 10 * time.Minute}, 20 * time.Minute, "1200;refresher=uas", "1200"},
		{"the least is what it always is", &SessionTimer{}, &timer{interval: 10 * time.Minute, refresh: true}, 90 * time.Second, "600;refresher=uac", "90"},
		{"the least is less than it may be", &SessionTimer{}, &timer{interval: 10 * time.Minute, refresh: true}, time.Minute, "600;refresher=uac", "90"},
		{"none of ours", nil, &timer{interval: 10 * time.Minute}, 0, "", ""},
	} {
		s := newSession(timedLayer(test.cfg), state{})
		s.timer, s.minSE = test.timer, test.least
		req, _ := s.timed(invite(t, "Supported: 100rel"))
		if got, _ := req.Value("Session-Expires"); got != test.expires {
			t.Errorf("%s: Session-Expires %q, want %q", test.name, got, test.expires)
		}
		if got, _ := req.Value("Min-SE"); got != test.min {
			t.Errorf("%s: Min-SE %q, want %q", test.name, got, test.min)
		}
		if got := lists[sip.Supported](req, sip.OptionTimer); got != (test.cfg != nil) {
			t.Errorf("%s: supports timer: %v", test.name, got)
		}
		if !lists[sip.Supported](req, sip.Option100rel) {
			t.Errorf("%s: the other options are lost", test.name)
		}
	}
}
