package proxy

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

const (
	malloryAddr = "192.0.2.99"
	downAddr    = "192.0.2.66" // where nobody is: a connection there takes ten seconds to fail
)

// stateless is a proxy that forwards along the Route or to the Request-URI, without
// a transaction if it can. Each time that it is asked is noted: what has a
// transaction in spite of that is asked for twice.
func stateless(s *scene) *Config {
	return &Config{Stateless: func(req *sip.Request, _ Arrival) (Target, bool) {
		s.note("%s", req.CallID())
		return Target{}, true
	}}
}

// asked returns how often the proxy was asked for each Call-ID.
func (s *scene) asked() map[string]int {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := map[string]int{}
	for _, id := range s.lines {
		asked[id]++
	}
	s.lines = nil
	return asked
}

// count returns how many messages wait.
func count(p *places) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all
}

// A stream is a connection to the proxy, of no layer.
type stream struct {
	net.Conn
	s    *scene
	host string
	got  func() string // what has come
}

func (s *scene) stream(host string) *stream {
	s.Helper()
	conn, err := s.net.Host(host).DialContext(s.Context(), "tcp", proxyAddr+":5060")
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { conn.Close() })
	var text strings.Builder
	go func() { // ends with the connection
		buf := make([]byte, 1<<16)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			s.mu.Lock()
			text.Write(buf[:n])
			s.mu.Unlock()
		}
	}()
	return &stream{conn, s, host, func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		return text.String()
	}}
}

// send sends a request of that Call-ID.
func (c *stream) send(method sip.Method, to, id string) {
	c.s.Helper()
	via := sip.Via{Transport: "TCP", Host: c.host, Params: sip.Params(";rport;branch=z9hG4bK" + id)}
	if _, err := io.WriteString(c, request(method, to, sip.CallID(id), sip.ContentLength(0), sip.Push(via)).String()); err != nil {
		c.s.Error(err)
	}
}

// overTCP is a request to bob by TCP, over TCP.
func overTCP(id string) *sip.Request {
	return request(sip.OPTIONS, "sip:bob@"+bobAddr+";transport=tcp", by(proxyAddr+";transport=tcp"), sip.CallID(id))
}

// Somebody sends to a host that is down: he waits for that, and nobody else does. His
// requests for which there is no place have a transaction, and so an answer.
func TestPostedToHostThatIsDown(t *testing.T) {
	const n = 4 * maxPostedOfOne
	play(t, func(s *scene) {
		p := s.proxy(proxyAddr, stateless(s))
		s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) { tx.Reply(sip.StatusOK) })
		alice, mallory := s.ua(aliceAddr, nil), s.stream(malloryAddr)
		for i := range n {
			mallory.send(sip.OPTIONS, "sip:x@"+downAddr+";transport=tcp", fmt.Sprint("m", i))
		}
		pass(100 * time.Millisecond)
		if got := count(&p.posted.requests); got != maxPostedOfOne {
			s.Errorf("%d requests wait, want %d", got, maxPostedOfOne)
		}
		began := time.Now()
		s.expect(alice, overTCP("a1"), "200")
		if took := time.Since(began); took > 200*time.Millisecond {
			s.Errorf("alice has waited for %v", took)
		}
		pass(time.Minute)
		asked := s.asked()
		if asked["a1"] != 1 {
			s.Error("alice's request had a transaction")
		}
		for i := range n {
			want := 1
			if i >= maxPostedOfOne {
				want = 2
			}
			if id := fmt.Sprint("m", i); asked[id] != want {
				s.Fatalf("asked %d times for request %d, want %d", asked[id], i, want)
			}
		}
		if got, want := strings.Count(mallory.got(), "SIP/2.0 500 "), n-maxPostedOfOne; got != want {
			s.Errorf("mallory has %d answers, want %d", got, want)
		}
		if left := &p.posted.requests; count(left)+len(left.hops)+len(left.sources)+len(left.waiting) != 0 {
			s.Errorf("%d requests still wait, and %d, %d and %d counts are left", count(left), len(left.hops), len(left.sources), len(left.waiting))
		}
	})
}

