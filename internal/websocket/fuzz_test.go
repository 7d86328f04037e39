package websocket_test

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/goparley/parley/internal/websocket"
)

// Whatever a client sends after the handshake.
func FuzzAccepted(f *testing.F) {
	for _, s := range []string{
		"",
		masked(fin|text, options),
		masked(text, options) + masked(fin|ping, "x") + masked(fin|more, options),
		masked(fin|closing, ""),
		masked(fin|closing, closeFrame(1000, "bye")),
		frame(fin|text, options),
		masked(fin|rsv1|text, options),
		string(header(fin|text, 0x80, math.MaxUint64)) + "mask",
		string(header(fin|text, 0x80, math.MaxInt64)) + "mask" + strings.Repeat("x", 200),
		strings.Repeat(masked(fin|ping, ""), 200),
		masked(fin|octets, strings.Repeat("y", fuzzLimit+1)),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		c, p := accepted(t, &websocket.Config{Limit: fuzzLimit})
		readAll(t, c, p, sent)
	})
}

// Whatever a server sends after the handshake.
func FuzzDialled(f *testing.F) {
	for _, s := range []string{
		"",
		frame(fin|text, options),
		frame(text, options) + frame(fin|ping, "x") + frame(fin|more, options),
		frame(fin|closing, ""),
		frame(fin|closing, closeFrame(1000, "bye")),
		masked(fin|text, options),
		frame(fin|rsv3|text, options),
		string(header(fin|text, 0, math.MaxUint64)),
		string(header(fin|text, 0, math.MaxInt64)) + strings.Repeat("x", 200),
		strings.Repeat(frame(fin|ping, ""), 200),
		frame(fin|octets, strings.Repeat("y", fuzzLimit+1)),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		c, p := dialled(t, &websocket.Config{Limit: fuzzLimit})
		readAll(t, c, p, sent)
	})
}

const fuzzLimit = 100

// readAll reads to the end what a peer sends that then goes away: messages
// within the limit, no more than was sent, and an error of those that Read
// promises.
func readAll(t *testing.T, c *websocket.Conn, p *peer, sent []byte) {
	go io.Copy(io.Discard, p.nc) // ends with the connection
	go func() {                  // ends when it is read, or with the connection
		p.send(string(sent))
		p.nc.Close()
	}()
	size := 0
	for {
		text, err := c.Read()
		if err == nil {
			if size += len(text); size > len(sent) || len(text) > fuzzLimit {
				t.Fatalf("a message of %d bytes, %d in all, of %d that were sent", len(text), size, len(sent))
			}
			continue
		}
		var closed *websocket.CloseError
		for _, kind := range []error{websocket.ErrProtocol, websocket.ErrTooLong, websocket.ErrFlood,
			io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, os.ErrDeadlineExceeded} {
			if errors.Is(err, kind) {
				return
			}
		}
		if !errors.As(err, &closed) {
			t.Fatalf("Read = %v, which is none of its errors", err)
		}
		return
	}
}
