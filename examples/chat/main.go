// Chat lets two people type to each other, or joins a room of many. It shows who is writing, and
// when what one has written has arrived. ^C ends it, and ^D does once somebody is there.
//
//	go run ./examples/chat -listen udp:127.0.0.1:5070 sip:bob@127.0.0.1
//	go run ./examples/chat -listen udp:127.0.0.1:5071 sip:alice@127.0.0.1 sip:bob@127.0.0.1:5070
//
// With -relay what they write goes by an MSRP relay, such as examples/msrprelay.
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
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/simple/cpim"
	"github.com/goparley/parley/simple/iscomposing"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

func main() {
	ctx, enough := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, enough) // a second ^C does not wait for the peer
	c, cfg := &chat{enough: enough}, &ua.Config{}
	listen := flag.String("listen", "udp:0.0.0.0:5060", "where to listen for calls, such as udp:0.0.0.0:5060,tcp:0.0.0.0:5060")
	relay := flag.String("relay", "", "URI of an MSRP relay, such as msrps://relay.example.com;tcp")
	flag.StringVar(&cfg.Proxy, "proxy", "", "URI of an outbound proxy, such as sip:127.0.0.1:5060; none does not register")
	flag.StringVar(&cfg.Password, "password", "", "password at the proxy and at the relay")
	flag.BoolVar(&c.secure, "tls", false, "chat by TLS")
	flag.Parse()
	if flag.NArg() < 1 || flag.NArg() > 2 {
		log.Fatal("usage: chat [flags] sip:user@domain [sip:whom@domain]")
	}
	c.self, cfg.Listen = flag.Arg(0), strings.Split(*listen, ",")
	var relays []msrp.Relay
	if *relay != "" {
		user, _, _ := strings.Cut(strings.TrimPrefix(c.self, "sip:"), "@")
		relays = []msrp.Relay{{URI: *relay, Username: user, Password: cfg.Password}}
	}
	log.SetFlags(0)
	log.SetOutput(screen{os.Stdout})
	if err := c.run(ctx, flag.Arg(1), cfg, relays); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

// A chat is a call with somebody, or with a room.
type chat struct {
	self    string
	secure  bool
	enough  func() // ends it
	call    *ua.Call
	session *msrp.Session
}

// run calls whom, or waits for the call of somebody.
func (c *chat) run(ctx context.Context, whom string, cfg *ua.Config, relays []msrp.Relay) error {
	ep, err := msrp.New(&msrp.Config{Relays: relays})
	if err != nil {
		return err
	}
	defer ep.Close()
	types := []string{"text/plain", iscomposing.ContentType}
	takes := &msrp.SessionConfig{
		AcceptTypes: append(types, cpim.ContentType), AcceptWrappedTypes: types, MaxSize: 64 << 10, TLS: c.secure,
		Attributes: []sdp.Attribute{{Name: "chatroom", Value: "nickname private-messages"}}, // what rooms ask for
	}
	called := make(chan *ua.Call, 1)
	var busy atomic.Bool
	busy.Store(whom != "")
	cfg.OnInvite = func(ctx context.Context, in *ua.Invitation) {
		if busy.Swap(true) {
			in.Reject(ctx, sip.StatusBusyHere)
			return
		}
		c.session = msrp.NewSession(ep, takes)
		if call, err := in.Answer(ctx, c.session); err == nil {
			called <- call
		} else {
			log.Printf("no chat with %s: %v", in.From().URI, err)
			busy.Store(false)
		}
	}
	agent, err := ua.New(c.self, cfg)
	if err != nil {
		return err
	}
	defer agent.Close() // which hangs up, and gives that two seconds
	if cfg.Proxy != "" {
		if _, err := agent.Register(ctx, nil); err != nil {
			return err
		}
	}
	if whom == "" {
		log.Printf("waiting for a call at %s", agent.Addr(strings.Split(cfg.Listen[0], ":")[0]))
		select {
		case c.call = <-called:
			return c.talk(ctx)
		case <-ctx.Done():
			return nil
		}
	}
	log.Printf("calling %s", whom)
	c.session = msrp.NewSession(ep, takes)
	if c.call, err = agent.Invite(ctx, whom, &ua.InviteOptions{Streams: []ua.Stream{c.session}}); err != nil {
		return err
	}
	return c.talk(ctx)
}

