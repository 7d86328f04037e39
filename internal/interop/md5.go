package interop

import (
	"bytes"
	"net"
	"net/netip"
	"regexp"
	"testing"
)

// MD5Only returns an address at which clients over UDP reach a server, and see
// of its digest challenges those with MD5 alone. For the server it is as if they
// were behind a NAT.
//
// It is for clients that were written before RFC 8760, and give up when they see
// another algorithm, although there is a challenge with MD5 as well.
func MD5Only(t testing.TB, server string) string {
	t.Helper()
	to, err := netip.ParseAddrPort(server)
	if err != nil {
		t.Fatal(err)
	}
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { front.Close() })
	go func() { // ends when the front is closed, with the test
		behind := make(map[netip.AddrPort]*net.UDPConn)
		defer func() {
			for _, conn := range behind {
				conn.Close()
			}
		}()
		buf := make([]byte, 65536)
		for {
			n, client, err := front.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			conn := behind[client]
			if conn == nil {
				if conn, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to)); err != nil {
					return
				}
				behind[client] = conn
				go answers(conn, front, client) // ends when conn is closed
			}
			// Its Route is to name the server.
			conn.Write(bytes.ReplaceAll(buf[:n], []byte(front.LocalAddr().String()), []byte(server)))
		}
	}()
	return front.LocalAddr().String()
}

var otherChallenge = regexp.MustCompile(`(?i)\r\n(WWW|Proxy)-Authenticate:[^\r\n]*algorithm=SHA-[^\r\n]*`)

// answers sends what comes from the server to a client.
func answers(conn, front *net.UDPConn, client netip.AddrPort) {
	buf := make([]byte, 65536)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		front.WriteToUDPAddrPort(otherChallenge.ReplaceAll(buf[:n], nil), client)
	}
}
