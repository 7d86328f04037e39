package relay

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/link"
)

// A hop is what connections are shared by (RFC 4975 section 5.4).
type hop struct {
	secure bool
	name   string // of the host, in lower case, or its address
	port   uint16 // 0: as DNS says
}

func hopTo(u frame.URI) hop {
	to := hop{secure: u.Secure, name: strings.ToLower(u.Host), port: u.Port}
	if addr, err := netip.ParseAddr(u.Host); err == nil {
		to.name = addr.String() // one address may be written in many ways (RFC 4975 section 6.1)
	}
	return to
}

// maxDialing is how many connections are made at a time, of which each user has a tenth at most.
const maxDialing = 256

// connect returns a connection to the host that a URI names, which may still be in the making: what
// is sent waits, and fails if it comes to nothing. user is who has the URI that it is made for.
func (r *Relay) connect(u frame.URI, user string) (*connection, frame.Status) {
	if !strings.EqualFold(u.Transport, "tcp") {
		return nil, frame.StatusNoSession // nobody can connect to it (RFC 7977 section 5.1)
	}
	to := hopTo(u)
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.dialed[to]; c != nil {
		return c, 0
	}
	a := r.account(user)
	if r.closed || r.dialing >= maxDialing || a.dialing >= share(maxDialing) || !r.mayHave(a) || !r.hasRoom() {
		r.settle(user)
		return nil, frame.StatusTimeout
	}
	r.dialing++
	a.dialing++
	c := r.newConnection()
	c.to, c.secure, c.payer = to, to.secure, user
	r.conns[c], a.conns[c], r.dialed[to] = struct{}{}, struct{}{}, c
	r.tasks.Go(func() { r.dial(c) })
	return c, 0
}

// dial makes a connection, or fails what waits for it.
func (r *Relay) dial(c *connection) {
	ctx, cancel := context.WithTimeout(r.ctx, dialTime)
	defer cancel()
	nc, err := r.dialTCP(ctx, c.to)
	r.mu.Lock()
	r.dialing--
	r.users[c.payer].dialing--
	r.settle(c.payer)
	r.mu.Unlock()
	if err == nil {
		c.link = link.New(nc, c)
		r.mu.Lock()
		if !r.closed {
			c.start()
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		nc.Close()
	} else {
		r.log.Info("relay: dial", "host", c.to.name, "port", c.to.port, "error", err)
	}
	r.forget(c)
	c.out.close()
}

func (r *Relay) dialTCP(ctx context.Context, to hop) (net.Conn, error) {
	addresses := []string{net.JoinHostPort(to.name, strconv.Itoa(int(to.port)))}
	if to.port == 0 {
		addresses = r.resolve(ctx, to.name)
	}
	var nc net.Conn
	var err error
	for _, address := range addresses {
		if nc, err = r.cfg.Network.DialContext(ctx, "tcp", address); err == nil {
			break
		}
	}
	if err != nil || !to.secure {
		return nc, err
	}
	cfg := new(tls.Config)
	if r.cfg.TLS != nil {
		cfg = r.cfg.TLS.Clone()
	}
	cfg.ServerName = to.name
	tc := tls.Client(nc, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, &net.OpError{Op: "handshake", Net: "tcp", Addr: nc.RemoteAddr(), Err: err}
	}
	return tc, nil
}

// resolve returns the addresses of a relay that is named without a port, in the order in which they
// are tried (RFC 4976 section 8).
func (r *Relay) resolve(ctx context.Context, name string) []string {
	var addresses []string
	if _, records, err := r.lookupSRV(ctx, "msrps", "tcp", name); err == nil {
		for _, s := range records[:min(len(records), 8)] {
			if target := strings.TrimSuffix(s.Target, "."); target != "" {
				addresses = append(addresses, net.JoinHostPort(target, strconv.Itoa(int(s.Port))))
			}
		}
	}
	if len(addresses) == 0 {
		addresses = []string{net.JoinHostPort(name, "2855")}
	}
	return addresses
}
