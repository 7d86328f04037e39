// Chat lets two people type to each other. It shows when the other one is writing, and
// when what one has written has arrived.
//
//	go run ./examples/chat -listen udp:127.0.0.1:5070 sip:bob@127.0.0.1
//	go run ./examples/chat -listen udp:127.0.0.1:5071 sip:alice@127.0.0.1 sip:bob@127.0.0.1:5070
//
// With -relay it is reached by an MSRP relay, such as examples/msrprelay.
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
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/simple/iscomposing"
	"github.com/goparley/parley/ua"
)

func main() {
	listen := flag.String("listen", "udp:0.0.0.0:5060", "where to listen for calls")
	proxy := flag.String("proxy", "", "URI of an outbound proxy, such as sip:127.0.0.1:5060")
	password := flag.String("password", "", "password; none does not register")
	secure := flag.Bool("tls", false, "chat by TLS")
	flag.Parse()
	if flag.NArg() < 1 || flag.NArg() > 2 {
		log.Fatal("usage: chat [flags] sip:user@domain [sip:whom@domain]")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	defer keyByKey()()
	cfg := &ua.Config{Listen: []string{*listen}, Proxy: *proxy, Password: *password}
	if err := run(ctx, flag.Arg(0), flag.Arg(1), cfg, nil, *secure, os.Stdin); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

// run calls whom, or waits for the call of somebody.
func run(ctx context.Context, aor, whom string, cfg *ua.Config, msrpCfg *msrp.Config, secure bool, in io.Reader) error {
	ep, err := msrp.New(msrpCfg)
	if err != nil {
		return err
	}
	defer ep.Close()
	over := make(chan error, 1)
	newChat := func() *msrp.Session {
		return msrp.NewSession(ep, &msrp.SessionConfig{AcceptTypes: []string{"text/plain", iscomposing.ContentType}, TLS: secure})
	}
	cfg.OnInvite = func(ctx context.Context, inv *ua.Invitation) {
		chat := newChat()
		call, err := inv.Answer(ctx, chat)
		if err != nil {
			return // cancelled, or no chat
		}
		over <- talk(context.WithoutCancel(ctx), call, chat, in)
	}
	agent, err := ua.New(aor, cfg)
	if err != nil {
		return err
	}
	defer agent.Close()
	if cfg.Password != "" {
		if _, err := agent.Register(ctx, nil); err != nil {
			return err
		}
	}
	if whom == "" {
		fmt.Println("waiting for a call at", agent.Addr("udp"))
		select {
		case err := <-over:
			return err
		case <-ctx.Done():
			return nil
		}
	}
	chat := newChat()
	call, err := agent.Invite(ctx, whom, &ua.InviteOptions{Streams: []ua.Stream{chat}})
	if err != nil {
		return err
	}
	return talk(ctx, call, chat, in)
}

// talk shows what comes, and sends what is typed, until one of the two has had enough.
func talk(ctx context.Context, call *ua.Call, chat *msrp.Session, in io.Reader) error {
	peer := call.Remote().URI.User
	fmt.Println("talking to", call.Remote())
	go hear(ctx, chat, peer)
	done := make(chan struct{})
	go func() {
		defer close(done)
		write(ctx, chat, in)
	}()
	select {
	case <-done:
		return call.Hangup(ctx)
	case <-call.Done():
		fmt.Println(peer, "has gone")
		return nil
	case <-ctx.Done():
		return call.Hangup(context.WithoutCancel(ctx))
	}
}

// hear prints messages, and whether the peer is writing one.
func hear(ctx context.Context, chat *msrp.Session, peer string) {
	var receiver iscomposing.Receiver
	for m, err := range chat.Messages(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		text, err := io.ReadAll(io.LimitReader(m, 64<<10))
		if err != nil {
			continue
		}
		if m.ContentType != iscomposing.ContentType {
			receiver.Content()
			fmt.Printf("%s: %s\n", peer, text)
			continue
		}
		status, err := iscomposing.Parse(text)
		if active, _ := receiver.Status(time.Now(), status); err == nil && active {
			fmt.Printf("(%s is writing)\n", peer)
		}
	}
}

// write sends line by line, and tells that a line is being written.
func write(ctx context.Context, chat *msrp.Session, in io.Reader) {
	var sender iscomposing.Sender
	var line []byte
	for keys := bufio.NewReader(in); ; {
		key, err := keys.ReadByte()
		if err != nil {
			return
		}
		if key != '\n' {
			line = append(line, key)
			if status := sender.Typed(time.Now()).Send; status != nil {
				err := chat.Send(ctx, &msrp.Message{ContentType: iscomposing.ContentType, Body: bytes.NewReader(status.Append(nil)), FailureReport: frame.FailureReportNo})
				if errors.Is(err, frame.StatusUnsupportedType) {
					sender.Stop() // the peer does not care
				}
			}
			continue
		}
		sender.Sent()
		text := line
		line = nil
		err = chat.Send(ctx, &msrp.Message{Body: bytes.NewReader(text), SuccessReport: true})
		if err != nil {
			fmt.Println(err)
		} else {
			fmt.Println("(delivered)")
		}
	}
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
