package registrar

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction/proxy"
	"github.com/goparley/parley/ua"
)

// user registers Contacts of one user, with another Call-ID for each.
func (s *scene) user(name string, contacts ...string) {
	s.Helper()
	s.phone.to, s.phone.callID = "sip:"+name+"@example.com", name+"@phone"
	s.phone.register(200, contacts)
}

// Who is forwarded to a colleague is where that one is: after the own phones with a
// higher q and before those with a lower one, the colleague's in the order of
// their own.
func TestTargetsOfAColleague(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		s.user("bob", "<sip:bob@192.0.2.1:1>;q=0.2", "<sip:bob@192.0.2.1:2>;q=0.9", "<mailto:bob@example.com>")
		s.user("alice", "<sip:alice@192.0.2.1:3>;q=0.5", "<sip:bob@example.com>;q=0.4", "<sip:alice@192.0.2.1:4>;q=0.4", "<sip:alice@192.0.2.1:5>;q=0.399")
		targets := s.expectTargets(aliceAOR, "sip:alice@192.0.2.1:3", "sip:alice@192.0.2.1:4", "sip:bob@192.0.2.1:2", "sip:bob@192.0.2.1:1", "sip:alice@192.0.2.1:5")
		for i := range targets[1:] {
			if targets[i].Q <= targets[i+1].Q {
				t.Errorf("q of %v is %v, and of the next %v", targets[i].URI, targets[i].Q, targets[i+1].Q)
			}
		}
		if targets[0].Q != 0.5 || targets[1].Q != 0.4 {
			t.Errorf("q = %v and %v of the own phones, want those of their Contacts", targets[0].Q, targets[1].Q)
		}

		// With the highest q there, both ring at once.
		s.user("bob", "<sip:bob@192.0.2.1:2>;q=1.0")
		if targets, _ := s.location.Lookup(t.Context(), uri(t, aliceAOR)); targets[1].Q != targets[2].Q {
			t.Errorf("q = %v and %v, want the same", targets[1].Q, targets[2].Q)
		}

		// A forward is a binding as others are to who asks for them.
		if b, err := s.location.Bindings(t.Context(), uri(t, aliceAOR)); err != nil || len(b) != 4 {
			t.Errorf("%d bindings, %v, want 4", len(b), err)
		}
	})
}

// A colleague behind a NAT, or at another node, is reached by the Path that the
// colleague has. That of who is forwarded leads elsewhere.
func TestPathOfAColleague(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		s.phone.to = "sip:bob@example.com"
		s.phone.register(200, contact("<sip:bob@10.0.0.2>"), behind(), twoProxies(t), knows("path"))
		s.phone.to, s.phone.callID = aliceAOR, "2"
		s.phone.byTCP().register(200, contact("<sip:bob@example.com>"))
		target := s.expectTargets(aliceAOR, "sip:bob@10.0.0.2")[0]
		if got := string(sip.List(target.Route...).AppendValue(nil)); got != twoProxiesText {
			t.Errorf("Route: %s, want %s", got, twoProxiesText)
		}
	})
}

