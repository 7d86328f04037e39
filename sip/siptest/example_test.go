package siptest_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/goparley/parley/sip/siptest"
)

// A phone and a proxy, 20 ms apart. The first 200 is lost on purpose, so that
// the phone has to ask again. In a test, the body would stand in a
// testing/synctest bubble and take no time.
func ExampleNetwork() {
	n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 20 * time.Millisecond, Record: true})
	lost := false
	n.SetFilter(func(p siptest.Packet) siptest.Verdict {
		if lost || !strings.HasPrefix(string(p.Data), "SIP/2.0 200") {
			return siptest.Verdict{}
		}
		lost = true
		return siptest.Verdict{Drop: true}
	})

	ctx := context.Background()
	phone, err := n.Host("192.0.2.1").ListenPacket(ctx, "udp", "192.0.2.1:5060")
	if err != nil {
		fmt.Println(err)
		return
	}
	proxy, err := n.Host("192.0.2.2").ListenPacket(ctx, "udp", "192.0.2.2:5060")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer proxy.Close()
	go func() { // ends when proxy is closed
		b := make([]byte, 1500)
		for {
			_, from, err := proxy.ReadFrom(b)
			if err != nil {
				return
			}
			proxy.WriteTo([]byte("SIP/2.0 200 OK\r\n\r\n"), from)
		}
	}()

	b := make([]byte, 1500)
	for range 2 {
		phone.WriteTo([]byte("OPTIONS sip:192.0.2.2 SIP/2.0\r\n\r\n"), &net.UDPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 5060})
		phone.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		phone.ReadFrom(b)
	}
	for _, p := range n.Packets() {
		line, _, _ := strings.Cut(string(p.Data), "\r\n")
		fmt.Printf("%v %s lost=%v\n", p.From, line, p.Lost)
	}
	// Output:
	// 192.0.2.1:5060 OPTIONS sip:192.0.2.2 SIP/2.0 lost=false
	// 192.0.2.2:5060 SIP/2.0 200 OK lost=true
	// 192.0.2.1:5060 OPTIONS sip:192.0.2.2 SIP/2.0 lost=false
	// 192.0.2.2:5060 SIP/2.0 200 OK lost=false
}

// A phone behind a NAT that lets in only those to whom the phone has sent.
func ExampleNAT() {
	n := siptest.NewNetwork(nil)
	box := n.NAT("203.0.113.1", &siptest.NATConfig{Filtering: siptest.AddressAndPortDependent})

	ctx := context.Background()
	phone, err := box.Host("10.0.0.2").ListenPacket(ctx, "udp", "10.0.0.2:5060")
	if err != nil {
		fmt.Println(err)
		return
	}
	proxy, err := n.Host("192.0.2.2").ListenPacket(ctx, "udp", "192.0.2.2:5060")
	if err != nil {
		fmt.Println(err)
		return
	}
	stranger, err := n.Host("198.51.100.66").ListenPacket(ctx, "udp", "198.51.100.66:5060")
	if err != nil {
		fmt.Println(err)
		return
	}

	b := make([]byte, 1500)
	phone.WriteTo([]byte("REGISTER"), proxy.LocalAddr())
	_, from, _ := proxy.ReadFrom(b)
	fmt.Println(phone.LocalAddr(), "is seen as", from)

	stranger.WriteTo([]byte("INVITE from a stranger"), from)
	proxy.WriteTo([]byte("INVITE from the proxy"), from)
	size, _, _ := phone.ReadFrom(b)
	fmt.Printf("%s, %d filtered\n", b[:size], n.Stats().Filtered)
	// Output:
	// 10.0.0.2:5060 is seen as 203.0.113.1:5060
	// INVITE from the proxy, 1 filtered
}
