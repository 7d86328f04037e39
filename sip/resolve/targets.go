package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/goparley/parley/sip"
)

// Targets returns where to send a request for uri, never an empty list without
// an error (RFC 3263 section 4). Targets that failed lately come last.
//
// A transport that is not there is ErrTransport. An unknown name is a
// *net.DNSError with IsNotFound; one that could not be looked up is another,
// with IsTimeout if nobody answered. What is neither a name nor an address is a
// *net.AddrError: an IPv6 address with a zone, say, which would have the writer
// of the URI choose the interface that the request leaves by.
//
// Whatever the DNS says, it is a list of 64 at most, from 16 host names at most.
func (c *Client) Targets(ctx context.Context, uri sip.URI) ([]Target, error) {
	targets, err := c.forRequest(ctx, uri)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", uri, err)
	}
	return c.failures.last(targets), nil
}

func (c *Client) forRequest(ctx context.Context, uri sip.URI) ([]Target, error) {
	secure := strings.EqualFold(uri.Scheme, "sips")
	if !secure && !strings.EqualFold(uri.Scheme, "sip") {
		return nil, ErrTransport
	}
	var tr *transport
	if p, ok := uri.Params.Get("transport"); ok {
		if tr = parameter(p, secure); !c.speaks(tr) {
			return nil, ErrTransport
		}
	}
	// RFC 3263 section 4: maddr, when there is one, is the TARGET.
	if maddr, ok := uri.Params.Get("maddr"); ok {
		uri.Host = maddr
	}
	host, addr, err := readHost(uri.Host, uri.Port)
	if err != nil {
		return nil, err
	}
	// Without a transport parameter, an address or a port settles it: the usual
	// one. What is neither is asked.
	if tr == nil && (addr.IsValid() || uri.Port != 0) {
		if tr = c.usual(secure); tr == nil {
			return nil, ErrTransport
		}
	}
	switch {
	case addr.IsValid():
		return []Target{tr.target(addr, uri.Port, host)}, nil
	case uri.Port != 0:
		return c.addresses(ctx, host, []place{{tr, host, uint16(uri.Port)}})
	case tr != nil:
		return c.byService(ctx, host, []*transport{tr}, tr)
	}
	return c.byDomain(ctx, host, secure)
}

// byDomain has the domain choose the transport (RFC 3263 section 4.1).
func (c *Client) byDomain(ctx context.Context, host string, secure bool) ([]Target, error) {
	fit := c.transports
	if secure {
		fit = nil
		for _, tr := range c.transports {
			if tr.secure {
				fit = append(fit, tr)
			}
		}
	}
	usual := c.usual(secure)
	if usual == nil {
		return nil, ErrTransport
	}
	answer, err := c.cache.ask(ctx, key{"", host, TypeNAPTR}).wait(ctx)
	if err != nil && (ctx.Err() != nil || isTimeout(err)) {
		return nil, err // the next question would fare no better
	}
	if err == nil {
		// A server that cannot tell of NAPTR records may yet know of others.
		if targets, _ := c.byNAPTR(ctx, host, fit, answer.NAPTR); len(targets) > 0 {
			return targets, nil
		}
	}
	return c.byService(ctx, host, fit, usual)
}

// byService looks for the SRV records of some transports, and without any for
// the addresses of the domain, which it then uses with the usual one (RFC 3263
// section 4.2).
func (c *Client) byService(ctx context.Context, host string, of []*transport, usual *transport) ([]Target, error) {
	services := make([]service, len(of))
	for i, tr := range of {
		services[i] = service{tr: tr, prefix: tr.service, domain: host}
	}
	places, denied, err := c.srv(ctx, services)
	switch {
	case len(places) > 0:
		return c.addresses(ctx, host, places)
	case err != nil:
		return nil, err
	case slices.Contains(denied, usual):
		return nil, fmt.Errorf("%w: %s says that it has none", ErrTransport, host)
	}
	return c.addresses(ctx, host, []place{{usual, host, usual.port}})
}

// target returns where an address is reached; port 0 is the usual one.
func (tr *transport) target(addr netip.Addr, port int, host string) Target {
	if port == 0 {
		port = int(tr.port)
	}
	return Target{Transport: tr.name, Addr: netip.AddrPortFrom(addr, uint16(port)), Host: host}
}

// readHost returns a host as it is looked up, or the address that it is.
func readHost(host string, port int) (string, netip.Addr, error) {
	if port < 0 || port > 65535 {
		return "", netip.Addr{}, &net.AddrError{Err: "no port number", Addr: fmt.Sprint(port)}
	}
	if addr := (sip.URI{Host: host}).Addr(); addr.IsValid() {
		return host, addr.Unmap(), nil
	}
	if !isName(host) {
		return "", netip.Addr{}, &net.AddrError{Err: "neither a host name nor an address", Addr: host}
	}
	return strings.TrimSuffix(host, "."), netip.Addr{}, nil
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

// isName reports whether a host, which is no address, may be looked up. The
// system's resolver takes more than names: addresses with a zone, and on some
// systems "127.1" and the like. So the last label is no number; the grammar has
// a letter there, which host names of one label often do not (RFC 3261 section
// 25.1, toplabel). "_" is for SRV records, and stands in hosts of the field.
func isName(host string) bool {
	host = strings.TrimSuffix(host, ".")
	if len(host) > 253 { // in a message 255, with the root (RFC 1035 section 2.3.4)
		return false
	}
	label := 0 // where it begins
	for i := 0; i <= len(host); i++ {
		switch {
		case i == len(host) || host[i] == '.':
			if i == label || i-label > 63 {
				return false
			}
			if i < len(host) {
				label = i + 1
			}
		case !isDigit(host[i]) && !isLetter(host[i]) && host[i] != '-' && host[i] != '_':
			return false
		}
	}
	return !isNumber(host[label:])
}

// isNumber reports whether a label is a number, decimal or hexadecimal.
func isNumber(label string) bool {
	hex := len(label) > 1 && label[0] == '0' && label[1]|0x20 == 'x'
	if hex {
		label = label[2:]
	}
	for i := range len(label) {
		if c := label[i]; !isDigit(c) && (!hex || c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
