package registrar

import (
	"strings"

	"github.com/goparley/parley/internal/hostname"
	"github.com/goparley/parley/sip"
)

// maxKey bounds the key of an address-of-record, in bytes.
const maxKey = 512

// aorKey returns the canonical form of an address-of-record, without its
// scheme: sip and sips are of the same user (RFC 5630 section 5.2). Parameters
// are gone, and of escapes there are those that the user needs, in one spelling
// (RFC 3261 section 10.3 step 5). The port is gone too, which is a deviation: who
// puts it into a To, or calls it, means the user and not a socket.
//
// ok is false for what is no address-of-record of anybody: another scheme,
// control characters, or too long.
func aorKey(uri sip.URI) (key string, ok bool) {
	if uri.Scheme != "sip" && uri.Scheme != "sips" || uri.Opaque != "" || uri.Host == "" {
		return "", false
	}
	user, host := uri.User, hostKey(uri)
	if !isPlain(user) {
		text := uri.Username()
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "", false
		}
		user = uri.WithUsername(text).User
	}
	if len(user)+1+len(host) > maxKey {
		return "", false
	}
	if user == "" {
		return host, true
	}
	return user + "@" + host, true
}

// isPlain reports whether a user is of characters that have one spelling.
func isPlain(user string) bool {
	for i := range len(user) {
		c := user[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// aorURI is the address-of-record with that key.
func aorURI(key, scheme string) sip.URI {
	user, host, ok := strings.Cut(key, "@")
	if !ok {
		user, host = "", key
	}
	return sip.URI{Scheme: scheme, User: user, Host: host}
}

// hostKey returns the host as it is compared (hostname.Canonical), and as it stands in
// a URI.
func hostKey(uri sip.URI) string {
	host := hostname.Canonical(uri.Host)
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// leadsHere reports whether a request to a Contact of a user comes back to us: it is
// of one of our domains. A port leads elsewhere if the domain is an address, as where
// phones and registrar are on one machine, and no socket of ours has it. A name has
// the ports that whoever gave it out has mapped to ours, which we cannot know;
// "localhost" is no such name, but this machine. ours says that the port was one of
// ours when it was registered, maybe at another node, or in an earlier run, whose
// sockets we do not know.
func (r *Registrar) leadsHere(uri sip.URI, of string, ours bool) bool {
	host := hostKey(uri)
	if r.domains != nil && !r.domains[host] || r.domains == nil && host != hostKey(aorURI(of, "sip")) {
		return false
	}
	return ours || uri.Port == 0 || !uri.Addr().IsValid() && host != "localhost" || r.hasPort(uri.Port)
}

// hasPort reports whether a socket of ours has a port.
func (r *Registrar) hasPort(port int) bool {
	if r.cfg.Node.Port == port {
		return true
	}
	known := r.endpoints.Load()
	if known == nil {
		return false
	}
	for _, ep := range *known {
		for _, kind := range []string{"udp", "tcp", "tls", "ws", "wss"} {
			if at := ep.Addr(kind); at.IsValid() && int(at.Port()) == port {
				return true
			}
		}
	}
	return false
}

// serves reports whether a host is one of our domains.
func (r *Registrar) serves(uri sip.URI) bool {
	return r.domains == nil || r.domains[hostKey(uri)]
}
