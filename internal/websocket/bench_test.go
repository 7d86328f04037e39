package websocket_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/internal/goroutine"
	"github.com/goparley/parley/internal/websocket"
)

// What an idle connection holds at the server's end: the Conn, its socket and
// the goroutine that reads, after the handshake with net/http. The bare client
// socket in the same process, some 200 bytes, is in it.
func BenchmarkIdle(b *testing.B) {
	const conns = 500
	for b.Loop() {
		before := memory()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		accepted := make(chan *websocket.Conn, conns)
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(w, r, sipConfig(&websocket.Config{
				Patience: func(begun, heard time.Time) time.Time { return heard.Add(time.Hour) },
			}))
			if err != nil {
				b.Error(err)
				return
			}
			go func() { // ends with the connection
				for {
					text, err := c.Read()
					if err != nil {
						return
					}
					if err := c.Write(text, time.Now().Add(time.Second)); err != nil {
						b.Error(err)
					}
				}
			}()
			accepted <- c
		})}
		go s.Serve(l) // ends when the server is closed
		ring := masked(fin|text, strings.Repeat("x", 1000))
		clients := make([]net.Conn, conns)
		for i := range clients {
			nc, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			clients[i] = nc
			io.WriteString(nc, hello)
			if _, err := http.ReadResponse(bufio.NewReaderSize(nc, 16), nil); err != nil {
				b.Fatal(err)
			}
			io.WriteString(nc, ring+masked(fin|ping, "x"))
			if _, err := io.CopyN(io.Discard, nc, 4+1000+3); err != nil {
				b.Fatal(err)
			}
		}
		goroutines := goroutine.Count()
		after := memory()
		b.ReportMetric(float64(after-before)/conns, "B/conn")
		b.ReportMetric(float64(goroutines)/conns, "goroutines/conn")
		for _, nc := range clients {
			nc.Close()
		}
		for range conns {
			(<-accepted).CloseNow()
		}
		s.Close()
		runtime.KeepAlive(clients)
	}
}

// memory returns the bytes in use by heap and stacks.
func memory() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// A message to a server and back.
func BenchmarkEcho(b *testing.B) {
	b.ReportAllocs()
	server, client := both(b, nil)
	go func() { // ends with the connection
		for {
			text, err := server.Read()
			if err != nil {
				return
			}
			server.Write(text, time.Now().Add(time.Second))
		}
	}()
	text := strings.Repeat("x", 1000)
	for b.Loop() {
		if err := client.Write(text, time.Now().Add(time.Second)); err != nil {
			b.Fatal(err)
		}
		if _, err := client.Read(); err != nil {
			b.Fatal(err)
		}
	}
}
