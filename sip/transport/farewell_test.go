package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip/siptest"
)

// A peer that does not read has a second to take what is being written when we
// take leave, and a second for the farewell, whatever time TLS asks for that.
func TestFarewellToADeafPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		sock := &socket{Conn: near}
		defer sock.Close()
		ended := make(chan error)
		began := time.Now()
		go func() { // ends with its deadline
			_, err := io.WriteString(sock, "a message")
			ended <- err
		}()
		synctest.Wait()
		sock.leave()
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("what was being written: %v after %v, want a timeout after 1s", err, time.Since(began))
		}
		began = time.Now()
		sock.SetWriteDeadline(began.Add(5 * time.Second))
		if _, err := io.WriteString(sock, "close_notify"); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("the farewell: %v after %v, want a timeout after 1s", err, time.Since(began))
		}
	})
}

// Nor does such a peer keep Shutdown waiting, when what it had to be sent is on
// its way.
func TestShutdownLeavesADeafPeerOfTLS(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		e := s.listenOn(viaTLS, authority, Config{Network: fullNetwork{s.bob}})
		phone, frame := s.peerOn(viaTLS, authority)
		phone.send(frame(message(options, tcpVia)))
		in := s.one(e)
		in.Flow.via.(*conn).wire.(*stream).nc.(*tls.Conn).NetConn().(*socket).Conn.(*fullConn).full()
		before := time.Now()
		if err := e.Shutdown(background); err != nil || time.Since(before) > byeTimeout {
			t.Errorf("Shutdown = %v after %v, want 1s at most", err, time.Since(before))
		}
	})
}

// fullNetwork has connections that can be told to take nothing more.
type fullNetwork struct{ *siptest.Host }

func (n fullNetwork) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	ln, err := n.Host.Listen(ctx, network, address)
	return fullListener{ln}, err
}

type fullListener struct{ net.Listener }

func (l fullListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return &fullConn{Conn: nc}, err
}

type fullConn struct {
	net.Conn
	into net.Conn // a pipe that nobody reads; nil: not full
}

func (c *fullConn) full() { c.into, _ = net.Pipe() }

func (c *fullConn) Write(b []byte) (int, error) {
	if c.into != nil {
		return c.into.Write(b)
	}
	return c.Conn.Write(b)
}

func (c *fullConn) SetWriteDeadline(t time.Time) error {
	if c.into != nil {
		return c.into.SetWriteDeadline(t)
	}
	return c.Conn.SetWriteDeadline(t)
}
