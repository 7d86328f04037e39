package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/goparley/parley/internal/websocket"
	"github.com/goparley/parley/msrp/internal/link"
)

// Sizes of WebSocket messages, each of which is a chunk (RFC 7977 section 5.1).
const (
	maxMessageIn  = 256 << 10
	maxMessageOut = 64 << 10

	// Bytes of memory for one on probation. The first SEND may have a body (RFC 4975 section 5.4): there is room for 64 KB
	// of that and any head.
	maxUnproved = 96 << 10
)

var errUnproved = errors.New("a long message on probation")

// ServeHTTP takes a WebSocket with the subprotocol msrp (RFC 7977), for programs that have a web
// server of their own. The connection is a client's then, and ServeHTTP returns.
//
// The URIs that such a client gets are those of the Relay's first socket for TLS, or else for TCP, by which
// its peers reach it (RFC 7977 section 8.1). If Config.Listen has neither, they have Config.Host, the port of
// the web server's own socket (http.LocalAddrContextKey), also where clients connect to another port of a
// proxy before it, and transport ws: with these the Relay's clients talk to each other, and to nobody else.
func (r *Relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	user := ""
	if r.cfg.Handshake != nil {
		var ok bool
		if user, ok = r.cfg.Handshake(req); !ok {
			http.Error(w, http.StatusText(http.StatusForbidden), http.StatusForbidden)
			return
		}
	}
	if origin := req.Header.Get("Origin"); origin != "" {
		w.Header().Set("Access-Control-Allow-Origin", origin) // RFC 7977 section 7
	}
	c := r.newConnection()
	c.user, c.secure, c.ws = user, req.TLS != nil, true
	if local, ok := req.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if _, port, err := net.SplitHostPort(local.String()); err == nil {
			n, _ := strconv.ParseUint(port, 10, 16)
			c.port = uint16(n)
		}
	}
	ws, err := websocket.Accept(w, req, &websocket.Config{
		Subprotocol: "msrp",
		Limit:       maxMessageIn,
		Patience: func(begun, _ time.Time) time.Time {
			if begun.IsZero() {
				return time.Time{}
			}
			return begun.Add(frameTime)
		},
		Hold: func(bytes int) error {
			if bytes > maxUnproved && c.unproved {
				return errUnproved
			}
			return nil
		},
	})
	if err != nil {
		r.log.Debug("relay: websocket", "error", err)
		return
	}
	m := &messages{ws: ws, tlsState: req.TLS}
	c.link = link.NewMessages(m, maxMessageOut, c)
	if !r.admit(c) {
		ws.CloseNow()
		return
	}
	m.keepAlive(c)
}

// messages is a WebSocket as the link wants it.
type messages struct {
	ws       *websocket.Conn
	tlsState *tls.ConnectionState
}

func (m *messages) ReadMessage() ([]byte, error) {
	text, err := m.ws.Read()
	return []byte(text), err
}

func (m *messages) WriteMessage(p []byte) error {
	return m.ws.Write(string(p), time.Now().Add(frameTime))
}

func (m *messages) Close() error {
	m.ws.CloseNow()
	return nil
}

func (m *messages) TLS() *tls.ConnectionState { return m.tlsState }
func (m *messages) LocalAddr() net.Addr       { return m.ws.NetConn().LocalAddr() }
func (m *messages) RemoteAddr() net.Addr      { return m.ws.NetConn().RemoteAddr() }

// keepAlive sends a ping now and then (RFC 7977 section 6), and ends a connection on which no pong
// comes.
func (m *messages) keepAlive(c *connection) {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	if !c.over {
		c.ping = time.AfterFunc(pingTime, func() {
			c.r.task(func() {
				ctx, cancel := context.WithTimeout(c.r.ctx, pingTime)
				defer cancel()
				if err := m.ws.Ping(ctx); err != nil {
					c.close()
					return
				}
				m.keepAlive(c)
			})
		})
	}
}
