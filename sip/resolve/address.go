package resolve

import (
	"context"
	"net"
	"net/netip"
	"slices"
)

// maxTargets is how many targets a list has at most.
const maxTargets = 64

// addresses asks for the addresses of all places at once, and returns those of
// each in turn: they are not mixed with those of another place (RFC 7984
// section 4). host is what the URI calls all of them. Each place has its share
// of the list, so that one with a thousand addresses leaves room for the next.
func (c *Client) addresses(ctx context.Context, host string, places []place) ([]Target, error) {
	var room [maxHosts][2]pending
	asked := room[:len(places)]
	for i, p := range places {
		asked[i] = [2]pending{
			c.cache.ask(ctx, key{"", p.host, TypeA}),
			c.cache.ask(ctx, key{"", p.host, TypeAAAA}),
		}
	}
	var targets []Target
	var failed error
	for i, p := range places {
		four, err4 := asked[i][0].wait(ctx)
		six, err6 := asked[i][1].wait(ctx)
		for _, err := range []error{err4, err6} {
			if err != nil && failed == nil {
				failed = err
			}
		}
		targets = c.append(ctx, targets, p, host, four.Addrs, six.Addrs, maxTargets/len(places))
	}
	switch {
	case len(targets) > 0:
		return targets, nil
	case failed != nil:
		return nil, failed
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// append adds the addresses of a place, as many as most, one of a family after
// one of the other (RFC 8305 section 4). IPv6 goes first (RFC 6724 section 2.1);
// if there is no route to it, it comes after all of IPv4.
func (c *Client) append(ctx context.Context, targets []Target, p place, host string, four, six []netip.Addr, most int) []Target {
	if targets == nil {
		targets = make([]Target, 0, min(len(four)+len(six), most))
	}
	server := p.host
	if server == host {
		server = ""
	}
	add := func(addrs []netip.Addr) {
		for _, addr := range addrs {
			t := Target{p.tr.name, netip.AddrPortFrom(addr, p.port), host, server}
			if most > 0 && !slices.ContainsFunc(targets, t.isAt) {
				targets = append(targets, t)
				most--
			}
		}
	}
	if len(four) > 0 && len(six) > 0 && c.reaches(ctx, netip.AddrPortFrom(six[0], p.port)) {
		both := min(len(four), len(six))
		for i := range both {
			add(six[i : i+1])
			add(four[i : i+1])
		}
		four, six = four[both:], six[both:]
	}
	add(four)
	add(six)
	return targets
}
