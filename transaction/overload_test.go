package transaction

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

const carolAddr = "192.0.2.3"

// worker returns a handler that does one request at a time, and takes so long for
// each.
func worker(takes time.Duration) func(*Server, *sip.Request) {
	bench := make(chan struct{}, 1)
	return func(tx *Server, req *sip.Request) {
		done := tx.Waiting()
		bench <- struct{}{}
		done()
		<-time.After(takes)
		<-bench
		tx.Reply(sip.StatusOK)
	}
}

// endings counts how requests ended.
type endings struct {
	mu     sync.Mutex
	counts map[string]int
}

func (c *endings) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[what]++
}

func (c *endings) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := c.counts
	c.counts = nil
	return counts
}

// load sends so many requests a second for a while, each a call of its own, and
// counts their ends under their names.
func load(ctx context.Context, l *Layer, perSecond int, seconds int, c *endings, name string, edits ...sip.Edit) {
	loadOf(ctx, sip.OPTIONS, l, perSecond, seconds, c, name, edits...)
}

func loadOf(ctx context.Context, method sip.Method, l *Layer, perSecond int, seconds int, c *endings, name string, edits ...sip.Edit) {
	for i := range perSecond * seconds {
		r := request(method, bobURI, append(edits, sip.CallID(fmt.Sprintf("%s-%p-%d-%d", name, l, time.Now().UnixNano(), i)))...)
		go func() { // ends with the transaction
			resp, err := l.Do(ctx, r)
			switch {
			case errors.Is(err, ErrOverload):
				c.add(name + " held back")
			case err != nil:
				c.add(name + " " + err.Error())
			default:
				c.add(fmt.Sprint(name, " ", int(resp.Status())))
			}
		}()
		<-time.After(time.Second / time.Duration(perSecond))
	}
}

// A slow server, 100 requests a second, and two clients with 500 each. Alice takes
// part in overload control and holds back; carol does not, and has hers refused.
// Both have the same done. Calls for help get through from both. Once there is less
// to do nothing is refused any more.
func TestOverload(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := listen(t, n.Host(bobAddr), &Config{Handler: worker(10 * time.Millisecond)})
		alice := listen(t, n.Host(aliceAddr), &Config{Overload: &Overload{Offer: true}})
		carol := listen(t, n.Host(carolAddr), nil)
		var c endings
		var all sync.WaitGroup
		rush := func(plain, seconds int) map[string]int {
			help := sip.ResourcePriority{"esnet.0"}
			all.Go(func() { load(t.Context(), alice, plain, seconds, &c, "alice") })
			all.Go(func() { load(t.Context(), carol, plain, seconds, &c, "carol") })
			all.Go(func() { load(t.Context(), alice, 2, seconds, &c, "alice-sos", help) })
			all.Go(func() { load(t.Context(), carol, 2, seconds, &c, "carol-sos", help) })
			all.Wait()
			return c.take()
		}
		rush(500, 4)
		got := rush(500, 10)
		if got["alice 200"] < 330 || got["carol 200"] < 330 {
			t.Errorf("%d requests of alice and %d of carol were done, want 480 or so each", got["alice 200"], got["carol 200"])
		}
		if got["alice held back"] < 4000 || got["alice 503"] > 300 || got["carol 503"] < 4000 {
			t.Errorf("%v: want those of alice held back and those of carol refused", got)
		}
		if got["alice-sos 200"] < 19 || got["carol-sos 200"] < 19 {
			t.Errorf("%v: want the calls for help done, 20 each", got)
		}
		for what := range got {
			if !strings.HasSuffix(what, "200") && !strings.HasSuffix(what, "503") && !strings.HasSuffix(what, "held back") {
				t.Errorf("%d times %s", got[what], what)
			}
		}
		pass(5 * time.Second)
		rush(20, 5)
		if got := rush(20, 5); got["alice 200"] != 100 || got["carol 200"] != 100 {
			t.Errorf("after the rush: %v, want 100 requests of each done", got)
		}
		pass(time.Minute)
		load(t.Context(), carol, 20, 5, &c, "carol")
		if bob.overload.watching.Load() || bob.overload.waiting.Load() != 0 {
			t.Error("the layer still watches")
		}
	})
}

