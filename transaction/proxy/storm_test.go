package proxy

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// inward counts the INVITEs that were sent to hosts.
func (s *scene) inward(hosts ...string) (n int) {
	s.Helper()
	for _, host := range hosts {
		for _, p := range s.net.Packets() {
			if p.To.Addr().String() == host && strings.HasPrefix(string(p.Data), "INVITE ") {
				n++
			}
		}
	}
	return n
}

// bounce forwards to a user at a host in so many ways of writing it.
func bounce(user, host string, ways int) func(*Server, *sip.Request) {
	return func(tx *Server, req *sip.Request) {
		var targets []Target
		for i := range ways {
			to := Target{URI: uri(fmt.Sprintf("sip:%s@%s;n=%d", user, host, i))}
			to.Q = float64(i % 3) // some of them in series
			targets = append(targets, to)
		}
		tx.Forward(req, targets...)
	}
}

// Bob's ten Contacts are Alice, and hers are Bob, each written in another way: no
// request comes by as it has before, and there are more ways to go than there is
// time for (RFC 5393 section 3). Max-Breadth only has them wait for one another. What
// comes back makes so many branches, and all others are refused.
func TestStormOfSpirals(t *testing.T) {
	const contacts = 10
	play(t, func(s *scene) {
		toBob, toAlice := bounce("bob", proxyAddr, contacts), bounce("alice", proxyAddr, contacts)
		s.proxy(proxyAddr, &Config{Handler: func(tx *Server, req *sip.Request) {
			if req.URI().User == "bob" {
				toAlice(tx, req)
			} else {
				toBob(tx, req)
			}
		}})
		s.expect(s.ua(aliceAddr, nil), request(sip.INVITE, "sip:bob@"+proxyAddr), "482")
		if got, want := s.inward(proxyAddr), 1+contacts+spiralsPerBreadth*60; got > want {
			s.Errorf("%d INVITEs, want %d at most", got, want)
		}
		if took := time.Since(s.start); took > time.Minute {
			s.Errorf("that took %v", took)
		}
	})
}

// The same over two hosts: to each the first requests are new, and there are as
// many as Contacts by Contacts.
func TestStormBetweenHosts(t *testing.T) {
	const contacts, other = 10, "192.0.2.4"
	play(t, func(s *scene) {
		s.proxy(proxyAddr, &Config{Handler: bounce("alice", other, contacts)})
		s.proxy(other, &Config{Handler: bounce("bob", proxyAddr, contacts)})
		s.expect(s.ua(aliceAddr, nil), request(sip.INVITE, "sip:bob@"+proxyAddr), "482")
		if got, most := s.inward(proxyAddr, other), 1+contacts+contacts*contacts+2*spiralsPerBreadth*60; got > most {
			s.Errorf("%d INVITEs, want %d at most", got, most)
		}
	})
}

// Spirals that are meant: twenty users forward to the next one each, and the last
// is a group of twenty more, who have a phone each (RFC 3261 section 16.3).
func TestSpiralsThatAreMeant(t *testing.T) {
	play(t, func(s *scene) {
		phone := func(i int) Target { return Target{URI: uri(fmt.Sprintf("sip:phone%d@%s", i, bobAddr))} }
		s.proxy(proxyAddr, &Config{Domains: []string{proxyAddr}, RecordRoute: true, Handler: func(tx *Server, req *sip.Request) {
			user := req.URI().User
			n, _ := strconv.Atoi(strings.TrimLeft(user, "usermb"))
			switch {
			case tx.Routed():
				tx.Relay(req)
			case strings.HasPrefix(user, "member"):
				tx.Forward(req, phone(n))
			case n < 20:
				tx.Forward(req, at(fmt.Sprintf("sip:user%d@%s", n+1, proxyAddr))...)
			default:
				var members []Target
				for i := range 20 {
					members = append(members, at(fmt.Sprintf("sip:member%d@%s", i, proxyAddr))...)
				}
				tx.Forward(req, members...)
			}
		}})
		rang := 0
		s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) {
			s.mu.Lock()
			rang++
			s.mu.Unlock()
			if req.URI().User != "phone7" {
				tx.Reply(sip.StatusBusyHere)
				return
			}
			<-time.After(time.Second)
			tx.Reply(sip.StatusOK, sip.Contact{URI: phone(7).URI})
		})
		s.expect(s.ua(aliceAddr, nil), request(sip.INVITE, "sip:user1@"+proxyAddr), "200")
		if rang != 20 {
			s.Errorf("%d phones rang, want 20", rang)
		}
	})
}

// What is left of the bound of one request is nobody else's, grows again, and is
// forgotten with the oldest when there are too many.
func TestSpirals(t *testing.T) {
	var s spirals
	s.init(2)
	now := time.Unix(1e9, 0)
	taken := func(request uint64) (n int) {
		for s.take(request, now) {
			n++
		}
		return n
	}
	one, two := s.of(request(sip.INVITE, aor)), s.of(request(sip.INVITE, aor, sip.CallID("2")))
	if again := s.of(request(sip.INVITE, "sip:carol@example.com", sip.MaxForwards(3))); again != one || one == two {
		t.Errorf("of() = %x, %x and %x for another", one, again, two)
	}
	if got := taken(one); got != 10 {
		t.Errorf("%d branches, want 10", got)
	}
	if got := taken(two); got != 10 {
		t.Errorf("%d branches of the other one, want 10", got)
	}
	now = now.Add(3 * time.Second)
	if got := taken(one); got != 3 {
		t.Errorf("%d more after 3 s, want 3", got)
	}
	for i := range uint64(3 * maxSpirals) {
		s.take(i+1, now)
		if n := len(s.now) + len(s.before); n > maxSpirals {
			t.Fatalf("%d requests are remembered, want %d at most", n, maxSpirals)
		}
	}
}
