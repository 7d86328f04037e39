// Chat lets two people type to each other, or joins a room of many. It shows who is writing, and
// when what one has written has arrived. ^D ends it, and ^C.
//
//	go run ./examples/chat -listen udp:127.0.0.1:5070 sip:bob@127.0.0.1
//	go run ./examples/chat -listen udp:127.0.0.1:5071 sip:alice@127.0.0.1 sip:bob@127.0.0.1:5070
//
// With -relay what they write goes by an MSRP relay. One of our own has a certificate that both have to trust:
//
//	go run ./examples/msrprelay alice:secret bob:secret >relay.pem
//	SSL_CERT_FILE=relay.pem go run ./examples/chat -relay "msrps://localhost;tcp" -password secret -listen udp:127.0.0.1:5070 sip:bob@127.0.0.1
//	SSL_CERT_FILE=relay.pem go run ./examples/chat -relay "msrps://localhost;tcp" -password secret -listen udp:127.0.0.1:5071 sip:alice@127.0.0.1 sip:bob@127.0.0.1:5070
//
// In this file is the call, in talk.go what is said in it, and in terminal.go the line that is typed.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/simple/cpim"
	"github.com/goparley/parley/simple/iscomposing"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

func main() {
	listen := flag.String("listen", "udp:0.0.0.0:5060", "where to listen for calls")
	proxy := flag.String("proxy", "", "URI of an outbound proxy, such as sip:127.0.0.1:5060; none does not register")
	relay := flag.String("relay", "", "URI of an MSRP relay, such as msrps://relay.example.com;tcp")
	password := flag.String("password", "", "password, there and at the proxy")
	secure := flag.Bool("tls", false, "chat by TLS")
	nick := flag.String("nick", "", "nickname to have in a room, for those who look who is there")
	flag.Parse()
	if flag.NArg() < 1 || flag.NArg() > 2 {
		log.Fatal("usage: chat [flags] sip:user@domain [sip:whom@domain]")
	}
	aor, whom := flag.Arg(0), flag.Arg(1)
	user, _, _ := strings.Cut(strings.TrimPrefix(aor, "sip:"), "@")
	cfg := &msrp.Config{}
	if *relay != "" {
		cfg.Relays = []msrp.Relay{{URI: *relay, Username: user, Password: *password}}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second ^C does not wait for the peer
	c := &chat{self: aor, nick: *nick, secure: *secure}
	err := c.run(ctx, whom, &ua.Config{Listen: []string{*listen}, Proxy: *proxy, Password: *password}, cfg)
	if err != nil && ctx.Err() == nil {
		c.term.Printf("%v", err)
		os.Exit(1)
	}
}

// A chat is a call with somebody, or with a room.
type chat struct {
	self, nick string
	secure     bool
	term       terminal
	call       *ua.Call
	session    *msrp.Session
}

// run calls whom, or waits for the call of somebody.
func (c *chat) run(ctx context.Context, whom string, cfg *ua.Config, msrpCfg *msrp.Config) error {
	ep, err := msrp.New(msrpCfg)
	if err != nil {
		return err
	}
	defer ep.Close()
	called := make(chan *ua.Call, 1)
	var busy atomic.Bool
	busy.Store(whom != "")
	cfg.OnInvite = func(ctx context.Context, in *ua.Invitation) {
		if busy.Swap(true) {
			in.Reject(ctx, sip.StatusBusyHere)
			return
		}
		c.session = c.newSession(ep)
		call, err := in.Answer(ctx, c.session)
		if err != nil {
			c.term.Printf("no chat with %s: %v", in.From().URI, err)
			busy.Store(false)
			return
		}
		called <- call
	}
	agent, err := ua.New(c.self, cfg)
	if err != nil {
		return err
	}
	defer agent.Close()
	if cfg.Proxy != "" {
		if _, err := agent.Register(ctx, nil); err != nil {
			return err
		}
	}
	if whom != "" {
		c.term.Printf("calling %s", whom)
		c.session = c.newSession(ep)
		call, err := agent.Invite(ctx, whom, &ua.InviteOptions{Streams: []ua.Stream{c.session}})
		if err != nil {
			return err
		}
		called <- call
	} else {
		c.term.Printf("waiting for a call at %s", agent.Addr("udp"))
	}
	select {
	case c.call = <-called:
		return c.talk(ctx)
	case <-ctx.Done():
		return nil
	}
}

// newSession makes the stream of a call. A room takes only who says that they know rooms.
func (c *chat) newSession(ep *msrp.Endpoint) *msrp.Session {
	types := []string{"text/plain", iscomposing.ContentType}
	return msrp.NewSession(ep, &msrp.SessionConfig{
		AcceptTypes:        append(types, cpim.ContentType),
		AcceptWrappedTypes: types,
		MaxSize:            64 << 10,
		Attributes:         []sdp.Attribute{{Name: "chatroom", Value: "nickname private-messages"}},
		TLS:                c.secure,
	})
}
