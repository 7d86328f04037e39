package transport

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip/siptest"
)

// A peer asks for the alias of a connection that it has made. One that we have
// made and given up does not come back because the peer asks for its alias.
func TestAliasOnAConnectionOfOurOwn(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		bob := s.acceptTLS(s.bob, bobTLS, identified(authority, "example.com"))
		alice := s.listen(&Config{Network: s.alice, Listen: []string{}, TLS: identified(authority)})
		first := s.sendTo(alice, "example.com", "TLS", bobTLS)
		alice.Retire(first)
		bob.ends()[0].conn.Write([]byte(message(options, "Via: SIP/2.0/TLS 192.0.2.2:5061;branch=z9hG4bK1;alias")))
		if in := s.one(alice); in.Flow != first {
			t.Fatalf("the request came by %v, want %v", in.Flow, first)
		}
		if second := s.sendTo(alice, "example.com", "TLS", bobTLS); second == first {
			t.Errorf("a request takes %v, which was retired", second)
		}
	})
}

// A certificate may name a thousand domains. The connection to its bearer is
// found by the first sixteen of them, which is what it costs in memory; a request
// to the next takes a connection of its own. So it is with the alias of one that
// the peer has made.
func TestNamesThatAConnectionIsFoundBy(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		var names []string
		for i := range 20 {
			names = append(names, fmt.Sprintf("n%d.example", i))
		}
		bob := s.listenTLS(s.bob, identified(authority, names...), nil)
		alice := s.listenTLS(s.alice, identified(authority, names...), nil)
		first := s.sendTo(alice, "n0.example", "TLS", bobTLS)
		if got := s.sendTo(alice, "n15.example", "TLS", bobTLS); got != first {
			t.Errorf("the 16th name takes %v, want %v", got, first)
		}
		synctest.Wait()
		if here, there := len(alice.conns), len(bob.conns); here != 16 || there != 16 {
			t.Errorf("it is found by %d keys here and %d there, want 16", here, there)
		}
		if got := s.sendTo(alice, "n16.example", "TLS", bobTLS); got == first {
			t.Errorf("the 17th name takes %v too", got)
		}
		bob.Close()
		s.tables(alice, 0, 0)
	})
}

// A connection that ends as soon as it is there is not found by who looks for
// one a moment later.
func TestConnectionThatEndsBeforeItIsListed(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		near, far := net.Pipe()
		c := newConn(e.Endpoint, viaTCP, &socket{Conn: renamed{far, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(bobAddr)), net.TCPAddrFromAddrPort(netip.MustParseAddrPort(aliceAddr))}})
		c.wire = &stream{nc: c.sock}
		key := keyOf(target("TCP", aliceAddr))
		entry := &connEntry{ready: make(chan struct{}), conn: c}
		e.Endpoint.mu.Lock()
		e.conns[key] = entry
		e.Endpoint.mu.Unlock()
		if !e.startConn(c) {
			t.Fatal("the endpoint is closed")
		}
		near.Close()
		synctest.Wait()
		e.publish(c, key)
		close(entry.ready)
		s.tables(e, 0, 0)
	})
}

// While we connect to a server, somebody comes from its very address and port, as
// a neighbour behind the same NAT may. Those who wait for the server get it, and
// so does who comes later.
func TestAcceptedConnectionDoesNotReplaceADial(t *testing.T) {
	play(t, &siptest.NetworkConfig{Delay: time.Second}, func(s *scene) {
		e := s.listen(nil)
		server := s.accept(s.alice, aliceAddr)
		flows := make(chan Flow)
		send := func() { // ends when the connection is there
			flow, _, err := e.SendRequest(background, outgoing(t), target("TCP", aliceAddr), "z9hG4bK1")
			if err != nil {
				t.Error(err)
			}
			flows <- flow
		}
		go send()
		synctest.Wait()
		near, far := net.Pipe()
		defer near.Close()
		take(e.Endpoint, renamed{far, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(bobAddr)), net.TCPAddrFromAddrPort(netip.MustParseAddrPort(aliceAddr))})
		go send()
		first, second := <-flows, <-flows
		if third := s.sendTo(e, "", "TCP", aliceAddr); first != second || first != third {
			t.Errorf("requests take %p, %p and %p, want one connection", first.via, second.via, third.via)
		}
		s.wait(5 * time.Second)
		if got := server.all(); len(got) != 1 || len(got[0].receive()) < 3*len(options) {
			t.Error("the server has not got the three requests")
		}
	})
}
