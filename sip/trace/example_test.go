package trace_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/trace"
	"github.com/goparley/parley/sip/transport"
)

// Two endpoints of one program share a Ladder. One asks the other, on an
// in-memory network, what it can do.
func ExampleLadder() {
	ladder := trace.NewLadder(&trace.LadderConfig{Names: map[string]string{"192.0.2.1": "alice", "192.0.2.2": "bob"}})
	n := siptest.NewNetwork(nil)

	var bob *transport.Endpoint
	bob, err := transport.Listen(&transport.Config{
		Listen: []string{"udp:192.0.2.2:5060"}, Network: n.Host("192.0.2.2"), Trace: ladder.Trace(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() { // ends when bob is closed
		for in, err := range bob.Receive(context.Background()) {
			if err == nil {
				bob.Respond(in, in.Message.(*sip.Request).Reply(sip.StatusOK))
			}
		}
	}()

	answered := make(chan struct{})
	alice, err := transport.Listen(&transport.Config{
		Listen: []string{"udp:192.0.2.1:5060"}, Network: n.Host("192.0.2.1"), Trace: ladder.Trace(),
		Handle: func(*transport.Inbound) { close(answered) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	target := resolve.Target{Transport: "UDP", Addr: netip.MustParseAddrPort("192.0.2.2:5060")}
	uri := sip.URI{Scheme: "sip", User: "bob", Host: "192.0.2.2"}
	options := sip.NewRequest(sip.OPTIONS, uri, sip.MaxForwards(70),
		sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: "192.0.2.1"}, Params: ";tag=1928301774"},
		sip.To{URI: uri}, sip.CallID("a84b4c76e66710"), sip.CSeq{Seq: 1, Method: sip.OPTIONS})
	if _, _, err := alice.SendRequest(context.Background(), options, target, "z9hG4bK776asdhds"); err != nil {
		fmt.Println(err)
		return
	}
	<-answered
	alice.Close()
	bob.Close()
	for line := range strings.Lines(ladder.String()) {
		fmt.Print(line[10:]) // without the time, which is another each time
	}
	// Output:
	// alice                     bob
	//   |----- OPTIONS (1) ----->|
	//   |<- 200 OK (1 OPTIONS) --|
}

// A capture file of everything that passes an endpoint, and a call flow of the
// same.
func ExampleJoin() {
	f, err := os.CreateTemp("", "calls-*.pcapng")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.Remove(f.Name())
	capture, ladder := trace.NewPcapng(f), trace.NewLadder(nil)
	ep, err := transport.Listen(&transport.Config{
		Listen: []string{"udp:127.0.0.1:0"},
		Trace:  trace.Join(capture.Trace(), ladder.Trace()),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// ... calls ...
	ep.Close()
	fmt.Println(capture.Close(), f.Close())
	// Output: <nil> <nil>
}
