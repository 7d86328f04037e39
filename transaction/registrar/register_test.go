package registrar

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
)

// RFC 3261 section 10.2.1: a binding is added, refreshed, listed and removed, and
// runs out.
func TestRegisterAndRefresh(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		s.expectTargets(aliceAOR)
		ok := s.phone.register(200, contact("<sip:alice@192.0.2.1>;expires=600"))
		expectContacts(t, ok, "<sip:alice@192.0.2.1>;expires=600")
		s.expectTargets(aliceAOR, "sip:alice@192.0.2.1")
		if header(ok, "Date") == "" {
			t.Error("no Date in the 200")
		}
		time.Sleep(400 * time.Second)
		expectContacts(t, s.phone.register(200, nil), "<sip:alice@192.0.2.1>;expires=199")
		expectContacts(t, s.phone.register(200, contact("<sip:alice@192.0.2.1>;expires=600")), "<sip:alice@192.0.2.1>;expires=600")
		time.Sleep(599 * time.Second)
		s.expectTargets(aliceAOR, "sip:alice@192.0.2.1")
		time.Sleep(2 * time.Second)
		s.expectTargets(aliceAOR)
		expectContacts(t, s.phone.register(200, nil))

		s.phone.register(200, contact("<sip:alice@192.0.2.1>"))
		expectContacts(t, s.phone.register(200, contact("<sip:alice@192.0.2.1>;expires=0")))
		s.expectTargets(aliceAOR)
	})
}

// RFC 3261 section 10.3 step 7: the expires parameter, then the Expires header
// field, then the default; no more than the most there is.
func TestExpiresFrom(t *testing.T) {
	story(t, &Config{DefaultExpires: 1200 * time.Second, MaxExpires: 2 * time.Hour}, func(t *testing.T, s *scene) {
		expectContacts(t, s.phone.register(200, contact(numbered(1)+";expires=300", numbered(2)), sip.Expires(400)),
			numbered(1)+";expires=300", numbered(2)+";expires=400")
		expectContacts(t, s.phone.register(200, contact(numbered(1), numbered(2)+";expires=1000000")),
			numbered(1)+";expires=1200", numbered(2)+";expires=7200")
		// Section 10.2.1.1: what cannot be read is an hour, what is too much the most.
		expectContacts(t, s.phone.register(200, contact(numbered(1)+";expires=soon", numbered(2)+";expires=4294967296")),
			numbered(1)+";expires=3600", numbered(2)+";expires=7200")
	})
}

// RFC 3261 section 10.3 step 7: too brief an interval gets 423, and nothing is
// changed; zero is none, and an hour is never too brief.
func TestIntervalTooBrief(t *testing.T) {
	story(t, &Config{MinExpires: 2 * time.Hour, MaxExpires: 3 * time.Hour}, func(t *testing.T, s *scene) {
		brief := s.phone.register(423, contact(numbered(1), numbered(2)+";expires=3599"))
		expectHeader(t, brief, "Min-Expires", "7200")
		s.expectTargets(aliceAOR)
		s.phone.register(200, contact(numbered(1)+";expires=3600"))
		s.phone.register(200, contact(numbered(1)+";expires=0"))
		s.expectTargets(aliceAOR)
	})
}

// Whatever of the three times is set, a client may ask again for what it was given.
func TestExpiresThatAreGivenMayBeAskedFor(t *testing.T) {
	for _, c := range []struct {
		cfg        Config
		asks, gets string // the Contact's expires
	}{
		{Config{DefaultExpires: 30 * time.Second}, "", ";expires=30"},
		{Config{MaxExpires: 30 * time.Second}, ";expires=3600", ";expires=30"},
		{Config{MaxExpires: 30 * time.Second}, "", ";expires=30"},
		{Config{MinExpires: 2 * time.Hour}, "", ";expires=7200"},
		{Config{MinExpires: 2 * time.Hour}, ";expires=7201", ";expires=7200"},
	} {
		story(t, &c.cfg, func(t *testing.T, s *scene) {
			expectContacts(t, s.phone.register(200, contact(numbered(1)+c.asks)), numbered(1)+c.gets)
			expectContacts(t, s.phone.register(200, contact(numbered(1)+c.gets)), numbered(1)+c.gets)
		})
	}
}

