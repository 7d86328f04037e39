// Chatroom is a room for any number of chats: what one of them writes comes to all others. It
// prints who is there. Phones that know conferences watch that, too, by the event package
// "conference".
//
//	go run ./examples/chatroom -listen udp:127.0.0.1:5072 sip:room@127.0.0.1
//	go run ./examples/chat -listen udp:127.0.0.1:5070 sip:alice@127.0.0.1 sip:room@127.0.0.1:5072
//	go run ./examples/chat -listen udp:127.0.0.1:5071 sip:bob@127.0.0.1 sip:room@127.0.0.1:5072
//
// Or at a proxy, where it registers:
//
//	go run ./examples/chatroom -proxy sip:proxy.example.com -password secret sip:room@example.com
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/room"
	"github.com/goparley/parley/msrp/room/focus"
	"github.com/goparley/parley/ua"
)

func main() {
	listen := flag.String("listen", "udp:0.0.0.0:5060", "where to listen for calls, such as udp:0.0.0.0:5060,tcp:0.0.0.0:5060")
	proxy := flag.String("proxy", "", "URI of an outbound proxy, such as sip:127.0.0.1:5060")
	password := flag.String("password", "", "password; none does not register")
	subject := flag.String("subject", "", "what the room is about")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: chatroom [flags] sip:room@domain")
	}
	cfg := &ua.Config{Listen: strings.Split(*listen, ","), Proxy: *proxy, Password: *password}
	if err := run(flag.Arg(0), cfg, &room.Config{Subject: *subject}); err != nil {
		log.Fatal(err)
	}
}

func run(uri string, cfg *ua.Config, roomCfg *room.Config) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	endpoint, err := msrp.New(nil)
	if err != nil {
		return err
	}
	defer endpoint.Close()
	r, err := room.New(endpoint, uri, roomCfg)
	if err != nil {
		return err
	}
	defer r.Close()

	f := focus.New(r)
	cfg.OnInvite, cfg.Notifiers = f.OnInvite, []*ua.Notifier{f.Notifier()}
	agent, err := ua.New(uri, cfg)
	if err != nil {
		return err
	}
	defer agent.Close() // and hang up
	if cfg.Password != "" {
		if _, err := agent.Register(ctx, nil); err != nil {
			return err
		}
	}
	for roster := range r.Rosters(ctx) {
		var names []string
		for _, u := range roster.Users {
			name := u.Entity
			if u.Nickname != "" {
				name += " (" + u.Nickname + ")"
			}
			names = append(names, name)
		}
		fmt.Printf("%d here: %s\n", len(names), strings.Join(names, ", "))
	}
	return nil
}
