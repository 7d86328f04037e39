package transport

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip/siptest"
)

// The must-survive list, as far as connections go: groups 7 (streams) and 9
// (WebSocket). What of it is about TCP stands in stream_test.go (bytes one at a
// time, pipelined, every kind of Content-Length, CRLFs between and inside, a byte
// a minute) and conns_test.go (many half-open connections); handshakes that never
// end in tls_test.go and websocket_limits_test.go; frames by themselves in internal/websocket.

// others is a peer that does nothing wrong. It has to be served whatever else
// there is.
type others struct {
	s     *scene
	e     *inbox
	phone *peerStream
}

func (s *scene) others(e *inbox) *others {
	s.Helper()
	return &others{s, e, s.dial(s.n.Host("192.0.2.3"), bobAddr)}
}

func (o *others) areServed() {
	o.s.Helper()
	o.phone.send(message(options, tcpVia))
	if got := o.phone.receive(); !strings.HasPrefix(got, "SIP/2.0 200 OK\r\n") {
		o.s.Errorf("another peer is answered %q, want 200", got)
	}
}

// Group 7 over TLS: messages byte by byte, in a record of TLS each; two in one
// record; and streams that make no sense.
func TestSurvivesStreamsOverTLS(t *testing.T) {
	one := message(options, tlsVia, "Content-Length: 4", "\nbody")
	for _, c := range []struct {
		story, text string
		piece       int // bytes in one record; 0: all
		handed      int
		closed      bool
	}{
		{"byte by byte", one + one, 1, 2, false},
		{"in pieces of seven", one + "\r\n\r\n" + one + "\r\n", 7, 2, false},
		{"pipelined", strings.Repeat(one, 20), 0, 20, false},
		{"Content-Length smaller than the body", strings.Replace(one, "h: 4", "h: 2", 1) + "\r\n\r\n" + one, 0, 1, true},
		{"Content-Length larger than the body", strings.Replace(one, "h: 4", "h: 40000", 1), 0, 0, false},
		{"no Content-Length", message(options, tlsVia, "Content-Length:"), 0, 0, true},
		{"a body of a gigabyte", message(options, tlsVia, "Content-Length: 1073741824"), 0, 0, true},
		{"a line without end", strings.Repeat("x", 100000), 0, 0, true},
		{"NULs", strings.Repeat("\x00", 1000), 0, 0, false},
	} {
		t.Run(c.story, func(t *testing.T) {
			play(t, &siptest.NetworkConfig{Segment: 1000}, func(s *scene) {
				authority := siptest.NewAuthority()
				handed := 0
				var e *inbox
				e = s.listenTLS(s.bob, identified(authority, "example.com"), &Config{
					Listen: []string{"tls:" + bobTLS, "tcp:" + bobAddr},
					Handle: func(in *Inbound) {
						if in.Flow.Transport() == "TLS" {
							handed++
							return
						}
						ok(&e)(in)
					}})
				others := s.others(e)
				phone, err := s.dialTLS(s.alice, bobTLS, &tls.Config{RootCAs: authority.Pool(), ServerName: "example.com"})
				if err != nil {
					t.Fatal(err)
				}
				for rest := c.text; rest != ""; {
					n := len(rest)
					if c.piece > 0 {
						n = min(n, c.piece)
					}
					if _, err := io.WriteString(phone, rest[:n]); err != nil {
						break // closed already
					}
					rest = rest[n:]
				}
				synctest.Wait()
				others.areServed()
				for phone.receive() != "" { // a pong
				}
				if closed := phone.isClosed(); handed != c.handed || closed != c.closed {
					t.Errorf("%d messages, closed = %v; want %d, %v", handed, closed, c.handed, c.closed)
				}
			})
		})
	}
}

