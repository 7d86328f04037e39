package registrar

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/goparley/parley/internal/hostname"
	"github.com/goparley/parley/sip"
)

const (
	// mostBindings bounds Config.MaxBindings: each 200 has them all.
	mostBindings = 100
	// mostTime is what the seconds of an Expires can say at most (RFC 3261 section
	// 20.19).
	mostTime = math.MaxUint32 * time.Second
)

// check returns what is wrong with the options, but for Node and ServiceRoute.
func (cfg *Config) check() error {
	for _, host := range cfg.Domains {
		if !hostname.IsHost(host) {
			return fmt.Errorf("registrar: %q of Domains is no host", host)
		}
	}
	switch least := cfg.MinExpires; {
	case cfg.Users != nil && len(cfg.Domains) == 0:
		return errors.New("registrar: Users without Domains: a password would be good for alice of every host there is")
	case cfg.Domains != nil && len(cfg.Domains) == 0:
		return errors.New("registrar: Domains are empty, and not nil: nobody would be served")
	case least < 0 || cfg.MaxExpires < 0 || cfg.DefaultExpires < 0:
		return errors.New("registrar: a time to expire is negative")
	case max(least, cfg.MaxExpires, cfg.DefaultExpires, cfg.FlowTimer) > mostTime:
		return errors.New("registrar: a time to expire, or FlowTimer, is more than 2^32-1 s")
	case cfg.MaxExpires > 0 && least > cfg.MaxExpires:
		return fmt.Errorf("registrar: MinExpires %v is more than MaxExpires %v", least, cfg.MaxExpires)
	case cfg.DefaultExpires > 0 && least > cfg.DefaultExpires:
		return fmt.Errorf("registrar: MinExpires %v is more than DefaultExpires %v", least, cfg.DefaultExpires)
	case cfg.MaxBindings < 0 || cfg.MaxBindings > mostBindings:
		return fmt.Errorf("registrar: MaxBindings is %d, and may be up to %d", cfg.MaxBindings, mostBindings)
	}
	return nil
}

// node returns of Node what counts.
func (cfg *Config) node() (sip.URI, error) {
	given := cfg.Node
	if given == (sip.URI{}) {
		return given, nil
	}
	kind, _ := given.Param("transport")
	kind = strings.ToLower(kind)
	secure := given.Scheme == "sips"
	switch {
	case given.Scheme != "" && given.Scheme != "sip" && !secure || given.Opaque != "":
		return sip.URI{}, fmt.Errorf("registrar: Node %q is no sip URI", given)
	case !isHost(given.Host):
		return sip.URI{}, fmt.Errorf("registrar: %q of Node is no host", given.Host)
	case given.Addr().IsValid() && given.Addr().Unmap().IsUnspecified():
		return sip.URI{}, fmt.Errorf("registrar: %q of Node is where a socket listens, and nobody sends to", given.Host)
	case given.User != "" || given.Password != "" || given.Headers != "" || given.Params.Has("maddr"):
		return sip.URI{}, fmt.Errorf("registrar: Node %q has more than host, port and transport", given)
	case given.Port < 0 || given.Port > math.MaxUint16:
		return sip.URI{}, fmt.Errorf("registrar: port %d of Node is no port", given.Port)
	case !slices.Contains([]string{"", "udp", "tcp", "tls", "ws", "wss"}, kind) || secure && kind == "udp":
		return sip.URI{}, fmt.Errorf("registrar: transport %q of Node is none for %s", kind, given.Scheme)
	case secure && (kind == "" || kind == "tcp"):
		kind = "tls"
	}
	node := sip.URI{Scheme: "sip", Host: given.Host, Port: given.Port}
	if kind != "" {
		node = node.WithParam("transport", kind)
	}
	return node, nil
}

// route returns ServiceRoute as a 200 has it.
func (cfg *Config) route() (route []sip.ServiceRoute, err error) {
	for _, uri := range cfg.ServiceRoute {
		if !uri.Params.Has("lr") { // which RFC 3608 section 6.3 requires
			uri.Params = uri.Params.With("lr", "")
		}
		hop := sip.ServiceRoute{URI: uri}
		text := string(hop.AppendValue(nil))
		read, err := sip.ServiceRoute{}.ParseValue(text)
		switch {
		case uri.Scheme != "sip" && uri.Scheme != "sips" || uri.Opaque != "" || !isHost(uri.Host) || uri.Headers != "",
			err != nil, string(read.AppendValue(nil)) != text:
			return nil, fmt.Errorf("registrar: %q of ServiceRoute is no URI of a proxy", text)
		}
		route = append(route, hop)
	}
	return route, nil
}

// isHost reports whether a text is a host as it stands in a URI, and nothing more.
func isHost(host string) bool {
	return hostname.IsHost(host) && (host[0] == '[' || !strings.Contains(host, ":"))
}

// atLeastSecond returns a time as whole seconds; 0 is the standard one.
func atLeastSecond(d, standard time.Duration) time.Duration {
	if d == 0 {
		return standard
	}
	return max(d.Round(time.Second), time.Second)
}