// talk shows what comes, and sends what is typed, until one of the two has had enough.
func (c *chat) talk(ctx context.Context) error {
	log.Printf("talking to %s", c.call.Remote().URI)
	typed, restore := open()
	go c.write(ctx, typed) // ends when no more is typed, or with the program
	err := c.hear(ctx)
	select { // who hangs up closes the connection, too, and that may be seen first
	case <-c.call.Done():
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
	restore()
	if errors.Is(c.call.Err(), ua.ErrHungUp) {
		log.Printf("%s has gone", c.call.Remote().URI.User)
		return nil
	}
	if err != nil && ctx.Err() == nil {
		log.Print("(connection lost, hanging up)")
	}
	c.enough() // ^C does not wait for the peer
	return err
}

// hear prints messages, and who is writing one, until the call is over or ctx ends.
func (c *chat) hear(ctx context.Context) error {
	writers := map[string]*time.Timer{} // each is told to have stopped after the time that they have promised
	for m, err := range c.session.Messages(ctx) {
		if err != nil {
			return err
		}
		who, kind := c.call.Remote().URI.User, m.ContentType
		text, err := io.ReadAll(m) // MaxSize at most
		if err != nil {
			continue
		}
		if in, err := cpim.Parse(text); err == nil && kind == cpim.ContentType {
			who, kind, text = in.From.URI, in.ContentType, in.Content
		}
		var status iscomposing.Status // who has sent a message is idle
		if kind != iscomposing.ContentType {
			log.Printf("%s: %s", who, text)
		} else if status, err = iscomposing.Parse(text); err != nil {
			continue
		}
		wrote := writers[who] != nil && writers[who].Stop()
		delete(writers, who)
		writes, until := new(iscomposing.Receiver).Status(time.Now(), status)
		if writes && len(writers) < 1000 { // in no room are more, but names are easily made up
			writers[who] = time.AfterFunc(time.Until(until), func() { log.Printf("(%s has stopped writing)", who) })
		}
		if writes && !wrote {
			log.Printf("(%s is writing)", who)
		} else if wrote && !writes && kind == iscomposing.ContentType {
			log.Printf("(%s has stopped writing)", who)
		}
	}
	return nil
}

// write sends line by line, and tells that a line is being written, until no more is typed.
func (c *chat) write(ctx context.Context, typed <-chan string) {
	defer c.enough()
	var sender iscomposing.Sender
	tick := time.NewTimer(0)
	for {
		var out iscomposing.Output
		select {
		case line, ok := <-typed:
			if !ok {
				return
			} else if line == "" {
				out = sender.Typed(time.Now())
				break
			}
			sender.Sent()
			limited, cancel := context.WithTimeout(ctx, 30*time.Second) // there are peers that never tell
			if err := c.send(limited, &msrp.Message{ContentType: "text/plain", SuccessReport: true}, []byte(line)); err != nil {
				log.Printf("(not known to be delivered: %v)", err)
			} else {
				log.Print("(delivered)")
			}
			cancel()
		case now := <-tick.C:
			out = sender.Tick(now)
		}
		if out.Send != nil {
			c.send(ctx, &msrp.Message{ContentType: iscomposing.ContentType, FailureReport: frame.FailureReportNo}, out.Send.Append(nil))
		}
		if !out.Next.IsZero() {
			tick.Reset(time.Until(out.Next))
		}
	}
}

// send sends a message, in an envelope if the peer takes it in no other way, as rooms do.
func (c *chat) send(ctx context.Context, m *msrp.Message, body []byte) error {
	m.Body = bytes.NewReader(body)
	if err := c.session.Send(ctx, m); !errors.Is(err, frame.StatusUnsupportedType) {
		return err
	}
	body, err := (&cpim.Message{
		From: cpim.Address{URI: c.self}, To: []cpim.Address{{URI: c.call.Remote().URI.String()}},
		DateTime: time.Now(), ContentType: m.ContentType, Content: body,
	}).Append(nil)
	if err != nil {
		return err
	}
	m.ContentType, m.Body = cpim.ContentType, bytes.NewReader(body)
	return c.session.Send(ctx, m)
}

// open returns the lines that are typed, until ^D, with "" while one is typed. At a terminal lines are edited, and what
// is printed stands above them, until restore.
func open() (typed chan string, restore func()) {
	typed, restore = make(chan string, 64), func() {}
	in, plain, most := int(os.Stdin.Fd()), bufio.NewReader(os.Stdin), 1<<30
	next := func() (string, error) {
		if _, err := plain.Peek(1); err == nil {
			typed <- ""
		}
		return plain.ReadString('\n')
	}
	if mode, err := term.MakeRaw(in); err == nil {
		line := term.NewTerminal(struct {
			io.Reader
			io.Writer
		}{os.Stdin, os.Stdout}, "> ")
		line.AutoCompleteCallback = func(string, int, rune) (string, int, bool) { // called for each key
			if width, height, err := term.GetSize(in); err == nil && width > 0 {
				line.SetSize(width, height)
			}
			if len(typed) < cap(typed) {
				typed <- ""
			}
			return "", 0, false // the key does what it does
		}
		next, most = line.ReadLine, 4095 // with one more it drops the keys that follow
		log.SetOutput(screen{line})
		restore = sync.OnceFunc(func() {
			log.SetOutput(screen{os.Stdout})
			fmt.Print("\r\x1b[K")
			term.Restore(in, mode)
		})
	}
	go func() { // ends when no more is typed, or with the program
		for text, err := next(); err == nil || err == term.ErrPasteIndicator || text != ""; text, err = next() {
			if utf8.RuneCountInString(text) > most {
				log.Printf("(not sent: a line has %d characters at most)", most)
			} else if text = strings.TrimRight(text, "\r\n"); strings.TrimSpace(text) != "" {
				typed <- strings.ToValidUTF8(text, "\ufffd")
			}
		}
		restore() // so that ^C is a signal again
		close(typed)
	}()
	return typed, restore
}

// A screen shows what others have written, too, which may do nothing to the terminal nor pass for a line of ours.
type screen struct{ io.Writer }

func (s screen) Write(p []byte) (int, error) {
	text := strings.NewReplacer("\r\n", "\n    ", "\n", "\n    ", "\t", " ").Replace(strings.TrimSuffix(string(p), "\n"))
	text = strings.Map(func(r rune) rune {
		if r != '\n' && unicode.In(r, unicode.Cc, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
	return fmt.Fprintln(s.Writer, text)
}