// Group 7: a byte a minute, over TLS and WebSocket. A message has 32 seconds,
// and a peer that never completes a record of TLS does not either.
func TestSurvivesSlowLoris(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		var e *inbox
		e = s.listenTLS(s.bob, identified(authority, "example.com"), &Config{
			Listen: []string{"tcp:" + bobAddr, "tls:" + bobTLS, "ws:" + bobWS, "wss:" + bobWSS}, Handle: func(in *Inbound) { ok(&e)(in) }})
		others := s.others(e)
		others.areServed()
		secure := func(addr string) *peerStream {
			c, err := s.dialTLS(s.alice, addr, &tls.Config{RootCAs: authority.Pool(), ServerName: "example.com"})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		record := secure(bobTLS)
		slow := map[string]io.Writer{
			"a stream of TLS":   secure(bobTLS),
			"a record of TLS":   record.Conn.(*tls.Conn).NetConn(),
			"a frame of WS":     s.browse(s.alice, bobWS),
			"a frame of WSS":    s.upgrade(secure(bobWSS)),
			"a message in many": s.browse(s.alice, bobWS),
		}
		for story, c := range slow {
			go func() { // ends when the connection is closed
				text := message(options, wsVia)
				switch story {
				case "a record of TLS":
					text = "\x17\x03\x03\x40\x00" + strings.Repeat("x", 1000)
				case "a frame of WS", "a frame of WSS":
					text = masked(frameText, text)
				}
				for i := range text {
					piece := text[i : i+1]
					if story == "a message in many" {
						piece = masked(0x00, piece) // a fragment, more to come
						if i == 0 {
							piece = masked(0x01, text[:1])
						}
					}
					if _, err := io.WriteString(c, piece); err != nil {
						return
					}
					<-time.After(time.Minute)
				}
				t.Errorf("%s: open to its end", story)
			}()
		}
		s.wait(messageTimeout + 2*time.Second)
		e.mu.Lock()
		if got := len(e.live); got != 1 {
			t.Errorf("%d connections are open after 34 s, want the one that is served", got)
		}
		e.mu.Unlock()
		others.areServed()
		s.wait(2 * time.Minute) // the writers notice
	})
}

// Group 9: what a WebSocket may bring. Whatever it is, the connection ends or
// goes on, its place is given back, and another is served.
func TestSurvivesWebSocketFrames(t *testing.T) {
	length := func(size uint64) string {
		return string(binary.BigEndian.AppendUint64([]byte{frameText, 0x80 | 127}, size)) + "mask"
	}
	good := message(options, wsVia)
	for _, c := range []struct {
		story, text string
		handed      int
		code        uint16 // of the close frame; 0: none
		closed      bool
	}{
		{"a length of 2^64-1", length(1<<64 - 1), 0, 1002, true},
		{"a length of 2^63", length(1 << 63), 0, 1002, true},
		{"a length of 2^63-1", length(1<<63 - 1), 0, 0, false}, // has 32 s for the rest
		{"a length of 2^32", length(1 << 32), 0, 0, false},
		{"a fragment, a ping, the rest", masked(0x01, good[:50]) + masked(framePing, "x") + masked(0x80, good[50:]), 1, 0, false},
		{"a fragment, and another message", masked(0x01, good[:50]) + masked(frameText, good), 0, 1002, true},
		{"the rest of nothing", masked(0x80, good), 0, 1002, true},
		{"a fragmented ping", masked(0x09, "x") + masked(0x80, "x"), 0, 1002, true},
		{"a ping of 126 bytes", masked(framePing, strings.Repeat("x", 126)), 0, 1002, true},
		{"not masked", "\x81\x05hello", 0, 1002, true},
		{"a reserved bit", masked(0xc1, good), 0, 1002, true},
		{"an opcode that nobody knows", masked(0x83, good), 0, 1002, true},
		{"a control opcode that nobody knows", masked(0x8b, ""), 0, 1002, true},
		{"zero bytes", masked(frameText, "") + masked(frameBinary, "") + masked(frameText, good), 1, 0, false},
		{"zero bytes in a hundred fragments", masked(0x01, "") + strings.Repeat(masked(0x00, ""), 100) + masked(0x80, good), 1, 0, false},
		{"a thousand pings", strings.Repeat(masked(framePing, "x"), 1000), 0, 1008, true},
		{"a thousand pongs", strings.Repeat(masked(framePong, "x"), 1000), 0, 1008, true},
		{"a close frame without a code", masked(frameClose, ""), 0, 1005, true},
		{"a close frame with half a code", masked(frameClose, "\x03"), 0, 1002, true},
		{"a close frame with a code that is none", masked(frameClose, closeCode(1005)), 0, 1002, true},
		{"a message behind a close frame", masked(frameClose, closeCode(1000)) + masked(frameText, good), 0, 1000, true},
		{"SIP without frames", good, 0, 1002, true},
		{"a thousand CRLF pings", strings.Repeat(masked(frameText, "\r\n\r\n"), 1000) + masked(frameText, good), 1, 0, false},
	} {
		t.Run(c.story, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				handed := 0
				var e *inbox
				e = s.listen(&Config{Listen: []string{"ws:" + bobWS, "tcp:" + bobAddr}, Handle: func(in *Inbound) {
					if in.Flow.Transport() == "WS" {
						handed++
						return
					}
					ok(&e)(in)
				}})
				others := s.others(e)
				phone := s.browse(s.alice, bobWS)
				sent := make(chan struct{})
				go func() { // ends when it is read, or with the connection
					defer close(sent)
					io.WriteString(phone, c.text)
				}()
				code := uint16(0)
				for {
					first, text := phone.read()
					if first == frameClose && len(text) >= 2 {
						code = binary.BigEndian.Uint16([]byte(text))
					} else if first == frameClose {
						code = 1005
					}
					if first == 0 || first == frameClose {
						break
					}
				}
				others.areServed()
				s.wait(3 * time.Second)
				if closed := phone.isClosed(); handed != c.handed || code != c.code || closed != c.closed {
					t.Errorf("%d messages, code %d, closed = %v; want %d, %d, %v", handed, code, closed, c.handed, c.code, c.closed)
				}
				phone.Close()
				<-sent
				s.wait(time.Second)
				s.stats(e, Stats{Received: 1 + uint64(c.handed), Sent: e.Stats().Sent})
				e.mu.Lock()
				defer e.mu.Unlock()
				if e.caused != 1 {
					t.Errorf("%d connections are counted, want the other one", e.caused)
				}
			})
		})
	}
}