// RFC 3261 section 10.3 step 7: a REGISTER that is not newer than the binding
// fails as a whole. One of another Call-ID may change it.
func TestOrderOfCSeq(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		s.phone.seq = 9
		s.phone.register(200, contact("<sip:alice@192.0.2.1>;expires=600"))
		for _, seq := range []uint32{8, 9} {
			s.phone.seq = seq
			s.phone.register(500, contact("<sip:alice@192.0.2.1:5070>", "<sip:alice@192.0.2.1>;expires=0"))
			s.expectTargets(aliceAOR, "sip:alice@192.0.2.1")
		}
		s.phone.seq = 3
		s.phone.register(200, contact("<sip:alice@192.0.2.1:5080>;q=0.1")) // that one it has not changed
		s.phone.callID, s.phone.seq = "2@phone", 0
		s.phone.register(200, contact("<sip:alice@192.0.2.1>;expires=0"))
		s.expectTargets(aliceAOR, "sip:alice@192.0.2.1:5080")
	})
}

// RFC 3261 section 10.3 step 6: * removes all bindings, and stands alone, with
// Expires: 0.
func TestRemoveAll(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		s.phone.seq = 9
		s.phone.register(200, contact(numbered(1)))
		s.phone.callID = "2@phone"
		s.phone.register(200, contact(numbered(2)))

		s.phone.register(400, contact("*"))
		s.phone.register(400, contact("*"), sip.Expires(1))
		s.phone.register(400, contact("*", numbered(1)), sip.Expires(0))
		s.phone.register(400, contact(numbered(1), "*"), sip.Expires(0))
		s.phone.register(400, contact("*", "*"), sip.Expires(0))
		s.phone.callID, s.phone.seq = "1@phone", 9
		s.phone.register(500, contact("*"), sip.Expires(0)) // is not newer than one of the two
		if b, _ := s.location.Bindings(t.Context(), uri(t, aliceAOR)); len(b) != 2 {
			t.Errorf("%d bindings after what was refused, want 2", len(b))
		}
		expectContacts(t, s.phone.register(200, contact("*"), sip.Expires(0)))
		s.expectTargets(aliceAOR)
	})
}

// RFC 3261 section 10.3 steps 1, 2 and 5: domains, what is required, and the
// methods of section 8.2.1.
func TestRefusedBeforeContacts(t *testing.T) {
	exists := func(_ context.Context, aor sip.URI) (bool, error) { return aor.User == "alice", nil }
	story(t, &Config{Domains: []string{"Example.com."}, Exists: exists}, func(t *testing.T, s *scene) {
		refused := func(want sip.Status, change func(p *phone), edits ...sip.Edit) *sip.Response {
			t.Helper()
			p := *s.phone
			change(&p)
			return p.register(want, contact(numbered(1)), edits...)
		}
		refused(404, func(p *phone) { p.uri = "sip:192.0.2.10" })
		refused(404, func(p *phone) { p.to = "sip:alice@example.net" })
		refused(404, func(p *phone) { p.to = "tel:+1234" })
		refused(404, func(p *phone) { p.to = "sip:bob@example.com" })
		refused(404, func(p *phone) { p.to = "sip:alice%00@example.com" })
		resp := refused(420, func(*phone) {}, sip.Require{"path", "telepathy", "clairvoyance"})
		expectHeader(t, resp, "Unsupported", "telepathy, clairvoyance")
		refused(420, func(*phone) {}, sip.Require{"path", "outbound", "gruu", "pref"})
		refused(200, func(*phone) {}, sip.Require{"path", "Outbound", "gruu"})

		options := sip.NewRequest(sip.OPTIONS, uri(t, "sip:example.com"), sip.MaxForwards(70), sip.From{URI: uri(t, aliceAOR), Params: ";tag=1"},
			sip.To{URI: uri(t, aliceAOR)}, sip.CallID("3"), sip.CSeq{Seq: 1, Method: sip.OPTIONS})
		if resp := s.phone.ask(options); resp.Status() != 405 || header(resp, "Allow") != "REGISTER" {
			t.Errorf("OPTIONS got %v, Allow: %s", resp.Status(), header(resp, "Allow"))
		}
		s.expectNone("sip:bob@example.com")
		s.expectNone("sip:alice@example.net")
	})
}

// RFC 3261 section 10.3 step 5: one address-of-record has many spellings.
func TestSpellingsOfAnAddressOfRecord(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		for i, to := range []string{
			"sip:al%69ce@example.com", "sip:alice@EXAMPLE.com", "sips:alice@example.com", "sip:alice@example.com:5060",
			"sip:alice@example.com.", "sip:alice:secret@example.com;user=phone;x=1?Subject=hi",
		} {
			s.phone.to = to
			s.phone.register(200, contact(numbered(i)))
		}
		if b, _ := s.location.Bindings(t.Context(), uri(t, "sip:%61lice@example.com;transport=tcp")); len(b) != 6 {
			t.Errorf("%d bindings, want 6", len(b))
		}
		s.expectTargets("sip:ALICE@example.com") // a user has case
	})
}

