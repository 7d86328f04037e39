package transport

import (
	"errors"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A flow that is dead already is told at once, and not by the caller, who may
// hold a lock.
func TestKeepAliveOfADeadFlow(t *testing.T) {
	play(t, nil, func(s *scene) {
		e, flow, alice, _ := s.client(Config{})
		alice.Close()
		synctest.Wait()
		gone, none := &deaths{s: s}, &deaths{s: s}
		var mu sync.Mutex
		mu.Lock()
		locked := func(d *deaths) func(error) {
			return func(err error) {
				mu.Lock()
				defer mu.Unlock()
				d.dead(err)
			}
		}
		e.KeepAlive(flow, &KeepAlive{Dead: locked(gone)})
		e.KeepAlive(Flow{}, &KeepAlive{Dead: locked(none)})
		mu.Unlock()
		gone.want(io.EOF)
		none.want(ErrNoFlow)

		e.Close()
		for network, flow := range map[string]Flow{"TCP": flow, "UDP": {via: e.udp[0], remote: flow.remote}} {
			d := &deaths{s: s}
			e.KeepAlive(flow, &KeepAlive{Answered: true, Dead: d.dead})
			if got := d.all(); len(got) != 1 || network == "UDP" && !errors.Is(got[0], ErrClosed) {
				t.Errorf("%s: told %v, want one death", network, got)
			}
		}
		s.wait(time.Hour)
	})
}

// Every keeper of a flow is told of its end, once, except those that have
// stopped. A keeper may stop others and itself while it is told.
func TestKeepersAreTold(t *testing.T) {
	for name, end := range map[string]struct {
		by   func(s *scene, e *inbox, alice *pinged)
		want error
	}{
		"by the peer":  {func(_ *scene, _ *inbox, alice *pinged) { alice.Close() }, io.EOF},
		"by Close":     {func(_ *scene, e *inbox, _ *pinged) { e.Close() }, ErrClosed},
		"by Shutdown":  {func(_ *scene, e *inbox, _ *pinged) { e.Shutdown(background) }, ErrClosed},
		"by a reset":   {func(s *scene, _ *inbox, _ *pinged) { s.alice.Reset() }, syscall.ECONNRESET},
		"by the pongs": {func(s *scene, _ *inbox, alice *pinged) { alice.answers(nil); s.wait(time.Hour) }, ErrNoPong},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				e, flow, alice, _ := s.client(Config{})
				var told [4]*deaths
				var stops [4]func()
				for i := range told {
					told[i] = &deaths{s: s}
					stops[i] = e.KeepAlive(flow, &KeepAlive{Answered: true, Dead: func(err error) {
						told[i].dead(err)
						stops[i]()
					}})
				}
				stops[1]()
				stops[1]()
				s.wait(time.Second)
				end.by(s, e, alice)
				for i, d := range told {
					if i == 1 {
						d.want(nil)
					} else {
						d.want(end.want)
					}
				}
				for _, stop := range stops {
					stop()
				}
			})
		})
	}
}

// A panic in Dead is logged, and costs nobody else the news.
func TestPanicInDead(t *testing.T) {
	play(t, nil, func(s *scene) {
		e, flow, alice, closed := s.client(Config{})
		dead := &deaths{s: s}
		for range 3 {
			e.KeepAlive(flow, &KeepAlive{Dead: func(error) { panic("a bug") }})
		}
		e.KeepAlive(flow, &KeepAlive{Dead: dead.dead})
		alice.Close()
		dead.want(io.EOF)
		closed.want(io.EOF)
		if got := strings.Count(s.log.String(), "a bug"); got != 3 {
			t.Errorf("%d panics were logged, want 3", got)
		}
	})
}
