package relay_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

// guess sends so many AUTHs with a wrong password, and returns how many were looked at; over says that the connection
// has ended meanwhile.
func (p *raw) guess(user, to string, n int) (looked int, over bool) {
	p.t.Helper()
	for range n {
		switch g := p.tryAuth(user, "guess", to); g.Status {
		case frame.StatusUnauthorized:
			looked++
		case frame.StatusTimeout:
		case 0:
			return looked, true
		default:
			p.t.Errorf("%s: a wrong password gets %v", p.name, g)
		}
		if _, err := p.tryRead(time.Millisecond); !isTimeout(err) {
			return looked, true
		}
	}
	return looked, false
}

// RFC 4976 section 6.3: who is connected is a client as long as no certificate says that it is a relay, whatever its
// From-Path says. So its wrong passwords count, those for another relay, too.
func TestWhoOnlySaysThatItIsARelay(t *testing.T) {
	for name, from := range map[string]string{
		"nobody":                        "msrps://nobody.invalid:9/x;tcp ",
		"a relay that it is not":        "msrps://two.example.com:2855/x;tcp ",
		"the relay that it talks to":    "msrps://one.example.com:2855/x;tcp ",
		"behind many":                   strings.Repeat("msrps://nobody.invalid:9/x;tcp ", 10),
		"nobody, and has a certificate": "msrps://nobody.invalid:9/x;tcp ",
	} {
		for _, through := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.relay("one.example.com", relay.Config{Listen: []string{"tls::2855"}, TLS: w.tls("one.example.com")})
				w.relay("two.example.com", relay.Config{Listen: []string{"tls::2855"}, TLS: w.tls("two.example.com")})
				alice := w.dialTLS("alice", "one.example.com", ":2855", nil)
				path := alice.auth("alice", alice.auth("alice", "msrps://one.example.com;tcp")+" msrps://two.example.com:2855;tcp")
				own := w.tls("mallory.example.com")
				if !strings.Contains(name, "certificate") {
					own = nil
				}
				mallory := w.dialTLS("mallory", "one.example.com", ":2855", own)
				mallory.ours = from + mallory.ours
				to := "msrps://one.example.com;tcp"
				if use := strings.Fields(mallory.auth("carol", to)); through {
					to = use[len(use)-1] + " msrps://two.example.com:2855;tcp"
				}
				// The answer to the last may come or not.
				if n, over := mallory.guess("bob", to, 20); n < 5 || n > 6 || !over {
					t.Errorf("%s, through another relay %v: %d wrong passwords were looked at, over: %v; want 6 and the end", name, through, n, over)
				}
				bob := w.dialTLS("bob", "two.example.com", ":2855", nil)
				bob.write(send("aaaa", strings.Fields(path)[1]+" "+strings.Fields(path)[0]+" "+alice.ours, bob.ours, "", "hi"))
				bob.response("aaaa", frame.StatusOK)
				if g := alice.read(); g.body != "hi" {
					t.Errorf("alice got %v, want what comes over the connection between the relays", g)
				}
			})
		}
	}
}

// A client's own password between those that it guesses makes these good only after a minute, at the relay itself and at
// one behind it.
func TestGuessesBetweenRightPasswords(t *testing.T) {
	for _, through := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.relay("one.example.com", relay.Config{})
			w.relay("two.example.com", relay.Config{})
			p, to := w.client("carol", "one.example.com")
			if to += " msrp://two.example.com:2855;tcp"; !through {
				to = "msrp://one.example.com;tcp"
			}
			guess := func(n int) {
				t.Helper()
				if looked, over := p.guess("bob", to, n); looked != n || over {
					t.Fatalf("through another relay %v: %d wrong passwords were looked at, over: %v; want %d", through, looked, over, n)
				}
			}
			p.auth("carol", to)
			for range 3 {
				guess(5)
				time.Sleep(time.Minute)
				p.auth("carol", to)
			}
			for range 5 {
				guess(1)
				p.auth("carol", to)
			}
			// The answer to the last may come or not.
			if _, over := p.guess("bob", to, 1); !over {
				t.Errorf("through another relay %v: 6 wrong passwords in a minute did not end it", through)
			}
		})
	}
}

// Without TLS no relay can prove what it is, and who says that it is one may have others behind it. These do not lose
// their connection by the guesses of one, but what comes from behind is not looked at for 30 seconds after 6 of them.
func TestWrongPasswordsFromBehindWithoutTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay("one.example.com", relay.Config{TLS: w.tls("one.example.com")})
		w.relay("two.example.com", relay.Config{})
		w.relay("three.example.com", relay.Config{})
		two, three := " msrp://two.example.com:2855;tcp", " msrp://three.example.com:2855;tcp"
		alice, first := w.client("alice", "one.example.com")
		path := alice.auth("alice", alice.auth("alice", first+two)+three)
		bob := w.dial("bob", "three.example.com")
		uris := strings.Fields(path)
		reached := func() {
			t.Helper()
			bob.write(send("aaaa", uris[2]+" "+uris[1]+" "+uris[0]+" "+alice.ours, bob.ours, "", "hi"))
			bob.response("aaaa", frame.StatusOK)
			g := alice.read()
			if g.body != "hi" {
				t.Fatalf("alice got %v, want what comes by all three relays", g)
			}
			alice.answer(g, frame.StatusOK)
		}
		guess := func(to string, forged, ends bool) {
			t.Helper()
			mallory, uri := w.client("carol", "one.example.com")
			if to == three {
				uri = mallory.auth("carol", uri+two)
			}
			if forged {
				mallory.ours = "msrp://nobody.invalid:9/x;tcp " + mallory.ours
			}
			n, over := mallory.guess("bob", uri+to, 20)
			if n < 5 || n > 6 || over != ends {
				t.Errorf("guesses at%s, forged %v: %d were looked at, over: %v; want 6, and over: %v", to, forged, n, over, ends)
			}
			reached()
			if !over {
				time.Sleep(29 * time.Second)
				if n, _ := mallory.guess("bob", uri+to, 1); n != 0 {
					t.Error("another guess was looked at after less than 30 seconds")
				}
			}
			time.Sleep(31 * time.Second)
			alice.auth("alice", first+two)
			reached()
			mallory.nc.Close()
			synctest.Wait()
		}
		guess(two, false, true)
		guess(two, true, false)
		guess(three, false, true)
		guess(three, true, false)
		// Who gets passwords from a relay that has proved what it is leaves it to that.
		w.relay("four.example.com", relay.Config{Listen: []string{"tls::2855"}, TLS: w.tls("four.example.com")})
		guess(" msrps://four.example.com:2855;tcp", true, false)

		// Nor is there more for who is connected to the relay itself.
		mallory := w.dial("mallory", "three.example.com")
		mallory.auth("carol", "msrp://three.example.com;tcp")
		direct := mallory.ours
		mallory.ours = "msrp://nobody.invalid:9/x;tcp " + direct
		if n, over := mallory.guess("bob", "msrp://three.example.com;tcp", 20); n != 6 || over {
			t.Errorf("%d guesses of who says to be a relay were looked at, over: %v; want 6", n, over)
		}
		mallory.ours = direct
		if n, over := mallory.guess("bob", "msrp://three.example.com;tcp", 20); n != 6 || !over {
			t.Errorf("%d guesses of a client were looked at, over: %v; want 6 and the end", n, over)
		}
		reached()
	})
}
