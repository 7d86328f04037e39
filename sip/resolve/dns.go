package resolve

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// DNS is the Resolver that asks name servers. The zero value asks those of the
// system.
//
// It asks by UDP, and again by TCP for an answer that is cut short. Each
// question has a socket of its own, and with it a port that the system picks at
// random, a random id, and its name in random case; an answer that differs in
// any of these, or in the question that it repeats, is not one (RFC 5452
// section 9.1). When that has happened 32 times, someone is guessing, and the
// question goes by TCP. So it does to a server that changes the case.
//
// The system's servers are those of /etc/resolv.conf, which is read again when
// it changes, and so is /etc/hosts: a name that stands there has these
// addresses, and neither SRV nor NAPTR records. localhost, and names below it,
// are this machine, and those below invalid do not exist (RFC 6761 section 6).
// Where there is no resolv.conf the system's own resolver is asked, which knows
// no NAPTR records.
type DNS struct {
	// Servers are asked one after the other, until one answers; nil means
	// those of the system. With servers of its own, a DNS does not look at
	// /etc/hosts.
	Servers []netip.AddrPort

	// Dialer opens "udp" and "tcp" connections; nil means that of the operating
	// system.
	Dialer Dialer

	// Timeout is how long a server may take before the next one is asked; zero
	// means what resolv.conf says, or 2 seconds. Servers that did not answer
	// are asked twice.
	Timeout time.Duration

	system files
}

// How long a server may take, and how often all of them are asked.
const (
	timeout  = 2 * time.Second
	attempts = 2
)

// maxAliases is how many CNAME records are followed.
const maxAliases = 16

// Lookup asks for the records of a name. What a server says of its own troubles
// is a *net.DNSError, with IsTimeout if none answered. It takes no longer than
// all servers may take together, whatever aliases they send it after.
func (d *DNS) Lookup(ctx context.Context, name string, t Type) (*Answer, error) {
	if answer := special(name, t); answer != nil {
		return answer, nil
	}
	conf := config{servers: d.Servers, timeout: timeout, attempts: attempts}
	if len(d.Servers) == 0 {
		var err error
		if conf, err = d.system.config(); err != nil {
			return nil, &net.DNSError{Err: err.Error(), Name: name, IsTemporary: true, UnwrapErr: err}
		}
		if addrs, ok := d.system.lookup(name, t); ok {
			return &Answer{Addrs: addrs, TTL: reread}, nil
		}
		if conf.servers == nil {
			return systemLookup(ctx, name, t)
		}
	}
	if d.Timeout > 0 {
		conf.timeout = d.Timeout
	}
	all, cancel := context.WithTimeout(ctx, conf.total())
	defer cancel()
	answer, err := d.lookup(all, conf, name, t)
	switch {
	case err == nil:
		return answer, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case all.Err() != nil:
		return nil, timedOut(name)
	}
	return nil, err
}

// lookup asks for the records of a name, and of those that it is an alias of.
func (d *DNS) lookup(ctx context.Context, conf config, name string, t Type) (*Answer, error) {
	var ttl uint32 = 1<<31 - 1
	for alias, left := name, maxAliases; ; {
		r, err := d.ask(ctx, conf, alias, t)
		if err != nil {
			return nil, err
		}
		answer, next, steps := r.records(alias, t, left)
		ttl = min(ttl, r.ttl)
		if answer != nil {
			answer.TTL = time.Duration(ttl) * time.Second
			return answer, nil
		}
		if left -= steps; left <= 0 {
			return nil, &net.DNSError{Err: "too many aliases", Name: name}
		}
		alias = next
	}
}

// ask puts a question to one server after the other.
func (d *DNS) ask(ctx context.Context, conf config, name string, t Type) (*reply, error) {
	var err error
	servers := slices.Clone(conf.servers)
	for range conf.attempts {
		var silent []netip.AddrPort
		for _, server := range servers {
			var r *reply
			r, err = d.exchange(ctx, server, conf, name, t)
			switch {
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case err != nil:
				silent = append(silent, server)
				err = &net.DNSError{Err: err.Error(), Name: name, Server: server.String(), IsTimeout: isTimeout(err), IsTemporary: true, UnwrapErr: err}
			case r.rcode == dns.RcodeSuccess && !r.lame, r.rcode == dns.RcodeNameError:
				return r, nil
			default:
				err = &net.DNSError{Err: "server answered " + dns.RcodeToString[r.rcode], Name: name, Server: server.String(), IsTemporary: true}
			}
		}
		servers = silent // what the others say they would say again
	}
	return nil, err
}

// special answers for the names that are not in the DNS (RFC 6761 section 6).
func special(name string, t Type) *Answer {
	name = strings.TrimSuffix(name, ".")
	switch last := name[strings.LastIndexByte(name, '.')+1:]; {
	case strings.EqualFold(last, "localhost"):
		a := &Answer{TTL: keepAtMost}
		switch t {
		case TypeA:
			a.Addrs = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
		case TypeAAAA:
			a.Addrs = []netip.Addr{netip.IPv6Loopback()}
		}
		return a
	case strings.EqualFold(last, "invalid"):
		return &Answer{TTL: keepNoneAtMost}
	}
	return nil
}
