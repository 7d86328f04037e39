package transport

import (
	"context"
	"crypto/tls"
	"io"
	"net/netip"
	"sync"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
)

const (
	aliceTLS = "192.0.2.1:5061"
	bobTLS   = "192.0.2.2:5061"

	tlsVia = "Via: SIP/2.0/TLS 192.0.2.1;rport;branch=z9hG4bK1"
)

// identified returns the configuration of a machine that has a certificate for
// names, if there are any, trusts the authority, and verifies the clients that
// show a certificate.
func identified(a *siptest.Authority, names ...string) *tls.Config {
	cfg := &tls.Config{RootCAs: a.Pool(), ClientCAs: a.Pool(), ClientAuth: tls.VerifyClientCertIfGiven}
	if names != nil {
		cfg.Certificates = []tls.Certificate{a.Certificate(names...)}
	}
	return cfg
}

// listenTLS makes an endpoint that listens on TLS alone, at port 5061.
func (s *scene) listenTLS(h *siptest.Host, cfg *tls.Config, more *Config) *inbox {
	s.Helper()
	c := Config{}
	if more != nil {
		c = *more
	}
	c.Network, c.TLS = h, cfg
	if c.Listen == nil {
		c.Listen = []string{"tls:" + netip.AddrPortFrom(h.Addr(), 5061).String()}
	}
	return s.listen(&c)
}

// domainAt returns the target that a domain has at an address.
func domainAt(host, transport, addr string) resolve.Target {
	to := target(transport, addr)
	to.Host = host
	return to
}

// dialTLS connects a peer of bare sockets. A handshake that fails is the peer's
// error.
func (s *scene) dialTLS(h *siptest.Host, address string, cfg *tls.Config) (*peerStream, error) {
	s.Helper()
	c := tls.Client(s.dial(h, address), cfg)
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return &peerStream{s, c}, nil
}

// acceptingTLS keeps what comes by the connections made to a listener.
type acceptingTLS struct {
	mu    sync.Mutex
	names []string // the server names that clients have asked for
	conns []*tlsEnd
}

// tlsEnd is what came by one connection: its text, and what ended it.
type tlsEnd struct {
	conn *tls.Conn
	text string
	err  error
}

// acceptTLS is a server of bare sockets.
func (s *scene) acceptTLS(h *siptest.Host, address string, cfg *tls.Config) *acceptingTLS {
	s.Helper()
	a := &acceptingTLS{}
	cfg = cfg.Clone()
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.names = append(a.names, hello.ServerName)
		return nil, nil
	}
	ln, err := h.Listen(s.Context(), "tcp", address)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { ln.Close() })
	go func() { // ends when the listener is closed
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			s.Cleanup(func() { nc.Close() })
			end := &tlsEnd{conn: tls.Server(nc, cfg)}
			a.mu.Lock()
			a.conns = append(a.conns, end)
			a.mu.Unlock()
			go func() { // ends with the connection
				defer nc.Close()
				b := make([]byte, 4096)
				for {
					n, err := end.conn.Read(b)
					a.mu.Lock()
					end.text += string(b[:n])
					end.err = err
					a.mu.Unlock()
					if err != nil {
						return
					}
				}
			}()
		}
	}()
	return a
}

// ends returns what every connection has brought so far.
func (a *acceptingTLS) ends() []tlsEnd {
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]tlsEnd, len(a.conns))
	for i, end := range a.conns {
		all[i] = *end
	}
	return all
}

// rest reads a connection to its end.
func (c *peerStream) rest() (string, error) {
	c.SetReadDeadline(time.Now().Add(time.Hour))
	b, err := io.ReadAll(c)
	return string(b), err
}
