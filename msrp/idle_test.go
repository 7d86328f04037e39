package msrp_test

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/internal/goroutine"
	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/sip/siptest"
)

// After Close of both endpoints nothing runs any more, whatever was under way.
func TestNothingIsLeft(t *testing.T) {
	play(t, func(s *scene) {
		before := goroutine.Count()
		ctx, cancel := context.WithCancel(s.Context())
		defer cancel()
		one, two := s.endpoint(alice, nil), s.endpoint(bob, nil)
		var pairs [][2]*msrp.Session
		for range 20 {
			x, y := s.pair(nil, nil)
			pairs = append(pairs, [2]*msrp.Session{x, y})
		}
		for _, p := range pairs {
			x, y := p[0], p[1]
			go x.Send(ctx, &msrp.Message{Body: bytes.NewReader(make([]byte, 10<<20))})
			go x.Send(ctx, &msrp.Message{Body: bytes.NewReader(nil), SuccessReport: true})
			go func() {
				for m, err := range y.Messages(ctx) {
					if err != nil {
						return
					}
					io.CopyN(io.Discard, m, 1000)
				}
			}()
		}
		go msrp.NewSession(one, nil).SendText(ctx, "to nobody")
		nobody := s.path(pairs[0][0])
		nobody[0].Host = "192.0.2.99"
		go msrp.NewSession(two, nil).Connect(ctx, nobody, true)
		time.Sleep(time.Second)
		one.Close()
		two.Close()
		synctest.Wait()
		if n := goroutine.Count(); n > before {
			b := make([]byte, 1<<20)
			s.Errorf("%d goroutines, %d before:\n%s", n, before, b[:runtime.Stack(b, true)])
		}
	})
}

func endpoint(t testing.TB, n *siptest.Network, host string) *msrp.Endpoint {
	t.Helper()
	e, err := msrp.New(&msrp.Config{Network: n.Host(host), Listen: []string{"tcp:" + host + ":2855"}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// connect connects two sessions.
func connect(t testing.TB, active, passive *msrp.Session) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	from, err := active.Path(ctx)
	if err != nil {
		t.Fatal(err)
	}
	to, err := passive.Path(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := passive.Connect(ctx, from, false); err != nil {
		t.Fatal(err)
	}
	if err := active.Connect(ctx, to, true); err != nil {
		t.Fatal(err)
	}
	if err := passive.Connected(ctx); err != nil {
		t.Fatal(err)
	}
}

// An idle session takes no goroutine, and less than 4 KB; a connection, which a hundred share, two
// goroutines at each end.
func TestIdleSessions(t *testing.T) {
	const conns, each = 100, 100
	n := siptest.NewNetwork(nil)
	server := endpoint(t, n, "192.0.2.1")
	var hosts []*msrp.Endpoint
	for i := range conns {
		hosts = append(hosts, endpoint(t, n, []string{"192.0.3.", "192.0.4."}[i/50]+string([]byte{'1' + byte(i%50/10), '0' + byte(i%10)})))
	}
	running, before := goroutine.Count(), heap()
	var sessions []*msrp.Session
	for _, host := range hosts {
		for range each {
			x, y := msrp.NewSession(host, nil), msrp.NewSession(server, nil)
			connect(t, x, y)
			sessions = append(sessions, x, y)
		}
	}
	used, more := (heap()-before)/(2*conns*each), goroutine.Count()-running
	t.Logf("%d bytes a session and end, %d goroutines for %d sessions", used, more, conns*each)
	if used > 4<<10 {
		t.Errorf("%d bytes for a session at one end, want 4 KB at most", used)
	}
	if more > 4*conns {
		t.Errorf("%d goroutines for %d connections, want 4 for both ends of each", more, conns)
	}
	runtime.KeepAlive(sessions)
}
