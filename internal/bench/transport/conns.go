package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/goparley/parley/internal/websocket"
	"github.com/goparley/parley/sip"
)

// conns holds connections of each transport and prints what one costs.
func conns(ctx context.Context, tcp, others int, profile string) error {
	raiseFiles()
	fmt.Print("\n| transport | connections | resident | heap | stacks | other | goroutines |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for _, kind := range []string{"tcp", "tls", "ws", "wss"} {
		n := others
		if kind == "tcp" {
			n = tcp
		}
		if n == 0 {
			continue
		}
		each, err := hold(ctx, kind, n, profile)
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		fmt.Printf("| %s | %d | %.1f | %.1f | %.1f | %.1f | %.2f |\n", kind, n, kb(each.Resident, n), kb(each.Heap, n),
			kb(each.Stacks, n), kb(each.Runtime, n), float64(each.Goroutines)/float64(n))
	}
	return nil
}

// kb returns the KB of one out of n.
func kb(bytes, n int) float64 { return float64(bytes) / 1024 / float64(n) }

// hold opens n connections to a server of their own and returns how much more
// it uses than before.
func hold(ctx context.Context, kind string, n int, profile string) (usage, error) {
	server, err := startChild(kind, 1, 0, 0, profile)
	if err != nil {
		return usage{}, err
	}
	defer server.stop()
	// The first ones make what is made once.
	for i := range 20 {
		c, err := connect(ctx, kind, server.addr, i)
		if err != nil {
			return usage{}, err
		}
		c.Close()
	}
	before, err := server.settled(ctx)
	if err != nil {
		return usage{}, err
	}
	for i := range n {
		c, err := connect(ctx, kind, server.addr, i)
		if err != nil {
			return usage{}, fmt.Errorf("connection %d: %w", i, err)
		}
		defer c.Close() // all are held at once
	}
	after, err := server.settled(ctx)
	return usage{
		Resident: after.Resident - before.Resident, Heap: after.Heap - before.Heap, Stacks: after.Stacks - before.Stacks,
		Runtime: after.Runtime - before.Runtime, Goroutines: after.Goroutines - before.Goroutines,
	}, err
}

// settled asks what the server uses when nothing happens any more.
func (c *child) settled(ctx context.Context) (usage, error) {
	select {
	case <-ctx.Done():
		return usage{}, ctx.Err()
	case <-time.After(500 * time.Millisecond):
	}
	return c.usage(true)
}

// connect opens one connection, sends a request on it and takes the answer.
// Sources differ, as there are not enough ports for one.
func connect(ctx context.Context, kind string, to netip.AddrPort, i int) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	from := netip.AddrFrom4([4]byte{127, 0, 1, byte(1 + i%50)})
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
	nc, err := dialer.DialContext(ctx, "tcp4", to.String())
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	nc.SetDeadline(deadline)
	secure := kind == "tls" || kind == "wss"
	if secure {
		// Who the server is does not matter here.
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	request := optionsText(kind, addrOf(nc), to)
	if kind == "tcp" || kind == "tls" {
		if _, err := nc.Write([]byte(request)); err != nil {
			nc.Close()
			return nil, err
		}
		m, err := sip.NewReader(nc, nil).ReadMessage()
		return checked(nc, m, err)
	}
	ws, err := websocket.Dial(ctx, nc, kind+"://"+to.String()+"/", &websocket.Config{
		Subprotocol: "sip",
		Patience:    func(_, _ time.Time) time.Time { return deadline },
	})
	if err != nil {
		return nil, err
	}
	if err := ws.Write(request, deadline); err != nil {
		return nil, err
	}
	text, err := ws.Read()
	if err != nil {
		return nil, err
	}
	m, err := sip.Parse(text)
	return checked(nc, m, err)
}

// checked returns the connection if the message is a 200.
func checked(nc net.Conn, m sip.Message, err error) (net.Conn, error) {
	if r, ok := m.(*sip.Response); err != nil || !ok || r.Status() != sip.StatusOK {
		nc.Close()
		return nil, fmt.Errorf("expected a 200 and got %v: %w", m, err)
	}
	return nc, nil
}

func addrOf(nc net.Conn) netip.AddrPort { return nc.LocalAddr().(*net.TCPAddr).AddrPort() }
