package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/goparley/parley/internal/source"
	"github.com/goparley/parley/msrp/internal/link"
)

// listen opens a socket and serves it in a goroutine, which ends with Close.
func (r *Relay) listen(where string) error {
	transport, address, _ := strings.Cut(where, ":")
	secure := transport == "tls" || transport == "wss"
	switch {
	case transport != "tcp" && transport != "tls" && transport != "ws" && transport != "wss":
		return errors.New("none of tcp, tls, ws and wss")
	case secure && r.cfg.TLS == nil:
		return errors.New("no Config.TLS")
	}
	nl, err := r.cfg.Network.Listen(context.Background(), "tcp", address)
	if err != nil {
		return err
	}
	addr, err := netip.ParseAddrPort(nl.Addr().String())
	if err != nil {
		nl.Close()
		return fmt.Errorf("address %s: %w", nl.Addr(), err)
	}
	l := &listener{Listener: nl, transport: transport, addr: addr}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listeners = append(r.listeners, l)
	switch transport {
	case "ws", "wss":
		if secure {
			cfg := r.cfg.TLS.Clone()
			cfg.NextProtos = []string{"http/1.1"}
			nl = tls.NewListener(nl, cfg)
		}
		l.server = &http.Server{
			Handler: r, ReadTimeout: headerTime, WriteTimeout: headerTime, MaxHeaderBytes: 16 << 10,
			ConnState: r.knock, ErrorLog: log.New(logWriter{r}, "", 0),
		}
		l.server.SetKeepAlivesEnabled(false) // one request: the handshake
		r.tasks.Go(func() { l.server.Serve(nl) })
	default:
		r.tasks.Go(func() { r.accept(l) })
	}
	return nil
}

// knock counts the connections of HTTP that are not WebSockets yet, or never will be, among those who
// have not shown that they may be here.
func (r *Relay) knock(nc net.Conn, state http.ConnState) {
	from := source.OfPeer(nc.RemoteAddr())
	r.mu.Lock()
	defer r.mu.Unlock()
	switch _, counted := r.knocking[nc]; {
	case state == http.StateNew && !r.mayKnock(from):
		nc.Close()
	case state == http.StateNew:
		r.knocking[nc] = from
		r.strangers.Add(from)
	case counted && (state == http.StateHijacked || state == http.StateClosed):
		delete(r.knocking, nc)
		r.strangers.Remove(from)
	}
}

// mayKnock reports whether there is room for one more connection that somebody makes to us. The lock is
// held.
func (r *Relay) mayKnock(from netip.Prefix) bool { return !r.strangers.Full(from) && r.hasRoom() }

// logWriter takes what net/http has to say, about handshakes that fail mostly.
type logWriter struct{ r *Relay }

func (w logWriter) Write(p []byte) (int, error) {
	w.r.log.Debug("relay: http", "error", strings.TrimSpace(string(p)))
	return len(p), nil
}

func (r *Relay) accept(l *listener) {
	var cfg *tls.Config
	if l.transport == "tls" {
		cfg = r.cfg.TLS.Clone()
		if cfg.ClientAuth == tls.NoClientCert {
			// Other relays show who they are. What a client shows is passed over (RFC 4976 section
			// 9.2), so it is looked at when it matters.
			cfg.ClientAuth = tls.RequestClientCert
		}
	}
	for {
		nc, err := l.Accept()
		if err != nil {
			if r.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			r.log.Warn("relay: accept", "error", err)
			select {
			case <-time.After(10 * time.Millisecond): // the system is short of something
			case <-r.ctx.Done():
			}
			continue
		}
		if cfg != nil {
			nc = tls.Server(nc, cfg)
		}
		c := r.newConnection()
		c.secure, c.port = cfg != nil, l.addr.Port()
		c.link = link.New(nc, c)
		if !r.admit(c) {
			nc.Close()
		}
	}
}

// admit takes a connection that somebody has made to us, on probation, and starts it.
func (r *Relay) admit(c *connection) bool {
	c.source = source.OfPeer(c.link.RemoteAddr())
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || !r.mayKnock(c.source) {
		return false
	}
	r.conns[c] = struct{}{}
	r.strangers.Add(c.source)
	c.stranger, c.unproved = true, true
	c.link.Narrow(true)
	c.trial = time.AfterFunc(probation, func() {
		r.log.Info("relay: closed after probation", "peer", c.link.RemoteAddr())
		c.close()
	})
	c.start()
	return true
}