// One source that sends to many hosts, and many sources that send to one: neither
// takes all places. When all are taken, what goes by a connection that is open needs
// none, and what else there is goes with a transaction.
func TestPostedFull(t *testing.T) {
	play(t, func(s *scene) {
		p := s.proxy(proxyAddr, stateless(s))
		s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) { tx.Reply(sip.StatusOK) })
		s.ua(carolAddr, func(tx *transaction.Server, req *sip.Request) { tx.Reply(sip.StatusOK) })
		alice := s.ua(aliceAddr, nil)
		s.expect(alice, overTCP("a1"), "200")
		wait := func(want int) {
			s.Helper()
			pass(50 * time.Millisecond)
			if got := count(&p.posted.requests); got != want {
				s.Errorf("%d requests wait, want %d", got, want)
			}
		}
		one := s.stream("192.0.2.100")
		for i := range 2 * maxPostedOfOne {
			one.send(sip.OPTIONS, fmt.Sprintf("sip:x@198.51.100.%d;transport=tcp", i), fmt.Sprint("one", i))
		}
		wait(maxPostedOfOne)
		for i := range 2 * maxPostedOfOne {
			s.stream(fmt.Sprintf("198.51.100.%d", i)).send(sip.OPTIONS, "sip:x@"+downAddr+";transport=tcp", fmt.Sprint("many", i))
		}
		wait(2 * maxPostedOfOne)
		for i := range maxPosted/maxPostedOfOne - 2 {
			more := s.stream(fmt.Sprintf("192.0.2.%d", 101+i))
			for j := range maxPostedOfOne {
				more.send(sip.OPTIONS, fmt.Sprintf("sip:x@203.0.113.%d;transport=tcp", i), fmt.Sprint("more", i, ".", j))
			}
		}
		wait(maxPosted)
		s.asked()
		s.expect(alice, overTCP("a2"), "200")
		s.expect(alice, request(sip.OPTIONS, "sip:carol@"+carolAddr+";transport=tcp", by(proxyAddr+";transport=tcp"), sip.CallID("a3")), "200")
		if asked := s.asked(); asked["a2"] != 1 || asked["a3"] != 2 {
			s.Errorf("asked %v, want a2 once and a3 twice", asked)
		}
	})
}

// A CANCEL has a place where its INVITE has one, however many INVITEs wait.
func TestPostedCancel(t *testing.T) {
	play(t, func(s *scene) {
		p := s.proxy(proxyAddr, stateless(s))
		mallory := s.stream(malloryAddr)
		for i := range maxPostedOfOne {
			mallory.send(sip.INVITE, "sip:x@"+downAddr+";transport=tcp", fmt.Sprint(i))
		}
		for i := range maxPostedOfOne {
			mallory.send(sip.CANCEL, "sip:x@"+downAddr+";transport=tcp", fmt.Sprint(i))
		}
		pass(100 * time.Millisecond)
		if invites, cancels := count(&p.posted.requests), count(&p.posted.cancels); invites != maxPostedOfOne || cancels != maxPostedOfOne {
			s.Errorf("%d INVITEs and %d CANCELs wait, want %d of each", invites, cancels, maxPostedOfOne)
		}
	})
}

// withDNS runs a proxy with sockets of these kinds, UDP and TCP if there are none, that
// asks a name server at 192.0.2.53.
func (s *scene) withDNS(zone string, cfg *Config, kinds ...string) (*Proxy, *siptest.DNS) {
	s.Helper()
	dns, err := siptest.NewDNS(zone)
	if err != nil {
		s.Fatal(err)
	}
	if err := dns.Listen(s.net.Host("192.0.2.53")); err != nil {
		s.Fatal(err)
	}
	tc := on(s, s.net, proxyAddr, kinds...)
	tc.Resolver = &resolve.DNS{Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")}, Dialer: s.net.Host(proxyAddr)}
	p, err := Listen(tc, cfg)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		pass(5 * time.Minute)
		p.Close()
		dns.Close()
	})
	return p, dns
}

