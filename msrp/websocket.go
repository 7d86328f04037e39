package msrp

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"
	"time"

	"github.com/goparley/parley/internal/websocket"
)

const (
	maxWebSocket = 64 << 10         // bytes of a frame of ours
	pingTime     = 30 * time.Second // between pings (RFC 7977 section 6)
	silentTime   = 75 * time.Second // without a byte, two pongs among them
	messageWait  = 2 * time.Minute  // for the rest of a WebSocket message that has begun
	wsWriteTime  = 30 * time.Second
)

// A webSocket is a connection to a relay that carries each frame in a message (RFC 7977 section 5.1). What
// is no WebSocket at all ends it with code 1002.
type webSocket struct {
	ws    *websocket.Conn
	asked time.Time // since when more is wanted
	over  chan struct{}
}

// dialWebSocket does the handshake on a connection to a relay, which it closes if that fails.
func dialWebSocket(ctx context.Context, nc net.Conn, r *relay) (*webSocket, error) {
	w := &webSocket{over: make(chan struct{})}
	url, host := "ws://", r.uri.Host
	if r.uri.Secure {
		url = "wss://"
	}
	if r.uri.Port != 0 {
		host = net.JoinHostPort(host, strconv.Itoa(int(r.uri.Port)))
	}
	path := r.Path
	if path == "" {
		path = "/"
	}
	ws, err := websocket.Dial(ctx, nc, url+host+path, &websocket.Config{Subprotocol: "msrp", Header: r.Header, Patience: w.patience})
	if err != nil {
		return nil, err
	}
	w.ws = ws
	go w.ping()
	return w, nil
}

// patience says until when to wait. The relay may be silent for as long as nobody here wanted to hear
// it, since who reads messages slowly holds it up.
func (w *webSocket) patience(begun, heard time.Time) time.Time {
	if !begun.IsZero() {
		return begun.Add(messageWait)
	}
	if heard.Before(w.asked) {
		heard = w.asked
	}
	return heard.Add(silentTime)
}

// ping has the relay say something now and then. It ends with Close.
func (w *webSocket) ping() {
	t := time.NewTicker(pingTime)
	defer t.Stop()
	for {
		select {
		case <-w.over:
			return
		case <-t.C:
			ctx, cancel := context.WithTimeout(context.Background(), pingTime)
			w.ws.Ping(ctx) // what comes of it the read tells
			cancel()
		}
	}
}

func (w *webSocket) ReadMessage() ([]byte, error) {
	w.asked = time.Now()
	text, err := w.ws.Read()
	return []byte(text), err
}

func (w *webSocket) WriteMessage(data []byte) error {
	return w.ws.Write(string(data), time.Now().Add(wsWriteTime))
}

// Close is called once.
func (w *webSocket) Close() error {
	close(w.over)
	w.ws.Close(websocket.CodeNormal, "")
	return nil
}

// TLS, LocalAddr and RemoteAddr are what a link.Conn wants to know of what is below.
func (w *webSocket) TLS() *tls.ConnectionState {
	if c, ok := w.ws.NetConn().(*tls.Conn); ok {
		state := c.ConnectionState()
		return &state
	}
	return nil
}

func (w *webSocket) LocalAddr() net.Addr  { return w.ws.NetConn().LocalAddr() }
func (w *webSocket) RemoteAddr() net.Addr { return w.ws.NetConn().RemoteAddr() }
