package stun

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// Discover asks a server for the address at which it sees conn, a UDP socket:
// the address that a NAT in between has given to it. The server is an IP
// address and port, 3478 unless it says otherwise.
//
// Discover reads from conn until it returns, and throws away what is not the
// answer: it is for a socket that does nothing else, or nothing yet. It sets the
// read deadline and leaves none.
//
// It returns ErrTimeout after 39.5 seconds, the context's error if that ends
// before, an *Error if the server refuses, and a *net.OpError if the network
// does.
func Discover(ctx context.Context, conn net.PacketConn, server netip.AddrPort) (netip.AddrPort, error) {
	mapped, err := discover(ctx, conn, server)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("discover address at %s: %w", server, err)
	}
	return mapped, nil
}

func discover(ctx context.Context, conn net.PacketConn, server netip.AddrPort) (netip.AddrPort, error) {
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { // its goroutine ends with it
		conn.SetReadDeadline(time.Now())
		close(woken)
	})
	defer func() {
		if !stop() {
			<-woken // so that its deadline is not the one that stays
		}
		conn.SetReadDeadline(time.Time{})
	}()

	b := NewBinding(server)
	to := net.UDPAddrFromAddrPort(server)
	buf := make([]byte, 1500)
	for {
		send, next, err := b.Step(time.Now())
		if err != nil {
			return netip.AddrPort{}, err
		}
		if err := conn.SetReadDeadline(next); err != nil {
			return netip.AddrPort{}, err
		}
		if err := ctx.Err(); err != nil { // before the deadline was set
			return netip.AddrPort{}, err
		}
		if send {
			if _, err := conn.WriteTo(b.Request(), to); err != nil {
				return netip.AddrPort{}, err
			}
		}
		n, from, err := conn.ReadFrom(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue
		case err != nil:
			return netip.AddrPort{}, err
		}
		if udp, is := from.(*net.UDPAddr); is {
			if mapped, ok, err := b.Answer(buf[:n], udp.AddrPort()); ok {
				return mapped, err
			}
		}
	}
}