// Forwards that go in a circle, or on and on, come to an end, and no user is there
// twice.
func TestForwardsInACircle(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		s.user("alice", "<sip:bob@example.com>;q=0.5", numbered(1))
		s.user("bob", "<sip:carol@example.com>", "<sip:bob@192.0.2.1>")
		s.user("carol", "<sip:alice@example.com;x=1>", "<sip:carol@192.0.2.1>;q=0.7")
		s.expectTargets(aliceAOR, "sip:alice@192.0.2.1:6001", "sip:bob@192.0.2.1", "sip:carol@192.0.2.1")
		s.expectTargets("sip:carol@example.com", "sip:alice@192.0.2.1:6001", "sip:bob@192.0.2.1", "sip:carol@192.0.2.1")

		// However far it is to a user, her phones keep their order.
		for i := range maxUsers - 1 {
			s.user(fmt.Sprint("v", i), fmt.Sprintf("<sip:v%d@example.com>", i+1))
		}
		s.user(fmt.Sprint("v", maxUsers-1), "<sip:v@192.0.2.1:1>;q=0.5", "<sip:v@192.0.2.1:2>;q=1.0")
		far := s.expectTargets("sip:v0@example.com", "sip:v@192.0.2.1:2", "sip:v@192.0.2.1:1")
		if far[0].Q <= far[1].Q || far[1].Q <= 0.999 {
			t.Errorf("q = %v and %v, want two that differ, above 0.999", far[0].Q, far[1].Q)
		}

		for i := range 20 {
			s.user(fmt.Sprint("u", i), fmt.Sprintf("<sip:u%d@example.com>", i+1), fmt.Sprintf("<sip:u@192.0.2.1:%d>", 100+i))
		}
		if targets, err := s.location.Lookup(t.Context(), uri(t, "sip:u0@example.com")); err != nil || len(targets) != maxUsers {
			t.Errorf("%d targets, %v, want %d", len(targets), err, maxUsers)
		}
	})
}

// Where the domain is an address, a Contact with a port of ours is a colleague also to
// the next run, and to other nodes, which know of no socket with that port. With
// another port it is a phone on our machine, and stays so.
func TestColleagueAtAnAddress(t *testing.T) {
	store := NewMemory(nil)
	cfg := &Config{Store: store, Domains: []string{registrarAddr}, Logger: quiet}
	story(t, cfg, func(t *testing.T, s *scene) {
		s.phone.uri = "sip:" + registrarAddr
		put := func(user string, contacts ...string) {
			t.Helper()
			s.phone.to, s.phone.callID = "sip:"+user+"@"+registrarAddr, user
			s.phone.register(200, contacts, through(t, registrarAddr))
		}
		put("bob", "<sip:bob@192.0.2.77>")
		put("alice", "<sip:bob@192.0.2.10:5060>;q=0.5", "<sip:alice@192.0.2.10:5062>;q=0.7")
		want := []string{"sip:alice@192.0.2.10:5062", "sip:bob@192.0.2.77"}
		expectTargets(t, s.location, "sip:alice@192.0.2.10", want...)
		expectTargets(t, must(New(cfg)), "sip:alice@192.0.2.10", want...)
	})
}

// However many phones each of them has, the targets have an end.
func TestTooManyTargets(t *testing.T) {
	story(t, &Config{MaxBindings: 100}, func(t *testing.T, s *scene) {
		for i := range 3 {
			list := []string{fmt.Sprintf("<sip:u%d@example.com>", i+1)}
			for j := range 50 {
				list = append(list, fmt.Sprintf("<sip:u@192.0.2.1:%d>", 1+100*i+j))
			}
			s.user(fmt.Sprint("u", i), strings.Join(list, ", "))
		}
		if targets, err := s.location.Lookup(t.Context(), uri(t, "sip:u0@example.com")); err != nil || len(targets) != maxTargets {
			t.Errorf("%d targets, %v, want %d", len(targets), err, maxTargets)
		}
	})
}

// What is secure stays so: to a sips Contact of a colleague what that one has
// registered with sips counts, and nothing else.
func TestSIPSColleague(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		put := func(key string, contacts ...string) {
			var list []Binding
			for _, text := range contacts {
				c, err := sip.Contact{}.ParseValue(text)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, Binding{Contact: c, Expires: time.Now().Add(time.Hour)})
			}
			if err := s.location.store.CompareAndSet(t.Context(), key, 0, encode(list), time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		put("alice@example.com", "<sips:bob@example.com>")
		put("dave@example.com", "<sip:bob@example.com>")
		put("bob@example.com", "<sip:bob@192.0.2.1>", "<sips:bob@192.0.2.2>")
		s.expectTargets("sips:alice@example.com", "sips:bob@192.0.2.2")
		s.expectTargets("sip:alice@example.com", "sip:bob@192.0.2.2;transport=tls")
		s.expectTargets("sips:dave@example.com")
		s.expectTargets("sip:dave@example.com", "sip:bob@192.0.2.1", "sip:bob@192.0.2.2;transport=tls")
	})
}

