// Package resolve finds out where a request is to be sent: from a URI to the
// transports and addresses to try, in order.
//
// A URI says how it wants to be reached: by its transport and maddr parameters,
// its port, and its host. Targets turns that into a list; the first entry is to
// be tried first, the next when the one before could not be reached.
//
//	targets, err := resolve.Targets(ctx, nil, uri)
//
// It follows RFC 3263 section 4 for addresses and for names with A and AAAA
// records. It does not look at NAPTR and SRV records, and it keeps no cache.
package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/goparley/parley/sip"
)

// ErrTransport says that a URI asks for a transport that is not there.
var ErrTransport = errors.New("resolve: no such transport")

// Target is one place to send a request to.
type Target struct {
	Transport string         // "UDP" or "TCP", as in a Via
	Addr      netip.AddrPort // address and port
	Host      string         // the name that led there, as in the URI
}

// String returns the target as "udp:192.0.2.1:5060".
func (t Target) String() string { return strings.ToLower(t.Transport) + ":" + t.Addr.String() }

// Resolver looks up the addresses of a host name. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Targets returns where to send a request for uri, never an empty list without
// an error. A nil r is the system's resolver. An unknown name is a
// *net.DNSError. What is neither a name nor an address is a *net.AddrError: an
// IPv6 address with a zone, say, which would have the writer of the URI choose
// the interface that the request leaves by.
func Targets(ctx context.Context, r Resolver, uri sip.URI) ([]Target, error) {
	if uri.Scheme != "sip" {
		return nil, fmt.Errorf("resolve %s: %w", uri, ErrTransport)
	}
	// RFC 3263 section 4.1: the transport parameter decides; without it, and
	// without NAPTR and SRV, it is UDP.
	transport := "UDP"
	if p, ok := uri.Params.Get("transport"); ok {
		transport = strings.ToUpper(p)
	}
	if transport != "UDP" && transport != "TCP" {
		return nil, fmt.Errorf("resolve %s: %w", uri, ErrTransport)
	}
	// RFC 3263 section 4: maddr, when there is one, is the TARGET.
	at := uri
	if maddr, ok := uri.Params.Get("maddr"); ok {
		at.Host = maddr
	}
	port := uint16(uri.Port)
	if port == 0 {
		port = 5060
	}
	if addr := at.Addr(); addr.IsValid() {
		return []Target{{transport, netip.AddrPortFrom(addr.Unmap(), port), at.Host}}, nil
	}
	if !isName(at.Host) {
		return nil, fmt.Errorf("resolve %s: %w", uri, &net.AddrError{Err: "neither a host name nor an address", Addr: at.Host})
	}
	if r == nil {
		r = net.DefaultResolver
	}
	addrs, err := r.LookupNetIP(ctx, "ip", at.Host)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", uri, err)
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("resolve %s: %w", uri, &net.DNSError{Err: "no addresses", Name: at.Host, IsNotFound: true})
	}
	targets := make([]Target, len(addrs))
	for i, addr := range addrs {
		targets[i] = Target{transport, netip.AddrPortFrom(addr.Unmap(), port), at.Host}
	}
	return targets, nil
}

// isName reports whether a host, which is no address, may be looked up. The
// system's resolver takes more than names: addresses with a zone, and on some
// systems "127.1" and the like. So the last label is no number; the grammar has
// a letter there, which host names of one label often do not (RFC 3261 section
// 25.1, toplabel).
func isName(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := ""
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || strings.TrimLeft(label, nameChars) != "" {
			return false
		}
		last = label
	}
	if len(last) > 1 && (last[:2] == "0x" || last[:2] == "0X") {
		return strings.Trim(last[2:], "0123456789abcdefABCDEF") != ""
	}
	return strings.Trim(last, "0123456789") != ""
}

// nameChars is what labels are made of, and "_", which the field uses.
const nameChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
