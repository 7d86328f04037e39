//go:build amd64 || arm64

package transport

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// quickConn is a UDP socket that the scheduler of Go is not told about each
// system call on: none of them waits for anything. To tell it costs more than
// what it is told of after every pause, because it wakes a thread that watches
// over calls that block. What it does and the errors that it has are those of
// the net package.
type quickConn struct {
	*net.UDPConn
	raw     syscall.RawConn
	family  int       // AF_INET or AF_INET6; 0: all is left to the net package
	writing sync.Pool // of *quickCall

	// The reading goroutine's.
	reading *quickCall
	zones   map[uint32]string // names of interfaces, by their index
	zonesAt time.Time         // when the first of them was asked for
}

// quicken returns a socket that does the same as c, with less work.
func quicken(c *net.UDPConn) *quickConn {
	q := &quickConn{UDPConn: c, reading: newQuickCall(syscall.SYS_RECVMSG)}
	q.writing.New = func() any { return newQuickCall(syscall.SYS_SENDMSG) }
	raw, err := c.SyscallConn()
	if err != nil || c.RemoteAddr() != nil { // net refuses to write by a connected socket
		return q
	}
	q.raw = raw
	raw.Control(func(fd uintptr) { // or it is closed, which net will say
		switch family, _ := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_DOMAIN); family {
		case syscall.AF_INET, syscall.AF_INET6:
			q.family = family
		}
	})
	return q
}

// A quickCall is one system call, and its result. It lies on the heap, which
// does not move, and all that the system is shown of it is held by pointers.
type quickCall struct {
	trap    uintptr // SYS_RECVMSG or SYS_SENDMSG
	head    syscall.Msghdr
	data    syscall.Iovec
	name    [syscall.SizeofSockaddrInet6]byte // that of the peer; for IPv4 the start of it
	control [64]byte                          // what goes with a datagram
	n       int
	err     syscall.Errno
	do      func(fd uintptr) (done bool) // try; made once
}

func newQuickCall(trap uintptr) *quickCall {
	c := &quickCall{trap: trap}
	c.do = c.try
	return c
}

// set says what the call is about. Size is that of the name.
func (c *quickCall) set(b, control []byte, size int) {
	c.data.Base = unsafe.SliceData(b)
	c.data.SetLen(len(b))
	c.head = syscall.Msghdr{Name: &c.name[0], Namelen: uint32(size), Iov: &c.data, Iovlen: 1}
	c.head.Control = unsafe.SliceData(control)
	c.head.SetControllen(len(control))
}

// try makes the call, and reports whether it has a result: if not, it is made
// again when the socket is ready. MSG_DONTWAIT is for a descriptor that somebody
// has made blocking, by os.File.Fd of a copy of it: a thread that waited here
// would hold up the collector, and so the whole program.
func (c *quickCall) try(fd uintptr) (done bool) {
	for {
		n, _, err := syscall.RawSyscall(c.trap, fd, uintptr(unsafe.Pointer(&c.head)), syscall.MSG_DONTWAIT)
		if err != syscall.EINTR {
			c.n, c.err = int(n), err
			return err != syscall.EAGAIN
		}
	}
}

// release lets go of what others own.
func (c *quickCall) release() { c.data.Base, c.head.Control = nil, nil }

// ReadFromUDPAddrPort is for one goroutine at a time.
func (q *quickConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, _, _, from, err := q.ReadMsgUDPAddrPort(b, nil)
	return n, from, err
}

// ReadMsgUDPAddrPort is for one goroutine at a time.
func (q *quickConn) ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, from netip.AddrPort, err error) {
	if q.family == 0 {
		return q.UDPConn.ReadMsgUDPAddrPort(b, oob)
	}
	c := q.reading
	c.set(b, oob, len(c.name))
	err = q.raw.Read(c.do)
	c.release()
	if err != nil || c.err != 0 {
		return 0, 0, 0, netip.AddrPort{}, q.failed("read", "recvmsg", nil, c.err, err)
	}
	return c.n, int(c.head.Controllen), int(c.head.Flags), q.sender(c), nil
}

func (q *quickConn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	n, _, err := q.WriteMsgUDPAddrPort(b, nil, to)
	return n, err
}

// WriteMsgUDPAddrPort leaves to the net package what is rare: peers on one link,
// whose zone it knows the index of, and what is wrong with an address.
func (q *quickConn) WriteMsgUDPAddrPort(b, oob []byte, to netip.AddrPort) (n, oobn int, err error) {
	c := q.writing.Get().(*quickCall)
	defer q.writing.Put(c)
	size := putSockaddr(&c.name, q.family, to)
	if size == 0 || len(oob) > len(c.control) {
		return q.UDPConn.WriteMsgUDPAddrPort(b, oob, to)
	}
	c.set(b, c.control[:copy(c.control[:], oob)], size)
	err = q.raw.Write(c.do)
	c.release()
	if err != nil || c.err != 0 {
		return 0, 0, q.failed("write", "sendmsg", net.UDPAddrFromAddrPort(to), c.err, err)
	}
	return c.n, len(oob), nil
}

// failed returns the error of a call as the net package has it: that of the
// system, or why the call was not made, such as net.ErrClosed.
func (q *quickConn) failed(op, call string, peer net.Addr, errno syscall.Errno, err error) error {
	var unmade *net.OpError
	switch {
	case err == nil:
		err = os.NewSyscallError(call, errno)
	case errors.As(err, &unmade): // of RawConn, which calls it raw-read or raw-write
		err = unmade.Err
	}
	local := q.LocalAddr()
	return &net.OpError{Op: op, Net: local.Network(), Source: local, Addr: peer, Err: err}
}

// putSockaddr writes an address as the system has it, and returns its size: 0 if
// it has a zone, or is none of that family.
func putSockaddr(name *[syscall.SizeofSockaddrInet6]byte, family int, to netip.AddrPort) (size int) {
	addr := to.Addr()
	*name = [syscall.SizeofSockaddrInet6]byte{}
	binary.NativeEndian.PutUint16(name[0:], uint16(family))
	binary.BigEndian.PutUint16(name[2:], to.Port())
	switch {
	case !addr.IsValid() || addr.Zone() != "":
	case family == syscall.AF_INET6: // where IPv4 is mapped
		ip := addr.As16()
		copy(name[8:], ip[:]) // behind a flow label
		return syscall.SizeofSockaddrInet6
	case family == syscall.AF_INET && addr.Unmap().Is4():
		ip := addr.As4()
		copy(name[4:], ip[:])
		return syscall.SizeofSockaddrInet4
	}
	return 0
}

// sender returns the address that a datagram came from.
func (q *quickConn) sender(c *quickCall) netip.AddrPort {
	port := binary.BigEndian.Uint16(c.name[2:])
	if q.family == syscall.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(c.name[4:])), port)
	}
	addr := netip.AddrFrom16([16]byte(c.name[8:]))
	if index := binary.NativeEndian.Uint32(c.name[24:]); index != 0 {
		addr = addr.WithZone(q.zone(index))
	}
	return netip.AddrPortFrom(addr, port)
}

// zone returns the name of an interface, which the system is asked for once a
// minute: that takes as long as some datagrams.
func (q *quickConn) zone(index uint32) string {
	if now := time.Now(); now.Sub(q.zonesAt) > time.Minute {
		q.zones, q.zonesAt = map[uint32]string{}, now
	}
	name, ok := q.zones[index]
	if !ok {
		name = strconv.Itoa(int(index)) // it is gone
		if i, err := net.InterfaceByIndex(int(index)); err == nil {
			name = i.Name
		}
		q.zones[index] = name
	}
	return name
}
