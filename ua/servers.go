package ua

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// servers are the hosts that an agent shows its secrets to: those that the program
// has named, and what they are found to be called. nil is of an agent without secrets.
type servers struct {
	mu      sync.Mutex
	own     []string // the domain, and the proxies and registrars that were configured
	learned []string // those of Routes of ours, and addresses that led to any of them; what was met longest ago goes
	secure  bool     // one of the first is to be reached by TLS alone
}

const maxServers = 32

// hostOf returns where a URI leads to, in one spelling. The port does not count: a
// domain is where its SRV records say, and many a proxy has several ports.
func hostOf(u sip.URI) string {
	host := u.Host
	if maddr, ok := u.Params.Get("maddr"); ok { // it wins (RFC 3261 section 19.1.1)
		host = maddr
	}
	return hostName(host)
}

func hostName(host string) string {
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return addr.Unmap().String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// isOurs reports whether a request goes to a server of ours first. Within a
// dialog it goes by what the peer has written, Record-Route and Contact, and
// after a redirection by what whoever is called has: it has to name such a server.
func (s *servers) isOurs(req *sip.Request) bool {
	uri := req.URI()
	if route, err := sip.Get[sip.Route](req); err == nil {
		uri = route.URI
	}
	return s.isServer(hostOf(uri))
}

func (s *servers) isServer(host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.own, host) || slices.Contains(s.learned, host)
}

// configured notes a server of ours that the program has named.
func (s *servers) configured(uri sip.URI) {
	if s == nil || uri.Host == "" {
		return
	}
	host := hostOf(uri)
	kind, _ := uri.Params.Get("transport")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secure = s.secure || uri.Scheme == "sips" || strings.EqualFold(kind, "wss")
	if !slices.Contains(s.own, host) {
		s.own = append(s.own, host)
	}
}

// routed notes that a Route was written by us, or by the program, and so leads to a
// server of ours.
func (s *servers) routed(route sip.Route) {
	if s != nil {
		s.learn(hostOf(route.URI))
	}
}

func (s *servers) learn(host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.learned = remember(s.learned, maxServers, host)
}

// remember puts text at the end of a list, where it is kept for longest.
func remember(list []string, limit int, text string) []string {
	if i := slices.Index(list, text); i >= 0 {
		text = list[i]
		list = slices.Delete(list, i, i+1)
	} else {
		text = strings.Clone(text)
	}
	if len(list) >= limit {
		list = slices.Delete(list, 0, 1)
	}
	return append(list, text)
}

// watch returns a context whose requests tell which addresses our servers have:
// proxies of a domain record routes with their address, and not with its name.
func (s *servers) watch(ctx context.Context) context.Context {
	if s == nil {
		return ctx
	}
	return transaction.WithSent(ctx, s.sent)
}

// sent is told of each request that goes out.
func (s *servers) sent(f transport.Flow, req *sip.Request) {
	if s != nil && req.To().Tag() == "" && s.isOurs(req) {
		s.learn(f.RemoteAddr().Addr().Unmap().String())
	}
}

// webSocketHeader is Config.WebSocketHeader for our own servers: peers name others, by
// their Contact or in a redirection. What is kept secret on the way to one of them is so
// to all.
func (a *Agent) webSocketHeader(to resolve.Target) http.Header {
	if a.servers == nil || !a.servers.isServer(hostName(to.Host)) || to.Transport == "WS" && a.servers.isSecure() {
		return nil
	}
	return a.cfg.WebSocketHeader
}

func (s *servers) isSecure() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secure
}
