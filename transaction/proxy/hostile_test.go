package proxy

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// A Route of nothing but us: a request that would be sent to ourselves again and
// again goes past us at once.
func TestRouteOfManyOfOurs(t *testing.T) {
	play(t, func(s *scene) {
		p := s.proxy(proxyAddr, &Config{Handler: func(tx *Server, req *sip.Request) {
			s.note("handler")
			tx.Relay(req)
		}})
		token := p.Layer().Endpoint().FlowToken(transport.Flow{})
		alice, bob := s.wire(aliceAddr), s.wire(bobAddr)
		for n, entry := range []string{"sip:" + proxyAddr + ";lr", "sip:" + token + "@" + proxyAddr + ";lr"} {
			var list []sip.Route
			for range 100 {
				list = append(list, sip.Route{URI: uri(entry)})
			}
			alice.send(request(sip.MESSAGE, "sip:bob@"+bobAddr, sip.List(list...), sip.CallID(entry[4:8]),
				sip.Push(sip.Via{Transport: "UDP", Host: aliceAddr, Params: sip.Params(fmt.Sprintf(";branch=z9hG4bK%d", n))})))
			if got := bob.request(sip.MESSAGE); routes(got) != "" {
				s.Errorf("Route = %q, want none", routes(got))
			}
		}
		s.noted("handler", "handler")
	})
}

// As many values as there may be, and one more.
func TestRouteOfTooMany(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, &Config{Handler: relay})
		alice := s.wire(aliceAddr)
		alice.sendText("MESSAGE", "Route: <sip:192.0.2.3;lr>"+strings.Repeat(",<sip:h;lr>", 200)+"\r\n")
		alice.response(sip.StatusBadRequest)
	})
}

// sendText sends a request with these header fields.
func (w *wire) sendText(method, fields string) {
	w.s.Helper()
	text := method + " sip:bob@" + bobAddr + " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n" + fields +
		"From: <sip:alice@a.example>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: 7\r\nCSeq: 1 " + method + "\r\nContent-Length: 0\r\n\r\n"
	if _, err := w.conn.WriteTo([]byte(text), w.to); err != nil {
		w.s.Fatal(err)
	}
}

// A hundred Vias, some of them broken, with marks that are made up: the request
// goes on as it came (RFC 5393 section 4.2.4).
func TestViaOfMany(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, &Config{Handler: relay, RecordRoute: true})
		alice, bob := s.wire(aliceAddr), s.wire(bobAddr)
		vias := strings.Repeat("Via: SIP/2.0/UDP 192.0.2.3;branch=z9hG4bK1.0123456789abcdef\r\n", 50) +
			strings.Repeat("Via: SIP/2.0/UDP h;x;y=\"\\\"\";branch=.\r\n", 40) + strings.Repeat("Via: ;;;\r\n", 10)
		alice.sendText("MESSAGE", vias)
		got := bob.request(sip.MESSAGE)
		if n := strings.Count(got.String(), "Via: "); n != 102 {
			s.Errorf("%d Vias, want 102", n)
		}
		bob.send(got.Reply(sip.StatusOK))
		alice.response(sip.StatusOK)
	})
}

// A Record-Route that fills the message: what does not fit is refused, and what
// does is passed on without being read.
func TestRecordRouteFlood(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, &Config{Handler: relay, RecordRoute: true})
		alice, bob := s.wire(aliceAddr), s.wire(bobAddr)
		alice.sendText("INVITE", strings.Repeat("Record-Route: <sip:h;lr>\r\n", 300))
		if got := bob.request(sip.INVITE); strings.Count(got.String(), "Record-Route: ") != 301 {
			s.Errorf("%d Record-Routes, want 301", strings.Count(got.String(), "Record-Route: "))
		}
	})
	play(t, func(s *scene) {
		s.proxy(proxyAddr, &Config{Handler: relay, RecordRoute: true})
		alice, _ := s.wire(aliceAddr), s.wire(bobAddr)
		alice.sendText("INVITE", strings.Repeat("Record-Route: <sip:h;lr>\r\n", 493))
		if resp, ok := alice.next().(*sip.Response); !ok || resp.Status() < 400 {
			s.Errorf("got %v, want a refusal", resp)
		}
	})
}

// A hundred targets: they share the Max-Breadth, and one goroutine each is all
// that they cost.
func TestHundredTargets(t *testing.T) {
	play(t, func(s *scene) {
		var targets []Target
		for i := range 100 {
			targets = append(targets, Target{URI: uri(fmt.Sprintf("sip:bob%d@%s", i, bobAddr))})
		}
		s.proxy(proxyAddr, example(to(targets...)))
		most, open := 0, 0
		s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) {
			s.mu.Lock()
			open++
			most = max(most, open)
			s.mu.Unlock()
			<-time.After(50 * time.Millisecond)
			s.mu.Lock()
			open--
			s.mu.Unlock()
			tx.Reply(sip.StatusNotFound)
		})
		s.expect(s.ua(aliceAddr, nil), request(sip.MESSAGE, aor, by(proxyAddr)), "404")
		if most > 60 {
			s.Errorf("%d branches at once, want 60 at most", most)
		}
	})
}

