package websocket_test

import (
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/goparley/parley/internal/websocket"
)

// However a connection ends, nothing is left of it.
func TestClosedIsForgotten(t *testing.T) {
	for name, c := range map[string]struct {
		sent string
		end  func(*websocket.Conn, *peer)
	}{
		"closed and never read": {"", func(c *websocket.Conn, p *peer) { c.CloseNow() }},
		"closed while it is read": {masked(fin|text, options), func(c *websocket.Conn, p *peer) {
			results := reads(c)
			<-results
			c.CloseNow()
			<-results
		}},
		"closed by the peer":  {masked(fin|closing, ""), func(c *websocket.Conn, p *peer) { c.Read() }},
		"gone":                {"", func(c *websocket.Conn, p *peer) { p.nc.Close(); c.Read() }},
		"broken":              {frame(fin|text, options), func(c *websocket.Conn, p *peer) { c.Read() }},
		"not written in time": {"", func(c *websocket.Conn, p *peer) { c.Write(options, time.Now()) }},
		"closed with a code":  {masked(fin|closing, ""), func(c *websocket.Conn, p *peer) { c.Close(websocket.CodeNormal, "") }},
	} {
		t.Run(name, func(t *testing.T) {
			left := func() weak.Pointer[websocket.Conn] {
				conn, p := acceptedOnce(t, nil)
				p.listen()
				p.tasks.Go(func() { p.send(c.sent) })
				p.tasks.Go(func() { c.end(conn, p) })
				return weak.Make(conn)
			}()
			for deadline := time.Now().Add(10 * time.Second); left.Value() != nil; runtime.GC() {
				if time.Now().After(deadline) {
					t.Fatal("the connection is still there")
				}
				runtime.Gosched()
			}
		})
	}
}
