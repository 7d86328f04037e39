package relay_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

const example = "relay.example.com"

// RFC 4976 section 5.1: a challenge, credentials, and a URI; the responses go back to who asks, from
// the URI that was asked.
func TestAuthGivesAURI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice := w.dial("alice", example)
		to := "msrp://alice@" + example + ";tcp"
		alice.write("MSRP 49fh AUTH\nTo-Path: " + to + "\nFrom-Path: " + alice.ours + "\n-------49fh$\n")
		g := alice.response("49fh", frame.StatusUnauthorized)
		if g.To != alice.ours || g.From != to {
			t.Errorf("paths of the 401 are %q and %q", g.To, g.From)
		}
		challenge, _ := g.Get("WWW-Authenticate")
		for _, part := range []string{"Digest ", `realm="` + example + `"`, `qop="auth"`, `nonce="`} {
			if !strings.Contains(challenge, part) {
				t.Errorf("challenge is %s, want %s in it", challenge, part)
			}
		}
		if strings.Contains(challenge, "domain") {
			t.Errorf("challenge is %s, want no domain (section 9.1)", challenge)
		}

		g = alice.tryAuth("alice", "wonder", to)
		if g.Status != frame.StatusOK || g.To != alice.ours || g.From != to {
			t.Fatalf("AUTH: %v, paths %q and %q", g, g.To, g.From)
		}
		path, _ := g.Get("Use-Path")
		u, err := frame.ParseURI(path)
		if err != nil || u.Host != example || u.Port != 2855 || len(u.SessionID) < 13 || u.Transport != "tcp" {
			t.Errorf("Use-Path is %q, want one URI with name, port and 64 random bits", path)
		}
		if expires, _ := g.Get("Expires"); expires != "3600" {
			t.Errorf("Expires is %q, want 3600", expires)
		}
		if other := alice.auth("alice", to); other == path {
			t.Error("the same URI twice, want one for each session")
		}
	})
}

func TestAuthIsForTheRelayByAnyOfItsNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{Host: "Edge.example.com"})
		alice := w.dial("alice", example)
		for _, to := range []string{
			"msrp://relay.example.com;tcp", "msrp://relay.example.com:2855;tcp", "msrp://Relay.Example.COM;tcp", "msrp://edge.example.com;tcp",
			"msrps://relay.example.com:443;ws", "msrp://" + w.names[example] + ":2855;tcp",
		} {
			if path := alice.auth("alice", to); !strings.HasPrefix(path, "msrp://Edge.example.com:2855/") {
				t.Errorf("Use-Path is %q, want the name of the host", path)
			}
		}
		alice.write("MSRP 49fh AUTH\nTo-Path: msrp://other.example.com;tcp\nFrom-Path: " + alice.ours + "\n-------49fh$\n")
		alice.ended() // RFC 4976 section 6.2
	})
}

func TestAuthExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{MinExpires: 60 * time.Second, MaxExpires: 900 * time.Second})
		to := "msrp://" + example + ";tcp"
		alice := w.dial("alice", example)
		for _, c := range []struct {
			expires string
			status  frame.Status
			name    string // of the field that says more
			value   string
		}{
			{"59", frame.StatusOutOfBounds, "Min-Expires", "60"},
			{"60", frame.StatusOK, "Expires", "60"},
			{"900", frame.StatusOK, "Expires", "900"},
			{"901", frame.StatusOutOfBounds, "Max-Expires", "900"},
			{"99999999999999999999", frame.StatusOutOfBounds, "Max-Expires", "900"},
			{"-1", frame.StatusBadRequest, "", ""},
			{"soon", frame.StatusBadRequest, "", ""},
		} {
			g := alice.tryAuth("alice", "wonder", to, "Expires: "+c.expires)
			value, _ := g.Get(c.name)
			if g.Status != c.status || value != c.value {
				t.Errorf("Expires %s: %d, %s %q, want %d, %q", c.expires, g.Status, c.name, value, c.status, c.value)
			}
		}
	})
}

