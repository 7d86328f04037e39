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
// of the URI choose the interface that the request leaves by. No error tells of
// the user, the password or the headers of the URI.
//
// Whatever the DNS says, it is a list of 64 at most, from 16 host names at most,
// after 20 seconds at most. Once there are targets, others are waited for no
// longer than a quarter of a second: they are there the next time.
func (c *Client) Targets(ctx context.Context, uri sip.URI) ([]Target, error) {
	targets, err := c.search(ctx, uri, false)
	return c.failures.last(targets), err
}

// StatelessTargets returns the targets of uri in an order that is the same each
// time for as long as the DNS says the same, whatever has been tried: SRV
// records by priority, weight and name, addresses of each family by number. So
// retransmissions take the way of what they repeat, which RFC 3263 section 4.4
// asks of stateless proxies. Errors are those of Targets. It waits for all there
// is. With a context that is over it asks nobody: it returns what is known, if
// that is all of it.
func (c *Client) StatelessTargets(ctx context.Context, uri sip.URI) ([]Target, error) {
	return c.search(ctx, uri, true)
}

func (c *Client) search(ctx context.Context, uri sip.URI, stateless bool) ([]Target, error) {
	s := search{c: c, ctx: ctx, stateless: stateless}
	defer s.end()
	targets, err := s.forRequest(uri)
	if s.cut {
		err = ctx.Err()
	}
	if err != nil {
		uri.User, uri.Password, uri.Headers = "", "", "" // nobody's business who reads a log
		return nil, fmt.Errorf("resolve %s: %w", uri, err)
	}
	return targets, nil
}

func (s *search) forRequest(uri sip.URI) ([]Target, error) {
	secure := strings.EqualFold(uri.Scheme, "sips")
	if !secure && !strings.EqualFold(uri.Scheme, "sip") {
		return nil, ErrTransport
	}
	var tr *transport
	if p, ok := uri.Params.Get("transport"); ok {
		if tr = parameter(p, secure); !s.c.speaks(tr) {
			return nil, ErrTransport
		}
	}
	// RFC 3263 section 4: maddr, when there is one, is the TARGET.
	if maddr, ok := uri.Params.Get("maddr"); ok {
		uri.Host = maddr
	}
	addr, err := s.read(uri.Host, uri.Port)
	if err != nil {
		return nil, err
	}
	// Without a transport parameter, an address or a port settles it: the usual
	// one. What is neither is asked.
	if tr == nil && (addr.IsValid() || uri.Port != 0) {
		if tr = s.c.usual(secure); tr == nil {
			return nil, ErrTransport
		}
	}
	switch {
	case addr.IsValid():
		return []Target{tr.target(addr, uri.Port, s.host)}, nil
	case uri.Port != 0:
		return s.addresses([]place{{tr, s.host, uint16(uri.Port)}})
	case tr != nil:
		return s.byService([]*transport{tr}, tr)
	}
	return s.byDomain(secure)
}

// byDomain has the domain choose the transport (RFC 3263 section 4.1).
//
// A server that cannot tell of NAPTR records, or does not answer such questions,
// may yet know of others. But what the NAPTR records say holds: when it could
// not be found out where they lead, the domain is not asked for less.
func (s *search) byDomain(secure bool) ([]Target, error) {
	fit := s.c.transports
	if secure {
		fit = nil
		for _, tr := range s.c.transports {
			if tr.secure {
				fit = append(fit, tr)
			}
		}
	}
	usual := s.c.usual(secure)
	if usual == nil {
		return nil, ErrTransport
	}
	answer, err := s.wait(s.ask("", s.host, TypeNAPTR), false)
	if err != nil && s.ctx.Err() != nil {
		return nil, s.ctx.Err()
	}
	if err == nil {
		if targets, err := s.byNAPTR(fit, answer.NAPTR); err == nil && len(targets) > 0 || err != nil && !isNotFound(err) {
			return targets, err
		}
	} else if isTimeout(err) {
		// What comes last is asked now, too, so that it does not take another
		// turn of the same silence.
		s.ask("", s.host, TypeAAAA)
		s.ask("", s.host, TypeA)
	}
	var guessed []*transport
	for _, tr := range fit {
		if tr.guessed {
			guessed = append(guessed, tr)
		}
	}
	return s.byService(guessed, usual)
}

// byService looks for the SRV records of some transports, and without any for
// the addresses of the domain, which it then uses with the usual one (RFC 3263
// section 4.2). A server that fails with SRV records is taken to have none: many a
// small one knows nothing but addresses. If there are no addresses either, its
// failure is the error.
func (s *search) byService(of []*transport, usual *transport) ([]Target, error) {
	services := make([]service, len(of))
	for i, tr := range of {
		services[i] = service{tr: tr, prefix: tr.service, domain: s.host}
	}
	places, denied, err := s.srv(services)
	switch {
	case len(places) > 0:
		return s.at(places, err)
	case slices.Contains(denied, usual):
		return nil, fmt.Errorf("%w: %s says that it has none", ErrTransport, s.host)
	}
	return s.at([]place{{usual, s.host, usual.port}}, err)
}

// target returns where an address is reached; port 0 is the usual one.
func (tr *transport) target(addr netip.Addr, port int, host string) Target {
	if port == 0 {
		port = int(tr.port)
	}
	return Target{Transport: tr.name, Addr: netip.AddrPortFrom(addr, uint16(port)), Host: host}
}

// read takes a host: a name, which it keeps as it is looked up, or the address
// that it returns.
func (s *search) read(host string, port int) (netip.Addr, error) {
	if port < 0 || port > 65535 {
		return netip.Addr{}, &net.AddrError{Err: "no port number", Addr: fmt.Sprint(port)}
	}
	s.host = host
	if addr := (sip.URI{Host: host}).Addr(); addr.IsValid() {
		return addr.Unmap(), nil
	}
	if !isName(host) {
		return netip.Addr{}, &net.AddrError{Err: "neither a host name nor an address", Addr: host}
	}
	s.host = strings.TrimSuffix(host, ".")
	return netip.Addr{}, nil
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

func isNotFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
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
