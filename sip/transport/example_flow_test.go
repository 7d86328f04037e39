package transport_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/transport"
)

// A request says in its Contact where we are reached by the flow that it takes,
// whichever that turns out to be.
func ExampleWithEdits() {
	ctx := context.Background()
	server, err := transport.Listen(&transport.Config{Listen: []string{"udp:127.0.0.1:0", "tcp:127.0.0.1:0"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	client, err := transport.Listen(&transport.Config{Listen: []string{"udp:127.0.0.1:0"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	ctx = transport.WithEdits(ctx, func(ctx context.Context, flow transport.Flow) ([]sip.Edit, error) {
		uri, err := client.ContactOn(ctx, flow)
		return []sip.Edit{sip.Contact{URI: uri}}, err
	})
	for _, network := range []string{"UDP", "TCP"} {
		to := resolve.Target{Transport: network, Addr: server.Addr(network)}
		flow, out, err := client.SendRequest(ctx, options(to.Addr), to, "z9hG4bK776asdhds")
		if err != nil {
			fmt.Println(err)
			return
		}
		contact, err := sip.Get[sip.Contact](out)
		fmt.Println(network, err == nil && contact.URI.Addr() == flow.LocalAddr().Addr() && contact.URI.Port == int(flow.LocalAddr().Port()))
	}
	// Output:
	// UDP true
	// TCP true
}

// An answer that takes longer than a connection is kept: nobody could send it to a
// client behind a NAT but by that connection.
func ExampleEndpoint_Hold() {
	server, err := transport.Listen(&transport.Config{
		Listen: []string{"tcp:127.0.0.1:0"},
		Idle:   time.Second,
		Handle: func(in *transport.Inbound) {
			ep := in.Endpoint()
			ep.Hold(in.Flow)
			time.AfterFunc(time.Minute, func() { // somebody picks up
				defer ep.Release(in.Flow)
				ep.Respond(in, in.Message.(*sip.Request).Reply(sip.StatusOK))
			})
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
}

// SIP from browsers, in a program that has an HTTP server of its own.
func ExampleEndpoint_WebSocketHandler() {
	ep, err := transport.Listen(&transport.Config{
		Handle: func(in *transport.Inbound) {
			if req, ok := in.Message.(*sip.Request); ok && req.Method() == sip.OPTIONS {
				in.Endpoint().Respond(in, req.Reply(sip.StatusOK))
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ep.Close()
	mux := http.NewServeMux()
	mux.Handle("/sip", ep.WebSocketHandler())
	mux.Handle("/", http.FileServer(http.Dir("www")))
	// http.ListenAndServeTLS(":443", "cert.pem", "key.pem", mux)
}

// A client keeps its way to a proxy alive, and the proxy, which keeps nothing
// about its clients, finds the way back by what it has put into a URI (RFC 5626
// sections 4.4 and 5).
func ExampleEndpoint_FlowToken() {
	tokens := make(chan string, 1)
	proxy, err := transport.Listen(&transport.Config{
		Listen: []string{"tcp:127.0.0.1:0"},
		Handle: func(in *transport.Inbound) { tokens <- in.Endpoint().FlowToken(in.Flow) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer proxy.Close()
	phone, err := transport.Listen(nil) // it only opens connections
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := sip.Parse("OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP x;branch=z9hG4bK1\r\nFrom: <sip:a@a.example>;tag=1\r\n" +
		"To: <sip:127.0.0.1>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n")
	if err != nil {
		fmt.Println(err)
		return
	}
	to := resolve.Target{Transport: "TCP", Addr: proxy.Addr("tcp")}
	flow, _, err := phone.SendRequest(context.Background(), m.(*sip.Request).With(sip.Pop("Via")), to, "z9hG4bK2")
	if err != nil {
		fmt.Println(err)
		return
	}
	dead := make(chan error, 1)
	phone.KeepAlive(flow, &transport.KeepAlive{Interval: time.Minute, Dead: func(err error) { dead <- err }})

	token := <-tokens
	back, err := proxy.FlowOf(token)
	fmt.Println("found:", err == nil, back.RemoteAddr() == flow.LocalAddr())
	_, err = proxy.FlowOf(token[1:])
	fmt.Println("forged:", errors.Is(err, transport.ErrToken)) // answer 403

	phone.Close()
	fmt.Println("dead:", errors.Is(<-dead, transport.ErrClosed))
	// Output:
	// found: true true
	// forged: true
	// dead: true
}
