package transport

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// A connection that ends while it is held back for MaxRate leaves nobody behind
// that waits to take more pings off it.
func TestPaceEndsWithTheConnection(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{MaxRate: 10})
		for range 5 {
			phone := s.dial(s.alice, bobAddr)
			phone.send(strings.Repeat("\r\n", 1000))
			s.wait(time.Second)
			s.alice.Reset()
		}
		s.wait(time.Second)
		paced := e.Stats().Paced
		if paced == 0 {
			t.Fatal("nothing was held back")
		}
		s.wait(time.Minute)
		if got := e.Stats().Paced; got != paced {
			t.Errorf("held back %d times more after the connections had gone", got-paced)
		}
		s.tables(e, 0, 0)
	})
}

// What seems to come from a peer by UDP does not slow down what does come from it
// by TCP.
func TestForgedDatagramsSlowNoConnection(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{MaxRate: 10})
		forged := s.peerSocket(s.alice, aliceAddr)
		for range 100 {
			forged.send("x", bobAddr)
		}
		phone := s.dial(s.alice, bobAddr)
		for range 10 {
			phone.send(message(options, tcpVia))
		}
		s.wait(0)
		if stats := e.Stats(); stats.Received != 10 || stats.Limited != 90 || stats.Paced != 0 {
			t.Errorf("Stats() = %+v, want 10 received, 90 limited and none paced", stats)
		}
	})
}

// A client that says no more still reads what it is answered.
func TestAnswersAfterTheEndOfAStream(t *testing.T) {
	e, err := Listen(&Config{Listen: []string{"tcp:127.0.0.1:0"}, Handle: func(in *Inbound) {
		in.Endpoint().Respond(in, in.Message.(*sip.Request).Reply(sip.StatusOK))
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	nc, err := net.Dial("tcp", e.Addr("tcp").String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Write([]byte(strings.Repeat(message(options, tcpVia), 50))); err != nil {
		t.Fatal(err)
	}
	nc.(*net.TCPConn).CloseWrite()
	answers, err := io.ReadAll(nc)
	if got := strings.Count(string(answers), "SIP/2.0 200 "); got != 50 || err != nil {
		t.Errorf("%d answers, %v, want 50", got, err)
	}
}

// TLS answers a KeyUpdate from within a read, however long ago the last write
// was, and to a peer that takes nothing.
func TestWritesHaveDeadlinesOfTheirOwn(t *testing.T) {
	play(t, &siptest.NetworkConfig{Window: 1000}, func(s *scene) {
		far := s.accept(s.alice, aliceAddr)
		nc, err := s.bob.DialContext(background, "tcp", aliceAddr)
		if err != nil {
			t.Fatal(err)
		}
		sock := &socket{Conn: nc}
		defer sock.Close()
		sock.SetWriteDeadline(time.Now().Add(time.Second))
		s.wait(time.Minute)
		if _, err := sock.Write([]byte("late")); err != nil {
			t.Errorf("Write after an old deadline = %v", err)
		}
		far.all()
		s.began = time.Now()
		if _, err := sock.Write(make([]byte, 100_000)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write to a peer that does not read = %v, want %v", err, os.ErrDeadlineExceeded)
		}
		s.at(writeTimeout)
		sock.SetWriteDeadline(time.Now().Add(time.Second))
		s.began = time.Now()
		sock.Write(make([]byte, 100_000))
		s.at(time.Second)
	})
}

// "OPTIONS *" is answered like whatever else is no handshake, once.
func TestWebSocketServerOptions(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{Listen: []string{"ws:" + bobWS}})
		c := s.dial(s.alice, bobWS)
		c.send(strings.Repeat("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 10))
		s.wait(time.Second)
		if got := strings.Count(c.receive(), "HTTP/1.1 "); got != 1 {
			t.Errorf("%d answers, want 1", got)
		}
		s.wait(time.Second)
		if got := e.Stats().FailedHandshakes; got != 1 {
			t.Errorf("FailedHandshakes = %d, want 1", got)
		}
	})
}

// A callback of the program's that panics costs the connection it is for.
func TestPanicInTLSHandshake(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		certificate := authority.Certificate("example.com")
		e := s.listen(&Config{Listen: []string{"tls:" + bobTLS}, TLS: &tls.Config{
			GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				if hello.ServerName == "" {
					panic("no name")
				}
				return &certificate, nil
			},
		}})
		if _, err := s.dialTLS(s.alice, bobTLS, &tls.Config{InsecureSkipVerify: true}); err == nil {
			t.Error("a handshake was done")
		}
		s.wait(time.Second)
		s.contains(s.log.String(), "no name")
		alice := s.listen(&Config{Network: s.alice, Listen: []string{}, TLS: &tls.Config{RootCAs: authority.Pool()}})
		s.sendTo(alice, "example.com", "TLS", bobTLS)
		if s.one(e).Flow.Transport() != "TLS" {
			t.Error("the next one was not taken")
		}
	})
}

// A handler behind a unix socket, as of a proxy on the same machine: there is no
// address to note, and nothing is made up.
func TestWebSocketHandlerOnAUnixSocket(t *testing.T) {
	got := make(chan *Inbound, 1)
	e, err := Listen(&Config{Handle: func(in *Inbound) { got <- in }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: e.WebSocketHandler()}
	defer server.Close()
	go server.Serve(ln) // ends with Close
	nc, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	text := message(options, wsVia+";rport;received=192.0.2.99")
	if _, err := nc.Write([]byte(wsHello() + masked(0x81, text))); err != nil {
		t.Fatal(err)
	}
	in := <-got
	via := in.Message.(*sip.Request).Via()
	if value, ok := via.RPort(); value != 0 || !ok || via.Params.Has("received") || in.Flow.RemoteAddr().IsValid() {
		t.Errorf("Via %v of a flow from %v, want no address made up", via, in.Flow.RemoteAddr())
	}
	if err := e.Respond(in, in.Message.(*sip.Request).Reply(sip.StatusOK)); err != nil {
		t.Errorf("Respond = %v", err)
	}
}
