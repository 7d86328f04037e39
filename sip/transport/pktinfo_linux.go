package transport

import (
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// pktinfoConn is a wildcardConn by the control messages of ip(7) and RFC 3542
// section 6. A socket for both families has those of IPv4 for IPv4: they alone
// tell an address of ours from the broadcast address of a subnet.
type pktinfoConn struct {
	*quickConn
	control [128]byte // what came with a datagram; the reading goroutine's

	// What goes with a datagram, but for the address. The interface is left to
	// the system.
	from4, from6 []byte
}

// newWildcardConn returns nil if the system does not tell which address is asked.
func newWildcardConn(c *net.UDPConn) wildcardConn {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	isIPv4 := addrPort(c.LocalAddr()).Addr().Is4()
	var err4, err6 error
	err = raw.Control(func(fd uintptr) {
		err4 = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		if !isIPv4 {
			err6 = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		}
	})
	if err != nil || err4 != nil || err6 != nil {
		return nil
	}
	return &pktinfoConn{
		quickConn: quicken(c),
		from4:     unix.PktInfo4(&unix.Inet4Pktinfo{}),
		from6:     unix.PktInfo6(&unix.Inet6Pktinfo{}),
	}
}

func (c *pktinfoConn) readTo(b []byte) (n int, to netip.Addr, from netip.AddrPort, err error) {
	n, size, _, from, err := c.ReadMsgUDPAddrPort(b, c.control[:])
	if err == nil {
		to = asked(c.control[:size], from.Addr().Zone())
	}
	return n, to, from, err
}

// asked returns the address of ours that a datagram came to, by what came with
// it. Zone is that of its sender.
func asked(control []byte, zone string) (to netip.Addr) {
	for len(control) >= unix.CmsgLen(0) {
		h, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			break
		}
		switch control = rest; {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			// Our own address, and the one in the datagram, which a group or a
			// whole subnet may have.
			ours, asked := [4]byte(data[4:]), [4]byte(data[8:])
			if ours == asked {
				to = netip.AddrFrom4(asked)
			}
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			asked := netip.AddrFrom16([16]byte(data))
			switch {
			case asked.Is4In6() || asked.IsMulticast():
			case !asked.IsLinkLocalUnicast():
				to = asked
			case zone != "": // of one link, which the sender is on
				to = asked.WithZone(zone)
			}
		}
	}
	return to
}

func (c *pktinfoConn) writeFrom(b []byte, from netip.Addr, to netip.AddrPort) error {
	var room [64]byte // on the stack
	var control []byte
	if from.Is4() {
		control = room[:copy(room[:], c.from4)]
		addr := from.As4()
		copy(control[unix.CmsgLen(4):], addr[:]) // behind the index of an interface
	} else {
		control = room[:copy(room[:], c.from6)]
		addr := from.As16()
		copy(control[unix.CmsgLen(0):], addr[:])
	}
	_, _, err := c.WriteMsgUDPAddrPort(b, control, to)
	return err
}
