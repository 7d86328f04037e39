package ua_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// What the server may say to the first PUBLISH.
func TestPublishAnswers(t *testing.T) {
	brief := refused(sip.StatusIntervalTooBrief, sip.MinExpires(300))
	for _, test := range []struct {
		name    string
		expires time.Duration
		answers []answer
		want    error
		asked   []string // entity-tag, seconds and body
	}{
		{"accepted", 0, []answer{granted("a", 3600), refused(200)}, nil, []string{"3600 open", "a 0"}},
		{"no such package", 0, []answer{refused(489, sip.AllowEvents{"dialog"})}, sip.StatusBadEvent, []string{"3600 open"}},
		{"no such type", 0, []answer{refused(415)}, sip.StatusUnsupportedMediaType, []string{"3600 open"}},
		{"server down, which is no sign of a lost state", 0, []answer{refused(500)}, sip.StatusServerInternalError, []string{"3600 open"}},
		{"too brief", time.Minute, []answer{brief, granted("a", 300), refused(200)}, nil, []string{"60 open", "300 open", "a 0"}},
		{"too brief twice", time.Minute, []answer{brief, refused(423, sip.MinExpires(900))}, sip.StatusIntervalTooBrief, []string{"60 open", "300 open"}},
		{"too brief, for no reason", 0, []answer{brief}, sip.StatusIntervalTooBrief, []string{"3600 open"}},
		{"no time", 0, []answer{granted("a", 0)}, errAny, []string{"3600 open"}},
		{"half a second", time.Second / 2, []answer{granted("a", 1), refused(200)}, nil, []string{"1 open", "a 0"}},
		{"no entity-tag", 0, []answer{refused(200)}, nil, []string{"3600 open"}},
		{"gone before it is removed", 0, []answer{granted("a", 3600), refused(412)}, nil, []string{"3600 open", "a 0"}},
		{"no answer", 0, nil, transaction.ErrTimeout, []string{"3600 open"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				s := newPresenceServer(t, n, test.answers...)
				alice := newPublisher(t, n, ua.Config{})
				pub, err := alice.Publish(t.Context(), "presence", pidf("open"), &ua.PublishOptions{Expires: test.expires})
				if (err == nil) != (test.want == nil) || test.want != nil && test.want != errAny && !errors.Is(err, test.want) {
					t.Errorf("Publish() = %v, want %v", err, test.want)
				}
				var refused *ua.StatusError
				if _, ok := test.want.(sip.Status); ok && !errors.As(err, &refused) {
					t.Errorf("Publish() = %v, want a *StatusError", err)
				}
				if pub != nil {
					if err := pub.Close(); err != nil {
						t.Error(err)
					}
				}
				shutDown(t, alice)
				s.want(t, test.asked...)
			})
		})
	}
}

// What the server may say later. There is a refresh after at most 90 seconds,
// or what else the server says; OnError is told as often as it says here.
func TestRefreshAnswers(t *testing.T) {
	first := granted("a", 100)
	for _, test := range []struct {
		name    string
		answers []answer
		wait    time.Duration
		failed  int
		asked   []string
	}{
		{"each entity-tag is good for once", []answer{granted("b", 100), granted("c", 100)}, 185 * time.Second, 0,
			[]string{"a 3600", "b 3600"}},
		{"state is lost", []answer{refused(412), granted("b", 100)}, 95 * time.Second, 0,
			[]string{"a 3600", "3600 open"}},
		{"state is lost, says Kamailio", []answer{refused(500), refused(500), granted("b", 100)}, 99 * time.Second, 0,
			[]string{"a 3600", "a 3600", "3600 open"}},
		// It comes back with what it knew.
		{"server was broken", []answer{refused(500), granted("b", 3600)}, 99 * time.Second, 0,
			[]string{"a 3600", "a 3600"}},
		{"server is broken", []answer{refused(500), refused(500), refused(500), granted("b", 100)}, 130 * time.Second, 1,
			[]string{"a 3600", "a 3600", "3600 open", "a 3600"}},
		{"proxy is on its own", []answer{refused(503), refused(503), granted("b", 3600)}, 185 * time.Second, 2,
			[]string{"a 3600", "a 3600", "a 3600"}},
		{"state is lost, and no room", []answer{refused(412), refused(403), granted("b", 100)}, 125 * time.Second, 1,
			[]string{"a 3600", "3600 open", "3600 open"}},
		{"server is busy", []answer{refused(503, sip.RetryAfter{Seconds: 600})}, 680 * time.Second, 1,
			[]string{"a 3600"}},
		{"server was busy", []answer{refused(503, sip.RetryAfter{Seconds: 600}), granted("b", 3600)}, 692 * time.Second, 1,
			[]string{"a 3600", "a 3600"}},
		{"too brief now", []answer{refused(423, sip.MinExpires(7200)), granted("b", 7200)}, 95 * time.Second, 0,
			[]string{"a 3600", "a 7200"}},
		{"no entity-tag any more", []answer{{status: 200, edits: []sip.Edit{sip.Expires(100)}}, granted("c", 3600)}, 185 * time.Second, 0,
			[]string{"a 3600", "3600 open"}},
		{"more than was asked for", []answer{granted("b", 1<<32-1), granted("c", 3600)}, 95*time.Second + time.Hour, 0,
			[]string{"a 3600", "b 3600"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				s := newPresenceServer(t, n, append([]answer{first}, test.answers...)...)
				alice := newPublisher(t, n, ua.Config{})
				var mu sync.Mutex
				failed := 0
				_, err := alice.Publish(t.Context(), "presence", pidf("open"), &ua.PublishOptions{OnError: func(err error) {
					mu.Lock()
					failed++
					mu.Unlock()
					panic("a bug of the program")
				}})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(test.wait)
				s.want(t, append([]string{"3600 open"}, test.asked...)...)
				mu.Lock()
				if failed != test.failed {
					t.Errorf("%d failures, want %d", failed, test.failed)
				}
				mu.Unlock()
			})
		})
	}
}

// What may become of an Update.
func TestUpdateAnswers(t *testing.T) {
	for _, test := range []struct {
		name    string
		answers []answer
		want    error
		asked   []string // up to the refresh that follows
	}{
		{"accepted", []answer{granted("b", 100), granted("c", 3600)}, nil, []string{"a 3600 busy", "b 3600"}},
		{"state is lost", []answer{refused(412), granted("b", 3600)}, nil, []string{"a 3600 busy", "3600 busy"}},
		{"refused", []answer{refused(415), granted("b", 3600)}, sip.StatusUnsupportedMediaType, []string{"a 3600 busy", "a 3600"}},
		{"refused, and the state is lost later", []answer{refused(415), refused(412), granted("b", 3600)}, sip.StatusUnsupportedMediaType,
			[]string{"a 3600 busy", "a 3600", "3600 open"}},
		{"server is busy", []answer{refused(503, sip.RetryAfter{Seconds: 300})}, sip.StatusServiceUnavailable, []string{"a 3600 busy"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				s := newPresenceServer(t, n, append([]answer{granted("a", 100)}, test.answers...)...)
				alice := newPublisher(t, n, ua.Config{})
				pub, err := alice.Publish(t.Context(), "presence", pidf("open"), nil)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second)
				if err := pub.Update(t.Context(), pidf("busy")); !errors.Is(err, test.want) {
					t.Errorf("Update() = %v, want %v", err, test.want)
				}
				time.Sleep(100 * time.Second)
				s.want(t, append([]string{"3600 open"}, test.asked...)...)
			})
		})
	}
}
