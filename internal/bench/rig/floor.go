package rig

import (
	"bytes"
	"net"
	"net/netip"
)

// Floor begins the least that a server in Go can do: it keeps no state and parses
// nothing. It copies the lines of a request that a response needs: one read and
// one write a message, on one socket.
func Floor(addr string) error {
	udp, err := ListenUDP(addr)
	if err != nil {
		return err
	}
	go echo(udp, addr) // ends with the process
	return nil
}

func echo(udp *net.UDPConn, addr string) {
	tail := "Contact: <sip:uas@" + addr + ">\r\nContent-Length: 0\r\n\r\n"
	in, out := make([]byte, 65536), make([]byte, 0, 65536)
	for {
		n, from, err := udp.ReadFromUDPAddrPort(in)
		if err != nil {
			return
		}
		msg := in[:n]
		if bytes.HasPrefix(msg, []byte("ACK ")) {
			continue
		}
		if bytes.HasPrefix(msg, []byte("INVITE ")) {
			udp.WriteToUDPAddrPort(bareResponse(out[:0], "SIP/2.0 180 Ringing\r\n", msg, tail), from)
		}
		udp.WriteToUDPAddrPort(bareResponse(out[:0], "SIP/2.0 200 OK\r\n", msg, tail), from)
	}
}

// ListenUDP binds a socket with the receive buffer that an Endpoint asks for.
func ListenUDP(addr string) (*net.UDPConn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(to))
	if err != nil {
		return nil, err
	}
	return udp, udp.SetReadBuffer(1 << 20)
}

var kept = [][]byte{[]byte("Via:"), []byte("From:"), []byte("To:"), []byte("Call-ID:"), []byte("CSeq:")}

func bareResponse(out []byte, start string, msg []byte, tail string) []byte {
	out = append(out, start...)
	for {
		i := bytes.IndexByte(msg, '\n')
		if i < 2 {
			return append(out, tail...)
		}
		line := msg[:i-1]
		msg = msg[i+1:]
		for k, name := range kept {
			if bytes.HasPrefix(line, name) {
				out = append(out, line...)
				if k == 2 && !bytes.Contains(line, []byte(";tag=")) {
					out = append(out, ";tag=1"...)
				}
				out = append(out, "\r\n"...)
			}
		}
	}
}
