package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/simple/cpim"
	"github.com/goparley/parley/simple/iscomposing"
	"github.com/goparley/parley/ua"
)

// talk shows what comes, and sends what is typed, until one of the two has had enough.
func (c *chat) talk(ctx context.Context) error {
	c.term.Printf("talking to %s", c.call.Remote().URI)
	typed := c.term.Open()
	defer c.term.Close()
	ctx, enough := context.WithCancel(ctx)
	go func() { // ends when no more is typed, or with the program
		defer enough()
		c.write(ctx, typed)
	}()
	lost := c.hear(ctx)
	c.term.Close()
	if lost != nil { // by a peer that hangs up, as a rule, and has closed the connection already
		select {
		case <-c.call.Done():
		case <-time.After(2 * time.Second):
		}
	}
	err := c.call.Hangup(context.WithoutCancel(ctx))
	if errors.Is(c.call.Err(), ua.ErrHungUp) {
		c.term.Printf("%s has gone", c.call.Remote().URI.User)
		return nil
	}
	return errors.Join(lost, err)
}

// A writer is somebody whom we hear.
type writer struct {
	iscomposing.Receiver
	stops *time.Timer // says so when they have said nothing for too long
}

// hear prints messages, and who is writing one, until the call is over or ctx ends.
func (c *chat) hear(ctx context.Context) error {
	writers := map[string]*writer{}
	for m, err := range c.session.Messages(ctx) {
		if ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
		who, kind := c.call.Remote().URI.User, m.ContentType
		text, err := io.ReadAll(m) // MaxSize at most
		if err == nil && kind == cpim.ContentType {
			var in *cpim.Message
			if in, err = cpim.Parse(text); err == nil {
				who, kind, text = in.From.URI, in.ContentType, in.Content
			}
		}
		var status iscomposing.Status // who has sent a message is idle
		if err == nil && kind == iscomposing.ContentType {
			status, err = iscomposing.Parse(text)
		}
		if err != nil {
			continue
		}
		if kind != iscomposing.ContentType {
			c.term.Printf("%s: %s", who, text)
		}
		w := writers[who]
		if w == nil {
			if len(writers) == 1000 {
				continue // that is no room, but somebody who makes up names
			}
			w = &writer{stops: time.AfterFunc(time.Hour, func() { c.term.Printf("(%s has stopped writing)", who) })}
			writers[who] = w
		}
		w.stops.Stop()
		wrote, _ := w.Tick(time.Now())
		writes, until := w.Status(time.Now(), status)
		switch {
		case writes:
			w.stops.Reset(time.Until(until))
			if !wrote {
				c.term.Printf("(%s is writing)", who)
			}
		case wrote && kind == iscomposing.ContentType:
			c.term.Printf("(%s has stopped writing)", who)
		}
	}
	return nil
}

// write sends line by line, and tells that a line is being written, until no more is typed.
func (c *chat) write(ctx context.Context, typed <-chan string) {
	if c.nick != "" {
		if err := c.session.SetNickname(ctx, c.nick); err != nil {
			c.term.Printf("no nickname: %v", err)
		}
	}
	var sender iscomposing.Sender
	tick := time.NewTimer(0)
	for {
		var out iscomposing.Output
		select {
		case line, ok := <-typed:
			if !ok {
				return
			} else if line == "" { // for now
				out = sender.Typed(time.Now())
				break
			}
			sender.Sent()
			ctx, cancel := context.WithTimeout(ctx, 30*time.Second) // there are peers that never tell
			if err := c.send(ctx, &msrp.Message{ContentType: "text/plain", SuccessReport: true}, line); err != nil {
				c.term.Printf("(not known to be delivered: %v)", err)
			} else {
				c.term.Printf("(delivered)")
			}
			cancel()
		case now := <-tick.C:
			out = sender.Tick(now)
		}
		if out.Send != nil {
			m := &msrp.Message{ContentType: iscomposing.ContentType, FailureReport: frame.FailureReportNo}
			if err := c.send(ctx, m, string(out.Send.Append(nil))); errors.Is(err, frame.StatusUnsupportedType) {
				sender.Stop() // the peer does not care
				out.Next = time.Time{}
			}
		}
		if !out.Next.IsZero() {
			tick.Reset(time.Until(out.Next))
		}
	}
}

// send sends a message, in an envelope if the peer takes it in no other way, as rooms do.
func (c *chat) send(ctx context.Context, m *msrp.Message, body string) error {
	m.Body = strings.NewReader(body)
	err := c.session.Send(ctx, m)
	if !errors.Is(err, frame.StatusUnsupportedType) {
		return err
	}
	text, err := (&cpim.Message{
		From: cpim.Address{URI: c.self}, To: []cpim.Address{{URI: c.call.Remote().URI.String()}},
		DateTime: time.Now(), ContentType: m.ContentType, Content: []byte(body),
	}).Append(nil)
	if err != nil {
		return err
	}
	m.ContentType, m.Body = cpim.ContentType, bytes.NewReader(text)
	return c.session.Send(ctx, m)
}
