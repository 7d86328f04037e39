package proxy

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// What is no INVITE has 32 seconds in all: who comes after somebody who is silent
// is not asked when nobody waits any more, and what is known by then is said while
// the client still listens (RFC 4320 section 4). It hears of no 408.
func TestMessageEndsInTime(t *testing.T) {
	mailbox := Target{URI: uri("sip:mailbox@192.0.2.13")}
	silent := Target{URI: uri("sip:silent@" + bobAddr), Q: 0.8}
	absent := Target{URI: uri("sip:absent@" + carolAddr), Q: 1} // answers 404 after a second
	tardy := Target{URI: uri("sip:tardy@" + carolAddr), Q: 0.5} // answers 200 after 20 seconds
	patient := silent
	patient.Wait = 15 * time.Second
	for _, test := range []struct {
		name    string
		targets []Target
		want    string
		noted   []string
	}{
		{"silence, and a mailbox", []Target{silent, mailbox}, "timed out", nil},
		{"404, silence, and a mailbox", []Target{absent, silent, mailbox}, "404", []string{"absent"}},
		{"a mailbox in time", []Target{patient, mailbox}, "200", []string{"mailbox MESSAGE"}},
		{"one that comes too late", []Target{patient, tardy, mailbox}, "timed out", []string{"tardy"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			play(t, func(s *scene) {
				s.proxy(proxyAddr, example(to(test.targets...)))
				s.wire(bobAddr)
				s.phone("mailbox", "192.0.2.13", 200)
				s.ua(carolAddr, func(tx *transaction.Server, req *sip.Request) {
					s.note("%s", req.URI().User)
					if req.URI().User == "absent" {
						<-time.After(time.Second)
						tx.Reply(sip.StatusNotFound)
						return
					}
					<-time.After(20 * time.Second)
					tx.Reply(sip.StatusOK)
				})
				got, _ := collect(s.Context(), s.ua(aliceAddr, nil), request(sip.MESSAGE, aor, by(proxyAddr)))
				if !strings.HasSuffix(got, test.want) {
					s.Errorf("responses %q, want %q", got, test.want)
				}
				pass(2 * time.Minute)
				s.noted(test.noted...)
			})
		})
	}
}

// What the handler does first takes of the time, and Fork ends with it, too.
func TestForkOfMessageEndsInTime(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(func(tx *Server, req *sip.Request) {
			<-time.After(10 * time.Second)
			for range 2 {
				began := time.Now()
				best := tx.Fork(req, at("sip:bob@"+bobAddr)...)
				s.note("%d after %v", int(best.Status()), time.Since(began))
			}
		}))
		s.wire(bobAddr)
		collect(s.Context(), s.ua(aliceAddr, nil), request(sip.MESSAGE, aor, by(proxyAddr)))
		pass(time.Minute)
		s.noted("408 after 21.5s", "408 after 0s")
		for _, p := range s.net.Packets() {
			if p.To.Addr().String() == bobAddr && p.Time.Sub(s.start) > 32*time.Second {
				s.Errorf("bob was sent\n%s\nafter %v", p.Data, p.Time.Sub(s.start))
			}
		}
	})
}

// The caller gives up, and the callee does not say a word: the caller hears of the
// end while it still waits for it, which it does for 64*T1 from its CANCEL on (RFC
// 3261 section 9.1), from whichever proxy is next to it. A callee that has never
// said anything is not even told.
func TestCancelOfSilence(t *testing.T) {
	for _, proxies := range []int{1, 3} {
		for _, ringing := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d proxies, ringing %v", proxies, ringing), func(t *testing.T) {
				play(t, func(s *scene) {
					s.proxy(proxyAddr, example(to(at("sip:bob@"+bobAddr)...)))
					way := []string{proxyAddr}
					for i := 1; i < proxies; i++ {
						host := fmt.Sprintf("192.0.2.%d", 100+i)
						s.proxy(host, &Config{Handler: relay})
						way = append([]string{host}, way...)
					}
					bob := s.wire(bobAddr)
					ctx, cancel := context.WithCancel(s.Context())
					go func() { // ends with the CANCEL
						invite := bob.request(sip.INVITE)
						if ringing {
							bob.send(invite.Reply(sip.StatusRinging))
						}
						<-time.After(3 * time.Second)
						cancel()
					}()
					got, _ := collect(ctx, s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(way...)))
					if want := map[bool]string{true: "180 487", false: "487"}[ringing]; got != want {
						s.Errorf("responses %q, want %q", got, want)
					}
					if took := time.Since(s.start); took > 35*time.Second {
						s.Errorf("that took %v", took)
					}
				})
			})
		}
	}
}