// Every spelling of a user has one key, and no two users have the same.
func TestKeys(t *testing.T) {
	for _, c := range []struct{ uri, key string }{
		{"sip:alice@example.com", "alice@example.com"},
		{"sip:a%40b@example.com", "a%40b@example.com"},
		{"sip:a%25b@example.com", "a%25b@example.com"},
		{"sip:%7ea@example.com", "~a@example.com"},
		{"sip:+1-2(3)@example.com", "+1-2(3)@example.com"},
		{"sip:%c3%a4@example.com", "%C3%A4@example.com"},
		{"sip:example.com", "example.com"},
		{"sip:a@[2001:DB8:0::1]:5060", "a@[2001:db8::1]"},
	} {
		if got, ok := aorKey(uri(t, c.uri)); !ok || got != c.key {
			t.Errorf("aorKey(%s) = %q, %v, want %q", c.uri, got, ok, c.key)
		}
		if back, ok := aorKey(aorURI(c.key, "sips")); !ok || back != c.key {
			t.Errorf("the key %q comes back as %q, %v", c.key, back, ok)
		}
	}
	for _, none := range []string{"tel:+1", "mailto:a@b", "sip:a%00@b", "sip:a%0d%0A@b", "sip:" + strings.Repeat("a", 512) + "@b"} {
		if got, ok := aorKey(uri(t, none)); ok {
			t.Errorf("aorKey(%.40s) = %.40q, want none", none, got)
		}
	}
}

