//go:build amd64 || arm64

package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goparley/parley/internal/race"
	"golang.org/x/sys/unix"
)

// The tests of this file run on the sockets of the operating system, and hold
// quickConn to what the net package does.

// quickSockets are the ways to bind a socket, and an address that each is
// reached at.
var quickSockets = []struct{ network, listen, at string }{
	{"udp4", "127.0.0.1:0", "127.0.0.1"},
	{"udp4", "0.0.0.0:0", "127.0.0.2"},
	{"udp6", "[::1]:0", "::1"},
	{"udp6", "[::]:0", "::1"},
	{"udp", "[::]:0", "::1"},
	{"udp", "[::]:0", "127.0.0.1"},
	{"udp", ":0", "::ffff:127.0.0.1"},
}

func udpSocketAt(t *testing.T, network, listen string) *net.UDPConn {
	t.Helper()
	pc, err := net.ListenPacket(network, listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc.(*net.UDPConn)
}

// What one writes the other reads, from the same address, whichever of them goes
// by the net package.
func TestQuickConnIsAsNet(t *testing.T) {
	for _, s := range quickSockets {
		c := udpSocketAt(t, s.network, s.listen)
		q := quicken(c)
		if q.family == 0 {
			t.Errorf("%s %s is left to the net package", s.network, s.listen)
		}
		self := netip.AddrPortFrom(netip.MustParseAddr(s.at), addrPort(c.LocalAddr()).Port())
		for _, size := range []int{0, 1, 1500, 65507} {
			sent := bytes.Repeat([]byte("x"), size)
			var from [4]netip.AddrPort
			i := 0
			for _, w := range []packetConn{c, q} {
				for _, r := range []packetConn{c, q} {
					n, err := w.WriteToUDPAddrPort(sent, self)
					if n != size || err != nil {
						t.Fatalf("%T %s: wrote %d bytes to %v, %v, want %d", w, s.listen, n, self, err, size)
					}
					got := make([]byte, 65536)
					r.SetReadDeadline(time.Now().Add(5 * time.Second))
					n, from[i], err = r.ReadFromUDPAddrPort(got)
					if !bytes.Equal(got[:n], sent) || err != nil {
						t.Fatalf("%T %s: read %d bytes, %v, want %d", r, s.listen, n, err, size)
					}
					i++
				}
			}
			if from[1] != from[0] || from[2] != from[0] || from[3] != from[0] {
				t.Errorf("%s at %s: came from %v, want all of them from the first", s.listen, s.at, from)
			}
		}
		if n, err := q.WriteToUDPAddrPort(nil, self); n != 0 || err != nil {
			t.Errorf("%s: no slice: wrote %d bytes, %v, want an empty datagram", s.listen, n, err)
		}
		if n, _, err := q.ReadFromUDPAddrPort(nil); n != 0 || err != nil {
			t.Errorf("%s: into no slice: read %d bytes, %v, want none", s.listen, n, err)
		}
		// A datagram that there is no room for is cut, and the flags say so.
		q.WriteToUDPAddrPort([]byte("INVITE"), self)
		b := make([]byte, 3)
		if n, _, flags, _, err := q.ReadMsgUDPAddrPort(b, nil); string(b[:n]) != "INV" || flags&unix.MSG_TRUNC == 0 || err != nil {
			t.Errorf("%s: read %q with flags %#x, %v, want INV and MSG_TRUNC", s.listen, b[:n], flags, err)
		}
	}
}

// Each error is what the net package has: what a caller tests for, what was
// being done, by which socket and to whom.
func TestQuickConnFailsAsNet(t *testing.T) {
	past := time.Unix(1, 0)
	write := func(to string, size int) func(packetConn) error {
		return func(c packetConn) error {
			addr, _ := netip.ParseAddrPort(to)
			_, err := c.WriteToUDPAddrPort(make([]byte, size), addr)
			return err
		}
	}
	read := func(c packetConn) error {
		_, _, err := c.ReadFromUDPAddrPort(make([]byte, 10))
		return err
	}
	set := func(c packetConn, level, option, value int) {
		if err := control(c, func(fd int) error { return unix.SetsockoptInt(fd, level, option, value) }); err != nil {
			t.Fatal(err)
		}
	}
	// A port that nobody has, now.
	gone := udpSocketAt(t, "udp4", "127.0.0.1:0")
	nobody := gone.LocalAddr().String()
	gone.Close()
	for _, f := range []struct {
		name, network, listen string
		do                    func(packetConn) error
		want                  error // nil: that of the net package alone
	}{
		{"too long", "udp4", "127.0.0.1:0", write("127.0.0.1:5060", 65508), syscall.EMSGSIZE},
		{"too long", "udp6", "[::1]:0", write("[::1]:5060", 65528), syscall.EMSGSIZE},
		{"to all, which is not allowed", "udp4", "127.0.0.1:0", func(c packetConn) error {
			set(c, unix.SOL_SOCKET, unix.SO_BROADCAST, 0)
			return write("127.255.255.255:5060", 1)(c)
		}, syscall.EACCES},
		{"to port 0", "udp4", "127.0.0.1:0", write("127.0.0.1:0", 1), syscall.EINVAL},
		{"to port 0", "udp6", "[::1]:0", write("[::1]:0", 1), nil},
		{"off the loopback interface", "udp4", "127.0.0.1:0", write("203.0.113.1:5060", 1), nil},
		{"to no address", "udp4", "127.0.0.1:0", write("", 1), nil},
		{"to IPv6 by IPv4", "udp4", "127.0.0.1:0", write("[::1]:5060", 1), nil},
		{"to IPv4 by IPv6", "udp6", "[::1]:0", write("127.0.0.1:5060", 1), nil},
		{"to one link, which is not told", "udp6", "[::]:0", write("[fe80::1]:5060", 1), nil},
		{"to one link, which there is not", "udp6", "[::]:0", write("[fe80::1%nolink]:5060", 1), nil},
		{"late to write", "udp4", "127.0.0.1:0", func(c packetConn) error {
			c.SetWriteDeadline(past)
			return write("127.0.0.1:5060", 1)(c)
		}, os.ErrDeadlineExceeded},
		{"late to read", "udp4", "127.0.0.1:0", func(c packetConn) error {
			c.SetReadDeadline(past)
			return read(c)
		}, os.ErrDeadlineExceeded},
		{"an ICMP message", "udp4", "127.0.0.1:0", func(c packetConn) error {
			set(c, unix.IPPROTO_IP, unix.IP_RECVERR, 1)
			if err := write(nobody, 1)(c); err != nil {
				t.Fatal(err)
			}
			return read(c)
		}, syscall.ECONNREFUSED},
		{"closed, to read", "udp6", "[::]:0", func(c packetConn) error { c.Close(); return read(c) }, net.ErrClosed},
		{"closed, to write", "udp6", "[::]:0", func(c packetConn) error { c.Close(); return write("[::1]:5060", 1)(c) }, net.ErrClosed},
	} {
		c := udpSocketAt(t, f.network, f.listen)
		q := quicken(udpSocketAt(t, f.network, f.listen))
		theirs, ours := describe(f.do(c), c), describe(f.do(q), q)
		if ours.text != theirs.text {
			t.Errorf("%s: %s, want %s", f.name, ours.text, theirs.text)
		}
		if f.want != nil && !errors.Is(ours.err, f.want) {
			t.Errorf("%s: %v, want %v", f.name, ours.err, f.want)
		}
	}

	server := udpSocketAt(t, "udp4", "127.0.0.1:0")
	connected, err := net.DialUDP("udp4", nil, server.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer connected.Close()
	if err := write(nobody, 1)(quicken(connected)); !errors.Is(err, net.ErrWriteToConnected) {
		t.Errorf("by a connected socket: %v, want %v", err, net.ErrWriteToConnected)
	}
}

type described struct {
	err  error
	text string
}

// describe says what is in an error, but for our own port and for which of two
// system calls it is of.
func describe(err error, c packetConn) described {
	var op *net.OpError
	if !errors.As(err, &op) {
		return described{err, fmt.Sprintf("%v, which is no *net.OpError", err)}
	}
	why, call := op.Err, ""
	var failed *os.SyscallError
	if errors.As(why, &failed) {
		why, call = failed.Err, "a system call"
	}
	source := strings.Replace(fmt.Sprint(op.Source), c.LocalAddr().String(), "us", 1)
	return described{err, fmt.Sprintf("%s %s>%v: %s %T %v, timeout %t", op.Op, source, op.Addr, call, why, why, op.Timeout())}
}

// Close ends a read that waits, and a deadline does, also if somebody has made
// the descriptor blocking: os.File.Fd of a copy has done that.
func TestQuickConnDoesNotBlock(t *testing.T) {
	for _, s := range quickSockets {
		q := quicken(udpSocketAt(t, s.network, s.listen))
		if err := control(q, func(fd int) error { return syscall.SetNonblock(fd, false) }); err != nil {
			t.Fatal(err)
		}
		q.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, _, err := q.ReadFromUDPAddrPort(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v, want %v", s.listen, err, os.ErrDeadlineExceeded)
		}
		q.SetReadDeadline(time.Time{})
		ended := make(chan error, 1)
		go func() { // ends when the socket is closed
			_, _, err := q.ReadFromUDPAddrPort(make([]byte, 10))
			ended <- err
		}()
		runtime.Gosched()
		q.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v, want %v", s.listen, err, net.ErrClosed)
		}
	}
}

// Many write by a socket and one reads, while the collector runs, until it is
// closed under them. Each datagram is whole and from where it says.
func TestQuickConnAmongMany(t *testing.T) {
	for _, s := range quickSockets {
		q := quicken(udpSocketAt(t, s.network, s.listen))
		self := netip.AddrPortFrom(netip.MustParseAddr(s.at), addrPort(q.LocalAddr()).Port())
		var writers sync.WaitGroup
		for i := range 4 {
			writers.Go(func() { // ends when the socket is closed
				for {
					b := bytes.Repeat([]byte{byte('a' + i)}, 100+i)
					if _, err := q.WriteToUDPAddrPort(b, self); err != nil {
						if !errors.Is(err, net.ErrClosed) {
							t.Errorf("%s: %v, want %v", s.listen, err, net.ErrClosed)
						}
						return
					}
				}
			})
		}
		b := make([]byte, 200)
		for i := range 500 {
			n, from, err := q.ReadFromUDPAddrPort(b)
			if err != nil || from.Port() != self.Port() {
				t.Fatalf("%s: from %v, %v, want port %d", s.listen, from, err, self.Port())
			}
			if who := int(b[0] - 'a'); n != 100+who || bytes.Count(b[:n], b[:1]) != n {
				t.Errorf("%s: %q", s.listen, b[:n])
			}
			if i%100 == 0 {
				runtime.GC()
			}
		}
		q.Close()
		writers.Wait()
	}
}

// A read and a write take no memory.
func TestQuickConnAllocations(t *testing.T) {
	for _, s := range quickSockets {
		q := quicken(udpSocketAt(t, s.network, s.listen))
		self := netip.AddrPortFrom(netip.MustParseAddr(s.at), addrPort(q.LocalAddr()).Port())
		b := make([]byte, 100)
		got := testing.AllocsPerRun(100, func() {
			if _, err := q.WriteToUDPAddrPort(b[:5], self); err != nil {
				t.Fatal(err)
			}
			if n, _, err := q.ReadFromUDPAddrPort(b); n != 5 || err != nil {
				t.Fatalf("%d bytes, %v, want 5", n, err)
			}
		})
		if most := race.PoolMisses; got > float64(most) {
			t.Errorf("%s: %v allocations, want none", s.listen, got)
		}
	}
}

// RFC 4007 section 11: an address of one link has a zone, the name of the
// interface, and the index of an interface that is gone is its own name.
func TestQuickConnZones(t *testing.T) {
	q := quicken(udpSocketAt(t, "udp6", "[::1]:0"))
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	zones := map[uint32]string{0: "", 1<<31 - 1: "2147483647"}
	for _, i := range interfaces {
		zones[uint32(i.Index)] = i.Name
	}
	from := netip.MustParseAddrPort("[fe80::1]:5060")
	for index, zone := range zones {
		for range 2 { // asked for, and known
			putSockaddr(&q.reading.name, q.family, from)
			binary.NativeEndian.PutUint32(q.reading.name[24:], index)
			want := netip.AddrPortFrom(from.Addr().WithZone(zone), from.Port())
			if got := q.sender(q.reading); got != want {
				t.Errorf("interface %d: from %v, want %v", index, got, want)
			}
		}
	}
	if size := putSockaddr(&q.reading.name, q.family, netip.MustParseAddrPort("[fe80::1%lo]:5060")); size != 0 {
		t.Errorf("the size of an address with a zone = %d, want 0, to leave it to the net package", size)
	}
}
