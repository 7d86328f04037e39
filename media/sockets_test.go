package media

import (
	"net"
	"slices"
	"testing"
)

// Connections that know only net.Addr work like those that know AddrPort.
func TestSocketWithoutAddrPort(t *testing.T) {
	open := func() *socket {
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return newSocket(struct{ net.PacketConn }{c})
	}
	a, b := open(), open()
	if a.fast != nil {
		t.Fatal("the fast path is there, want it hidden")
	}
	want := []byte("hello")
	if err := a.write(want, addrPort(b.conn.LocalAddr())); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n, from, err := b.read(buf)
	if err != nil || !slices.Equal(buf[:n], want) || from != addrPort(a.conn.LocalAddr()) {
		t.Errorf("read() = %q, %v, %v, want %q from %v", buf[:n], from, err, want, a.conn.LocalAddr())
	}
}
