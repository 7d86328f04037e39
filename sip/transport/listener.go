package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// streamListener accepts connections of one transport.
type streamListener struct {
	e     *Endpoint
	kind  string
	ln    net.Listener
	local netip.AddrPort
	tls   *tls.Config  // for TLS and WSS
	http  *http.Server // for WS and WSS
}

func (l *streamListener) localAddr() netip.AddrPort { return l.local }

// serve takes connections until the listener is closed.
func (l *streamListener) serve() {
	if isWebSocket(l.kind) {
		l.serveHTTP()
		return
	}
	for {
		nc, err := (gate{l}).Accept()
		if err != nil {
			return
		}
		sock := nc.(*socket)
		if l.kind == viaTCP {
			c := newConn(l.e, l.kind, sock)
			c.wire = &stream{nc: sock}
			l.e.takeConn(c)
			continue
		}
		// A handshake takes as long as the peer likes, so nothing waits for it.
		l.e.tasks.Go(func() { l.handshake(sock) }) // ends with its time, or Close
	}
}

// handshake does the TLS handshake of a connection.
func (l *streamListener) handshake(sock *socket) {
	taken := false
	defer func() {
		if !taken {
			l.e.count.failedHandshakes.Add(1)
			sock.Close()
		}
	}()
	defer l.e.fence(Flow{}, nil) // around callbacks of the program's
	ctx, cancel := context.WithTimeout(l.e.ctx, handshakeTimeout)
	defer cancel()
	secure := tls.Server(sock, l.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		l.e.cfg.Logger.Debug("TLS handshake failed", "peer", sock.RemoteAddr().String(), "error", err)
		return
	}
	c := newConn(l.e, l.kind, sock)
	c.wire = &stream{nc: secure}
	c.identities = clientIdentities(secure.ConnectionState(), sock.serverConfig(l.e.cfg.TLS))
	taken = true
	l.e.takeConn(c)
}

// gate is a listener that lets no more through than Config.MaxConns and its
// kin, and does not give up when the system has no file descriptors left.
type gate struct{ *streamListener }

func (g gate) Accept() (net.Conn, error) {
	for {
		nc, err := g.ln.Accept()
		switch {
		case err == nil:
			if sock := g.e.enter(nc); sock != nil {
				return sock, nil
			}
		case errors.Is(err, net.ErrClosed):
			return nil, err
		default:
			// Out of file descriptors, most likely: others will be given back.
			g.e.cfg.Logger.Warn("accept failed", "listener", g.local.String(), "error", err)
			select {
			case <-g.e.ctx.Done():
				return nil, net.ErrClosed
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
}

func (g gate) Addr() net.Addr { return g.ln.Addr() }

func (g gate) Close() error { return g.ln.Close() }

// close stops to accept, and ends what shakes hands.
func (l *streamListener) close() error {
	err := l.ln.Close()
	if l.http != nil {
		l.http.Close()
	}
	return err
}
