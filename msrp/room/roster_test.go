package room_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/room"
	"github.com/goparley/parley/simple/confinfo"
	"github.com/goparley/parley/sip"
)

// show writes a roster as "entity (display, nickname, endpoints)", a line each.
func show(c *confinfo.Conference) string {
	var b strings.Builder
	for _, u := range c.Users {
		fmt.Fprintf(&b, "%s (%s, %s, %d)\n", u.Entity, u.DisplayText, u.Nickname, len(u.Endpoints))
	}
	if n := *c.Activity.UserCount; int(n) != len(c.Users) {
		fmt.Fprintf(&b, "and %d in all\n", n)
	}
	return b.String()
}

// The roster says who comes, who goes and what they call themselves, and each is a document that
// follows the one before (RFC 4575 section 4.6, RFC 7701 section 7.4).
func TestRoster(t *testing.T) {
	inHouse(t, &room.Config{Subject: "Gophers"}, func(t *testing.T, h *house) {
		var seen, sent *confinfo.Conference
		done := make(chan struct{})
		go func() {
			defer close(done)
			for now := range h.r.Rosters(context.Background()) {
				document := now
				if sent != nil {
					document = confinfo.Diff(sent, now)
					document.Version = seen.Version + 1
				}
				var err error
				if seen, err = confinfo.Apply(seen, string(document.Append(nil))); err != nil {
					t.Errorf("apply: %v", err)
				}
				sent = now
			}
		}()
		step := func(what, want string) {
			t.Helper()
			synctest.Wait()
			if got := show(seen); got != want {
				t.Errorf("%s: the roster is\n%swant\n%s", what, got, want)
			}
			if got := show(h.r.Roster()); got != want {
				t.Errorf("%s: Roster() is\n%swant\n%s", what, got, want)
			}
		}
		step("nobody", "")
		a := h.join("sip:alice@example.com;transport=tcp", wish{display: "Alice Kay", deaf: true})
		step("alice", "sip:alice@example.com (Alice Kay, , 1)\n")
		b := h.join(bob, wish{})
		step("bob", "sip:alice@example.com (Alice Kay, , 1)\nsip:bob@example.com (, , 1)\n")
		h.raw(a).nick(`Use-Nickname: "Alice the great"`)
		step("a nickname", "sip:alice@example.com (Alice Kay, Alice the great, 1)\nsip:bob@example.com (, , 1)\n")
		b2 := h.join(bob, wish{})
		step("bob's other device", "sip:alice@example.com (Alice Kay, Alice the great, 1)\nsip:bob@example.com (, , 2)\n")
		b.p.Close()
		step("less one", "sip:alice@example.com (Alice Kay, Alice the great, 1)\nsip:bob@example.com (, , 1)\n")
		a.p.Close()
		step("alice leaves", "sip:bob@example.com (, , 1)\n")
		if seen.Description.Subject != "Gophers" || seen.Entity != uri {
			t.Errorf("%s is about %q", seen.Entity, seen.Description.Subject)
		}
		b2.p.Close()
		step("all leave", "")
		h.r.Close()
		<-done
	})
}

// Who joins without a name is somebody of their own each time, is written to by what the roster
// has, and writes by what they have said or by that (RFC 7701 section 6.1).
func TestAnonymous(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		const anonymous = "sip:anonymous@anonymous.invalid"
		a, b, c := h.join(anonymous, wish{display: "Alice"}), h.join(anonymous, wish{}), h.join(carol, wish{})
		want := "sip:anonymous1@anonymous.invalid (, , 1)\nsip:anonymous2@anonymous.invalid (, , 1)\nsip:carol@example.com (, , 1)\n"
		if got := show(h.r.Roster()); got != want {
			t.Errorf("the roster is\n%swant\n%s", got, want)
		}
		if err := c.tells("sip:anonymous1@anonymous.invalid", "who are you?"); err != nil {
			t.Error(err)
		}
		a.hears("carol@example.com> who are you?")
		b.hears()
		if err := a.tells(carol, "nobody"); err != nil {
			t.Error(err)
		}
		if err := a.sends(envelope("sip:anonymous1@anonymous.invalid", "really", uri)); err != nil {
			t.Error(err)
		}
		c.hears("anonymous@anonymous.invalid> nobody", "anonymous1@anonymous.invalid> really")
		if err := a.sends(envelope("sip:anonymous2@anonymous.invalid", "or am I?", uri)); !errors.Is(err, frame.StatusForbidden) {
			t.Errorf("as somebody else without a name: %v, want 403", err)
		}
		if err := c.tells(anonymous, "anybody?"); !errors.Is(err, frame.StatusNotFound) {
			t.Errorf("to anybody: %v, want 404", err)
		}
	})
}

// The same user by two devices: what one of them writes comes to the other one, too (RFC 7701
// section 6.1).
func TestSameUserTwice(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a, a2, b := h.join(alice, wish{}), h.join(alice, wish{}), h.join(bob, wish{})
		if err := errors.Join(a.says("from the phone"), a2.says("from the desk"), a.tells(alice, "note")); err != nil {
			t.Error(err)
		}
		a.hears("alice@example.com> from the desk", "alice@example.com> note")
		a2.hears("alice@example.com> from the phone", "alice@example.com> note")
		b.hears("alice@example.com> from the phone", "alice@example.com> from the desk")
		a.p.Close()
		if err := b.tells(alice, "still there?"); err != nil {
			t.Error(err)
		}
		a2.hears("bob@example.com> still there?")
	})
}