// A thousand Contacts in a 302, and more behind each: a bounded number is tried.
func TestRecursionIsBounded(t *testing.T) {
	play(t, func(s *scene) {
		cfg := example(to(at("sip:bob@" + bobAddr)...))
		cfg.Recurse = true
		s.proxy(proxyAddr, cfg)
		count := 0
		s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) {
			s.mu.Lock()
			n := count
			count++
			s.mu.Unlock()
			var edits []sip.Edit
			for i := range 400 { // as many as fit
				edits = append(edits, sip.Add(sip.Contact{URI: uri(fmt.Sprintf("sip:x%d-%d@%s", n, i, bobAddr))}))
			}
			tx.Reply(302, edits...)
		})
		resp := s.expect(s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(proxyAddr+";transport=tcp")), "302")
		if count != 1+maxRedirects {
			s.Errorf("%d targets were tried, want %d", count, 1+maxRedirects)
		}
		if n := strings.Count(resp.String(), "sip:x"); n == 0 {
			s.Error("nothing is left to the caller")
		}
	})
}

// Provisional responses without end: each goes up at once, nothing is kept, and
// the call goes on.
func TestProvisionalFlood(t *testing.T) {
	count := 100_000
	if testing.Short() {
		count = 10_000
	}
	up := make(chan int, 64)
	forwarded := make(chan struct{}, 1)
	rang := 0
	var n *pipe
	n = newPipe(siptest.NewNetwork(nil), func(m []byte, to net.Addr) {
		switch text := string(m); {
		case strings.HasPrefix(text, "INVITE"):
			ringing, busy := answers(m)
			go func() { // ends with the last
				for range count {
					n.in <- ringing
				}
				for range 64 { // the proxy may be busy ringing
					n.in <- busy
				}
			}()
			forwarded <- struct{}{}
		case strings.HasPrefix(text, "SIP/2.0 180"):
			rang++
		case strings.HasPrefix(text, "SIP/2.0 486"):
			up <- rang
		}
	})
	p, err := Listen(&transport.Config{Listen: []string{"udp:" + proxyAddr + ":5060"}, Network: n, MaxRate: -1, Logger: quiet}, &Config{Handler: relay})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n.in <- message("INVITE", 1)
	<-forwarded
	if got := <-up; got == 0 {
		t.Error("nobody has heard it ring")
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
}

// A program's own code that runs within a branch may panic: that branch counts as
// failed, and the others go on.
func TestPanicInBranch(t *testing.T) {
	play(t, func(s *scene) {
		tc := on(s, s.net, proxyAddr)
		tc.Trace = &transport.Trace{Sent: func(m transport.TraceMessage) {
			if m.Remote.Addr().String() == bobAddr {
				panic("of the trace")
			}
		}}
		cfg := both()
		cfg.Transaction = &transaction.Config{Logger: quiet}
		p, err := Listen(tc, cfg)
		if err != nil {
			s.Fatal(err)
		}
		defer p.Close()
		s.wire(bobAddr)
		s.phone("carol", carolAddr, 486)
		alice := s.ua(aliceAddr, nil)
		s.expect(alice, request(sip.MESSAGE, aor, by(proxyAddr)), "200")
	})
}

// FuzzRoute reads any Route and Request-URI: what comes out is a request that can
// be sent, or a refusal.
func FuzzRoute(f *testing.F) {
	n := siptest.NewNetwork(nil)
	ep, err := transport.Listen(&transport.Config{Network: n.Host(proxyAddr), Listen: []string{"udp:" + proxyAddr + ":5060"}, Logger: quiet})
	if err != nil {
		f.Fatal(err)
	}
	defer ep.Close()
	k := newKey()
	s := newSelf(ep, &transport.Config{}, []string{"example.com"}, &k)
	token := ep.FlowToken(transport.Flow{})
	f.Add(aor, "<sip:192.0.2.3;lr>")
	f.Add("sip:"+token+"@h;lr", "<sip:"+token+"@h;lr;ob>, <sip:bob@b.example;maddr=1>")
	f.Add(aor, "<sip:."+token+"@192.0.2.3;lr;bond=1>, <sip:"+k.veil(token, "1")+"@192.0.2.3;lr;bond=1>, <sip:.@192.0.2.3;lr>")
	f.Add("sip:192.0.2.3;lr", "<sips:[::ffff:192.0.2.3]:5060;lr>,<tel:+1;lr>")
	f.Fuzz(func(t *testing.T, uri, value string) {
		m, err := sip.Parse("INVITE " + uri + " SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nRoute: " + value +
			"\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: 7\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n")
		req, ok := m.(*sip.Request)
		if err != nil || !ok {
			return
		}
		var r route
		if r.read(s, ep, req, ep.Addr("udp"), &k) != nil {
			return
		}
		out := req
		if r.strict {
			out = out.WithURI(r.uri)
		}
		out = out.With(r.edits(nil)...)
		if out.Err() != nil {
			return
		}
		again, err := sip.Parse(out.String())
		if err != nil {
			t.Fatalf("%v in %q", err, out)
		}
		var second route
		if err := second.read(s, ep, again.(*sip.Request), ep.Addr("udp"), &k); err != nil {
			t.Fatalf("%v in %q", err, out)
		}
		if second.ours != 0 && !second.strict {
			t.Fatalf("%d entries of ours are left in %q", second.ours, out)
		}
	})
}
