package room_test

import (
	"errors"
	"testing"

	"github.com/goparley/parley/msrp/frame"
)

const (
	here  = "tel:1234;phone-context=here.example.com"
	there = "tel:1234;phone-context=there.example.com"
)

// A local number is somebody's with its phone-context alone, and one with an extension or a subaddress
// somebody else's than without (RFC 3966 sections 4 and 5.1.5): they are in the roster, are written to,
// write and have nicknames each for themselves.
func TestNumbersOfOneContextEach(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a, b, c := h.join(here, wish{}), h.join(there, wish{}), h.join("tel:+1-201-555-0123;ext=4", wish{})
		d, e := h.join("tel:+12015550123;isub=4", wish{}), h.join("tel:+1(201)5550123", wish{})
		want := here + " (, , 1)\n" + there + " (, , 1)\ntel:+1-201-555-0123;ext=4 (, , 1)\ntel:+12015550123;isub=4 (, , 1)\ntel:+1(201)5550123 (, , 1)\n"
		if got := show(h.r.Roster()); got != want {
			t.Errorf("the roster is\n%swant\n%s", got, want)
		}
		for _, g := range []*guest{a, b, c, d, e} {
			if err := e.tells(g.uri, "psst, "+g.uri); err != nil {
				t.Errorf("to %s: %v", g.uri, err)
			}
			g.hears(e.uri + "> psst, " + g.uri)
		}
		if err := e.tells("tel:1234", "which of you?"); !errors.Is(err, frame.StatusNotFound) {
			t.Errorf("to a number without its context: %v, want 404", err)
		}
		for _, from := range []string{here, "tel:1234", there + ";phone-context=here.example.com", there + ";m-other", "tel:+1234;phone-context=there.example.com"} {
			if err := b.sends(envelope(from, "it is me", uri)); !errors.Is(err, frame.StatusForbidden) {
				t.Errorf("%s as %s: %v, want 403", b.uri, from, err)
			}
		}
		pa, pb := h.raw(a), h.raw(b)
		if x, y := pa.nick(`Use-Nickname: "Reception"`), pb.nick(`Use-Nickname: "Reception"`); x != 200 || y != 425 {
			t.Errorf("one nickname for two is answered with %d and %d, want 200 and 425", x, y)
		}
		if got := h.nickname(there); got != "" {
			t.Errorf("%s is called %q in the roster", there, got)
		}
		if !h.r.Expel(addr(here).URI) || h.r.Expel(addr(here).URI) {
			t.Error("who is there is not expelled once")
		}
		if got := pb.nick(`Use-Nickname: "Reception"`); got != 200 {
			t.Errorf("the nickname when it is free is answered with %d, want 200", got)
		}
	})
}

// What is one number is one person, however it is spelled: case, separators and the order of parameters
// do not count (RFC 3966 section 4), nor do optional parameters that the network adds, and which the
// roster has not, either (section 5.4).
func TestOneNumberInManySpellings(t *testing.T) {
	for number, others := range map[string][]string{
		here:                            {"tel:12-34;Phone-Context=HERE.example.com.", "tel:1234;npdi;phone-context=here.example.com"},
		"tel:911;phone-context=+1-201":  {"tel:9.1.1;phone-context=+1201;verstat=TN-Validation-Passed"},
		"tel:+12015550123;ext=45":       {"tel:+1-201-555-0123;ext=4-5", "tel:+12015550123;verstat=x;EXT=45"},
		"tel:a;isub=9;phone-context=+1": {"tel:A;phone-context=+1;isub=%39"},
		"tel:+12015550123":              {"tel:+1.201.555.0123;cic=+1-6789;rn=+1-201-555-0199"},
	} {
		inHouse(t, nil, func(t *testing.T, h *house) {
			h.join(alice, wish{})
			for _, other := range others {
				a, b := h.join(number, wish{}), h.join(other, wish{})
				if err := b.sends(envelope(number, "as the other one", uri)); err != nil {
					t.Errorf("%s as %s: %v", other, number, err)
				}
				if err := b.sends(envelope(other, "as itself", number)); err != nil {
					t.Errorf("from %s to %s: %v", other, number, err)
				}
				a.hears(number+"> as the other one", other+"> as itself")
				want := alice + " (, , 1)\n" + number + " (, , 2)\n"
				if got := show(h.r.Roster()); got != want {
					t.Errorf("the roster is\n%swant\n%s", got, want)
				}
				a.p.Close()
				b.p.Close()
				h.join(other, wish{}).p.Close()
			}
		})
	}
}