// An alias is no way to get what is for somebody else.
func TestAliasOfAnotherUser(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a := h.join(alice, wish{aliases: []sip.URI{addr(bob).URI}})
		b, c := h.join(bob, wish{}), h.join(carol, wish{})
		if err := c.tells(bob, "for bob"); err != nil {
			t.Error(err)
		}
		a.p.Close()
		if err := c.tells(bob, "again"); err != nil {
			t.Error(err)
		}
		a.hears()
		b.hears("carol@example.com> for bob", "carol@example.com> again")
	})
}

// Admit keeps people out, and Expel puts them out.
func TestBans(t *testing.T) {
	banned := errors.New("banned")
	bans := map[string]bool{"mallory": true}
	cfg := &room.Config{Admit: func(who sip.Address) error {
		if bans[who.URI.User] {
			return banned
		}
		return nil
	}}
	inHouse(t, cfg, func(t *testing.T, h *house) {
		if _, err := h.try("sip:mallory@example.com", wish{}); err != banned {
			t.Errorf("mallory: %v", err)
		}
		a, b, b2 := h.join(alice, wish{}), h.join(bob, wish{}), h.join(bob, wish{})
		bans["bob"] = true
		if !h.r.Expel(addr(bob).URI) || h.r.Expel(addr(bob).URI) {
			t.Error("bob is not expelled once")
		}
		for _, p := range []*room.Participant{b.p, b2.p} {
			<-p.Done()
			if p.Err() != room.ErrExpelled {
				t.Errorf("bob is told %v", p.Err())
			}
			p.Close()
		}
		if err := a.says("he is gone"); err != nil {
			t.Error(err)
		}
		b.hears()
		if err := b.says("am I?"); err == nil {
			t.Error("bob can still write")
		}
		if _, err := h.try(bob, wish{}); err != banned {
			t.Errorf("bob again: %v", err)
		}
		a.hears()
	})
}

// A room has room for so many, and again when somebody has left or has not come in.
func TestFull(t *testing.T) {
	inHouse(t, &room.Config{MaxParticipants: 2}, func(t *testing.T, h *house) {
		a := h.join(alice, wish{})
		p, err := h.r.Join(addr(bob)) // whose call never comes about
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.try(carol, wish{}); err != room.ErrFull {
			t.Errorf("a third one: %v", err)
		}
		if got := show(h.r.Roster()); got != "sip:alice@example.com (, , 1)\n" {
			t.Errorf("who has not come in is there: %s", got)
		}
		p.Close()
		p.Close()
		h.join(carol, wish{})
		a.p.Close()
		h.join(bob, wish{})
	})
}

// A room that is closed ends all participants, and nobody joins any more.
func TestClose(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a, b := h.join(alice, wish{}), h.join(bob, wish{})
		p, err := h.r.Join(addr(carol))
		if err != nil {
			t.Fatal(err)
		}
		h.r.Close()
		for _, p := range []*room.Participant{a.p, b.p, p} {
			<-p.Done()
			if p.Err() != room.ErrClosed {
				t.Errorf("told %v", p.Err())
			}
		}
		if _, err := h.r.Join(addr(alice)); err != room.ErrClosed {
			t.Errorf("Join() = %v", err)
		}
		if err := a.says("hello?"); err == nil {
			t.Error("alice can still write")
		}
	})
}

// The call is over: the participant is not to be told anything.
func TestLeave(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a, b := h.join(alice, wish{}), h.join(bob, wish{})
		b.p.Close()
		<-b.p.Done()
		if b.p.Err() != nil {
			t.Errorf("Err() = %v", b.p.Err())
		}
		if err := a.tells(bob, "where are you?"); !errors.Is(err, frame.StatusNotFound) {
			t.Errorf("to who has left: %v, want 404", err)
		}
		b.p.Update(t.Context(), b.own, b.own) // one that was on its way
		if got := show(h.r.Roster()); got != "sip:alice@example.com (, , 1)\n" {
			t.Errorf("bob is back: %s", got)
		}
	})
}

// Whoever takes the chat out of a call, its participant leaves: a call without one is none of the
// room's (RFC 3264 section 8.2).
func TestCallWithoutTheChat(t *testing.T) {
	for who, ports := range map[string][2]int{"the room": {0, 9}, "the participant": {9, 0}} {
		inHouse(t, nil, func(t *testing.T, h *house) {
			a, b := h.join(alice, wish{}), h.join(bob, wish{})
			local, remote := *answerOf(t, h, b), *b.own
			local.Port, remote.Port = ports[0], ports[1]
			if err := b.p.Update(t.Context(), &local, &remote); err != nil {
				t.Fatal(err)
			}
			select {
			case <-b.p.Done():
			default:
				t.Fatalf("%s has ended the chat, and bob is still there", who)
			}
			if err := b.p.Err(); err != nil {
				t.Errorf("bob is told %v", err)
			}
			if err := a.says("gone?"); err != nil {
				t.Error(err)
			}
			if got := show(h.r.Roster()); got != "sip:alice@example.com (, , 1)\n" {
				t.Errorf("who is there: %s", got)
			}
		})
	}
}
