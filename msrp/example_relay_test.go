package msrp_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"strings"

	"github.com/goparley/parley/msrp"
)

// A session goes by the relay of its user.
func ExampleRelay() {
	l := listenAsRelay()
	defer l.Close()
	alice, err := msrp.New(&msrp.Config{Relays: []msrp.Relay{{
		URI:      "msrp://" + l.Addr().String() + ";tcp", // "msrps://relay.example.com;tcp", as a rule
		Username: "alice",
		Password: "secret",
	}}})
	if err != nil {
		log.Fatal(err)
	}
	defer alice.Close()
	chat := msrp.NewSession(alice, nil)
	offer, err := chat.Offer(context.Background()) // into an INVITE
	if err != nil {
		log.Fatal(err) // errors.Is(err, frame.StatusUnauthorized): a wrong password
	}
	path, _ := offer.Attribute("path")
	by, own, _ := strings.Cut(path, " ")
	fmt.Println("the relay has given us", by)
	fmt.Println("for", strings.HasPrefix(own, "msrp://127.0.0.1:9/"))
	// Output:
	// the relay has given us msrp://127.0.0.1:2855/jui787s2f;tcp
	// for true
}

// listenAsRelay is a relay that gives one URI, to anybody.
func listenAsRelay() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { // ends with the connection
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		in := bufio.NewReader(nc)
		line, _ := in.ReadString('\n')
		id := strings.Fields(line)[1]
		fmt.Fprintf(nc, "MSRP %s 200 OK\r\nTo-Path: msrp://127.0.0.1:9/a;tcp\r\nFrom-Path: msrp://127.0.0.1:9;tcp\r\n"+
			"Use-Path: msrp://127.0.0.1:2855/jui787s2f;tcp\r\n-------%s$\r\n", id, id)
		io.Copy(io.Discard, in)
	}()
	return l
}

// A WebRTC stack has the association, and puts the attributes of the sessions into the section for it.
func ExampleSession_Open() {
	ctx := context.Background()
	here, err := msrp.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer here.Close()
	chat := msrp.NewSession(here, &msrp.SessionConfig{DataChannel: true})
	offer, err := chat.Offer(ctx)
	if err != nil {
		log.Fatal(err)
	}
	channel := msrp.DataChannel{ID: 0, Label: "chat"}
	for _, a := range channel.Attributes(offer) {
		if !strings.Contains(a.Value, "path:") {
			fmt.Printf("a=%s:%s\n", a.Name, a.Value)
		}
	}
	// When the answer is there, and the stack has opened the channel of that number:
	//
	//	err = chat.Update(ctx, offer, channel.Section(answer))
	//	err = chat.Open(detached, 65536, 65536)

	// Output:
	// a=dcmap:0 label="chat";subprotocol="msrp"
	// a=dcsa:0 accept-types:text/plain
	// a=dcsa:0 setup:actpass
	// a=dcsa:0 msrp-cema
}
