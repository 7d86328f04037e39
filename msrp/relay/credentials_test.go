package relay_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/digest"
	"github.com/goparley/parley/msrp/relay"
)

// authorized sends an AUTH with given credentials.
func (p *raw) authorized(to, authorization string) got {
	p.t.Helper()
	if authorization != "" {
		authorization = "Authorization: " + authorization + "\n"
	}
	p.write("MSRP 49fh AUTH\nTo-Path: " + to + "\nFrom-Path: " + p.ours + "\n" + authorization + "-------49fh$\n")
	g, err := p.tryRead(time.Hour)
	if err != nil {
		return got{Head: &frame.Head{}}
	}
	return g
}

// challenged returns a client of Digest that has been asked for its password.
func (p *raw) challenged(user, to string) *digest.Client {
	p.t.Helper()
	g := p.authorized(to, "")
	challenge, _ := g.Get("WWW-Authenticate")
	c := &digest.Client{Username: user, Password: users[user]}
	if err := c.Challenged([]string{challenge}); err != nil {
		p.t.Fatal(err)
	}
	return c
}

// RFC 4976 section 9.1: credentials are for the URI of the relay, which is the last of To-Path, and for
// the method. What is none of it is 400, and as good as a wrong password.
func TestCredentialsThatAreNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		to := "msrp://" + example + ";tcp"
		mallory := w.dial("mallory", example)
		mallory.auth("carol", to)
		for range 3 {
			other, err := mallory.challenged("alice", to).Authorize("AUTH", "msrp://other.example.com;tcp")
			if err != nil {
				t.Fatal(err)
			}
			for _, authorization := range []string{other, "Digest what"} {
				if g := mallory.authorized(to, authorization); g.Status != frame.StatusBadRequest {
					t.Errorf("AUTH with %q: %v, want 400", authorization, g)
				}
			}
		}
		mallory.ended()
		alice := w.dial("alice", example)
		send, err := alice.challenged("alice", to).Authorize("SEND", to)
		if err != nil {
			t.Fatal(err)
		}
		if g := alice.authorized(to, send); g.Status != frame.StatusUnauthorized {
			t.Errorf("AUTH with the credentials of a SEND: %v, want 401", g)
		}
	})
}

// RFC 4976 section 9.1: who uses a nonce again is told that it is stale, and not that the password is
// wrong.
func TestStaleNonce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		to := "msrp://" + example + ";tcp"
		alice := w.dial("alice", example)
		authorization, err := alice.challenged("alice", to).Authorize("AUTH", to)
		if err != nil {
			t.Fatal(err)
		}
		if g := alice.authorized(to, authorization); g.Status != frame.StatusOK {
			t.Errorf("AUTH: %v, want 200", g)
		}
		g := alice.authorized(to, authorization)
		if challenge, _ := g.Get("WWW-Authenticate"); g.Status != frame.StatusUnauthorized || !strings.Contains(strings.ToLower(challenge), "stale=true") {
			t.Errorf("the same again: %v with %q, want 401 with stale=true", g, challenge)
		}
		if g := alice.tryAuth("alice", "guess", to); g.Status != frame.StatusUnauthorized {
			t.Errorf("a wrong password: %v, want 401", g)
		} else if challenge, _ := g.Get("WWW-Authenticate"); strings.Contains(strings.ToLower(challenge), "stale=true") {
			t.Errorf("challenge to a wrong password is %q, want no stale=true", challenge)
		}
	})
}

// RFC 4976 section 6.1: who asks for challenges alone is soon gone.
func TestWhoAsksForChallengesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		to := "msrp://" + example + ";tcp"
		began := time.Now()
		asking := w.dial("asking", example)
		for range 6 {
			asking.authorized(to, "")
		}
		asking.ended()
		if took := time.Since(began); took >= 30*time.Second {
			t.Errorf("ended after %v, want before 30s", took)
		}
	})
}

// RFC 7977 section 5.3.1: the handshake tells who is at the other end of a WebSocket, and not who is
// behind that.
func TestHandshakeSaysNothingOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{Listen: []string{"ws::80"}, PlainAUTH: true,
			Handshake: func(*http.Request) (string, bool) { return "alice", true }})
		p, err := w.browse("alice", example+":80", "ws://"+example+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		p.ours = "msrp://other.invalid:1/x;tcp " + p.ours
		if g := p.authorized("msrp://"+example+":80;ws", ""); g.Status != frame.StatusUnauthorized {
			t.Errorf("AUTH from behind: %v, want 401", g)
		}
	})
}

// RFC 4976 section 6.3: a relay is not lost for the passwords of its clients.
func TestWrongPasswordsByARelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay("middle.example.com", relay.Config{Listen: []string{"tls::2855"}, TLS: w.tls("middle.example.com")})
		w.relay("extra.example.com", relay.Config{Listen: []string{"tls::2855"}, TLS: w.tls("extra.example.com")})
		intra := w.dialTLS("intra.example.com", "middle.example.com", ":2855", w.tls("intra.example.com"))
		intra.ours = "msrps://intra.example.com:2855/i1;tcp msrps://alice.invalid:2855/a;tcp"
		to := "msrps://middle.example.com:2855;tcp"
		path := strings.Fields(intra.auth("alice", to))
		for i := range 8 {
			for _, to := range []string{to, path[1] + " msrps://extra.example.com:2855;tcp"} {
				if g := intra.tryAuth("alice", "guess", to); g.Status != frame.StatusUnauthorized {
					t.Fatalf("guess %d: %v, want 401", i, g)
				}
			}
		}
		intra.auth("alice", to)
	})
}
