package proxy

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/internal/goroutine"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// A panic in a handler costs the one request, and its branches are cancelled.
func TestPanic(t *testing.T) {
	play(t, func(s *scene) {
		cfg := example(func(tx *Server, req *sip.Request) {
			if req.Method() == sip.MESSAGE {
				panic("of the handler")
			}
			to(at("sip:bob@"+bobAddr)...)(tx, req)
		})
		cfg.Transaction = &transaction.Config{Logger: quiet}
		s.proxy(proxyAddr, cfg)
		s.phone("bob", bobAddr, 200)
		alice := s.ua(aliceAddr, nil)
		s.expect(alice, request(sip.MESSAGE, aor, by(proxyAddr)), "500")
		s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "200")
	})
}

// A func of the program's that ends its goroutine, as FailNow of a test does, ends
// nothing else: of the call or of the proxy.
func TestGoexitOfTrace(t *testing.T) {
	for _, c := range []struct {
		ends   string // in this message
		answer sip.Status
		want   string
	}{
		{"SIP/2.0 180", sip.StatusBusyHere, "180 486"},
		{"SIP/2.0 200", sip.StatusOK, "180 200"},
		{"CANCEL", sip.StatusRinging, "180 487"},
		{"INVITE", sip.StatusOK, "500"},
	} {
		t.Run(c.ends, func(t *testing.T) {
			play(t, func(s *scene) {
				tc := on(s, s.net, proxyAddr)
				var once atomic.Bool
				tc.Trace = &transport.Trace{Sent: func(m transport.TraceMessage) {
					if strings.HasPrefix(string(m.Text), c.ends) && !once.Swap(true) {
						runtime.Goexit()
					}
				}}
				p, err := Listen(tc, example(to(at("sip:bob@"+bobAddr)...)))
				if err != nil {
					s.Fatal(err)
				}
				defer p.Close()
				s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) {
					tx.Reply(sip.StatusRinging)
					<-time.After(time.Second)
					if c.answer.Final() {
						tx.Reply(c.answer)
						<-time.After(time.Second)
						tx.Reply(c.answer) // a 2xx again
						return
					}
					<-tx.Context().Done()
				})
				ctx, cancel := context.WithTimeout(s.Context(), 10*time.Second)
				defer cancel()
				if got, _ := collect(ctx, s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(proxyAddr))); got != c.want {
					s.Errorf("responses %q, want %q", got, c.want)
				}
				pass(5 * time.Minute)
				end, cancel := context.WithTimeout(s.Context(), time.Minute)
				defer cancel()
				if err := p.Shutdown(end); err != nil {
					s.Errorf("Shutdown: %v", err)
				}
			})
		})
	}
}

// A call that rings has no goroutine, however many branches it has.
func TestGoroutines(t *testing.T) {
	const calls, most = 30, 5 // some of the runtime's own come and go
	for branches := 1; branches <= 2; branches++ {
		play(t, func(s *scene) {
			targets := at("sip:bob@"+bobAddr, "sip:carol@"+carolAddr)[:branches]
			s.proxy(proxyAddr, example(to(targets...)))
			alice, bob, carol := s.wire(aliceAddr), s.wire(bobAddr), s.wire(carolAddr)
			callees := []*wire{bob, carol}[:branches]
			pass(time.Second)
			before := goroutine.Count()
			send := func(method sip.Method, i int) {
				via := sip.Via{Transport: "UDP", Host: aliceAddr, Params: sip.Params(fmt.Sprint(";branch=z9hG4bK", i))}
				alice.send(request(method, aor, sip.CallID(fmt.Sprint(i)), sip.Push(via)))
			}
			for i := range calls {
				send(sip.INVITE, i)
				for _, callee := range callees {
					callee.send(callee.request(sip.INVITE).Reply(sip.StatusRinging))
				}
			}
			pass(10 * time.Second)
			if got := goroutine.Count() - before; got > most {
				s.Errorf("%d calls with %d branches take %d goroutines, want %d at most", calls, branches, got, most)
			}
			for i := range calls {
				send(sip.CANCEL, i)
			}
		})
	}
}
