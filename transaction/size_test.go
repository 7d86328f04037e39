package transaction

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/internal/goroutine"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// flood makes n requests with these header lines, each parsed from text of its
// own, as they arrive. NUMBER stands for the number of the request.
func flood(t *testing.T, n int, method, branch, lines, body string) []*sip.Request {
	t.Helper()
	list := make([]*sip.Request, n)
	for i := range list {
		text := fmt.Sprintf("%s sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP "+aliceAddr+";branch=%s\r\n"+
			"%sTo: <sip:b@h>\r\nCSeq: 1 %s\r\nContent-Length: %d\r\n\r\n%s", method, branch, lines, method, len(body), body)
		m, err := sip.Parse(strings.ReplaceAll(text, "NUMBER", fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		list[i] = m.(*sip.Request)
	}
	return list
}

// What MaxBytes counts is what there is, whatever the messages look like: not
// less, and not much more.
func TestBytesAreAnUpperBound(t *testing.T) {
	const n = 300
	const plain = "From: <sip:a@h>;tag=1\r\nCall-ID: NUMBER\r\n"
	for name, test := range map[string]struct{ method, branch, lines, body string }{
		"small":             {"OPTIONS", "z9hG4bKNUMBER", plain, ""},
		"many lines":        {"OPTIONS", "z9hG4bKNUMBER", plain + strings.Repeat("a:\r\n", 490), ""},
		"few more lines":    {"OPTIONS", "z9hG4bKNUMBER", plain + strings.Repeat("a:\r\n", 380), ""},
		"many Vias":         {"OPTIONS", "z9hG4bKNUMBER", plain + strings.Repeat("v: SIP/2.0/UDP a\r\n", 460), ""},
		"long Via":          {"OPTIONS", "z9hG4bKNUMBER", plain + "v: SIP/2.0/UDP a;x=" + strings.Repeat("y", 60000) + "\r\n", ""},
		"long body":         {"OPTIONS", "z9hG4bKNUMBER", plain, strings.Repeat("x\n", 30000)},
		"upper case branch": {"OPTIONS", "Z9HG4BKNUMBER" + strings.Repeat("X", 20000), plain, ""},
		"old branch":        {"OPTIONS", "NUMBER" + strings.Repeat("x", 20000), plain, ""},
		"folded": {"OPTIONS", "z9hG4bKNUMBER", "From: <sip:a@h>;x=" + strings.Repeat("y", 20000) + "\r\n ;tag=1\r\n" +
			"Call-ID: NUMBER" + strings.Repeat("z", 20000) + "\r\n \r\n", ""},
		"ringing INVITE": {"INVITE", "z9hG4bKNUMBER", plain + strings.Repeat("v: SIP/2.0/UDP a\r\n", 460), ""},
		"refused INVITE": {"INVITE", "z9hG4bKNUMBER", plain + "Subject: refuse\r\n" + strings.Repeat("v: SIP/2.0/UDP a\r\n", 460), ""},
		"stray ACK":      {"ACK", "z9hG4bKNUMBER", plain, strings.Repeat("x", 20000)},
	} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			l, flow := alone(t, &Config{Handler: func(tx *Server, req *sip.Request) {
				_, refuse := req.Value("Subject")
				switch {
				case refuse:
					tx.Reply(sip.StatusBusyHere)
				case req.Method() == sip.INVITE:
					tx.Reply(sip.StatusRinging)
				}
				if req.Method() == sip.OPTIONS {
					tx.Reply(sip.StatusOK)
					return
				}
				<-release
			}})
			before, goroutines := inUse()
			requests := flood(t, n, test.method, test.branch, test.lines, test.body)
			for _, r := range requests {
				l.handle(&transport.Inbound{Message: r, Flow: flow})
			}
			requests = nil
			switch test.method {
			case "OPTIONS":
				until(t, l, func(n tally) bool { return n.handlers == 0 })
				for goroutine.Count() > goroutines { // handlers on their way out
					runtime.Gosched()
				}
			case "INVITE":
				until(t, l, func(n tally) bool { return n.lines == 0 })
			}
			after, _ := inUse()
			bytes := tallyOf(l).bytes
			held := after - before
			t.Logf("%d bytes each, counted as %d", held/n, bytes/n)
			if bytes < held {
				t.Errorf("%d bytes held by %d requests, and only %d counted", held, n, bytes)
			}
			if bytes > 4*held {
				t.Errorf("%d bytes held by %d requests, and %d counted", held, n, bytes)
			}
			close(release)
			if test.method == "ACK" {
				until(t, l, func(n tally) bool { return n.handlers == 0 && n.bytes == 0 })
			}
		})
	}
}