// A client that is connected and has the domain in its Contact is reached by its
// connection, unless the Contact is of somebody who is registered; with outbound,
// always.
func TestContactInOurDomainByAFlow(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		s.user("u7", numbered(7))
		s.phone.byTCP()
		s.user("alice", "<sip:x1y2@example.com;transport=tcp>")
		if targets := s.expectTargets(aliceAOR, "sip:x1y2@example.com;transport=tcp"); len(targets) > 0 && len(targets[0].Route) != 1 {
			t.Errorf("Route = %v, want the flow", targets[0].Route)
		}
		s.phone.register(200, contact("*"), sip.Expires(0))
		s.phone.register(200, contact("<sip:u7@example.com;transport=tcp>;reg-id=1;"+instanceOne), knows("outbound"))
		s.expectTargets(aliceAOR, "sip:u7@example.com;transport=tcp")
	})
}

// A colleague who does not exist is no target. A Store that fails for the
// colleague has failed.
func TestNoSuchColleague(t *testing.T) {
	fault := errors.New("out of order")
	known := func(_ context.Context, aor sip.URI) (bool, error) {
		if aor.User == "broken" {
			return false, fault
		}
		return aor.User == "alice", nil
	}
	story(t, &Config{Exists: known}, func(t *testing.T, s *scene) {
		s.user("alice", numbered(1), "<sip:nobody@example.com>")
		s.expectTargets(aliceAOR, "sip:alice@192.0.2.1:6001")
		s.user("alice", "<sip:nobody@example.com>;expires=0", "<sip:broken@example.com>")
		if targets, err := s.location.Lookup(t.Context(), uri(t, aliceAOR)); !errors.Is(err, fault) {
			t.Errorf("Lookup() = %v, %v, want %v", targets, err, fault)
		}
	})
}

// Bob is forwarded to Carol, and Alice calls Bob: she is asked for her password
// once, and Carol answers.
func TestCallToAColleagueWithPasswords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		users, err := digest.NewServer(digest.ServerConfig{
			Realm: "example.com", Nonces: 1000,
			Password: digest.Passwords(map[string]string{"alice": "secret", "bob": "secret", "carol": "secret"}),
		})
		if err != nil {
			t.Fatal(err)
		}
		location := must(New(&Config{Domains: []string{"example.com"}, Users: users, Logger: quiet}))
		seen := 0
		p, err := proxy.Listen(&transport.Config{
			Listen: []string{"udp:" + nodeA + ":5060"}, Network: n.Host(nodeA), Resolver: names{}, Logger: quiet,
		}, &proxy.Config{Domains: []string{"example.com"}, RecordRoute: true, Handler: func(tx *proxy.Server, req *sip.Request) {
			if tx.Local() && req.Method() == sip.REGISTER {
				location.Register(tx.Server, req)
				return
			}
			switch req, _ := location.Authenticate(tx, req); {
			case req == nil:
			case tx.Local():
				seen++
				location.Forward(tx, req)
			default:
				tx.Relay(req)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		var agents []*ua.Agent
		for i, name := range []string{"alice", "carol"} {
			at := fmt.Sprintf("192.0.2.%d", 1+i)
			agents = append(agents, agent(t, n.Host(at), name, "sip:"+nodeA, "udp:"+at+":5060"))
		}
		bob := newPhone(t, n.Host("192.0.2.5"))
		bob.to, bob.callID, bob.user = "sip:bob@example.com", "bob", "bob"
		bob.withPassword(contact("<sip:carol@example.com>"), through(t, nodeA))
		call(t, agents[0], "sip:bob@example.com")
		if seen != 1 {
			t.Errorf("the proxy had %d requests to send on, want the INVITE", seen)
		}
	})
}
