package siptest

import (
	"syscall"
	"testing"
)

// A connected datagram socket learns the local address that leads to its peer
// without sending, and hears nobody else.
func TestDialDatagrams(t *testing.T) {
	play(t, nil, func(s *scene) {
		bob := s.socket(s.bob, bobAddr)
		stranger := s.socket(s.n.Host("192.0.2.3"), "192.0.2.3:5060")
		c, err := s.alice.DialContext(s.Context(), "udp", bobAddr)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := c.RemoteAddr().String(), bobAddr; got != want {
			t.Errorf("RemoteAddr() = %v, want %v", got, want)
		}
		local := c.LocalAddr().String()
		if want := "192.0.2.1:49152"; local != want {
			t.Errorf("LocalAddr() = %v, want %v", local, want)
		}
		if got := s.n.Stats().Sent; got != 0 {
			t.Errorf("%d datagrams sent by dialling, want 0", got)
		}
		c.Write([]byte("hello"))
		s.receive(bob, "hello")
		s.send(stranger, "from a stranger", local)
		s.send(bob, "from bob", local)
		b := make([]byte, 100)
		if n, err := c.Read(b); string(b[:n]) != "from bob" || err != nil {
			t.Errorf("read %q, %v, want %q", b[:n], err, "from bob")
		}
		c.Close()
		_, err = s.alice.DialContext(s.Context(), "udp", "[2001:db8::2]:5060")
		s.opError(err, syscall.ENETUNREACH)
	})
}
