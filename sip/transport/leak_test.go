package transport

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
)

// When an endpoint is closed nothing of it runs any more, on the sockets of the
// operating system too: not what read them, not what was shaking hands or
// dialling, and no keepalive. The bubbles of the other tests see to that on
// sockets in memory.
func TestNothingIsLeft(t *testing.T) {
	for name, end := range map[string]func(*Endpoint) error{
		"Close": (*Endpoint).Close,
		"Shutdown": func(e *Endpoint) error {
			ctx, cancel := context.WithTimeout(background, 5*time.Second)
			defer cancel()
			return e.Shutdown(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := goroutines()
			authority := siptest.NewAuthority()
			server := newSecureEcho(t, &tls.Config{Certificates: []tls.Certificate{authority.Certificate("127.0.0.1")}, ClientCAs: authority.Pool()},
				"udp:127.0.0.1:0", "tcp:127.0.0.1:0", "tls:127.0.0.1:0", "ws:127.0.0.1:0", "wss:127.0.0.1:0")
			client := newSecureEcho(t, &tls.Config{RootCAs: authority.Pool()}, "udp:127.0.0.1:0")

			// A program's own HTTP server.
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			own := &http.Server{Handler: server.WebSocketHandler()}
			go own.Serve(ln) // ends with own.Close
			targets := []resolve.Target{{Transport: "WS", Addr: addrPort(ln.Addr())}}
			for _, kind := range []string{"UDP", "TCP", "TLS", "WS", "WSS"} {
				targets = append(targets, resolve.Target{Transport: kind, Addr: server.Addr(kind)})
			}
			for _, to := range targets {
				flow, _, err := client.SendRequest(t.Context(), outgoing(t), to, "z9hG4bK1")
				if err != nil {
					t.Fatal(err)
				}
				client.KeepAlive(flow, &KeepAlive{Interval: 10 * time.Millisecond, Answered: true})
				client.KeepAlive(flow, nil) // is still waiting when the end comes
				<-client.responses
			}

			// Peers that do not come to the end of anything.
			var halves []net.Conn
			half := func(kind, text string) {
				nc, err := net.Dial("tcp", server.Addr(kind).String())
				if err == nil {
					_, err = nc.Write([]byte(text))
				}
				if err != nil {
					t.Fatal(err)
				}
				halves = append(halves, nc)
			}
			half("TCP", "OPTIONS sip:bob@127.0.0.1 SIP/2.0\r\n")
			half("TLS", "\x16\x03\x01\x02\x00\x01")
			half("WS", "GET / HTTP/1.1\r\n")
			half("WSS", "\x16\x03\x01\x02\x00\x01")
			for _, kind := range []string{"TCP", "TLS", "WS", "WSS"} {
				half(kind, "")
			}
			// And a server that answers no handshake.
			mute, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			dialled := make(chan error)
			for _, kind := range []string{"TLS", "WS"} {
				go func() { // ends when the client does
					_, _, err := client.SendRequest(background, outgoing(t), resolve.Target{Transport: kind, Addr: addrPort(mute.Addr())}, "z9hG4bK1")
					dialled <- err
				}()
				nc, err := mute.Accept()
				if err != nil {
					t.Fatal(err)
				}
				halves = append(halves, nc)
			}

			for _, e := range []*echo{client, server} {
				if err := end(e.Endpoint); err != nil {
					t.Errorf("%s = %v", name, err)
				}
			}
			for range 2 {
				if err := <-dialled; err == nil {
					t.Error("a handshake that nobody answered has succeeded")
				}
			}
			mute.Close()
			own.Close()
			for _, nc := range halves {
				nc.Close()
			}
			// What ends with a socket may be on its way out.
			var left []string
			for range 500 {
				left = left[:0]
				for id, stack := range goroutines() {
					if _, was := before[id]; !was {
						left = append(left, stack)
					}
				}
				if len(left) == 0 {
					return
				}
				<-time.After(10 * time.Millisecond)
			}
			t.Errorf("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
		})
	}
}

// goroutines returns the stacks of all goroutines but the caller's, by their
// numbers.
func goroutines() map[string]string {
	b := make([]byte, 1<<20)
	b = b[:runtime.Stack(b, true)]
	all := map[string]string{}
	for i, stack := range strings.Split(string(b), "\n\n") {
		if id, _, ok := strings.Cut(stack, " ["); ok && i > 0 {
			all[id] = stack
		}
	}
	return all
}
