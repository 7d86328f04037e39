package transaction

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// A fault is what the network does to one packet.
type fault struct {
	packet int // counted from 0
	what   string
	siptest.Verdict
}

func (f fault) String() string { return fmt.Sprintf("packet %d %s", f.packet, f.what) }

// anyTwo plays an exchange with each of its packets, and each two of them, lost,
// doubled, late and very late. What is late is overtaken by what comes next, and
// what is very late by a retransmission too.
func anyTwo(packets int, play func(faults ...fault)) {
	var all []fault
	for i := range packets {
		all = append(all,
			fault{i, "lost", siptest.Verdict{Drop: true}},
			fault{i, "doubled", siptest.Verdict{Duplicate: 2}},
			fault{i, "late", siptest.Verdict{Delay: 25 * time.Millisecond}},
			fault{i, "very late", siptest.Verdict{Delay: 1100 * time.Millisecond}})
	}
	for i, one := range all {
		play(one)
		for _, two := range all[i+1:] {
			if two.packet != one.packet {
				play(one, two)
			}
		}
	}
}

// inflict has these faults happen.
func inflict(n *siptest.Network, faults []fault) {
	packet := 0
	n.SetFilter(func(siptest.Packet) (v siptest.Verdict) {
		for _, f := range faults {
			if f.packet == packet {
				v = f.Verdict
			}
		}
		packet++
		return v
	})
}

var faultless = siptest.NetworkConfig{Delay: 10 * time.Millisecond}

// Whatever happens to any two packets of an exchange: the caller gets one final
// response, the handler each request once, and in the end nothing is left (RFC
// 3261 section 17, and section 9 for the CANCEL).
func TestAnyTwoFaults(t *testing.T) {
	t.Parallel()
	for _, scene := range []struct {
		name    string
		packets int
		method  sip.Method
		ends    time.Duration // after which alice gives up; 0: never
		answer  func(*Server, *sip.Request)
		want    string // a 180 before it may be missing or come again
	}{
		{"OPTIONS", 6, sip.OPTIONS, 0, answer(), "200"},
		{"slow MESSAGE", 10, sip.MESSAGE, 0, func(tx *Server, _ *sip.Request) {
			<-time.After(4 * time.Second)
			tx.Reply(sip.StatusOK)
		}, "200"},
		{"refused INVITE", 8, sip.INVITE, 0, answer(180, 486), "486"},
		{"cancelled INVITE", 10, sip.INVITE, 700 * time.Millisecond, func(tx *Server, _ *sip.Request) {
			tx.Reply(sip.StatusRinging)
			<-tx.Context().Done()
		}, "487"},
	} {
		t.Run(scene.name, func(t *testing.T) {
			anyTwo(scene.packets, func(faults ...fault) {
				storyOn(t, faultless, func(t *testing.T, n *siptest.Network) {
					var j journal
					listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
						j.note("%s", req.Method())
						scene.answer(tx, req)
					}})
					alice := listen(t, n.Host(aliceAddr), nil)
					inflict(n, faults)
					ctx := t.Context()
					if scene.ends > 0 {
						ctx = cancelledAfter(t, scene.ends)
					}
					got, err := collect(ctx, alice, request(scene.method, bobURI))
					seen := slices.DeleteFunc(strings.Fields(got), func(s string) bool { return s == "180" })
					if strings.Join(seen, " ") != scene.want || err != nil {
						t.Errorf("%v: responses %q, error %v, want %q", faults, got, err, scene.want)
					}
					pass(2 * time.Minute)
					j.check(t, string(scene.method))
					if t.Failed() {
						t.Logf("faults: %v", faults)
					}
				})
			})
		})
	}
}

// The same for a call that is answered and ended: it rings once, the ACK comes,
// and so does the BYE, once.
func TestAnyTwoFaultsOfACall(t *testing.T) {
	t.Parallel()
	anyTwo(10, func(faults ...fault) {
		storyOn(t, faultless, func(t *testing.T, n *siptest.Network) {
			alice, bob := newUserAgent(t, n.Host(aliceAddr)), newUserAgent(t, n.Host(bobAddr))
			inflict(n, faults)
			if err := alice.call("1", bobURI); err != nil {
				t.Errorf("%v: %v", faults, err)
			}
			pass(2 * time.Minute)
			bob.mu.Lock()
			defer bob.mu.Unlock()
			if len(bob.acked) != 0 || bob.ends["1"] != 1 {
				t.Errorf("%v: %d calls without ACK, %d BYEs, want 0 and 1", faults, len(bob.acked), bob.ends["1"])
			}
		})
	})
}

// A client gives up at every moment of a call that is answered: what comes of it
// is a 487 or a 200, and if it is a 200 it is told of it (RFC 3261 section 9.1).
func TestGivenUpAtAnyMoment(t *testing.T) {
	t.Parallel()
	for moment := time.Duration(0); moment <= 1100*time.Millisecond; moment += 5 * time.Millisecond {
		story(t, func(t *testing.T, n *siptest.Network) {
			var j journal
			listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
				if req.Method() == sip.ACK {
					return
				}
				<-time.After(300 * time.Millisecond)
				tx.Reply(sip.StatusRinging)
				select {
				case <-tx.Context().Done():
					j.note("cancelled")
				case <-time.After(700 * time.Millisecond):
					j.note("answered")
					tx.Reply(sip.StatusOK)
				}
			}})
			alice := listen(t, n.Host(aliceAddr), nil)
			ctx, cancel := context.WithTimeout(t.Context(), moment)
			defer cancel()
			got, err := collect(ctx, alice, request(sip.INVITE, bobURI))
			switch {
			case moment == 0 && got == "error": // nothing was sent
				j.check(t, "")
			case strings.HasSuffix(got, "487") && err == nil:
				j.check(t, "cancelled")
			case strings.HasSuffix(got, "200") && err == nil:
				j.check(t, "answered")
			default:
				t.Errorf("given up after %v: responses %q, error %v, want one that ends with 487 or 200", moment, got, err)
			}
		})
	}
}