// ACKs that wait for a handler are counted against MaxBytes, and dropped past it.
func TestQueuedACKsAreBounded(t *testing.T) {
	const size, room = 30000, 1 << 20
	release := make(chan struct{})
	l, flow := alone(t, &Config{MaxBytes: room, Handler: func(*Server, *sip.Request) { <-release }})
	body := strings.Repeat("x", size)
	for _, r := range flood(t, 2*room/size, "ACK", "z9hG4bKNUMBER", "From: <sip:a@h>;tag=1\r\nCall-ID: x\r\n", body) {
		l.handle(&transport.Inbound{Message: r, Flow: flow})
	}
	got := tallyOf(l).handlers
	if got == 0 || got > room/size {
		t.Errorf("%d ACKs of 30 KB taken, want some and %d at most", got, room/size)
	}
	close(release)
	until(t, l, func(n tally) bool { return n.handlers == 0 && n.bytes == 0 })
}

// What a Config leaves out has the default that its comment names.
func TestDefaultLimits(t *testing.T) {
	l, _ := alone(t, nil)
	if got, want := l.cfg.MaxHandlers, 10000; got != want {
		t.Errorf("MaxHandlers = %d, want %d", got, want)
	}
	if got, want := l.cfg.MaxBytes, 1<<30; got != want {
		t.Errorf("MaxBytes = %d, want %d", got, want)
	}
}

// The same of requests of one's own: of a client that waits for an answer, of one
// that has been refused, and while a request waits for a connection.
func TestClientBytesAreAnUpperBound(t *testing.T) {
	const n, nowhere = 300, "192.0.2.9"
	const plain = "From: <sip:a@h>;tag=1\r\nCall-ID: NUMBER\r\n"
	inAll := func() int {
		bytes, _ := inUse()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return bytes + int(m.StackInuse)
	}
	for _, waits := range []bool{false, true} {
		for name, body := range map[string]string{"small": "", "long body": strings.Repeat("x\n", 15000)} {
			t.Run(fmt.Sprintf("%s, waits %v", name, waits), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					network := siptest.NewNetwork(nil)
					network.Cut(network.Host(bobAddr), network.Host(nowhere))
					l, err := Listen(&transport.Config{Listen: []string{"udp:" + bobAddr + ":5060"}, Network: network.Host(bobAddr), MaxUDP: 65000}, nil)
					if err != nil {
						t.Fatal(err)
					}
					defer l.Close()
					hop := sip.URI{Scheme: "sip", Host: nowhere}
					if waits {
						hop.Params = ";transport=tcp"
					}
					ctx := WithNextHop(t.Context(), hop)
					before := inAll()
					for _, r := range flood(t, n, "INVITE", "z9hG4bKNUMBER", plain, body) {
						if waits {
							go l.Start(ctx, r, func(*sip.Response, error) {}) // ends with the layer
						} else {
							l.Start(ctx, r, func(*sip.Response, error) {})
						}
					}
					synctest.Wait()
					if got := tallyOf(l); got.calls != n || !waits && got.clients != n {
						t.Fatalf("%+v, want %d requests", got, n)
					}
					held, bytes := inAll()-before, tallyOf(l).bytes
					t.Logf("%d bytes each, counted as %d", held/n, bytes/n)
					if bytes < held || bytes > 4*held {
						t.Errorf("%d bytes held by %d requests, and %d counted", held, n, bytes)
					}
				})
			})
		}
	}
}

// A server sends so many requests to where nobody takes a connection that there is
// no memory for more: new requests are refused until that is over, and its own are
// sent all the same.
func TestOwnRequestsTakeRoom(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		const nowhere = "192.0.2.9"
		n.Cut(n.Host(bobAddr), n.Host(nowhere))
		bob := listen(t, n.Host(bobAddr), &Config{MaxBytes: 1 << 20, Handler: answer(486)})
		alice := listen(t, n.Host(aliceAddr), nil)
		ask := func(want string) {
			t.Helper()
			if got, err := collect(t.Context(), alice, request(sip.OPTIONS, bobURI)); got != want {
				t.Errorf("responses %q, error %v, want %q", got, err, want)
			}
		}
		var failed atomic.Int32
		for i := range 200 {
			go bob.Start(t.Context(), request(sip.INVITE, "sip:carol@"+nowhere+";transport=tcp", sip.CallID(fmt.Sprint(i))),
				func(_ *sip.Response, err error) {
					if errors.Is(err, ErrTransport) {
						failed.Add(1)
					}
				})
		}
		pass(time.Second)
		ask("503")
		expect(t, bob, request(sip.OPTIONS, "sip:alice@"+aliceAddr), "501")
		pass(time.Minute)
		if got := failed.Load(); got != 200 {
			t.Errorf("%d requests have failed, want 200", got)
		}
		ask("200")
	})
}
