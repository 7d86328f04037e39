package ua_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/proxy"
	"github.com/goparley/parley/transaction/registrar"
	"github.com/goparley/parley/ua"
)

const (
	homeAddr = "192.0.2.10"
	edge1    = "192.0.2.11"
	edge2    = "192.0.2.12"
)

// site is a domain with a registrar, at 192.0.2.10, and two edge proxies in front
// of it. Alice is at 192.0.2.1.
type site struct {
	*testing.T
	n        *siptest.Network
	location *registrar.Registrar
	watch    time.Duration // of a laptop
	home     *proxy.Proxy

	mu     sync.Mutex
	passed []pass
	wrote  []*sip.Request                               // by Alice
	answer func(*transaction.Server, *sip.Request) bool // in place of the registrar; nil: never
}

// pass is a request that a server of the site has taken.
type pass struct {
	at  time.Time
	by  string // the address of the server
	req *sip.Request
}

// onSite runs a story in fake time on a network where a packet takes 10 ms.
func onSite(t *testing.T, cfg *registrar.Config, story func(*testing.T, *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &site{T: t, n: siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})}
		if cfg == nil {
			cfg = &registrar.Config{}
		}
		cfg.Domains, cfg.Logger = []string{homeAddr}, quiet
		var err error
		if s.location, err = registrar.New(cfg); err != nil {
			t.Fatal(err)
		}
		s.home = s.serve(homeAddr, &proxy.Config{RecordRoute: true, Handler: func(tx *proxy.Server, req *sip.Request) {
			s.note(homeAddr, req)
			s.mu.Lock()
			answer := s.answer
			s.mu.Unlock()
			switch {
			case answer != nil && answer(tx.Server, req):
			case req.Method() == sip.REGISTER:
				s.location.Register(tx.Server, req)
			case tx.Local() && req.URI().User == "":
				tx.Reply(sip.StatusOK)
			case tx.Local():
				s.location.Forward(tx, req)
			default:
				tx.Relay(req)
			}
		}})
		for _, addr := range []string{edge1, edge2} {
			s.serve(addr, &proxy.Config{Path: true, Handler: func(tx *proxy.Server, req *sip.Request) {
				s.note(addr, req)
				tx.Relay(req)
			}})
		}
		story(t, s)
	})
}

func (s *site) serve(addr string, cfg *proxy.Config) *proxy.Proxy {
	s.Helper()
	host := s.n.Host(addr)
	p, err := proxy.Listen(&transport.Config{Network: host, Listen: listen(host), Logger: quiet}, cfg)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { p.Close() })
	return p
}

func (s *site) note(by string, req *sip.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passed = append(s.passed, pass{time.Now(), by, req})
}

// set has REGISTERs, and other requests, answered otherwise.
func (s *site) set(answer func(*transaction.Server, *sip.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// took returns which requests of a method a server has taken since the last time,
// of all servers for "".
func (s *site) took(by string, method sip.Method) (took []pass) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passed = slices.DeleteFunc(s.passed, func(p pass) bool {
		if p.req.Method() != method || by != "" && p.by != by {
			return false
		}
		took = append(took, p)
		return true
	})
	return took
}

// alice makes an agent of the domain.
func (s *site) alice(cfg ua.Config) *ua.Agent {
	s.Helper()
	cfg.Trace = s.trace()
	return newAgent(s.T, s.n, "192.0.2.1", "sip:alice@"+homeAddr, cfg)
}

// trace notes what Alice sends.
func (s *site) trace() *transport.Trace {
	return &transport.Trace{Sent: func(m transport.TraceMessage) {
		if req, ok := m.Message.(*sip.Request); ok {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.wrote = append(s.wrote, req)
		}
	}}
}

// sent returns what Alice has sent of a method since the last time.
func (s *site) sent(method sip.Method) (sent []*sip.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrote = slices.DeleteFunc(s.wrote, func(req *sip.Request) bool {
		if req.Method() == method {
			sent = append(sent, req)
		}
		return req.Method() == method
	})
	return sent
}

// proxies are those of Alice, over TCP.
var proxies = []string{"sip:" + edge1 + ";transport=tcp", "sip:" + edge2 + ";transport=tcp"}

// flows returns the bindings of Alice: how they are numbered, and by which proxy
// they go, as "1 by 192.0.2.11, 2 by 192.0.2.12".
func (s *site) flows() string {
	s.Helper()
	bindings, err := s.location.Bindings(s.Context(), sip.URI{Scheme: "sip", User: "alice", Host: homeAddr})
	if err != nil {
		return err.Error()
	}
	var flows []string
	for _, b := range bindings {
		by := b.Contact.URI.Host
		if len(b.Path) > 0 {
			by = b.Path[0].URI.Host
		}
		flows = append(flows, fmt.Sprint(b.Contact.RegID(), " by ", by))
	}
	slices.Sort(flows)
	return strings.Join(flows, ", ")
}

func (s *site) expectFlows(want string) {
	s.Helper()
	if got := s.flows(); got != want {
		s.Errorf("the registrar has flows %q, want %q", got, want)
	}
}

// reachable reports whether a message to Alice arrives.
func (s *site) reachable() bool {
	s.Helper()
	from := s.n.Host("192.0.2.99")
	l, err := transaction.Listen(&transport.Config{
		Network: from, Listen: []string{"udp:" + netip.AddrPortFrom(from.Addr(), 5060).String()}, Logger: quiet,
	}, nil)
	if err != nil {
		s.Fatal(err)
	}
	defer l.Close()
	resp, err := l.Do(s.Context(), request(sip.OPTIONS, "sip:alice@"+homeAddr))
	return err == nil && resp.Status() == sip.StatusOK
}

// bind binds Alice to another place.
func (s *site) bind(to sip.URI) {
	s.Helper()
	x := newOutsider(s)
	aor := sip.URI{Scheme: "sip", User: "alice", Host: homeAddr}
	resp, err := x.l.Do(s.Context(), request(sip.REGISTER, "sip:"+homeAddr, sip.To{URI: aor}, sip.Contact{URI: to}, sip.Expires(3600)))
	if err != nil || resp.Status() != sip.StatusOK {
		s.Fatalf("bind %s: %v, %v", to, resp, err)
	}
}

// expectBound checks at which hosts Alice is.
func (s *site) expectBound(want ...string) {
	s.Helper()
	bindings, err := s.location.Bindings(s.Context(), sip.URI{Scheme: "sip", User: "alice", Host: homeAddr})
	if err != nil && len(want) > 0 {
		s.Error(err)
	}
	got := []string{}
	for _, b := range bindings {
		got = append(got, b.Contact.URI.Host)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) && len(got)+len(want) > 0 {
		s.Errorf("Alice is bound to %v, want %v", got, want)
	}
}

// laptop makes an agent that may move, and registers it.
func (s *site) laptop(on *movable, proxy string) (*ua.Agent, *ua.Registration) {
	s.Helper()
	a, err := ua.New("sip:alice@"+homeAddr, &ua.Config{
		Network: on, Listen: []string{"udp:0.0.0.0:5060"}, Proxy: proxy, Logger: quiet, Trace: s.trace(), WatchNetwork: s.watch,
	})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { a.Close() })
	reg, err := a.Register(s.Context(), nil)
	if err != nil {
		s.Fatal(err)
	}
	return a, reg
}

// down takes a server off the network, with a reset of its connections.
func (s *site) down(addr string) {
	s.n.Host(addr).Reset()
	s.n.Host(addr).Down()
}
