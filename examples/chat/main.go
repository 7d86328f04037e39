// Chat lets two people type to each other, or joins a room of many. It shows who is writing, and
// when what one has written has arrived.
//
//	go run ./examples/chat -listen udp:127.0.0.1:5070 sip:bob@127.0.0.1
//	go run ./examples/chat -listen udp:127.0.0.1:5071 sip:alice@127.0.0.1 sip:bob@127.0.0.1:5070
//
// With -relay it is reached by an MSRP relay, such as examples/msrprelay:
//
//	go run ./examples/chat -relay "msrps://relay.example.com;tcp" -password secret sip:alice@example.com sip:bob@example.com
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/simple/cpim"
	"github.com/goparley/parley/simple/iscomposing"
	"github.com/goparley/parley/ua"
)

func main() {
	listen := flag.String("listen", "udp:0.0.0.0:5060", "where to listen for calls")
	proxy := flag.String("proxy", "", "URI of an outbound proxy, such as sip:127.0.0.1:5060; none does not register")
	relay := flag.String("relay", "", "URI of an MSRP relay, such as msrps://relay.example.com;tcp")
	password := flag.String("password", "", "password, there and at the proxy")
	secure := flag.Bool("tls", false, "chat by TLS")
	nick := flag.String("nick", "", "nickname to have in a room")
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	defer keyByKey()()
	c := &chat{self: aor, nick: *nick, secure: *secure}
	if err := c.run(ctx, whom, &ua.Config{Listen: []string{*listen}, Proxy: *proxy, Password: *password}, cfg); err != nil && ctx.Err() == nil {
		fmt.Println(err)
	}
}

// A chat is a call with somebody, or with a room.
type chat struct {
	self, nick string
	secure     bool
	wrap       bool // the peer takes message/cpim alone, as rooms do
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
	types := []string{"text/plain", iscomposing.ContentType}
	c.session = msrp.NewSession(ep, &msrp.SessionConfig{
		AcceptTypes:        append(types, cpim.ContentType),
		AcceptWrappedTypes: types,
		Attributes:         []sdp.Attribute{{Name: "chatroom", Value: "nickname private-messages"}},
		TLS:                c.secure,
	})
	called := make(chan *ua.Call, 1)
	cfg.OnInvite = func(ctx context.Context, in *ua.Invitation) {
		if call, err := in.Answer(ctx, c.session); err == nil {
			called <- call
		}
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
		call, err := agent.Invite(ctx, whom, &ua.InviteOptions{Streams: []ua.Stream{c.session}})
		if err != nil {
			return err
		}
		called <- call
	} else {
		fmt.Println("waiting for a call at", agent.Addr("udp"))
	}
	select {
	case c.call = <-called:
	case <-ctx.Done():
		return nil
	}
	return c.talk(ctx)
}

// talk shows what comes, and sends what is typed, until one of the two has had enough.
func (c *chat) talk(ctx context.Context) error {
	fmt.Println("talking to", c.call.Remote())
	go c.hear(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.write(ctx)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	case <-c.call.Done():
		fmt.Println(c.call.Remote().URI.User, "has gone")
		return nil
	}
	return c.call.Hangup(context.WithoutCancel(ctx))
}

// hear prints messages, and who is writing one.
func (c *chat) hear(ctx context.Context) {
	writing := map[string]*iscomposing.Receiver{}
	for m, err := range c.session.Messages(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		text, err := io.ReadAll(io.LimitReader(m, 64<<10))
		if err != nil {
			continue
		}
		who, kind := c.call.Remote().URI.User, m.ContentType
		if kind == cpim.ContentType {
			wrapped, err := cpim.Parse(text)
			if err != nil {
				continue
			}
			who, kind, text = wrapped.From.URI, wrapped.ContentType, wrapped.Content
		}
		if writing[who] == nil {
			writing[who] = &iscomposing.Receiver{}
		}
		if kind != iscomposing.ContentType {
			writing[who].Content()
			fmt.Printf("%s: %s\n", who, text)
		} else if status, err := iscomposing.Parse(text); err == nil {
			if active, _ := writing[who].Status(time.Now(), status); active {
				fmt.Printf("(%s is writing)\n", who)
			}
		}
	}
}

// write sends line by line, and tells that a line is being written.
func (c *chat) write(ctx context.Context) {
	if c.nick != "" {
		if err := c.session.SetNickname(ctx, c.nick); err != nil {
			fmt.Println(err)
		}
	}
	var sender iscomposing.Sender
	var line []byte
	for keys := bufio.NewReader(os.Stdin); ; {
		key, err := keys.ReadByte()
		if err != nil {
			return
		}
		if key != '\n' {
			line = append(line, key)
			if status := sender.Typed(time.Now()).Send; status != nil {
				err := c.send(ctx, &msrp.Message{ContentType: iscomposing.ContentType, FailureReport: frame.FailureReportNo}, status.Append(nil))
				if errors.Is(err, frame.StatusUnsupportedType) {
					sender.Stop() // the peer does not care
				}
			}
			continue
		}
		sender.Sent()
		if err := c.send(ctx, &msrp.Message{ContentType: "text/plain", SuccessReport: true}, line); err != nil {
			fmt.Println(err)
		} else {
			fmt.Println("(delivered)")
		}
		line = nil
	}
}

// send sends a message, in an envelope where it has to have one.
func (c *chat) send(ctx context.Context, m *msrp.Message, body []byte) error {
	if !c.wrap {
		m.Body = bytes.NewReader(body)
		err := c.session.Send(ctx, m)
		if c.wrap = errors.Is(err, frame.StatusUnsupportedType); !c.wrap {
			return err
		}
	}
	envelope := &cpim.Message{
		From: cpim.Address{URI: c.self}, To: []cpim.Address{{URI: c.call.Remote().URI.String()}},
		DateTime: time.Now(), ContentType: m.ContentType, Content: body,
	}
	text, err := envelope.Append(nil)
	if err != nil {
		return err
	}
	m.ContentType, m.Body = cpim.ContentType, bytes.NewReader(text)
	return c.session.Send(ctx, m)
}

// keyByKey has a terminal give out each key at once, and returns what takes that back.
func keyByKey() func() {
	stty := func(args ...string) {
		cmd := exec.Command("stty", args...)
		cmd.Stdin = os.Stdin
		cmd.Run() // there may be no terminal, and then it is line by line
	}
	stty("-icanon", "min", "1")
	return func() { stty("icanon") }
}
