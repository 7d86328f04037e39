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
			bob, address := waits(t, program, "udp", secure)
			alice := start(t, program, secure, "-listen", "udp:127.0.0.1:0", "sip:alice@127.0.0.1", "sip:bob@"+address)
			alice.says("talking to sip:bob@")
			bob.says("talking to sip:alice@")
			carol := start(t, program, secure, "-listen", "udp:127.0.0.1:0", "sip:carol@127.0.0.1", "sip:bob@"+address)
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

// Two chats join a room, and write to each other there.
func TestChatsInARoom(t *testing.T) {
	t.Parallel()
	address := freePort(t)
	room := start(t, build(t, "chatroom"), "-listen", "udp:"+address, "sip:room@127.0.0.1")
	room.says("0 here")
	program := build(t, "chat")
	alice := start(t, program, "-listen", "udp:127.0.0.1:0", "sip:alice@127.0.0.1", "sip:room@"+address)
	alice.says("talking to sip:room@")
	room.says("1 here: sip:alice@127.0.0.1")
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

// Input that is no terminal is sent line by line as it is, whatever keys its bytes would be, and however long its lines: but for
// what is no UTF-8. The last line need not end. One that the peer does not
// take, for it is too large, is an error.
func TestChatFromAPipe(t *testing.T) {
	t.Parallel()
	program, texts := build(t, "chat"), make(chan string, 16)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	alice, address, over := answer(t, &msrp.SessionConfig{MaxSize: 64 << 10})
	go func() { // ends with the call
		defer close(texts)
		for m, err := range alice.Messages(ctx) {
			if err != nil {
				return
			}
			text, _ := io.ReadAll(m)
			texts <- string(text)
		}
	}()
	bob := start(t, program, "-listen", "udp:127.0.0.1:0", "sip:bob@127.0.0.1", "sip:alice@"+address)
	long := strings.Repeat("y", 64<<10)
	for line, want := range map[string]string{
		long:                         long,
		"a\tb\x00c":                  "a\tb\x00c",
		"\x03abc\x04d\x15e\x1b[Af":   "\x03abc\x04d\x15e\x1b[Af",
		"\x1b[200~pasted\x1b[201~\r": "\x1b[200~pasted\x1b[201~",
		"caf\xe9 \xff":               "caf\ufffd \ufffd",
	} {
		io.WriteString(bob.in, line+"\n")
		select {
		case got := <-texts:
			if got != want {
				t.Errorf("%.30q came as %d bytes, %.30q", line, len(got), got)
			}
		case <-ctx.Done():
			t.Fatalf("%.30q does not come", line)
		}
	}
	io.WriteString(bob.in, long+"y\n")
	bob.says("(not known to be delivered: msrp: 413 ")
	io.WriteString(bob.in, "the last")
	bob.in.Close()
	if got := <-texts; got != "the last" {
		t.Errorf("the last line came as %q", got)
	}
	bob.ends()
	<-over
}

// Alice is killed: she says no BYE, and answers none. Bob hears that at once, and soon his program ends, with an error.
func TestChatWithWhoIsKilled(t *testing.T) {
	t.Parallel()
	program := build(t, "chat")
	bob, address := waits(t, program, "udp")
	alice := start(t, program, "-listen", "udp:127.0.0.1:0", "sip:alice@127.0.0.1", "sip:bob@"+address)
	alice.says("talking to sip:bob@")
	io.WriteString(alice.in, "hello\n")
	bob.says("alice: hello\n")
	alice.cmd.Process.Kill()
	io.WriteString(bob.in, "are you there\n")
	bob.says("(not known to be delivered: ")
	bob.says("(connection lost, hanging up)")
	bob.fails()
}

// waits starts Bob, who waits for a call over a transport, and returns where.
func waits(t *testing.T, program, transport string, args ...string) (bob *process, address string) {
	t.Helper()
	bob = start(t, program, append(args, "-listen", transport+":127.0.0.1:0", "sip:bob@127.0.0.1")...)
	bob.says("waiting for a call at 127.0.0.1:")
	_, address, _ = strings.Cut(bob.output(), "waiting for a call at ")
	return bob, strings.TrimSpace(address)
}

// Who waits for a call does so whatever is typed, and says where, over TCP as well; ^C ends that. The end of what is typed
// ends the chat that comes.
func TestChatWaits(t *testing.T) {
	t.Parallel()
	program := build(t, "chat")
	bob, address := waits(t, program, "tcp")
	bob.in.Close()
	alice := start(t, program, "-listen", "tcp:127.0.0.1:0", "sip:alice@127.0.0.1", "sip:bob@"+address+";transport=tcp")
	alice.says("bob has gone")
	alice.ends()
	bob.ends()
	bob, _ = waits(t, program, "tcp")
	bob.interrupt()
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
