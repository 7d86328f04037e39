package transport

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/goparley/parley/internal/websocket"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
)

// subprotocol is what both ends of a WebSocket must agree on (RFC 7118 section
// 4).
const subprotocol = "sip"

// webSocket is the wire of WS and WSS: each WebSocket message is one SIP message
// (RFC 7118 section 5), or CRLFs that keep the connection alive (section 6).
type webSocket struct{ ws *websocket.Conn }

func (w *webSocket) receive(c *conn) error {
	for {
		text, err := w.ws.Read()
		if err != nil {
			return err
		}
		switch text {
		case "\r\n\r\n":
			c.ponged()
			c.pinged()
		case "\r\n", "":
			c.ponged()
			c.e.pace(c)
		default:
			m, err := sip.Parse(text)
			c.message(m, err)
		}
	}
}

func (w *webSocket) transmit(texts []string) error {
	for _, text := range texts {
		if err := w.ws.Write(text, time.Now().Add(writeTimeout)); err != nil {
			return err
		}
	}
	return nil
}

func (w *webSocket) bye() { w.ws.Close(websocket.CodeGoingAway, "") }

func (w *webSocket) close() { w.ws.CloseNow() }

// webSocketConfig returns the options of the WebSocket under a connection.
func webSocketConfig(c *conn) *websocket.Config {
	return &websocket.Config{
		Subprotocol: subprotocol,
		Patience: func(begun, heard time.Time) time.Time {
			c.sock.partial.Store(!begun.IsZero())
			if used := heard.Sub(c.opened); used > time.Duration(c.used.Load()) {
				c.used.Store(int64(used)) // pings count too
			}
			at, _ := c.expiry(begun)
			return at
		},
	}
}

// dialWebSocket does the handshake of a client on nc.
func dialWebSocket(ctx context.Context, c *conn, nc net.Conn, to resolve.Target) error {
	scheme := "ws://"
	if isSecure(to.Transport) {
		scheme = "wss://"
	}
	host := hostText(hostKey(to.Transport, to.Host, to.Addr))
	if port := int(to.Addr.Port()); port != defaultPort(to.Transport) {
		host += ":" + strconv.Itoa(port)
	}
	ws, err := websocket.Dial(ctx, nc, scheme+host+c.e.cfg.WebSocketPath, webSocketConfig(c))
	if err == nil {
		c.wire = &webSocket{ws}
	}
	return err
}

// WebSocketHandler returns a handler that takes SIP over WebSocket, for a
// program that has an HTTP server of its own (RFC 7118). What it takes is a
// connection like those of the ws and wss entries of Config.Listen: WSS if the
// request came by TLS. Whose pages may connect is for the program to say, by
// looking at Origin before it hands a request over; SIP has its own
// authentication. Behind a proxy that speaks HTTP all connections come from one
// source, see Config.MaxConnsPerSource.
func (e *Endpoint) WebSocketHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sock, _ := r.Context().Value(socketKey{}).(*socket)
		if sock == nil {
			// From a server of the program's: not counted yet.
			remote, _ := netip.ParseAddrPort(r.RemoteAddr)
			if !e.admit(remote.Addr()) {
				http.Error(w, "too many connections", http.StatusServiceUnavailable)
				return
			}
			sock = &socket{release: func() { e.release(remote.Addr()) }}
		}
		e.upgrade(w, r, sock)
	})
}

// upgrade makes a connection of a request.
func (e *Endpoint) upgrade(w http.ResponseWriter, r *http.Request, sock *socket) {
	c := &conn{e: e, kind: viaWS, sock: sock, opened: time.Now()}
	if r.TLS != nil {
		c.kind, c.identities = viaWSS, clientIdentities(*r.TLS, e.cfg.TLS)
	}
	ours := sock.Conn != nil // the server
	if ours {
		w = lastAnswer{w}
	}
	ws, err := websocket.Accept(w, r, webSocketConfig(c))
	if err != nil {
		e.cfg.Logger.Debug("WebSocket handshake failed", "peer", r.RemoteAddr, "error", err)
		if !ours { // it counts its connections itself
			e.count.failedHandshakes.Add(1)
			sock.release()
		}
		return
	}
	if !ours {
		sock.Conn = ws.NetConn()
	}
	c.local, c.remote = addrPort(sock.LocalAddr()), addrPort(sock.RemoteAddr())
	c.wire = &webSocket{ws}
	e.takeConn(c)
}

// lastAnswer ends a connection that is not upgraded with the first answer: it is
// for no further requests of HTTP.
type lastAnswer struct{ http.ResponseWriter }

func (a lastAnswer) WriteHeader(status int) {
	if status != http.StatusSwitchingProtocols {
		a.Header().Set("Connection", "close")
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a lastAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// socketKey finds the socket of a request to our own server.
type socketKey struct{}

// newHTTPServer returns the server behind a ws or wss listener. It knows no
// paths.
func (e *Endpoint) newHTTPServer() *http.Server {
	return &http.Server{
		Handler: e.WebSocketHandler(),
		// What no handler sees counts against no limit.
		DisableGeneralOptionsHandler: true,
		ReadTimeout:                  handshakeTimeout, // for TLS, header and any body; those of a WebSocket are ours
		WriteTimeout:                 handshakeTimeout,
		MaxHeaderBytes:               8 << 10,
		ErrorLog:                     slog.NewLogLogger(e.cfg.Logger.Handler(), slog.LevelDebug),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed { // and not upgraded, in whatever it has failed
				e.count.failedHandshakes.Add(1)
			}
		},
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			if secure, ok := nc.(*tls.Conn); ok {
				nc = secure.NetConn()
			}
			return context.WithValue(ctx, socketKey{}, nc.(*socket))
		},
	}
}

// serveHTTP takes connections until the listener is closed.
func (l *streamListener) serveHTTP() {
	var ln net.Listener = gate{l}
	if l.tls != nil {
		cfg := l.tls.Clone()
		cfg.NextProtos = []string{"http/1.1"} // RFC 6455 knows no other
		ln = tls.NewListener(ln, cfg)
	}
	l.http.Serve(ln) // an error means that it was closed
}
