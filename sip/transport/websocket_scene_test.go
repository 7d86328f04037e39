package transport

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip/siptest"
)

const (
	bobWS  = "192.0.2.2:80"
	bobWSS = "192.0.2.2:443"

	wsVia = "Via: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bKasudf"
)

// wsHello is the handshake of RFC 7118 section 4.1. A line "Name: value" in more
// replaces that field; "Name:" alone removes it.
func wsHello(more ...string) string {
	lines := []string{
		"Host: proxy.example.com", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Origin: https://www.example.com",
		"Sec-WebSocket-Protocol: sip", "Sec-WebSocket-Version: 13",
	}
	var text strings.Builder
	text.WriteString("GET / HTTP/1.1\r\n")
	for _, line := range lines {
		name, _, _ := strings.Cut(line, ":")
		for _, m := range more {
			if with, value, _ := strings.Cut(m, ":"); with == name {
				if line = m; value == "" {
					line = ""
				}
			}
		}
		if line != "" {
			text.WriteString(line + "\r\n")
		}
	}
	return text.String() + "\r\n"
}

// browser is a client that writes its frames by hand.
type browser struct {
	*peerStream
	r *bufio.Reader
}

// browse opens a connection and does the handshake on it.
func (s *scene) browse(h *siptest.Host, address string) *browser {
	s.Helper()
	return s.upgrade(s.dial(h, address))
}

func (s *scene) upgrade(c *peerStream) *browser {
	s.Helper()
	b := &browser{c, bufio.NewReader(c)}
	c.send(wsHello())
	if resp := b.answer(); resp == nil || resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Protocol") != "sip" {
		s.Fatalf("the handshake was answered with %+v, want 101 and the subprotocol sip", resp)
	}
	return b
}

// answer reads the answer to a handshake; nil if there is none.
func (b *browser) answer() *http.Response {
	b.SetReadDeadline(time.Now().Add(time.Second))
	resp, err := http.ReadResponse(b.r, nil)
	if err != nil {
		return nil
	}
	resp.Body.Close()
	return resp
}

// First bytes of frames (RFC 6455 section 5.2).
const (
	frameText   = 0x81
	frameBinary = 0x82
	frameClose  = 0x88
	framePing   = 0x89
	framePong   = 0x8a
)

// masked returns a frame as a client sends it.
func masked(first byte, payload string) string {
	const mask = "\x37\xfa\x21\x3d"
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, mask...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return string(b)
}

func (b *browser) write(first byte, payload string) {
	b.s.Helper()
	b.send(masked(first, payload))
}

// read returns the next frame of the server; 0 after a second without one, or at
// the end.
func (b *browser) read() (first byte, payload string) {
	b.s.Helper()
	synctest.Wait()
	b.SetReadDeadline(time.Now().Add(time.Second))
	var header [2]byte
	if _, err := io.ReadFull(b.r, header[:]); err != nil {
		return 0, ""
	}
	size := int(header[1]) // a server does not mask
	switch size {
	case 126:
		var long [2]byte
		io.ReadFull(b.r, long[:])
		size = int(binary.BigEndian.Uint16(long[:]))
	case 127:
		var long [8]byte
		io.ReadFull(b.r, long[:])
		size = int(binary.BigEndian.Uint64(long[:]))
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(b.r, text); err != nil {
		b.s.Errorf("a frame of %d bytes ends early: %v", size, err)
	}
	return header[0], string(text)
}

// reads checks the next frame.
func (b *browser) reads(first byte, part string) {
	b.s.Helper()
	if got, text := b.read(); got != first || !strings.Contains(text, part) {
		b.s.Errorf("frame %#x %.200q, want %#x with %q in it", got, text, first, part)
	}
}

// closeCode is the payload of a close frame.
func closeCode(code uint16) string { return string(binary.BigEndian.AppendUint16(nil, code)) }

// serveHTTP runs the HTTP server of a program on a listener.
func (s *scene) serveHTTP(ln net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler}
	done := make(chan struct{})
	go func() { // ends when the server is closed
		defer close(done)
		server.Serve(ln)
	}()
	s.Cleanup(func() {
		server.Close()
		<-done
	})
}
