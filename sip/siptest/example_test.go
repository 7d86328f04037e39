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
