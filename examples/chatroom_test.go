package examples_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/simple/confinfo"
	"github.com/goparley/parley/simple/cpim"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// Two chats join a room, by UDP and by TCP, which tells both who is there; what one of them writes comes to the other.
func TestChatroom(t *testing.T) {
	t.Parallel()
	address := freePort(t)
	p := start(t, build(t, "chatroom"), "-listen", "udp:"+address+",tcp:"+address, "sip:room@127.0.0.1")
	p.says("0 here")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	uri := "sip:room@" + address
	join := func(name, transport string) (*ua.Agent, *ua.Call, *msrp.Session) {
		agent, err := ua.New("sip:"+name+"@127.0.0.1", &ua.Config{Listen: []string{transport + ":127.0.0.1:0"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { agent.Close() })
		e, err := msrp.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		chat := msrp.NewSession(e, &msrp.SessionConfig{AcceptTypes: []string{cpim.ContentType}, AcceptWrappedTypes: []string{"text/plain"},
			Attributes: []sdp.Attribute{{Name: "chatroom", Value: "private-messages"}}})
		call, err := agent.Invite(ctx, uri+";transport="+transport, &ua.InviteOptions{Streams: []ua.Stream{chat}})
		if err != nil {
			t.Fatal(err)
		}
		return agent, call, chat
	}
	agent, call, alice := join("alice", "udp")
	p.says("1 here: sip:alice@127.0.0.1")
	if answer := call.Dialog().Target(); answer.User != "room" {
		t.Errorf("the room is at %s", answer)
	}
	_, bobs, bob := join("bob", "tcp")
	p.says("2 here: sip:alice@127.0.0.1, sip:bob@127.0.0.1")

	text, err := (&cpim.Message{
		From: cpim.Address{URI: "sip:alice@127.0.0.1"}, To: []cpim.Address{{URI: uri}},
		ContentType: "text/plain", Content: []byte("Hello guys, how are you today?"),
	}).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := alice.Send(ctx, &msrp.Message{ContentType: cpim.ContentType, Body: bytes.NewReader(text), SuccessReport: true}); err != nil {
		t.Fatal(err)
	}
	for m, err := range bob.Messages(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(m); err != nil || string(got) != string(text) {
			t.Errorf("bob got %q, %v", got, err)
		}
		break
	}

	sub, err := agent.Subscribe(ctx, uri, "conference", nil)
	if err != nil {
		t.Fatal(err)
	}
	var roster *confinfo.Conference
	for n, err := range sub.Notifies(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if roster, err = confinfo.Apply(roster, n.Body.Content); err != nil {
			t.Fatal(err)
		}
		if len(roster.Users) == 1 {
			break
		}
		bobs.Hangup(ctx) // the first NOTIFY has both
	}
	if roster.Users[0].Entity != "sip:alice@127.0.0.1" {
		t.Errorf("the roster has %s", roster.Users[0].Entity)
	}
	p.says("1 here: sip:alice@127.0.0.1")
	p.interrupt()
	select {
	case <-call.Done():
	case <-ctx.Done():
		t.Error("the room does not hang up when it is closed")
	}
}

// A chat that takes no message/cpim has no place in a room.
func TestChatroomRefusesOthers(t *testing.T) {
	t.Parallel()
	address := freePort(t)
	p := start(t, build(t, "chatroom"), "-listen", "udp:"+address, "sip:room@127.0.0.1")
	p.says("0 here")
	agent, err := ua.New("sip:alice@127.0.0.1", &ua.Config{Listen: []string{"udp:127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	e, err := msrp.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	_, err = agent.Invite(t.Context(), "sip:room@"+address, &ua.InviteOptions{Streams: []ua.Stream{msrp.NewSession(e, nil)}})
	if err == nil || !strings.Contains(err.Error(), sip.StatusNotAcceptableHere.Error()) {
		t.Errorf("got %v, want 488", err)
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.ends()
}