// RFC 4976 section 6.3: the URI is invalid after its time, and not before if it is renewed.
func TestURIExpiresUnlessItIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice := w.dial("alice", example)
		to := "msrp://" + example + ";tcp"
		get := func(to string) string {
			path, _ := alice.tryAuth("alice", "wonder", to, "Expires: 90").Get("Use-Path")
			return path
		}
		a, b := get(to), get(to)
		bob := w.dial("bob", example)
		try := func(id, uri string, want frame.Status) {
			t.Helper()
			bob.write(send(id, uri+" "+alice.ours, bob.ours, "", "hi"))
			bob.response(id, want)
			if want == frame.StatusOK {
				alice.answer(alice.read(), frame.StatusOK)
			}
		}
		try("aaaa", a, frame.StatusOK)
		try("bbbb", b, frame.StatusOK)
		time.Sleep(70 * time.Second)
		if again := get(a); again != a {
			t.Errorf("renewed URI is %q, want %q", again, a)
		}
		time.Sleep(21 * time.Second) // before the relay looks at what has expired
		try("cccc", a, frame.StatusOK)
		try("dddd", b, frame.StatusNoSession)
		if again := get(b); again == b {
			t.Error("a URI that has expired is renewed")
		}
		time.Sleep(70 * time.Second)
		try("eeee", a, frame.StatusNoSession)
	})
}

func TestNobodyRenewsTheURIOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		_, a := w.client("alice", example)
		bob := w.dial("bob", example)
		for _, user := range []string{"bob", "alice"} { // on another connection not even alice
			if g := bob.tryAuth(user, users[user], a); g.Status != frame.StatusForbidden {
				t.Errorf("AUTH of %s: %v, want 403", user, g)
			}
		}
	})
}

// RFC 4976 section 9.2.
func TestAuthNeedsTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{Listen: []string{"tcp::2855", "tls::2856"}, TLS: w.tls(example)})
		alice := w.dial("alice", example)
		if g := alice.tryAuth("alice", "wonder", "msrp://"+example+";tcp"); g.Status != frame.StatusForbidden {
			t.Errorf("AUTH without TLS: %v, want 403", g)
		}
		secure := w.dialTLS("alice", example, ":2856", nil)
		if path := secure.auth("alice", "msrps://"+example+";tcp"); !strings.HasPrefix(path, "msrps://"+example+":2856/") {
			t.Errorf("Use-Path is %q, want an msrps URI of the port of TLS", path)
		}
	})
}

// dialTLS connects a host to a relay over TLS, with a certificate for its name if own is not nil.
func (w *world) dialTLS(from, to, port string, own *tls.Config) *raw {
	w.t.Helper()
	nc, err := w.host(from).DialContext(context.Background(), "tcp", to+port)
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := &tls.Config{RootCAs: w.ca.Pool(), ServerName: to}
	if own != nil {
		cfg.Certificates = own.Certificates
	}
	tc := tls.Client(nc, cfg)
	if err := tc.HandshakeContext(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	return w.raw(from, tc)
}

// RFC 4976 section 6.3: several wrong passwords end the connection, even one that has its URIs.
func TestWrongPasswordsEndTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		to := "msrp://" + example + ";tcp"
		mallory := w.dial("mallory", example)
		mallory.auth("carol", to)
		for i := range 6 {
			if g := mallory.tryAuth("alice", "guess", to); g.Status != frame.StatusUnauthorized {
				t.Errorf("guess %d: %v, want 401", i, g)
			}
		}
		mallory.ended()
	})
}

func TestPasswordLookupThatFailsOrPanicsIs500(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{Password: func(ctx context.Context, user string) (string, error) {
			switch user {
			case "alice":
				return "", errors.New("database is away")
			case "bob":
				panic("database is strange")
			}
			<-ctx.Done()
			return "", ctx.Err()
		}})
		to := "msrp://" + example + ";tcp"
		for user := range users {
			p := w.dial(user, example)
			if g := p.tryAuth(user, users[user], to); g.Status != frame.StatusInternalError {
				t.Errorf("AUTH of %s: %v, want 500", user, g)
			}
		}
	})
}

