package stun_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/goparley/parley/nat/stun"
	"github.com/goparley/parley/sip/siptest"
)

// A phone behind a NAT asks where the world sees its socket.
func ExampleDiscover() {
	n := siptest.NewNetwork(nil)
	ctx := context.Background()
	server, err := n.Host("192.0.2.10").ListenPacket(ctx, "udp", "192.0.2.10:3478")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	go serve(server) // ends when the socket is closed

	phone, err := n.NAT("203.0.113.1", nil).Host("10.0.0.2").ListenPacket(ctx, "udp", "10.0.0.2:5060")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer phone.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	mapped, err := stun.Discover(ctx, phone, netip.MustParseAddrPort("192.0.2.10:3478"))
	fmt.Println(mapped, err)
	// Output: 203.0.113.1:5060 <nil>
}

// A keepalive on a socket that has a reader of its own: the binding says when
// to send, and the reader shows it what is STUN.
func ExampleBinding() {
	server := netip.MustParseAddrPort("192.0.2.10:5060")
	here := netip.MustParseAddrPort("203.0.113.1:61234")
	now := time.Now()

	b := stun.NewBinding(server)
	send, next, err := b.Step(now)
	fmt.Println(send, next.Sub(now), err)
	send, next, err = b.Step(next) // no answer came
	fmt.Println(send, next.Sub(now), err)

	answer := stun.Respond(b.Request(), here) // what the server does
	mapped, ok, err := b.Answer(answer, server)
	fmt.Println(mapped, ok, err)
	// Output:
	// true 500ms <nil>
	// true 1.5s <nil>
	// 203.0.113.1:61234 true <nil>
}

// A server is a loop.
func ExampleRespond() {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	go func() { // ends when server is closed
		b := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			if answer := stun.Respond(b[:n], from.(*net.UDPAddr).AddrPort()); answer != nil {
				server.WriteTo(answer, from)
			}
		}
	}()

	client, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	mapped, err := stun.Discover(context.Background(), client, server.LocalAddr().(*net.UDPAddr).AddrPort())
	fmt.Println(mapped.String() == client.LocalAddr().String(), err)
	// Output: true <nil>
}
