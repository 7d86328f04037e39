package registrar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/goparley/parley/internal/hostname"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
)

// Config holds the options of a Registrar.
type Config struct {
	// Store keeps the bindings; nil means NewMemory(nil). The clocks of nodes
	// that share one are to agree to the second.
	//
	// With a Store that outlives the program, or a Memory that is written down, set
	// the keys that the package doc names.
	Store Store

	// Domains are the hosts of the addresses-of-record that are served, and of
	// the Request-URIs of REGISTERs for them. nil means any host, the same one
	// in both, and is for a test or a closed network: with Users they are
	// required, for else alice were alice of every host there is. An empty list that
	// is not nil would serve nobody, and is an error of New.
	Domains []string

	// Users asks for passwords, with 401 whoever registers, and with 407 whoever
	// calls (Authenticate). nil means that whoever asks may register, as in a
	// test or on a closed network. Domains are required with it.
	//
	// Set digest.ServerConfig.Nonces. Where it is 0, whoever overhears a REGISTER
	// can copy its Authorization into one with another Contact, until the nonce
	// is too old, for what is signed is the method and the Request-URI and
	// neither To nor Contact. With Nonces each is good for once at each node, and
	// for nothing after a restart; TLS alone keeps it from being overheard.
	Users *digest.Server

	// ThirdParty says whether an authenticated user may register for an
	// address-of-record that is not that user's own, and call as it; nil means
	// never. A user's own is the one with the same name: alice is for alice at
	// each of Domains, and alice@example.com for that one alone. Others get 403.
	ThirdParty func(user string, aor sip.URI) bool

	// Exists says whether there is such an address-of-record in a domain of ours.
	// Those that there are not get 404, at a REGISTER and from Lookup, which asks
	// where nothing is registered. nil means that all exist.
	Exists func(ctx context.Context, aor sip.URI) (bool, error)

	// MinExpires, MaxExpires and DefaultExpires are how long a binding lasts, in
	// whole seconds. A REGISTER that asks for less than MinExpires, and for less
	// than an hour, gets 423 (RFC 3261 section 10.3 step 7). One that asks for
	// more than MaxExpires gets MaxExpires, and one that does not say gets
	// DefaultExpires, up to MaxExpires. None may be more than 2^32-1 s, which is all
	// that an Expires can say.
	//
	// 0 means 60 s, or one of the others where that is less; an hour, or MinExpires
	// where that is more; and the same. A MinExpires above one of the others is an
	// error of New: what a client was given it may ask for again.
	MinExpires, MaxExpires, DefaultExpires time.Duration

	// MaxBindings is how many bindings an address-of-record has; 0 means 10, and 100
	// is the most that New takes. A REGISTER with more Contacts than that gets 403.
	// Where a new binding would be one too many, the one that was not refreshed for
	// the longest time gives way.
	MaxBindings int

	// ServiceRoute is what clients send their requests through (RFC 3608), the
	// first to be visited on top. nil means that they are told none.
	ServiceRoute []sip.URI

	// AnyPath takes the Path of proxies for clients that do not say that they
	// support it, which otherwise get 420, as RFC 3327 section 5.3 recommends.
	AnyPath bool

	// Node is how those who share the Store reach this node, and no other one:
	// host, port and transport of the URI count, and of sips that it means TLS. One
	// with a user, headers or maddr, or with the address of all sockets, is an error
	// of New; other parameters do not count. The zero URI means the socket that the
	// client has used, as the client would name it, which will not do where nodes
	// have one name for clients (transport.Config.Advertise). The host is to be one
	// that this node listens on or that it is called.
	Node sip.URI

	// FlowTimer is within what time a client with outbound, connected to us, is
	// told to send keepalives (RFC 5626 section 4.4). 0 means 120 s on connections
	// and 25 s over UDP; less than 0 says nothing of it.
	FlowTimer time.Duration

	// GRUUKey is what temporary GRUUs are enciphered with. Nodes that share a
	// Store must share it, and so do runs of the program; the package doc has it
	// with the other keys. nil means a random one.
	GRUUKey []byte

	// Logger is for failures of the Store; nil means slog.Default.
	Logger *slog.Logger
}

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
