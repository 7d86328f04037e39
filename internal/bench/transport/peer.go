package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/net/ipv4"
)

// peer is one socket of the load. It sends and receives several datagrams with
// one system call, so that it needs less of the processors than a server.
type peer struct {
	nc  *net.UDPConn
	pc  *ipv4.PacketConn
	out []ipv4.Message
	in  []ipv4.Message
}

func newPeer(to netip.AddrPort, rport bool, ahead int) (*peer, error) {
	nc, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return nil, err
	}
	request := optionsText("udp", nc.LocalAddr().(*net.UDPAddr).AddrPort(), to)
	if !rport {
		request = strings.Replace(request, ";rport", "", 1)
	}
	p := &peer{nc: nc, pc: ipv4.NewPacketConn(nc)}
	for range ahead {
		p.out = append(p.out, ipv4.Message{Buffers: [][]byte{[]byte(request)}})
		p.in = append(p.in, ipv4.Message{Buffers: [][]byte{make([]byte, 2048)}})
	}
	return p, nil
}

func (p *peer) close() { p.nc.Close() }

// run keeps requests under way until ctx ends, and returns how many were
// answered. What is lost is sent again.
func (p *peer) run(ctx context.Context) (answered int, err error) {
	const patience = 100 * time.Millisecond // for datagrams that are lost
	due := len(p.out)
	for ctx.Err() == nil {
		for sent := 0; sent < due; {
			n, err := p.pc.WriteBatch(p.out[:due-sent], 0)
			if err != nil {
				return answered, err
			}
			sent += n
		}
		p.nc.SetReadDeadline(time.Now().Add(patience))
		n, err := p.pc.ReadBatch(p.in, 0)
		switch {
		case err == nil:
			answered += n
			due = n
		case errors.Is(err, os.ErrDeadlineExceeded):
			due = len(p.out)
		default:
			return answered, err
		}
	}
	return answered, nil
}
