// Register keeps an address of record registered until it is interrupted, and
// removes the binding then.
//
//	go run ./examples/register -password secret sip:alice@example.com
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
	password := flag.String("password", "", "password")
	proxy := flag.String("proxy", "", "URI of an outbound proxy, such as sip:127.0.0.1:5060")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: register [flags] sip:user@domain")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	agent, err := ua.New(flag.Arg(0), &ua.Config{Password: *password, Proxy: *proxy})
	if err != nil {
		log.Fatal(err)
	}
	defer agent.Close()
	if _, err := agent.Register(ctx, nil); err != nil {
		log.Print(err)
		return
	}
	fmt.Println("registered", flag.Arg(0))
	<-ctx.Done()
}
