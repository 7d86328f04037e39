package examples_test

import (
	"io"
	"strings"
	"testing"
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
			alice.says("talking to <sip:bob@")
			bob.says("talking to <sip:alice@")
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
	address := freePort(t)
	room := start(t, build(t, "chatroom"), "-listen", "udp:"+address, "sip:room@127.0.0.1")
	room.says("0 here")
	program := build(t, "chat")
	alice := start(t, program, "-listen", "udp:127.0.0.1:0", "-nick", "Star", "sip:alice@127.0.0.1", "sip:room@"+address)
	alice.says("talking to <sip:room@")
	bob := start(t, program, "-listen", "udp:127.0.0.1:0", "sip:bob@127.0.0.1", "sip:room@"+address)
	bob.says("talking to <sip:room@")
	room.says("2 here")
	io.WriteString(alice.in, "hello all\n")
	alice.says("(delivered)")
	bob.says("(sip:alice@127.0.0.1 is writing)")
	bob.says("sip:alice@127.0.0.1: hello all\n")
	bob.in.Close()
	bob.ends()
	room.says("1 here: sip:alice@127.0.0.1")
}
