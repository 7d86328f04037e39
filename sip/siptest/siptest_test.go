package siptest

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// scene is two machines on a network, and the time since it began.
type scene struct {
	*testing.T
	n          *Network
	alice, bob *Host
	began      time.Time
}

const (
	aliceAddr = "192.0.2.1:5060"
	bobAddr   = "192.0.2.2:5060"
)

// play runs a story in a bubble.
func play(t *testing.T, config *NetworkConfig, story func(s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork(config)
		story(&scene{T: t, n: n, alice: n.Host("192.0.2.1"), bob: n.Host("192.0.2.2"), began: time.Now()})
	})
}

// at checks the time that has passed.
func (s *scene) at(want time.Duration) {
	s.Helper()
	if got := time.Since(s.began); got != want {
		s.Errorf("at %v, want %v", got, want)
	}
}

// wait lets time pass.
func (s *scene) wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (s *scene) socket(h *Host, address string) *packetConn {
	s.Helper()
	pc, err := h.ListenPacket(s.Context(), "udp", address)
	if err != nil {
		s.Fatal(err)
	}
	return pc.(*packetConn)
}

func (s *scene) send(c *packetConn, text, to string) {
	s.Helper()
	if n, err := c.WriteToUDPAddrPort([]byte(text), netip.MustParseAddrPort(to)); n != len(text) || err != nil {
		s.Fatalf("write %q = %d, %v", text, n, err)
	}
}

func (s *scene) receive(c *packetConn, want string) netip.AddrPort {
	s.Helper()
	b := make([]byte, 1500)
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		s.Fatalf("read: %v, want %q", err, want)
	}
	if got := string(b[:n]); got != want {
		s.Errorf("read %q, want %q", got, want)
	}
	return from
}

// silence checks that nothing arrives for a while.
func (s *scene) silence(c *packetConn, d time.Duration) {
	s.Helper()
	c.SetReadDeadline(time.Now().Add(d))
	defer c.SetReadDeadline(time.Time{})
	b := make([]byte, 1500)
	if n, _, err := c.ReadFromUDPAddrPort(b); !isTimeout(err) {
		s.Errorf("read %q, %v, want nothing", b[:n], err)
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// opError checks that err is a *net.OpError around want.
func (s *scene) opError(err, want error) {
	s.Helper()
	var op *net.OpError
	if !errors.As(err, &op) || !errors.Is(err, want) {
		s.Errorf("err = %v (%T), want a *net.OpError around %v", err, err, want)
	}
}

func (s *scene) listen(h *Host, address string) *listener {
	s.Helper()
	l, err := h.Listen(s.Context(), "tcp", address)
	if err != nil {
		s.Fatal(err)
	}
	return l.(*listener)
}

// connect returns alice's and bob's end of a stream.
func (s *scene) connect() (near, far *conn) {
	s.Helper()
	l := s.listen(s.bob, bobAddr)
	defer l.Close()
	c, err := s.alice.DialContext(s.Context(), "tcp", bobAddr)
	if err != nil {
		s.Fatal(err)
	}
	a, err := l.Accept()
	if err != nil {
		s.Fatal(err)
	}
	return c.(*conn), a.(*conn)
}

func (s *scene) write(c *conn, text string) {
	s.Helper()
	if n, err := io.WriteString(c, text); n != len(text) || err != nil {
		s.Fatalf("write %q = %d, %v", text, n, err)
	}
}

// read checks what one Read returns.
func (s *scene) read(c *conn, want string) {
	s.Helper()
	b := make([]byte, 1500)
	n, err := c.Read(b)
	if got := string(b[:n]); got != want || err != nil {
		s.Errorf("read %q, %v, want %q", got, err, want)
	}
}

// ends checks that a Read returns nothing but an error.
func (s *scene) ends(c *conn, want error) {
	s.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, want) {
		s.Errorf("read = %d, %v, want %v", n, err, want)
	}
}
