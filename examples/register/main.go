// Register keeps an address of record registered until it is interrupted, and
// removes the binding then.
//
//	go run ./examples/register -password secret sip:alice@example.com
//
// It goes by TLS or secure WebSocket if the URI of a proxy says so. Which
// authorities are trusted may be said in the environment:
//
//	SSL_CERT_FILE=ca.pem go run ./examples/register -password secret \
//		-proxy "sip:sip.example.com;transport=tls" sip:alice@example.com
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
	proxy := flag.String("proxy", "", "URI of an outbound proxy, such as sip:127.0.0.1:5060 or sip:example.com;transport=tls")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: register [flags] sip:user@domain")
	}
	if err := run(flag.Arg(0), &ua.Config{Password: *password, Proxy: *proxy}); err != nil {
		log.Fatal(err)
	}
}

func run(aor string, cfg *ua.Config) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	agent, err := ua.New(aor, cfg)
	if err != nil {
		return err
	}
	defer agent.Close()
	reg, err := agent.Register(ctx, nil)
	if err != nil {
		return err
	}
	fmt.Println("registered", aor)
	<-ctx.Done()
	return reg.Close()
}
