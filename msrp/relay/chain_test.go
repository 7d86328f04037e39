package relay_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

// RFC 4976 section 5.1: a client authenticates with its first relay, and through that with the next. The
// Use-Path of the second has both, in the order of To-Path.
func TestAuthThroughAnotherRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay("intra.example.com", relay.Config{})
		w.relay("extra.example.com", relay.Config{})
		alice, intra := w.client("alice", "intra.example.com")
		path := alice.auth("alice", intra+" msrp://extra.example.com:2855;tcp")
		uris := strings.Fields(path)
		if len(uris) != 2 || uris[0] != intra || !strings.HasPrefix(uris[1], "msrp://extra.example.com:2855/") {
			t.Fatalf("Use-Path is %q, want those of intra and extra", path)
		}

		// And a message each way, with a peer that has no relay.
		bob := w.dial("bob", "extra.example.com")
		bob.write(send("aaaa", uris[1]+" "+uris[0]+" "+alice.ours, bob.ours, "", "in"))
		bob.response("aaaa", frame.StatusOK)
		g := alice.read()
		if g.body != "in" || g.From != uris[0]+" "+uris[1]+" "+bob.ours {
			t.Errorf("alice got %+v", g.Head)
		}
		alice.answer(g, frame.StatusOK)
		alice.write(send("bbbb", path+" "+bob.ours, alice.ours, "", "out"))
		alice.response("bbbb", frame.StatusOK)
		g = bob.read()
		if g.body != "out" || g.From != uris[1]+" "+uris[0]+" "+alice.ours {
			t.Errorf("bob got %+v", g.Head)
		}
		// What bob does not take, both relays report.
		bob.answer(g, frame.StatusUnsupportedType)
		g = alice.read()
		if g.Report != frame.StatusUnsupportedType || g.To != alice.ours || g.From != uris[0]+" "+uris[1] {
			t.Errorf("alice got %+v, want a REPORT of 415 from the second relay", g.Head)
		}
	})
}

// RFC 4976 section 6.3.
func TestPasswordsAreNotGuessedThroughAnotherRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay("intra.example.com", relay.Config{Listen: []string{"tls::2855"}, TLS: w.tls("intra.example.com")})
		w.relay("extra.example.com", relay.Config{Listen: []string{"tls::2855"}, TLS: w.tls("extra.example.com")})
		alice := w.dialTLS("alice", "intra.example.com", ":2855", nil)
		to := " msrps://extra.example.com:2855;tcp"
		first := alice.auth("alice", "msrps://intra.example.com;tcp")
		mallory := w.dialTLS("mallory", "intra.example.com", ":2855", nil)
		intra := mallory.auth("carol", "msrps://intra.example.com;tcp")
		for i := range 6 {
			// The answer to the last may come or not.
			if g := mallory.tryAuth("alice", "guess", intra+to); i < 5 && g.Status != frame.StatusUnauthorized {
				t.Errorf("guess %d: %v, want 401", i, g)
			}
		}
		mallory.ended()
		alice.auth("alice", first+to) // the connection between the relays is still there
	})
}

func TestAuthDoesNotPassToAClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		bob := w.dial("bob", example)
		bob.write("MSRP aaaa AUTH\nTo-Path: " + a + " " + alice.ours + "\nFrom-Path: " + bob.ours + "\n-------aaaa$\n")
		bob.response("aaaa", frame.StatusForbidden)
		alice.silent()
	})
}

// RFC 4976 section 6.3: what a relay has got that has proved its name is good on all its connections.
func TestURIOfARelayOutlivesItsConnection(t *testing.T) {
	for _, proved := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.relay("extra.example.com", relay.Config{Listen: []string{"tls::2855"}, TLS: w.tls("extra.example.com")})
			// The first relay is by hand, and has alice behind it.
			own := w.tls("intra.example.com")
			if !proved {
				own = nil
			}
			l := w.listen("intra.example.com")
			intra := w.dialTLS("intra.example.com", "extra.example.com", ":2855", own)
			intra.ours = "msrps://intra.example.com:2855/i1;tcp msrps://alice.invalid:2855/a;tcp"
			path := strings.Fields(intra.auth("alice", "msrps://extra.example.com;tcp"))
			if len(path) != 2 || path[0] != "msrps://intra.example.com:2855/i1;tcp" {
				t.Fatalf("Use-Path is %q", path)
			}
			intra.nc.Close()
			synctest.Wait()

			again := w.dialTLS("intra.example.com", "extra.example.com", ":2855", own)
			again.write(send("aaaa", path[1]+" msrps://bob:2855/b;tcp", intra.ours, "Failure-Report: partial\n", "hi"))
			bob := w.dialTLS("bob", "extra.example.com", ":2855", nil)
			if !proved {
				again.response("aaaa", frame.StatusNoSession)
				bob.write(send("aaaa", path[1]+" "+intra.ours, bob.ours, "", "hi"))
				bob.response("aaaa", frame.StatusNoSession)
				return
			}
			go func() { // ends with the listener
				for {
					nc, err := l.Accept()
					if err != nil {
						return
					}
					defer nc.Close() // so that what is for the relay waits
				}
			}()
			if g := again.read(); g.Report != frame.StatusTimeout && g.Status != frame.StatusTimeout {
				t.Errorf("intra got %+v, want 408 of a message that was forwarded", g.Head)
			}
			bob.write(send("aaaa", path[1]+" "+intra.ours, bob.ours, "", "hi"))
			if g := bob.read(); g.Status != frame.StatusOK {
				t.Errorf("bob got %v, want 200: the relay is there", g)
			}
		})
	}
}