// secrets is a digest server that knows alice and carol@example.com.
func secrets(t testing.TB) *digest.Server {
	t.Helper()
	users, err := digest.NewServer(digest.ServerConfig{
		Realm: "example.com", Nonces: 1000,
		Password: func(_ context.Context, user string) (string, error) {
			switch user {
			case "alice", "carol@example.com", "Dave@EXAMPLE.com.", "admin":
				return "secret", nil
			case "broken":
				return "", errors.New("no database")
			}
			return "", digest.ErrUnknownUser
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return users
}

// RFC 3261 section 10.3 steps 3 and 4: passwords, and for whom they are good.
func TestAuthentication(t *testing.T) {
	third := func(user string, aor sip.URI) bool { return user == "admin" && aor.User != "root" }
	story(t, &Config{Users: secrets(t), ThirdParty: third, Domains: []string{"example.com", "example.net"}}, func(t *testing.T, s *scene) {
		as := func(user, password, to string) sip.Status {
			t.Helper()
			s.phone.to = to
			client := digest.NewClient(digest.Credentials{Username: user, Password: password})
			resp := s.phone.register(401, contact(numbered(1)))
			again, err := client.Authorize(s.phone.request(contact(numbered(1))), resp)
			if err != nil {
				t.Fatal(err)
			}
			return s.phone.ask(again).Status()
		}
		for _, c := range []struct {
			user, password, to string
			want               sip.Status
		}{
			{"alice", "guess", aliceAOR, 401},
			{"mallory", "secret", aliceAOR, 401},
			{"broken", "secret", aliceAOR, 500},
			{"alice", "secret", "sip:bob@example.com", 403},
			{"alice", "secret", "sip:Alice@example.com", 403},
			{"alice", "secret", "sip:example.com", 403},
			{"alice", "secret", "sip:alice@example.org", 404},
			{"alice", "secret", "sip:%61lice@example.com", 200},
			{"alice", "secret", "sip:alice@example.net", 200},
			{"carol@example.com", "secret", "sip:carol@Example.com", 200},
			{"carol@example.com", "secret", "sip:carol@example.net", 403},
			{"Dave@EXAMPLE.com.", "secret", "sip:Dave@example.com", 200},
			{"Dave@EXAMPLE.com.", "secret", "sip:dave@example.com", 403},
			{"carol@example.com", "secret", "sip:carol%40example.com@example.net", 403},
			{"carol@example.com", "secret", "sip:carol%40example.com@example.com", 403},
			{"admin", "secret", "sip:bob@example.com", 200},
			{"admin", "secret", "sip:root@example.com", 403},
		} {
			if got := as(c.user, c.password, c.to); got != c.want {
				t.Errorf("%s with %q for %s got %v, want %v", c.user, c.password, c.to, got, c.want)
			}
		}
	})
}

// An Authorization that was overheard is good for nothing, if digest has Nonces:
// what it signs is not the Contact (RFC 3261 section 22.4).
func TestCopiedAuthorization(t *testing.T) {
	story(t, &Config{Users: secrets(t)}, func(t *testing.T, s *scene) {
		client := digest.NewClient(digest.Credentials{Username: "alice", Password: "secret"})
		signed, err := client.Authorize(s.phone.request(contact(numbered(1))), s.phone.register(401, contact(numbered(1))))
		if err != nil {
			t.Fatal(err)
		}
		if resp := s.phone.ask(signed); resp.Status() != sip.StatusOK {
			t.Fatalf("alice got %v", resp.Status())
		}
		thief := newPhone(t, s.n.Host("192.0.2.66"))
		thief.callID = "thief"
		thief.register(401, contact("<sip:thief@192.0.2.66>"), sip.Field{Name: "Authorization", Value: header(signed, "Authorization")})
		s.expectTargets(aliceAOR, "sip:alice@192.0.2.1:6001")
	})
}

// RFC 3261 section 10.3 step 7: bindings are compared by the rules of section
// 19.1.4; parameters are kept as they were (RFC 3840 section 9).
func TestComparisonOfContacts(t *testing.T) {
	const features = `;q=0.5;audio;methods="INVITE,BYE";description="<a b>";+sip.x="#=1"`
	story(t, nil, func(t *testing.T, s *scene) {
		s.phone.register(200, contact(`"Al" <sip:alice@192.0.2.1;x=1>`+features+";expires=100"))
		resp := s.phone.register(200, contact("<sip:%61lice@192.0.2.1;y=2>"+features))
		expectContacts(t, resp, "<sip:%61lice@192.0.2.1;y=2>"+features+";expires=3600")
		s.phone.register(200, contact("<sip:alice@192.0.2.1;transport=tcp>"))
		s.expectTargets(aliceAOR, "sip:alice@192.0.2.1;transport=tcp", "sip:%61lice@192.0.2.1;y=2") // by q
		// Twice in one REGISTER: the last one counts.
		s.phone.register(200, contact("*"), sip.Expires(0))
		resp = s.phone.register(200, contact("<sip:alice@192.0.2.1>;expires=100", "<sip:alice@192.0.2.1>;expires=200"))
		expectContacts(t, resp, "<sip:alice@192.0.2.1>;expires=200")
	})
}

// The bindings of a user are bounded: the one that was not refreshed for the
// longest time gives way, and who asks for too many at once gets none.
func TestMaxBindings(t *testing.T) {
	story(t, &Config{MaxBindings: 3}, func(t *testing.T, s *scene) {
		for i := range 3 {
			s.phone.register(200, contact(numbered(i)))
			time.Sleep(time.Second)
		}
		s.phone.register(200, contact(numbered(0)))
		time.Sleep(time.Second)
		s.phone.register(200, contact(numbered(3)))
		s.expectTargets(aliceAOR, "sip:alice@192.0.2.1:6003", "sip:alice@192.0.2.1:6000", "sip:alice@192.0.2.1:6002")
		s.phone.register(403, contact(numbered(4), numbered(5), numbered(6), numbered(7)))
		s.expectTargets(aliceAOR, "sip:alice@192.0.2.1:6003", "sip:alice@192.0.2.1:6000", "sip:alice@192.0.2.1:6002")
	})
}

// A line has an end, and who gives up leaves it.
func TestLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lines
		leave, err := l.enter(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var gaveUp atomic.Int64
		for range maxLine - 1 {
			wg.Go(func() { // ends with ctx
				if _, err := l.enter(ctx, "a"); errors.Is(err, context.Canceled) {
					gaveUp.Add(1)
				}
			})
		}
		synctest.Wait()
		if _, err := l.enter(t.Context(), "a"); !errors.Is(err, errLine) {
			t.Errorf("enter() = %v, want errLine", err)
		}
		other, err := l.enter(t.Context(), "b")
		if err != nil {
			t.Fatal(err)
		}
		other()
		cancel()
		wg.Wait()
		leave()
		if n := gaveUp.Load(); n != maxLine-1 || len(l.of) != 0 {
			t.Errorf("%d of %d gave up, %d lines are left", n, maxLine-1, len(l.of))
		}
		again, err := l.enter(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		again()
	})
}

// A registrar without options serves any host, whose users are its own.
func TestWithoutConfig(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		s.location = must(New(nil))
		s.phone.register(200, contact(numbered(1)))
		s.expectTargets(aliceAOR, "sip:alice@192.0.2.1:6001")
		s.phone.to = "sip:alice@example.net"
		s.phone.register(404, contact(numbered(1)))
	})
}
