package websocket_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/internal/websocket"
)

const options = "OPTIONS sip:bob@example.com SIP/2.0\r\nContent-Length: 0\r\n\r\n"

// Both ends of ours, through the handshake of RFC 7118 section 4.1: messages of
// every length of frame, text or binary, both ways.
func TestMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := both(t, nil)
		at, from := reads(server), reads(client)
		for _, text := range []string{"", "\r\n", options, strings.Repeat("a", 125), strings.Repeat("b", 126),
			strings.Repeat("c", 1<<16-1), strings.Repeat("d", 1<<16), strings.Repeat("e", 1<<20), "not UTF-8: \xff\xfe"} {
			if err := client.Write(text, time.Time{}); err != nil {
				t.Fatal(err)
			}
			if got := next(t, at); got.text != text || got.err != nil {
				t.Errorf("the server read %d bytes, %v, want %d", len(got.text), got.err, len(text))
			}
			if err := server.Write(text, time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			if got := next(t, from); got.text != text || got.err != nil {
				t.Errorf("the client read %d bytes, %v, want %d", len(got.text), got.err, len(text))
			}
		}
	})
}

// both returns the two ends of a connection.
func both(t testing.TB, cfg *websocket.Config) (server, client *websocket.Conn) {
	conns := make(chan *websocket.Conn, 1)
	nc := &counted{Conn: serve(t, acceptTo(t, cfg, conns))}
	client, err := websocket.Dial(context.Background(), nc, "ws://sip-ws.example.com/", sipConfig(cfg))
	if err != nil {
		t.Fatal(err)
	}
	server = <-conns
	t.Cleanup(client.CloseNow)
	t.Cleanup(server.CloseNow)
	return server, client
}

// counted counts what is written to it.
type counted struct {
	net.Conn
	writes atomic.Int64
}

func (c *counted) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// writes returns how often c has written to the network.
func writes(c *websocket.Conn) int64 { return c.NetConn().(*counted).writes.Load() }