// RFC 4976 section 6.1.
func TestProbation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		began := time.Now()
		silent := w.dial("silent", example)
		silent.ended()
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("a connection without a request ended after %v, want 30s", took)
		}

		began = time.Now()
		knocking := w.dial("knocking", example)
		knocking.write(send("aaaa", "msrp://"+example+":2855/guess;tcp msrp://x.invalid:1/a;tcp", knocking.ours, "", "hi"))
		knocking.response("aaaa", frame.StatusNoSession)
		knocking.ended()
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("a connection without a successful request ended after %v, want 30s", took)
		}

		guessing := w.dial("guessing", example)
		began = time.Now()
		for range 6 {
			guessing.write(send("aaaa", "msrp://"+example+":2855/guess;tcp msrp://x.invalid:1/a;tcp", guessing.ours, "", "hi"))
			guessing.response("aaaa", frame.StatusNoSession)
		}
		guessing.ended()
		if took := time.Since(began); took >= 30*time.Second {
			t.Errorf("a connection with unsuccessful requests ended after %v, want before 30s", took)
		}

		alice, a := w.client("alice", example)
		bob := w.dial("bob", example)
		bob.write(send("aaaa", a+" "+alice.ours, bob.ours, "", "hi"))
		bob.response("aaaa", frame.StatusOK)
		alice.answer(alice.read(), frame.StatusOK)
		time.Sleep(5 * time.Minute)
		alice.silent()
		bob.silent()
	})
}

func TestStrangersGetHalfOfTheConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{MaxConns: 4})
		alice, _ := w.client("alice", example)
		bob, _ := w.client("bob", example)
		first, second := w.dial("s1", example), w.dial("s2", example)
		third := w.dial("s3", example)
		third.ended()
		first.silent()
		second.silent()
		alice.silent()
		bob.silent()
	})
}

func TestEachUserHasATenthOfTheURIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{MaxURIs: 20})
		to := "msrp://" + example + ";tcp"
		alice, bob := w.dial("alice", example), w.dial("bob", example)
		alice.auth("alice", to)
		alice.auth("alice", to)
		if g := alice.tryAuth("alice", "wonder", to); g.Status != frame.StatusForbidden {
			t.Errorf("AUTH for a third URI: %v, want 403", g)
		}
		bob.auth("bob", to)
		alice.nc.Close()
		synctest.Wait()
		w.client("alice", example) // her URIs went with the connection
	})
}

// RFC 4976 section 6.3: without the connection there is no URI.
func TestURIEndsWithTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		bob := w.dial("bob", example)
		bob.write(send("aaaa", a+" "+alice.ours, bob.ours, "", "hi"))
		bob.response("aaaa", frame.StatusOK)
		alice.answer(alice.read(), frame.StatusOK)
		synctest.Wait()
		alice.nc.Close()
		synctest.Wait()
		again, _ := w.client("alice", example)
		bob.write(send("bbbb", a+" "+alice.ours, bob.ours, "", "hi"))
		bob.response("bbbb", frame.StatusNoSession)
		again.silent()
	})
}

func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.relay(example, relay.Config{Listen: []string{"tcp::2855", "ws::80"}, PlainAUTH: true})
		alice, a := w.client("alice", example)
		bob := w.dial("bob", example)
		bob.write(send("aaaa", a+" "+alice.ours, bob.ours, "", "hi"))
		r.Close()
		alice.drained()
		bob.drained()
		if _, err := w.host("bob").DialContext(t.Context(), "tcp", example+":2855"); !errors.As(err, new(*net.OpError)) {
			t.Errorf("dial after Close: %v, want it refused", err)
		}
		r.Close() // and again
	}) // which fails if a goroutine is left
}

func TestNewRefusesWhatItCannotServe(t *testing.T) {
	pw := relay.Passwords(users)
	for name, cfg := range map[string]relay.Config{
		"no domain":    {Password: pw},
		"no passwords": {Domain: example},
		"no TLS":       {Domain: example, Password: pw, Listen: []string{"tls:127.0.0.1:0"}},
		"no transport": {Domain: example, Password: pw, Listen: []string{"udp:127.0.0.1:0"}},
		"no port":      {Domain: example, Password: pw, Listen: []string{"tcp:127.0.0.1"}},
		"bad realm":    {Domain: "a\nb", Password: pw},
	} {
		if r, err := relay.New(&cfg); err == nil {
			r.Close()
			t.Errorf("%s: New = nil error", name)
		}
	}
}
