package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
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

func (w *webSocket) transmit(_ *conn, texts []string) error {
	for _, text := range texts {
		if err := w.ws.Write(text, time.Now().Add(writeTimeout)); err != nil {
			return err
		}
	}
	return nil
}

func (w *webSocket) copies() int { return 2 } // the frame

func (w *webSocket) bye() { w.ws.Close(websocket.CodeGoingAway, "") }

func (w *webSocket) close() { w.ws.CloseNow() }

// webSocketConfig returns the options of the WebSocket under a connection.
func webSocketConfig(c *conn) *websocket.Config {
	return &websocket.Config{
		Subprotocol: subprotocol,
		Origin:      c.e.isWelcome,
		Hold:        c.holdPart,
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

// HandshakeError says that a server has answered the handshake of a WebSocket
// with something else than 101, such as a 401 and its challenge (RFC 7118
// section 7). It is what errors.As finds in the error of a request that could not
// be sent for that.
type HandshakeError struct {
	Status int         // of HTTP
	Header http.Header // of the answer
}

// Error names the status.
func (e *HandshakeError) Error() string {
	return fmt.Sprintf("transport: WebSocket handshake answered with %d %s", e.Status, http.StatusText(e.Status))
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
	url := scheme + host + c.e.cfg.WebSocketPath
	cfg := webSocketConfig(c)
	if c.e.cfg.WebSocketHeader != nil {
		cfg.Header = c.e.cfg.WebSocketHeader(to)
	}
	ws, err := websocket.Dial(ctx, nc, url, cfg)
	if other, ok := errors.AsType[*websocket.StatusError](err); ok {
		return fmt.Errorf("%s: %w", url, &HandshakeError{other.Code, other.Header})
	}
	if err == nil {
		c.wire = &webSocket{ws}
	}
	return err
}

// isWelcome asks the program whether a handshake is taken. A panic there is a
// no, and ends nothing else.
func (e *Endpoint) isWelcome(r *http.Request) (yes bool) {
	if e.cfg.AcceptWebSocket == nil {
		return true
	}
	defer func() {
		if p := recover(); p != nil {
			yes = false
			e.cfg.Logger.Error("panic in AcceptWebSocket", "panic", p, "peer", r.RemoteAddr, "stack", string(debug.Stack()))
		}
	}()
	return e.cfg.AcceptWebSocket(r)
}

// WebSocketHandler returns a handler that takes SIP over WebSocket, for a
// program that has an HTTP server of its own (RFC 7118). What it takes is a
// connection like those of the ws and wss entries of Config.Listen: WSS if the
// request came by TLS. Config.AcceptWebSocket is asked first; a program may also
// answer a request itself instead of handing it over, with a 401 for instance.
// After Shutdown or Close all are answered with 503. Behind a proxy that speaks
// HTTP all connections come from one source, see Config.MaxConnsPerSource.
func (e *Endpoint) WebSocketHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sock, ours := r.Context().Value(socketKey{}).(*socket)
		if ours { // by our own server
			w = lastAnswer{w}
		}
		remote, _ := netip.ParseAddrPort(r.RemoteAddr)
		switch {
		case e.isLeaving():
			http.Error(w, "closed", http.StatusServiceUnavailable)
			return
		case ours: // counted when it was accepted
		case e.admit(remote.Addr()):
			sock = &socket{release: func() { e.release(remote.Addr()) }}
		default:
			http.Error(w, "too many connections", http.StatusServiceUnavailable)
			return
		}
		e.upgrade(w, r, sock)
	})
}

func (e *Endpoint) isLeaving() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.leaving
}

// upgrade makes a connection of a request.
func (e *Endpoint) upgrade(w http.ResponseWriter, r *http.Request, sock *socket) {
	c := &conn{e: e, kind: viaWS, sock: sock, opened: time.Now()}
	if r.TLS != nil {
		c.kind, c.identities = viaWSS, clientIdentities(*r.TLS, sock.serverConfig(e.cfg.TLS))
	}
	ours := sock.Conn != nil // the server
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
	var only http.Protocols // RFC 6455 knows no other, whatever TLS agrees on
	only.SetHTTP1(true)
	return &http.Server{
		Handler:   e.WebSocketHandler(),
		Protocols: &only,
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
		cfg.NextProtos = []string{"http/1.1"}
		if choose := cfg.GetConfigForClient; choose != nil {
			cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				chosen, err := choose(hello)
				if chosen != nil {
					chosen = chosen.Clone()
					chosen.NextProtos = cfg.NextProtos
				}
				return chosen, err
			}
		}
		ln = tls.NewListener(ln, cfg)
	}
	l.http.Serve(ln) // an error means that it was closed
}
