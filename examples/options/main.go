// Options is a stateless responder: it answers every OPTIONS with 200 and
// everything else with 501, and remembers nothing.
//
//	go run ./examples/options -listen udp:127.0.0.1:5060
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

func main() {
	listen := flag.String("listen", "udp:127.0.0.1:5060", "where to listen: udp:ADDRESS:PORT or tcp:ADDRESS:PORT")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	ep, err := transport.Listen(&transport.Config{Listen: []string{*listen}})
	if err != nil {
		log.Fatal(err)
	}
	defer ep.Close()
	log.Print("listening on ", *listen)

	for in, err := range ep.Receive(ctx) {
		if err != nil {
			return // interrupted
		}
		req, ok := in.Message.(*sip.Request)
		if !ok || req.Method() == sip.ACK {
			continue
		}
		status := sip.StatusNotImplemented
		if req.Method() == sip.OPTIONS {
			status = sip.StatusOK
		}
		if err := ep.Respond(in, req.Reply(status, sip.Allow{sip.OPTIONS})); err != nil {
			log.Print(err)
		}
	}
}
