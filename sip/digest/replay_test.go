package digest

import (
	"testing"
	"testing/synctest"
	"time"
)

// A request that somebody recorded is stale the second time; its ACK is not.
func TestReplay(t *testing.T) {
	s := newServer(t, ServerConfig{Nonces: 10})
	c := NewClient(alice())
	first := login(t, s, c, invite(t, "call", ""))
	second, third := c.Prepare(first), c.Prepare(first)

	wantUser(t, s, first, "alice", nil)
	wantUser(t, s, first, "", ErrStale)
	wantUser(t, s, third, "alice", nil) // it overtook the second
	wantUser(t, s, second, "alice", nil)
	wantUser(t, s, second, "", ErrStale)
	wantUser(t, s, third, "", ErrStale)

	ack := parseRequest(t, "ACK sip:bob@192.0.2.1 SIP/2.0\r\n"+fromAlice+
		"To: <sip:bob@example.com>;tag=b\r\nCall-ID: call\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n")
	wantUser(t, s, CopyCredentials(ack, third), "alice", nil)
	wantUser(t, s, ack, "", ErrNoCredentials)
	if resp := s.Reply(ack, ErrNoCredentials); resp != nil {
		t.Errorf("an ACK was answered with %v", resp.Status())
	}
}

// The program is started anew with the same Secret, and does not know what was used
// before: a nonce of that time is stale, once, and a new one good.
func TestReplayAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := func(nonces int) *Server {
			return newServer(t, ServerConfig{Secret: []byte("of both runs"), Nonces: nonces})
		}
		before, client := start(10), NewClient(alice())
		req := login(t, before, client, register(t, "reg"))
		wantUser(t, before, req, "alice", nil)
		time.Sleep(time.Second)
		wantUser(t, start(0), req, "alice", nil) // which keeps nothing
		after := start(10)
		wantUser(t, after, req, "", ErrStale)
		for range 11 { // so that what was used first is the old half
			wantUser(t, after, login(t, after, client, register(t, "again")), "alice", nil)
		}
		wantUser(t, after, req, "", ErrStale)
	})
}
