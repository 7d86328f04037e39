package room_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/room"
)

// nickname returns the nickname of somebody in the roster.
func (h *house) nickname(entity string) string {
	for _, u := range h.r.Roster().Users {
		if u.Entity == entity {
			return u.Nickname
		}
	}
	return "(not there)"
}

// What a NICKNAME may look like, and what becomes of it (RFC 7701 section 7.1). The nickname that
// somebody has stays when another one is refused (section 7.2).
func TestNicknameSyntax(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		p := h.raw(h.join(alice, wish{deaf: true}))
		for _, c := range []struct {
			fields string
			want   frame.Status
			name   string // from then on
		}{
			{`Use-Nickname: "Alice the great"`, 200, "Alice the great"},
			{`Use-Nickname: Alice`, 200, "Alice"}, // as msrplib has it
			{`use-nickname:   "  Alice   in Wonderland "`, 200, "Alice in Wonderland"},
			{`Use-Nickname: "A \"quoted\" \\name"`, 200, `A "quoted" \name`},
			{`Use-Nickname: "` + strings.Repeat("x", 1023) + `"`, 200, strings.Repeat("x", 1023)},
			{`Use-Nickname: "` + strings.Repeat("\u00fc", 511) + `"`, 200, strings.Repeat("\u00fc", 511)},
			{`Use-Nickname: "` + strings.Repeat("\uff21", 341) + `"`, 200, strings.Repeat("A", 341)},
			{`Use-Nickname: "A` + strings.Repeat(" ", 1021) + `B"`, 200, "A B"},
			{`Use-Nickname: ""`, 200, ""},
			{`Use-Nickname: "Al"`, 200, "Al"},
			{`Use-Nickname: `, 200, ""}, // none, for msrplib
			{`Use-Nickname: "Alice"`, 200, "Alice"},
			{`Use-Nickname: "` + strings.Repeat("x", 1024) + `"`, 424, "Alice"},
			{`Use-Nickname: "` + strings.Repeat("\u00fc", 512) + `"`, 424, "Alice"},
			{`Use-Nickname: "` + strings.Repeat("\ufdfa", 341) + `"`, 424, "Alice"}, // 18 letters each, for others
			{`Use-Nickname: "` + strings.Repeat("\uff21", 342) + `"`, 424, "Alice"}, // of one octet each, for others
			{`Use-Nickname: "A` + strings.Repeat(" ", 1022) + `B"`, 424, "Alice"},
			{`Use-Nickname: "Bob`, 424, "Alice"},
			{`Use-Nickname: "Bob\`, 424, "Alice"},
			{`Use-Nickname: "Bob\nBill"`, 424, "Alice"}, // an escape of others
			{`Use-Nickname: "\Bob"`, 424, "Alice"},
			{`Use-Nickname: "Bob" the builder`, 424, "Alice"},
			{`Use-Nickname: "   "`, 424, "Alice"},
			{"Use-Nickname: \"a\x07b\"", 400, "Alice"}, // no header field at all
			{"Use-Nickname: \"\u2028\"", 424, "Alice"},
			{"Use-Nickname: \"Bob\"\r\nUse-Nickname: \"Bill\"", 424, "Alice"},
			{`X-Nickname: "Bob"`, 424, "Alice"},
			{"Use-Nickname: \"Bob\"\r\nSuccess-Report: yes\r\nFailure-Report: no", 200, "Bob"},
			{"Use-Nickname: \"Bill\"\r\nContent-Type: text/plain\r\n\r\na body", 200, "Bill"},
		} {
			if got := p.nick(c.fields); got != c.want {
				t.Errorf("%.60q is answered with %d, want %d", c.fields, got, c.want)
			}
			if got := h.nickname(alice); got != c.name {
				t.Errorf("after %.60q the nickname is %q, want %q", c.fields, got, c.name)
			}
		}
	})
}

// A session asks for nicknames, with any text in them, and is told what is wrong with one.
func TestSetNickname(t *testing.T) {
	inHouse(t, &room.Config{ReservedNicknames: []string{"Admin"}}, func(t *testing.T, h *house) {
		g := h.join(alice, wish{})
		for _, c := range []struct {
			name string
			want error
			now  string
		}{
			{"Alice \"the\" \\great", nil, "Alice \"the\" \\great"},
			{"admin", frame.StatusNicknameInUse, "Alice \"the\" \\great"},
			{" ", frame.StatusBadNickname, "Alice \"the\" \\great"},
			{"", nil, ""},
		} {
			if err := g.SetNickname(t.Context(), c.name); !errors.Is(err, c.want) {
				t.Errorf("SetNickname(%q) = %v, want %v", c.name, err, c.want)
			}
			if got := h.nickname(alice); got != c.now {
				t.Errorf("after %q the nickname is %q, want %q", c.name, got, c.now)
			}
		}
		if err := g.SetNickname(t.Context(), "a\r\nb"); err == nil {
			t.Error("a nickname of two lines goes out")
		}
	})
}

// A nickname is one user's, whatever its case and width, and free again when nobody of theirs has
// it (RFC 7701 sections 7.1 to 7.3, RFC 8266).
func TestNicknameIsOneUsers(t *testing.T) {
	inHouse(t, &room.Config{ReservedNicknames: []string{"Admin", "ΣΥΣΤΗΜΑ"}}, func(t *testing.T, h *house) {
		ga, ga2, gb := h.join(alice, wish{}), h.join(alice, wish{}), h.join(bob, wish{})
		a, a2, b := h.raw(ga), h.raw(ga2), h.raw(gb)
		step := func(what string, got, want frame.Status) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %d, want %d", what, got, want)
			}
		}
		ask := func(p *peer, name string) frame.Status { return p.nick(fmt.Sprintf("Use-Nickname: %q", name)) }
		step("alice", ask(a, "Star"), 200)
		step("bob, the same", ask(b, "Star"), 425)
		step("bob, in another case", ask(b, "sTAR"), 425)
		step("bob, wide", ask(b, "\uff33tar"), 425)
		step("bob, with spaces", ask(b, " Star "), 425)
		step("bob, what nobody may have", ask(b, "ADMIN"), 425)
		step("bob, what others see as that", ask(b, "ϹΥϹΤΗΜΑ"), 425) // U+03F9 is shown as U+03A3
		step("alice's other device", ask(a2, "star"), 200)
		step("alice, another one", ask(a, "Σοφία"), 200)
		step("bob, what others see as that", ask(b, "Ϲοφία"), 425)
		step("bob, while alice's other device has it", ask(b, "Star"), 425)
		step("alice's other device, none", ask(a2, ""), 200)
		step("bob, when it is free", ask(b, "Star"), 200)
		gb.p.Close()
		step("alice, when bob has left", ask(a, "Star"), 200)
		if got := h.nickname(alice); got != "Star" {
			t.Errorf("the roster has %q", got)
		}
		ga.p.Close()
		if got := h.nickname(alice); got != "" {
			t.Errorf("what the first device had goes to the second: %q", got)
		}
	})
}

// Where nicknames are not wanted they get 403 (RFC 7701 section 7.1), and other methods are none of
// the room's.
func TestNoNicknames(t *testing.T) {
	inHouse(t, &room.Config{NoNicknames: true}, func(t *testing.T, h *house) {
		p := h.raw(h.join(alice, wish{deaf: true}))
		if got := p.nick(`Use-Nickname: "Alice"`); got != 403 {
			t.Errorf("answered with %d, want 403", got)
		}
		p.write("MSRP x001 SING\r\nTo-Path: %s\r\nFrom-Path: %s\r\n-------x001$\r\n", p.to, p.from)
		if got := p.status(); got != 501 {
			t.Errorf("SING is answered with %d, want 501", got)
		}
	})
}
