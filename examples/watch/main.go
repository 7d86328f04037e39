// Watch subscribes to the state of somebody, their presence if nothing else is
// asked for, and prints what it is told until it is interrupted.
//
//	go run ./examples/watch -password secret sip:alice@example.com sip:bob@example.com
//	go run ./examples/watch -event message-summary sip:alice@example.com sip:alice@example.com
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/goparley/parley/ua"
)

func main() {
	event := flag.String("event", "presence", "event package, with parameters if it needs some")
	password := flag.String("password", "", "password")
	proxy := flag.String("proxy", "", "URI of an outbound proxy, such as sip:127.0.0.1:5060")
	flag.Parse()
	if flag.NArg() != 2 {
		log.Fatal("usage: watch [flags] sip:user@domain sip:whom@domain")
	}
	if err := run(flag.Arg(0), flag.Arg(1), *event, &ua.Config{Password: *password, Proxy: *proxy}); err != nil {
		log.Fatal(err)
	}
}

func run(aor, target, event string, cfg *ua.Config) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	agent, err := ua.New(aor, cfg)
	if err != nil {
		return err
	}
	defer agent.Close() // and unsubscribe
	sub, err := agent.Subscribe(ctx, target, event, nil)
	if err != nil {
		return err
	}
	for notify, err := range sub.Notifies(ctx) {
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		fmt.Printf("%s\n%s\n", notify.State, notify.Body.Content)
	}
	return nil
}
