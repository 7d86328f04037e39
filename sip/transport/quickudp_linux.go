//go:build amd64 || arm64

package transport

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// quickConn is a UDP socket of IPv4 that the scheduler of Go is not told about
// each system call on: none of them blocks, for the socket does not. To tell it
// costs more than what it is told of after every pause, because it wakes a
// thread that watches over calls that block.
type quickConn struct {
	*net.UDPConn
	raw     syscall.RawConn
	reading quickCall // the reading goroutine's
	writing sync.Pool // of *quickCall
}

// A quickCall is one system call and its result.
type quickCall struct {
	buf  []byte
	addr syscall.RawSockaddrInet4
	n    int
	err  syscall.Errno
	do   func(fd uintptr) (done bool) // receive or send; made once
}

// quicken returns a socket that does the same as c, with less work if it is one
// of IPv4.
func quicken(c *net.UDPConn) packetConn {
	raw, err := c.SyscallConn()
	if err != nil {
		return c
	}
	family := 0
	raw.Control(func(fd uintptr) {
		family, _ = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_DOMAIN)
	})
	if family != syscall.AF_INET {
		return c
	}
	q := &quickConn{UDPConn: c, raw: raw}
	q.reading.do = q.reading.receive
	q.writing.New = func() any {
		call := new(quickCall)
		call.do = call.send
		return call
	}
	return q
}

// receive takes a datagram off the socket, if there is one.
func (c *quickCall) receive(fd uintptr) (done bool) {
	size := uint32(syscall.SizeofSockaddrInet4)
	return c.again(syscall.RawSyscall6(syscall.SYS_RECVFROM, fd,
		uintptr(unsafe.Pointer(unsafe.SliceData(c.buf))), uintptr(len(c.buf)), 0,
		uintptr(unsafe.Pointer(&c.addr)), uintptr(unsafe.Pointer(&size))))
}

// send puts a datagram on the socket, if there is room.
func (c *quickCall) send(fd uintptr) (done bool) {
	return c.again(syscall.RawSyscall6(syscall.SYS_SENDTO, fd,
		uintptr(unsafe.Pointer(unsafe.SliceData(c.buf))), uintptr(len(c.buf)), 0,
		uintptr(unsafe.Pointer(&c.addr)), syscall.SizeofSockaddrInet4))
}

// again notes a result, and reports whether it is one: if not, the call is made
// again when the socket is ready.
func (c *quickCall) again(n, _ uintptr, err syscall.Errno) (done bool) {
	c.n, c.err = int(n), err
	return err != syscall.EAGAIN
}

// ReadFromUDPAddrPort is for one goroutine at a time.
func (q *quickConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	c := &q.reading
	c.buf = b
	err := q.raw.Read(c.do)
	c.buf = nil
	if err == nil && c.err != 0 {
		err = &net.OpError{Op: "read", Net: "udp", Addr: q.LocalAddr(), Err: os.NewSyscallError("recvfrom", c.err)}
	}
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	return c.n, netip.AddrPortFrom(netip.AddrFrom4(c.addr.Addr), swapped(c.addr.Port)), nil
}

func (q *quickConn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	addr := to.Addr().Unmap()
	if !addr.Is4() || len(b) == 0 {
		return q.UDPConn.WriteToUDPAddrPort(b, to)
	}
	c := q.writing.Get().(*quickCall)
	c.buf = b
	c.addr = syscall.RawSockaddrInet4{Family: syscall.AF_INET, Port: swapped(to.Port()), Addr: addr.As4()}
	err := q.raw.Write(c.do)
	if err == nil && c.err != 0 {
		err = &net.OpError{Op: "write", Net: "udp", Source: q.LocalAddr(), Addr: net.UDPAddrFromAddrPort(to), Err: os.NewSyscallError("sendto", c.err)}
	}
	c.buf = nil
	q.writing.Put(c)
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

// swapped returns a port between the order of the network and that of these
// processors, which is the other way round.
func swapped(port uint16) uint16 { return port>>8 | port<<8 }
