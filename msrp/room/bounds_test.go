package room_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/msrp/room"
	"github.com/goparley/parley/sip"
)

// What a Config says of what is not said: messages of 64 KB, 1000 participants, and 256 messages
// that wait for one of them.
func TestBoundsThatAreNotSet(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a, b := h.join(alice, wish{}), h.join(bob, wish{})
		if size, _ := answerOf(t, h, a).Attribute("max-size"); size != "65536" {
			t.Errorf("max-size %q, want 65536", size)
		}
		b.Session.Close()
		synctest.Wait()
		for i := range 260 {
			if err := a.says(fmt.Sprint("message ", i)); err != nil {
				t.Fatal(err)
			}
		}
		if _, body := h.raw(b).next(); !strings.HasSuffix(body, "message 4") {
			t.Errorf("bob got %q, want message 4", body)
		}
		for i := range 998 {
			if _, err := h.r.Join(addr(fmt.Sprintf("sip:%d@example.com", i))); err != nil {
				t.Fatalf("participant %d: %v", i+3, err)
			}
		}
		if _, err := h.r.Join(addr(carol)); err != room.ErrFull {
			t.Errorf("one more: %v, want ErrFull", err)
		}
	})
}

// Who is told what this room is hears of 20 others by name, and how many more there are.
func TestGreetingIsBounded(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		for i := range 22 {
			h.join(fmt.Sprintf("sip:user%d@example.com", i), wish{})
		}
		c := h.join(carol, wish{chatroom: "-"})
		got := c.heard()
		if len(got) != 1 || !strings.Contains(got[0], "<sip:user19@example.com>") || !strings.HasSuffix(got[0], " and 2 others.") {
			t.Errorf("carol heard %q", got)
		}
	})
}

// What somebody says of themselves makes the roster no longer for all others than it has to be.
func TestRosterOfLongNames(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		long := addr("sip:" + strings.Repeat("x", 244) + "@h.test")
		if _, err := h.r.Join(addr("sip:y" + strings.TrimPrefix(long.URI.String(), "sip:"))); err == nil {
			t.Error("somebody joins with an address of 256 octets")
		}
		if _, err := h.r.Join(long); err != nil {
			t.Errorf("an address of 255 octets: %v", err)
		}
		h.join(alice, wish{display: strings.Repeat("\u00e9", 100)})
		if got, want := h.r.Roster().Users[0].DisplayText, strings.Repeat("\u00e9", 64); got != want {
			t.Errorf("the display name is %q, want %q", got, want)
		}
	})
}

// Expel is for who somebody is by any of their names.
func TestExpelByAlias(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		tel, _ := sip.ParseURI("tel:+1-201-555-0123")
		b := h.join(bob, wish{aliases: []sip.URI{tel}})
		if !h.r.Expel(tel) {
			t.Error("nobody is expelled")
		}
		<-b.p.Done()
		if b.p.Err() != room.ErrExpelled {
			t.Errorf("bob is told %v", b.p.Err())
		}
	})
}
