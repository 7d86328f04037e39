package transport_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/transport"
)

// A stateless server that tells everybody that it is there, and a client that
// asks.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	server, err := transport.Listen(&transport.Config{Listen: []string{"udp:127.0.0.1:0", "tcp:127.0.0.1:0"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	go func() { // ends with ctx
		for in, err := range server.Receive(ctx) {
			if err != nil {
				return
			}
			if req, ok := in.Message.(*sip.Request); ok && req.Method() == sip.OPTIONS {
				server.Respond(in, req.Reply(sip.StatusOK))
			}
		}
	}()

	client, err := transport.Listen(&transport.Config{Listen: []string{"udp:127.0.0.1:0"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	for _, network := range []string{"UDP", "TCP"} {
		to := resolve.Target{Transport: network, Addr: server.Addr(network)}
		if _, _, err := client.SendRequest(ctx, options(to.Addr), to, "z9hG4bK776asdhds"); err != nil {
			fmt.Println(err)
			return
		}
		for in, err := range client.Receive(ctx) {
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Println(in.Flow.Transport(), in.Message.(*sip.Response).Status())
			break
		}
	}
	// Output:
	// UDP 200 OK
	// TCP 200 OK
}

// options asks the server at an address what it can do.
func options(server netip.AddrPort) *sip.Request {
	uri := sip.URI{Scheme: "sip", Host: server.Addr().String(), Port: int(server.Port())}
	return sip.NewRequest(sip.OPTIONS, uri, sip.MaxForwards(70),
		sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: "example.com"}, Params: ";tag=1928301774"},
		sip.To{URI: uri}, sip.CallID("a84b4c76e66710"), sip.CSeq{Seq: 1, Method: sip.OPTIONS})
}
