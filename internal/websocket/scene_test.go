package websocket_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/internal/websocket"
)

// The handshake of RFC 7118 section 4.1.
const hello = "GET / HTTP/1.1\r\n" +
	"Host: sip-ws.example.com\r\n" +
	"Upgrade: websocket\r\n" +
	"Connection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Origin: http://www.example.com\r\n" +
	"Sec-WebSocket-Protocol: sip\r\n" +
	"Sec-WebSocket-Version: 13\r\n\r\n"

// First bytes of frames (RFC 6455 section 5.2).
const (
	fin, rsv1, rsv2, rsv3 = 0x80, 0x40, 0x20, 0x10

	more, text, octets  = 0x0, 0x1, 0x2
	closing, ping, pong = 0x8, 0x9, 0xa
)

// frame returns a frame as a server sends it.
func frame(first byte, payload string) string {
	return string(header(first, 0, uint64(len(payload)))) + payload
}

// masked returns a frame as a client sends it.
func masked(first byte, payload string) string {
	mask := "\x37\xfa\x21\x3d"
	b := append(header(first, 0x80, uint64(len(payload))), mask...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return string(b)
}

// header returns a frame header up to the length; second has the mask bit.
func header(first, second byte, size uint64) []byte {
	switch {
	case size < 126:
		return []byte{first, second | byte(size)}
	case size < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{first, second | 126}, uint16(size))
	}
	return binary.BigEndian.AppendUint64([]byte{first, second | 127}, size)
}

// closeFrame is the payload of a close frame (RFC 6455 section 5.5.1).
func closeFrame(code uint16, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, code)) + reason
}

// A peer is the other end, which writes its frames by hand.
type peer struct {
	nc    net.Conn
	tasks sync.WaitGroup

	mu  sync.Mutex
	got []byte
	err error // what ended the reading
}

func newPeer(t testing.TB, nc net.Conn) *peer {
	p := &peer{nc: nc}
	t.Cleanup(func() {
		nc.Close()
		p.tasks.Wait()
	})
	return p
}

// listen reads what comes, until the connection ends.
func (p *peer) listen() {
	p.tasks.Go(func() {
		b := make([]byte, 4096)
		for {
			n, err := p.nc.Read(b)
			p.mu.Lock()
			p.got = append(p.got, b[:n]...)
			p.err = err
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
}

// send writes s, which the other end need not take, and says whether it did.
func (p *peer) send(s ...string) bool {
	p.nc.SetWriteDeadline(time.Now().Add(time.Hour))
	_, err := io.WriteString(p.nc, strings.Join(s, ""))
	return err == nil
}

// received returns what came since it was last asked.
func (p *peer) received() string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	got := string(p.got)
	p.got = nil
	return got
}

// gone says whether the other end has closed the connection.
func (p *peer) gone() bool {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err != nil
}

// oneListener is a listener of connections that a test makes.
type oneListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newListener() *oneListener {
	return &oneListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *oneListener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *oneListener) Addr() net.Addr { return &net.TCPAddr{} }

// serve runs an HTTP server and returns a connection to it.
func serve(t testing.TB, handler http.HandlerFunc) net.Conn {
	l := newListener()
	s := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan struct{})
	go func() { // ends when the listener is closed
		defer close(done)
		s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	ours, theirs := net.Pipe()
	l.conns <- &counted{Conn: theirs}
	return ours
}

func sipConfig(cfg *websocket.Config) *websocket.Config {
	if cfg == nil {
		cfg = new(websocket.Config)
	}
	cfg.Subprotocol = "sip"
	return cfg
}

func acceptTo(t testing.TB, cfg *websocket.Config, conns chan<- *websocket.Conn) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, sipConfig(cfg))
		if err != nil {
			t.Errorf("Accept: %v", err)
		}
		conns <- c
	}
}

// accepted returns a Conn that a server has accepted, and its client. early
// comes in one piece with the handshake.
func accepted(t testing.TB, cfg *websocket.Config, early ...string) (*websocket.Conn, *peer) {
	c, p := acceptedOnce(t, cfg, early...)
	t.Cleanup(c.CloseNow)
	return c, p
}

// acceptedOnce is accepted for a test that closes the Conn itself.
func acceptedOnce(t testing.TB, cfg *websocket.Config, early ...string) (*websocket.Conn, *peer) {
	conns := make(chan *websocket.Conn, 1)
	nc := serve(t, acceptTo(t, cfg, conns))
	p := newPeer(t, nc)
	go p.send(hello, strings.Join(early, "")) // ends when it is read, or with the connection
	resp, err := http.ReadResponse(bufio.NewReaderSize(nc, 16), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("handshake answered with %s", resp.Status)
	}
	return <-conns, p
}

// A result is what a Read returned.
type result struct {
	text string
	err  error
}

// reads returns what c reads, to its end.
func reads(c *websocket.Conn) <-chan result {
	results := make(chan result, 1000)
	go func() { // ends with the connection
		defer close(results)
		for {
			text, err := c.Read()
			results <- result{text, err}
			if err != nil {
				return
			}
		}
	}()
	return results
}

// next returns what was read, which must have been by now.
func next(t testing.TB, results <-chan result) result {
	t.Helper()
	synctest.Wait()
	select {
	case r := <-results:
		return r
	default:
		t.Error("nothing was read")
		return result{err: errors.New("nothing was read")}
	}
}

// quiet says that nothing was read, and no end either.
func quiet(t testing.TB, results <-chan result) {
	t.Helper()
	synctest.Wait()
	select {
	case r := <-results:
		t.Errorf("read %q, %v, want nothing yet", r.text, r.err)
	default:
	}
}
