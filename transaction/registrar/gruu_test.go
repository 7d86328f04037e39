package registrar

import (
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
)

const (
	deviceOne = "<sip:alice@192.0.2.1>;" + instanceOne
	deviceTwo = "<sip:alice@192.0.2.2>;" + instanceTwo
)

// gruusOf returns the GRUUs of one Contact of a 200.
func gruusOf(t testing.TB, ok *sip.Response, instance string) (pub, temp string) {
	t.Helper()
	for c, err := range sip.All[sip.Contact](ok) {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(instance, c.Instance()) || c.Instance() == "" {
			continue
		}
		p, okPub := c.PubGRUU()
		q, okTemp := c.TempGRUU()
		if !okPub || !okTemp {
			t.Fatalf("Contact: %s, want both GRUUs", c.AppendValue(nil))
		}
		return p.String(), q.String()
	}
	t.Fatal("no such Contact")
	return "", ""
}

// RFC 5627 sections 5.2 and 6.1: GRUUs are for those who support them, and lead to
// their instance alone.
func TestGRUU(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		expectContacts(t, s.phone.register(200, contact(deviceOne)), deviceOne+";expires=3600")
		ok := s.phone.register(200, contact(deviceTwo, "<sip:alice@192.0.2.3>"), knows("gruu"))
		pub, temp := gruusOf(t, ok, instanceOne)
		if want := "sip:alice@example.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"; pub != want {
			t.Errorf("public GRUU %s, want %s", pub, want)
		}
		if u := uri(t, temp); u.Host != "example.com" || string(u.Params) != ";gr" || strings.Contains(u.User, "alice") {
			t.Errorf("temporary GRUU %s", temp)
		}
		for _, c := range []struct{ instance, leadsTo string }{{instanceOne, "sip:alice@192.0.2.1"}, {instanceTwo, "sip:alice@192.0.2.2"}} {
			pub, temp := gruusOf(t, ok, c.instance)
			s.expectTargets(pub, c.leadsTo)
			s.expectTargets(temp, c.leadsTo)
			s.expectTargets("sips" + strings.TrimPrefix(temp, "sip")) // which it has not registered
		}
		s.expectTargets(strings.Replace(pub, "f81d4fae", "F81D4FAE", 1), "sip:alice@192.0.2.1") // RFC 4122 section 3
		s.expectTargets("sip:alice@example.com;gr=urn:uuid:f81d4fae-0000-11d0-a765-00a0c91e6bf6")
	})
}

// RFC 5627 sections 5.1 and 5.3: temporary GRUUs accumulate as long as the Call-ID
// stays and a Contact of the instance is there. Public ones stay.
func TestTemporaryGRUUsEnd(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		pub, first := gruusOf(t, s.phone.register(200, contact(deviceOne), knows("gruu")), instanceOne)
		again, second := gruusOf(t, s.phone.register(200, contact(deviceOne+`;pub-gruu="sip:mallory@example.com;gr=1";temp-gruu="sip:x@example.com;gr"`), knows("gruu")), instanceOne)
		if again != pub || first == second {
			t.Errorf("public %s after %s, temporary %s after %s", again, pub, second, first)
		}
		valid := func(of ...string) {
			t.Helper()
			for _, gruu := range of {
				s.expectTargets(gruu, "sip:alice@192.0.2.1")
			}
		}
		valid(pub, first, second)

		s.phone.callID = "2@phone"
		_, third := gruusOf(t, s.phone.register(200, contact(deviceOne), knows("gruu")), instanceOne)
		valid(pub, third)
		s.expectNone(first)
		s.expectNone(second)

		s.phone.register(200, contact(deviceOne+";expires=0"))
		s.expectNone(third)
		s.expectTargets(pub) // 480

		_, fourth := gruusOf(t, s.phone.register(200, contact(deviceOne+";expires=60"), knows("gruu")), instanceOne)
		s.expectNone(third)
		valid(pub, fourth)
		time.Sleep(61 * time.Second)
		s.expectNone(fourth)
		s.expectTargets(pub)
	})
}

// RFC 5627 section 5.1: with RFC 5626 the Call-ID is that of each reg-id, and all
// flows of the instance have the same GRUUs.
func TestGRUUsOfFlows(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		one, two := s.phone.byTCP(), newPhone(t, s.n.Host("192.0.2.2")).byTCP()
		two.callID = "2@phone"
		_, first := gruusOf(t, one.register(200, contact(flowOne), knows("gruu", "outbound")), instanceOne)
		_, second := gruusOf(t, two.register(200, contact(flowTwo), knows("gruu", "outbound")), instanceOne)
		const at = "sip:alice@192.0.2.1;transport=tcp"
		s.expectTargets(first, at, at)
		s.expectTargets(second, at, at)
		two.callID = "3@phone"
		_, third := gruusOf(t, two.register(200, contact(flowTwo), knows("gruu", "outbound")), instanceOne)
		s.expectNone(first)
		s.expectNone(second)
		s.expectTargets(third, at, at)
	})
}

// RFC 5627 section 5.1: a Contact that leads back here gets 403.
func TestContactThatLoops(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		pub, temp := gruusOf(t, s.phone.register(200, contact(deviceOne), knows("gruu")), instanceOne)
		for _, c := range []string{aliceAOR, "sip:%61lice@EXAMPLE.com", pub, temp} {
			s.phone.register(403, contact("<"+c+">;"+instanceTwo))
			s.phone.register(403, contact("<"+c+">"))
			s.phone.register(200, contact("<"+c+">;expires=0"))
		}
		s.phone.register(403, contact("<mailto:alice@example.com>;"+instanceTwo))
		s.phone.register(200, contact("<mailto:alice@example.com>"))
		s.phone.to = "sip:bob@example.com"
		s.phone.register(200, contact("<"+temp+">")) // of another user: a forward
		s.expectTargets(s.phone.to, "sip:alice@192.0.2.1")
	})
}

// Nobody can make a temporary GRUU, or learn from one whose it is.
func TestForgedGRUU(t *testing.T) {
	g, other := newGRUUs([]byte("key")), newGRUUs(nil)
	token := g.seal("alice@example.com", 7)
	if key, epoch, ok := newGRUUs([]byte("key")).open(token); !ok || key != "alice@example.com" || epoch != 7 {
		t.Errorf("open() = %q, %d, %v", key, epoch, ok)
	}
	if len(g.seal("bob@example.com", 7)) != len(token) || len(g.seal("x@y", 7)) != len(token) {
		t.Error("the length tells one user from another")
	}
	seen := map[string]bool{}
	for range 1000 {
		seen[g.seal("alice@example.com", 7)[:11]] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d of 1000 tokens begin alike", 1000-len(seen))
	}
	for _, forged := range []string{"", "alice", token[1:], token + "A", token[:len(token)-1], other.seal("alice@example.com", 7),
		strings.Repeat("A", 43), strings.Repeat("A", 107), strings.Repeat("A", len(token)), strings.Repeat("A", 70000), strings.Repeat("%", 100), token + "="} {
		if key, _, ok := g.open(forged); ok {
			t.Errorf("open(%.20q) = %q", forged, key)
		}
	}
	for i := range token {
		b := []byte(token)
		if b[i] ^= 1; b[i] < '0' {
			continue
		}
		if _, _, ok := g.open(string(b)); ok {
			t.Errorf("open() takes the token with another character %d", i)
		}
	}
	longest := strings.Repeat("a", maxKey)
	if key, _, ok := g.open(g.seal(longest, 1)); !ok || key != longest {
		t.Error("the longest key does not come back")
	}
}