// How long requests wait for handlers decides what is refused: from 80 % of the
// tolerance what is new, with the time after which it may come again, and above
// 100 % all but what completes or ends a call.
func TestWhatIsRefusedWhileRequestsWait(t *testing.T) {
	for _, test := range []struct {
		wait time.Duration // of a tolerance of 500 ms
		want string
	}{
		{300 * time.Millisecond, "INVITE 200, re-INVITE 200, INFO 200, BYE 200, cancelled 180 487"},
		{430 * time.Millisecond, "INVITE 503, re-INVITE 200, INFO 200, BYE 200, cancelled 180 487"},
		{600 * time.Millisecond, "INVITE 503, re-INVITE 503, INFO 503, BYE 200, cancelled 180 487"},
	} {
		t.Run(fmt.Sprint(test.wait), func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				var acks journal
				began := time.Now()
				bob := listen(t, n.Host(bobAddr), &Config{
					Overload: &Overload{Tolerance: 500 * time.Millisecond, RetryAfter: 10 * time.Second},
					Handler: func(tx *Server, req *sip.Request) {
						switch {
						case req.Method() == sip.ACK: // of a 2xx; those of refusals are for nobody
							acks.note("ACK")
						case req.CallID() == "rings":
							tx.Reply(sip.StatusRinging)
							<-tx.Context().Done()
						default: // the queue grows longer, and then does not
							done := tx.Waiting()
							<-time.After(min(test.wait, time.Since(began)/8))
							done()
							tx.Reply(sip.StatusOK)
						}
					}})
				alice, carol := listen(t, n.Host(aliceAddr), nil), listen(t, n.Host(carolAddr), nil)
				tag := sip.To{URI: sip.URI{Scheme: "sip", Host: "h"}, Params: ";tag=x"}
				ctx, cancel := context.WithCancel(t.Context())
				rang := make(chan string)
				go func() { // ends with the response
					got, _ := collect(ctx, alice, request(sip.INVITE, bobURI, sip.CallID("rings")))
					rang <- got
				}()
				var c endings
				go loadOf(t.Context(), sip.BYE, carol, 500, 9, &c, "carol", tag) // ends after 9 s
				pass(6 * time.Second)
				var got []string
				for _, ask := range []struct {
					name   string
					method sip.Method
					edits  []sip.Edit
				}{
					{"INVITE", sip.INVITE, nil}, {"re-INVITE", sip.INVITE, []sip.Edit{tag}},
					{"INFO", sip.INFO, []sip.Edit{tag}}, {"BYE", sip.BYE, []sip.Edit{tag}},
				} {
					resp, err := alice.Do(t.Context(), request(ask.method, bobURI, append(ask.edits, sip.CallID(ask.name))...))
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, fmt.Sprint(ask.name, " ", int(resp.Status())))
					if _, ok := resp.Value("Retry-After"); ok != (resp.Status() == sip.StatusServiceUnavailable) {
						t.Errorf("%s: Retry-After: %v in the %d", ask.name, ok, int(resp.Status()))
					}
				}
				if _, _, err := alice.Send(t.Context(), request(sip.ACK, bobURI, tag)); err != nil {
					t.Fatal(err)
				}
				cancel()
				got = append(got, "cancelled "+<-rang)
				acks.check(t, "ACK")
				if got := strings.Join(got, ", "); got != test.want {
					t.Errorf("%s, want %s", got, test.want)
				}
				bob.overload.mu.Lock()
				defer bob.overload.mu.Unlock()
				if load, want := bob.overload.limiter.load(), float64(test.wait)/5e8; load < 0.9*want || load > 1.1*want {
					t.Errorf("the load is %v, want %v", load, want)
				}
			})
		})
	}
}

// A slow server, 100 requests a second, of which alice wants half. Carol sends a
// tenth more than it can do, all made up: what she writes into it, so that it goes
// first, is worth nothing against alice.
func TestOneSourceDoesNotStarveOthers(t *testing.T) {
	tag := sip.To{URI: sip.URI{Scheme: "sip", Host: "h"}, Params: ";tag=x"}
	for _, flood := range []struct {
		name   string
		method sip.Method
		edits  []sip.Edit
	}{
		{"new work", sip.OPTIONS, nil},
		{"with a To tag", sip.INFO, []sip.Edit{tag}},
		{"with a Resource-Priority", sip.OPTIONS, []sip.Edit{sip.ResourcePriority{"ets.0"}}},
		{"BYE", sip.BYE, []sip.Edit{tag}},
	} {
		t.Run(flood.name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				listen(t, n.Host(bobAddr), &Config{Handler: worker(10 * time.Millisecond)})
				alice := listen(t, n.Host(aliceAddr), nil)
				carol := listen(t, n.Host(carolAddr), nil)
				var c endings
				var all sync.WaitGroup
				all.Go(func() { loadOf(t.Context(), flood.method, carol, 110, 20, &c, "carol", flood.edits...) })
				load(t.Context(), alice, 50, 10, &c, "alice")
				c.take()
				load(t.Context(), alice, 50, 10, &c, "alice")
				all.Wait()
				if got := c.take(); got["alice 200"] < 480 {
					t.Errorf("%v: want the 500 of alice done", got)
				}
				pass(time.Minute)
			})
		})
	}
}

