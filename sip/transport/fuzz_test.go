package transport

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// attacked has bytes come by a connection to an endpoint, cut into segments,
// while another peer asks for its options. However the connection goes on, the
// other one is answered, and nothing is left.
func attacked(t *testing.T, addr string, segment uint8, bytes string) {
	play(t, &siptest.NetworkConfig{Segment: int(segment)}, func(s *scene) {
		var e *inbox
		e = s.listen(&Config{Listen: []string{"tcp:" + bobAddr, "ws:" + bobWS}, Handle: func(in *Inbound) {
			if in.Message == nil || in.Message.Err() != nil {
				t.Errorf("%v was handed over", in.Message)
			}
			ok(&e)(in)
		}})
		mallory := s.dial(s.n.Host("192.0.2.66"), addr)
		done := make(chan struct{})
		go func() { // ends when it is read, or with the connection
			defer close(done)
			io.WriteString(mallory, bytes)
			io.Copy(io.Discard, mallory)
		}()
		synctest.Wait()

		phone := s.dial(s.alice, bobAddr)
		io.WriteString(phone, message(options, tcpVia))
		phone.SetReadDeadline(time.Now().Add(time.Second))
		m, err := sip.NewReader(phone, nil).ReadMessage()
		if resp, isResponse := m.(*sip.Response); err != nil || !isResponse || resp.Status() != sip.StatusOK {
			t.Errorf("another peer is answered %q, %v; want 200", m, err)
		}

		mallory.Close()
		<-done
		s.wait(time.Second) // net/http lets clients read its answers
		s.tables(e, 1, 0)
		if strings.Contains(s.log.String(), "panic") {
			t.Errorf("logged: %s", s.log.String())
		}
	})
}

// FuzzStream has anything at all come by a connection of TCP.
func FuzzStream(f *testing.F) {
	good := message(options, tcpVia)
	for _, text := range []string{
		"", "\r\n", "\r\n\r\n", "\r", "GET", good, good + good, good[:100], "\r\n\r\n" + good + "\r\n\r\n",
		message(options, tcpVia, "Content-Length: 4", "\nbody") + good,
		message(options, tcpVia, "Content-Length: 4", "\nbody and more") + good,
		message(options, tcpVia, "Content-Length: 9999", "\nbody") + good,
		message(options, tcpVia, "Content-Length:"),
		message(options, tcpVia, "Call-ID:") + good,
		message(options, tcpVia+";alias;received=192.0.2.9;rport=1"),
		message("SIP/2.0 200 OK", tcpVia),
		message("INVITE sip:bob@192.0.2.2 SIP/2.0", tcpVia, "l: 5"),
		"\x16\x03\x01\x02\x00\x01\x00", strings.Repeat("\x00", 100),
	} {
		f.Add(uint8(0), text)
		f.Add(uint8(1), text)
	}
	f.Fuzz(func(t *testing.T, segment uint8, bytes string) {
		attacked(t, bobAddr, segment, bytes)
	})
}

// FuzzWebSocket has anything at all come by a WebSocket, and by what should have
// become one.
func FuzzWebSocket(f *testing.F) {
	good := message(options, wsVia)
	for _, frames := range []string{
		"", masked(frameText, good), masked(frameBinary, good), masked(frameText, "\r\n\r\n"), masked(frameText, ""),
		masked(0x01, good[:50]) + masked(framePing, "x") + masked(0x80, good[50:]),
		masked(frameText, good[:50]), masked(frameText, good+good),
		masked(frameClose, closeCode(1000)), masked(frameClose, "\x03"), masked(framePing, strings.Repeat("x", 126)),
		"\x81\x05hello", "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xffmask", masked(0xc1, good), good,
		strings.Repeat(masked(framePing, ""), 200),
	} {
		f.Add(uint8(0), wsHello(), frames)
		f.Add(uint8(1), wsHello(), frames)
	}
	f.Add(uint8(0), wsHello("Sec-WebSocket-Protocol:"), "")
	f.Add(uint8(0), wsHello("Upgrade:"), "")
	f.Add(uint8(0), "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", "")
	f.Add(uint8(0), "GET / HTTP/1.0\r\n\r\n", "")
	f.Fuzz(func(t *testing.T, segment uint8, handshake, frames string) {
		attacked(t, bobWS, segment, handshake+frames)
	})
}