// Group 9: a handshake without the subprotocol, one that is large, and one with
// a message on its heels.
func TestSurvivesWebSocketHandshakes(t *testing.T) {
	for _, c := range []struct {
		story, hello string
		status       int
		handed       int
	}{
		{"no subprotocol", wsHello("Sec-WebSocket-Protocol:"), 400, 0},
		{"a header of 20 kB", wsHello("Origin: " + strings.Repeat("x", 20000)), 431, 0},
		{"no HTTP", message(options, wsVia), 400, 0},
		{"a message with the handshake", wsHello() + masked(frameText, message(options, wsVia)), 101, 1},
	} {
		t.Run(c.story, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				e := s.listen(&Config{Listen: []string{"ws:" + bobWS}})
				conn := s.dial(s.alice, bobWS)
				b := &browser{conn, bufio.NewReader(conn)}
				b.send(c.hello)
				resp := b.answer()
				if resp == nil || resp.StatusCode != c.status {
					t.Errorf("answered %+v, want %d", resp, c.status)
				}
				if got := len(e.take()); got != c.handed {
					t.Errorf("%d messages were handed over, want %d", got, c.handed)
				}
				s.wait(time.Second) // net/http lets the client read its answer
			})
		})
	}
}

// Group 7: connections that come and go, thousands of them, leave nothing.
func TestSurvivesConnectionsThatComeAndGo(t *testing.T) {
	play(t, nil, func(s *scene) {
		var e *inbox
		e = s.listen(&Config{Listen: []string{"tcp:" + bobAddr, "ws:" + bobWS}, MaxConnsPerSource: 10, Handle: func(in *Inbound) { ok(&e)(in) }})
		others := s.others(e)
		for i := range 2000 {
			h := s.n.Host(fmt.Sprintf("198.51.%d.%d", i/250, 1+i%250))
			c := s.dial(h, []string{bobAddr, bobWS}[i%2])
			switch i % 6 {
			case 0:
				c.send(options)
			case 1:
				c.send(wsHello()[:70])
			case 2:
				c.send(message(options, tcpVia))
			}
			if i%100 == 0 {
				synctest.Wait()
			}
			c.Close()
		}
		others.areServed()
		s.wait(time.Second)
		s.tables(e, 1, 0)
		e.mu.Lock()
		defer e.mu.Unlock()
		if len(e.sources.count) != 1 || e.caused != 1 {
			t.Errorf("%d sources and %d connections are counted, want 1", len(e.sources.count), e.caused)
		}
	})
}

// Group 7: pings without end count against Config.MaxRate as messages do. All are
// answered, at that rate, and another source is served meanwhile.
func TestSurvivesPingFlood(t *testing.T) {
	for _, c := range []struct {
		addr string
		ping func(*peerStream) string
	}{
		{bobAddr, func(*peerStream) string { return "\r\n\r\n" }},
		{bobWS, func(c *peerStream) string {
			c.s.upgrade(c)
			return masked(frameText, "\r\n\r\n")
		}},
	} {
		play(t, nil, func(s *scene) {
			var e *inbox
			e = s.listen(&Config{Listen: []string{"tcp:" + bobAddr, "ws:" + bobWS}, MaxRate: 100, Handle: func(in *Inbound) { ok(&e)(in) }})
			others := s.others(e)
			mallory := s.dial(s.alice, c.addr)
			mallory.send(strings.Repeat(c.ping(mallory), 1000))
			synctest.Wait()
			others.areServed()
			got := strings.Count(mallory.receive(), "\r\n")
			if got >= 200 {
				t.Errorf("%d pings were answered at once, want what the rate allows", got)
			}
			for n := 1; n > 0; got += n {
				s.wait(time.Second)
				n = strings.Count(mallory.receive(), "\r\n")
			}
			if took := time.Since(s.began); got != 1000 || took < 8*time.Second {
				t.Errorf("%d pings were answered in %v, want 1000 in 9s or more", got, took)
			}
			if e.Stats().Paced == 0 {
				t.Error("nothing was paced")
			}
		})
	}
}