// A relay that has proved its name speaks for many clients, of whom none renews the URI of another.
func TestNobodyRenewsTheURIOfAnotherBehindOneRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay("extra.example.com", relay.Config{Listen: []string{"tls::2855"}, TLS: w.tls("extra.example.com")})
		intra := w.dialTLS("intra.example.com", "extra.example.com", ":2855", w.tls("intra.example.com"))
		intra.ours = "msrps://intra.example.com:2855/i1;tcp msrps://alice.invalid:2855/a;tcp"
		path := strings.Fields(intra.auth("alice", "msrps://extra.example.com;tcp"))
		if g := intra.tryAuth("bob", users["bob"], path[1]); g.Status != frame.StatusForbidden {
			t.Errorf("AUTH of bob for the URI of alice: %v, want 403", g)
		}
		if again := strings.Fields(intra.auth("alice", path[1])); len(again) != 2 || again[1] != path[1] {
			t.Errorf("Use-Path of alice is %q, want %q", again, path)
		}
	})
}

// Two relays by TLS: a name that is not in the certificate is no hop (RFC 4976 section 9.2).
func TestRelaysVerifyEachOther(t *testing.T) {
	for _, name := range []string{"b.example.net", "other.example.net"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.relay("a.example.org", relay.Config{Listen: []string{"tls::2855"}, TLS: w.tls("a.example.org")})
			w.relay("b.example.net", relay.Config{Listen: []string{"tls::2855"}, TLS: w.tls("b.example.net")})
			w.host("other.example.net")
			w.names["other.example.net"] = w.names["b.example.net"]
			alice := w.dialTLS("alice", "a.example.org", ":2855", nil)
			a := alice.auth("alice", "msrps://a.example.org;tcp")
			bob := w.dialTLS("bob", "b.example.net", ":2855", nil)
			b := bob.auth("bob", "msrps://b.example.net;tcp")
			b = strings.Replace(b, "b.example.net", name, 1)
			alice.write(send("aaaa", a+" "+b+" "+bob.ours, alice.ours, "Failure-Report: partial\n", "hi"))
			if name == "b.example.net" {
				if g := bob.read(); g.body != "hi" {
					t.Errorf("bob got %+v", g)
				}
				return
			}
			if g := alice.read(); g.Status != frame.StatusTimeout && g.Report != frame.StatusTimeout {
				t.Errorf("alice got %+v, want 408", g)
			}
			bob.silent()
		})
	}
}

// RFC 4976 section 8: a relay without a port is one of _msrps._tcp, or at port 2855.
func TestRelayWithoutAPortIsLookedUp(t *testing.T) {
	for _, c := range []struct {
		name    string
		records []*net.SRV
		err     error
		host    string
		port    string
	}{
		{"by SRV", []*net.SRV{{Target: "server1.example.com.", Port: 9000}}, nil, "server1.example.com", ":9000"},
		{"the second of them", []*net.SRV{{Target: "gone.example.com.", Port: 1}, {Target: "server1.example.com.", Port: 9000}}, nil, "server1.example.com", ":9000"},
		{"without SRV", nil, &net.DNSError{IsNotFound: true}, "example.com", ":2855"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.host("gone.example.com")
				r := w.relay(example, relay.Config{})
				relay.SetLookupSRV(r, func(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
					if service != "msrps" || proto != "tcp" || name != "example.com" {
						t.Errorf("looked up _%s._%s.%s", service, proto, name)
					}
					return "", c.records, c.err
				})
				l, err := w.host(c.host).Listen(t.Context(), "tcp", c.port)
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				alice, a := w.client("alice", example)
				alice.write("MSRP aaaa AUTH\nTo-Path: " + a + " msrp://example.com;tcp\nFrom-Path: " + alice.ours + "\n-------aaaa$\n")
				next := w.accept(c.host, l)
				if g := next.read(); g.Method != frame.AUTH || g.To != "msrp://example.com;tcp" || g.From != a+" "+alice.ours {
					t.Errorf("the next relay got %+v", g.Head)
				}
			})
		})
	}
}