// Over UDP a request comes again while it waits for the DNS, and is sent once. What
// finds no place has a transaction, which waits as long. When the name is known
// nothing waits for it.
func TestPostedOverUDP(t *testing.T) {
	const zone = "example 300 SOA ns admin 1 3600 600 86400 300\nbob.example 300 A " + bobAddr
	play(t, func(s *scene) {
		p, dns := s.withDNS(zone, stateless(s))
		dns.SetScript(func(siptest.DNSQuestion) siptest.DNSReply { return siptest.DNSReply{Delay: 1800 * time.Millisecond} })
		s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) { tx.Reply(sip.StatusOK) })
		alice := s.wire(aliceAddr)
		send := func(id string) {
			alice.send(request(sip.MESSAGE, "sip:bob@bob.example:5060", sip.CallID(id),
				sip.Push(sip.Via{Transport: "UDP", Host: aliceAddr, Params: sip.Params(";branch=z9hG4bK" + id)})))
		}
		for range 3 {
			for i := range maxPostedOfOne + 1 {
				send(fmt.Sprint(i))
			}
			pass(500 * time.Millisecond)
		}
		if got := count(&p.posted.requests); got != maxPostedOfOne {
			s.Errorf("%d requests wait, want %d", got, maxPostedOfOne)
		}
		pass(time.Second) // now the DNS has answered
		s.asked()
		send("last")
		pass(100 * time.Millisecond)
		if n := s.asked()["last"]; n != 1 {
			s.Errorf("asked %d times for the last one, want once", n)
		}
		got := map[string]int{}
		for _, packet := range s.net.Packets() {
			if req, err := sip.Parse(string(packet.Data)); err == nil && packet.To.Addr().String() == bobAddr {
				got[req.CallID()]++
			}
		}
		for id, n := range got {
			if n != 1 {
				s.Errorf("bob was sent request %s %d times, want once", id, n)
			}
		}
		if want := maxPostedOfOne + 2; len(got) != want {
			s.Errorf("bob was sent %d requests, want %d", len(got), want)
		}
	})
}

// A client whose host is down has hundreds of responses wait for her: those to others
// have places left and, by a connection that is open, need none. Requests have places
// of their own.
func TestPostedResponses(t *testing.T) {
	play(t, func(s *scene) {
		p := s.proxy(proxyAddr, stateless(s))
		s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) {
			if strings.HasPrefix(req.CallID(), "m") {
				<-time.After(time.Second)
			}
			tx.Reply(sip.StatusOK)
		})
		mallory := s.stream(malloryAddr)
		for i := range 2 * maxPostedOfOne {
			mallory.send(sip.OPTIONS, "sip:bob@"+bobAddr+";transport=tcp", fmt.Sprint("m", i))
		}
		pass(500 * time.Millisecond)
		mallory.Close()
		pass(100 * time.Millisecond)
		s.net.Host(malloryAddr).Down()
		pass(time.Second)
		if got := count(&p.posted.responses); got != maxPostedOfOne {
			s.Errorf("%d responses wait, want %d", got, maxPostedOfOne)
		}
		for i := 0; ; i++ { // and others like her
			w := waiter{hop: fmt.Sprint("host", i)}
			if ok, _ := p.posted.responses.enter(w); !ok {
				break
			}
			defer p.posted.responses.leave(w)
		}
		carol := s.stream(carolAddr)
		carol.send(sip.OPTIONS, "sip:bob@"+bobAddr+";transport=tcp", "c1")
		pass(100 * time.Millisecond)
		if got := carol.got(); !strings.HasPrefix(got, "SIP/2.0 200 ") {
			s.Errorf("carol has %q, want 200", got)
		}
		if asked := s.asked(); asked["c1"] != 1 {
			s.Error("carol's request had a transaction")
		}
	})
}

// A bug in a trace costs the message that it is shown, beside the socket as on it.
func TestPostedPanic(t *testing.T) {
	play(t, func(s *scene) {
		tc := on(s, s.net, proxyAddr)
		tc.Trace = &transport.Trace{Sent: func(m transport.TraceMessage) {
			if strings.HasPrefix(m.Text, "OPTIONS") {
				panic("a bug in a trace")
			}
		}}
		p, err := Listen(tc, stateless(s))
		if err != nil {
			s.Fatal(err)
		}
		s.Cleanup(func() { p.Close() })
		s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) { tx.Reply(sip.StatusOK) })
		mallory := s.stream(malloryAddr)
		for _, id := range []string{"connects", "is connected"} {
			mallory.send(sip.OPTIONS, "sip:bob@"+bobAddr+";transport=tcp", strings.ReplaceAll(id, " ", "-"))
			pass(time.Second)
		}
		if got := count(&p.posted.requests); got != 0 {
			s.Errorf("%d requests wait", got)
		}
		s.expect(s.ua(aliceAddr, nil), request(sip.MESSAGE, "sip:bob@"+bobAddr+";transport=tcp", by(proxyAddr+";transport=tcp")), "200")
	})
}
