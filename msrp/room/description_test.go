package room_test

import (
	"testing"

	"github.com/goparley/parley/msrp/room"
	"github.com/goparley/parley/sdp"
)

// answerOf is what the room would answer to an offer like that of somebody.
func answerOf(t *testing.T, h *house, g *guest) *sdp.Media {
	t.Helper()
	p, err := h.r.Join(addr("sip:other@example.com"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	answer, err := p.Answer(t.Context(), g.own)
	if err != nil || answer == nil {
		t.Fatalf("answer %v, %v", answer, err)
	}
	return answer
}

// The answer takes message/cpim alone, says what may be in it, and what the room can do (RFC 7701
// sections 5.2 and 8).
func TestDescription(t *testing.T) {
	for _, c := range []struct {
		cfg           room.Config
		tokens, types string
	}{
		{room.Config{}, "nickname private-messages", "*"},
		{room.Config{NoNicknames: true, AcceptTypes: []string{"text/plain", "text/html"}}, "private-messages", "text/plain text/html"},
		{room.Config{NoPrivateMessages: true}, "nickname", "*"},
		{room.Config{NoNicknames: true, NoPrivateMessages: true}, "", "*"},
	} {
		inHouse(t, &c.cfg, func(t *testing.T, h *house) {
			answer := answerOf(t, h, h.join(alice, wish{}))
			tokens, ok := answer.Attribute("chatroom")
			if !ok || tokens != c.tokens {
				t.Errorf("chatroom %q (%v), want %q", tokens, ok, c.tokens)
			}
			if types, _ := answer.Attribute("accept-types"); types != "message/cpim" {
				t.Errorf("accept-types %q", types)
			}
			if types, _ := answer.Attribute("accept-wrapped-types"); types != c.types {
				t.Errorf("accept-wrapped-types %q, want %q", types, c.types)
			}
		})
	}
}

// Who does not take message/cpim is refused (RFC 7701 section 5.2), and who does not chat by TLS,
// where that is wanted.
func TestWhoIsRefused(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		if _, err := h.try(alice, wish{types: "text/plain text/html"}); err != errRefused {
			t.Errorf("without message/cpim: %v", err)
		}
		if _, err := h.try(alice, wish{types: "text/plain Message/CPIM"}); err != nil {
			t.Errorf("with Message/CPIM: %v", err)
		}
	})
	inHouse(t, &room.Config{TLS: true}, func(t *testing.T, h *house) {
		if _, err := h.try(alice, wish{}); err != errRefused {
			t.Errorf("without TLS: %v", err)
		}
	})
}

// Who does not know chat rooms is told that this is one, and who is there (RFC 7701 section 11).
func TestUnawareIsTold(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.join(alice, wish{display: "Alice"})
		h.join(bob, wish{})
		c := h.join(carol, wish{chatroom: "-"})
		c.hears("chat@example.com> This is the chat room sip:chat@example.com. What you write goes to everybody in it: Alice <sip:alice@example.com>, <sip:bob@example.com>.")
		if err := c.agree(); err != nil { // a later offer
			t.Fatal(err)
		}
		c.hears()
	})
}