// What the Vias of requests and responses say (RFC 7339 section 6).
func TestOverloadParameters(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: answer(180, 486)})
		alice := alicePeer(t, n)
		r := alice.with("z9hG4bK1", request(sip.INVITE, bobURI))
		alice.send(r.With(replaced(r.Via().WithOverloadControl(sip.OverloadControl{Offer: true, Algo: "loss,rate"}))...))
		var seq uint64
		for _, what := range []string{"180 INVITE", "486 INVITE"} {
			oc, ok := alice.response(what).Via().OverloadControl()
			if !ok || oc.OC != 0 || oc.Validity != 0 || oc.Algo != "rate" || oc.Seq < seq || oc.Seq == 0 {
				t.Errorf("the %s says %+v, %v, want that there is no overload", what, oc, ok)
			}
			seq = oc.Seq
		}
		alice.send(alice.with("z9hG4bK2", request(sip.OPTIONS, bobURI, sip.CallID("2"))))
		if via := alice.response("200 OPTIONS").Via(); via.Params.Has("oc") {
			t.Errorf("who has not asked is told %s", via.Params)
		}
	})
}

// Refused clients are told to wait only if the program wants it, a random time
// each, and never those that take part (RFC 7339 section 5.10.2).
func TestRefusalsOfOverload(t *testing.T) {
	for _, wait := range []time.Duration{0, 10 * time.Second} {
		story(t, func(t *testing.T, n *siptest.Network) {
			listen(t, n.Host(bobAddr), &Config{Handler: worker(time.Second), Overload: &Overload{RetryAfter: wait}})
			alice := alicePeer(t, n)
			seen := map[uint32]bool{}
			ask := func(i int, offers bool) {
				r := alice.with(fmt.Sprint("z9hG4bK", i, "-", offers), request(sip.OPTIONS, bobURI, sip.CallID(fmt.Sprint(i, "-", offers))))
				if offers {
					r = r.With(replaced(r.Via().WithOverloadControl(sip.OverloadControl{Offer: true, Algo: "loss"}))...)
				}
				alice.send(r)
				pass(25 * time.Millisecond)
			}
			for i := range 200 {
				ask(i, i%2 == 0)
			}
			refused := 0
			for m := alice.within(time.Minute); m != nil; m = alice.within(time.Minute) {
				resp := m.(*sip.Response)
				if resp.Status() != sip.StatusServiceUnavailable {
					continue
				}
				refused++
				after, err := sip.Get[sip.RetryAfter](resp)
				oc, offered := resp.Via().OverloadControl()
				switch {
				case offered && (err == nil || oc.Algo != "loss"):
					t.Errorf("one that takes part is told\n%s", resp)
				case !offered && (err == nil) != (wait > 0), after.Seconds > 10:
					t.Errorf("one that does not is told\n%s", resp)
				case !offered:
					seen[after.Seconds] = true
				}
			}
			if refused < 100 || wait > 0 && len(seen) < 5 {
				t.Errorf("%d of 200 refused, with %d different times to wait", refused, len(seen))
			}
		})
	}
}

// With a negative Tolerance nothing is refused.
func TestOverloadOff(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: worker(50 * time.Millisecond), Overload: &Overload{Tolerance: -1}})
		alice := listen(t, n.Host(aliceAddr), nil)
		var c endings
		load(t.Context(), alice, 100, 3, &c, "alice")
		pass(time.Minute)
		if got := c.take(); got["alice 200"] != 300 {
			t.Errorf("%v, want all 300 done", got)
		}
	})
}

// Requests of one call wait for each other, however long: that is no overload.
func TestOrderIsNoOverload(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		l := listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			<-time.After(2 * time.Second)
			tx.Reply(sip.StatusOK)
		}})
		alice := alicePeer(t, n)
		for i := range 300 {
			alice.send(alice.with(fmt.Sprint("z9hG4bK", i), request(sip.INFO, bobURI, sip.CSeq{Seq: uint32(i + 1), Method: sip.INFO})))
		}
		pass(time.Second)
		if l.overload.watching.Load() || l.overload.waiting.Load() != 0 {
			t.Errorf("%d requests wait as in a queue", l.overload.waiting.Load())
		}
		pass(15 * time.Minute)
	})
}
