package examples_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/simple/iscomposing"
	"github.com/goparley/parley/ua"
)

// Two people type to each other, and see when the other one writes and when what they have
// written has arrived.
func TestChat(t *testing.T) {
	for _, way := range []string{"plain", "tls"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			program := build(t, "chat")
			secure := "-tls=" + map[bool]string{true: "true", false: "false"}[way == "tls"]
			bob := start(t, program, secure, "-listen", "udp:127.0.0.1:0", "sip:bob@127.0.0.1")
			bob.says("waiting for a call at ")
			_, at, _ := strings.Cut(bob.output(), "waiting for a call at ")
			alice := start(t, program, secure, "-listen", "udp:127.0.0.1:0", "sip:alice@127.0.0.1", "sip:bob@"+strings.TrimSpace(at))
			alice.says("talking to sip:bob@")
			bob.says("talking to sip:alice@")
			carol := start(t, program, secure, "-listen", "udp:127.0.0.1:0", "sip:carol@127.0.0.1", "sip:bob@"+strings.TrimSpace(at))
			carol.says("486 Busy Here")
			carol.fails()
			io.WriteString(alice.in, "hel")
			bob.says("(alice is writing)")
			io.WriteString(alice.in, "lo\n")
			bob.says("alice: hello\n")
			alice.says("(delivered)")
			io.WriteString(bob.in, "hello you\n")
			alice.says("bob: hello you\n")
			alice.in.Close()
			alice.ends()
			bob.says("alice has gone")
			bob.ends()
		})
	}
}

// Two chats join a room, one with a nickname, and write to each other there.
func TestChatsInARoom(t *testing.T) {
	t.Parallel()
	address := freePort(t)
	room := start(t, build(t, "chatroom"), "-listen", "udp:"+address, "sip:room@127.0.0.1")
	room.says("0 here")
	program := build(t, "chat")
	alice := start(t, program, "-listen", "udp:127.0.0.1:0", "-nick", "Star", "sip:alice@127.0.0.1", "sip:room@"+address)
	alice.says("talking to sip:room@")
	room.says("1 here: sip:alice@127.0.0.1 (Star)")
	bob := start(t, program, "-listen", "udp:127.0.0.1:0", "sip:bob@127.0.0.1", "sip:room@"+address)
	bob.says("talking to sip:room@")
	room.says("2 here")
	io.WriteString(alice.in, "hello all\n")
	alice.says("(delivered)")
	bob.says("(sip:alice@127.0.0.1 is writing)")
	bob.says("sip:alice@127.0.0.1: hello all\n")
	bob.in.Close()
	bob.ends()
	room.says("1 here: sip:alice@127.0.0.1")
}

// answer is Alice, who answers the first call at an address with a session, and tells why that call is over.
func answer(t *testing.T, cfg *msrp.SessionConfig) (session *msrp.Session, address string, over <-chan error) {
	t.Helper()
	ep, err := msrp.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ep.Close() })
	session = msrp.NewSession(ep, cfg)
	why := make(chan error, 1)
	agent, err := ua.New("sip:alice@127.0.0.1", &ua.Config{Listen: []string{"udp:127.0.0.1:0"}, OnInvite: func(ctx context.Context, in *ua.Invitation) {
		call, err := in.Answer(ctx, session)
		if err != nil {
			why <- err
			return
		}
		<-call.Done()
		why <- call.Err()
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { agent.Close() })
	return session, agent.Addr("udp").String(), why
}

// Who writes may stop without a message: they say so, or say nothing for longer than they have promised (RFC 3994 section
// 3.3). A program that is interrupted hangs up.
func TestChatSeesWhoStops(t *testing.T) {
	t.Parallel()
	program := build(t, "chat")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	alice, address, over := answer(t, &msrp.SessionConfig{AcceptTypes: []string{"text/plain", iscomposing.ContentType}})
	bob := start(t, program, "-listen", "udp:127.0.0.1:0", "sip:bob@127.0.0.1", "sip:alice@"+address)
	send := func(status iscomposing.Status) {
		t.Helper()
		if err := alice.Send(ctx, &msrp.Message{ContentType: iscomposing.ContentType, Body: bytes.NewReader(status.Append(nil))}); err != nil {
			t.Fatal(err)
		}
	}
	send(iscomposing.Status{Active: true})
	send(iscomposing.Status{Active: true}) // a refresh is no news
	send(iscomposing.Status{})
	bob.says("(alice is writing)\n(alice has stopped writing)\n")
	send(iscomposing.Status{Active: true, Refresh: time.Second})
	bob.says("stopped writing)\n(alice is writing)\n(alice has stopped writing)\n")
	send(iscomposing.Status{Active: true})
	if err := alice.SendText(ctx, "hello"); err != nil {
		t.Fatal(err)
	}
	bob.says("(alice is writing)\nalice: hello\n")
	bob.interrupt()
	if err := <-over; err == nil || !strings.Contains(err.Error(), "hung up") {
		t.Errorf("the call ended with %v", err)
	}
}
