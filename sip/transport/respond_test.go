package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
)

// ok answers every request.
func ok(e **inbox) func(*Inbound) {
	return func(in *Inbound) {
		if r, isRequest := in.Message.(*sip.Request); isRequest {
			(*e).Respond(in, r.Reply(sip.StatusOK))
		}
	}
}

// RFC 3581 section 4: with rport the response goes to the source port, from the
// port that the request came in on.
func TestRespondRport(t *testing.T) {
	play(t, nil, func(s *scene) {
		var e *inbox
		e = s.listen(&Config{Handle: ok(&e)})
		phone, sentBy := s.peerSocket(s.alice, "192.0.2.1:4540"), s.peerSocket(s.alice, aliceAddr)
		phone.send(message(options, "Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK1"), bobAddr)
		text, from := phone.receive()
		s.contains(text, "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;rport=4540;branch=z9hG4bK1;received=192.0.2.1\r\n")
		if from != bobAddr {
			t.Errorf("the response came from %s, want %s", from, bobAddr)
		}
		if text, _ := sentBy.receive(); text != "" {
			t.Errorf("%q went to the sent-by, want nothing", text)
		}
		s.stats(e, Stats{Received: 1, Sent: 1})
	})
}

// RFC 3261 section 18.2.2: without rport the response goes to the source
// address, and there to the port of the sent-by, 5060 if it has none.
func TestRespondSentByPort(t *testing.T) {
	play(t, nil, func(s *scene) {
		var e *inbox
		e = s.listen(&Config{Handle: ok(&e)})
		source := s.peerSocket(s.alice, "192.0.2.1:40000")
		named, standard := s.peerSocket(s.alice, "192.0.2.1:5070"), s.peerSocket(s.alice, aliceAddr)
		source.send(message(options, "Via: SIP/2.0/UDP alice.example.com:5070;branch=z9hG4bK1"), bobAddr)
		text, _ := named.receive()
		s.contains(text, "alice.example.com:5070;branch=z9hG4bK1;received=192.0.2.1\r\n")
		source.send(message(options, "Via: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bK2"), bobAddr)
		text, _ = standard.receive()
		s.contains(text, "203.0.113.9;branch=z9hG4bK2;received=192.0.2.1\r\n")
	})
}

// RFC 3581 section 4: the response is sent from the same address and port that
// the request was received on.
func TestRespondFromTheSocketOfTheRequest(t *testing.T) {
	play(t, nil, func(s *scene) {
		var e *inbox
		e = s.listen(&Config{Listen: []string{"udp:192.0.2.2:5060", "udp:192.0.2.2:5070"}, Handle: ok(&e)})
		phone := s.peerSocket(s.alice, aliceAddr)
		for _, to := range []string{"192.0.2.2:5070", "192.0.2.2:5060"} {
			phone.send(message(options), to)
			if _, from := phone.receive(); from != to {
				t.Errorf("the response came from %s, want %s", from, to)
			}
		}
	})
}

// RFC 3261 section 18.2.2: a multicast maddr is followed. Any other would let a
// request aim its responses at a third party, and is not; nor is a group on an
// interface that the request names.
func TestRespondMaddr(t *testing.T) {
	play(t, &siptestRecord, func(s *scene) {
		var e *inbox
		e = s.listen(&Config{Handle: ok(&e)})
		phone := s.peerSocket(s.alice, aliceAddr)
		phone.send(message(options, "Via: SIP/2.0/UDP 192.0.2.1;maddr=203.0.113.9;branch=z9hG4bK1"), bobAddr)
		if text, _ := phone.receive(); !strings.HasPrefix(text, "SIP/2.0 200 ") {
			t.Errorf("answered %q, want a 200 in spite of maddr", text)
		}
		for _, maddr := range []string{"[ff02::1%25eth0]", "ff02::1%25eth0", "ff02::1%eth0", "[ff02::1%251]"} {
			phone.send(message(options, "Via: SIP/2.0/UDP 192.0.2.1;maddr="+maddr+";branch=z9hG4bK3"), bobAddr)
			if text, _ := phone.receive(); !strings.HasPrefix(text, "SIP/2.0 200 ") {
				t.Errorf("answered %q, want a 200 in spite of maddr=%s", text, maddr)
			}
		}
		phone.send(message(options, "Via: SIP/2.0/UDP 192.0.2.1:5070;maddr=224.0.1.75;ttl=1;branch=z9hG4bK2"), bobAddr)
		synctest.Wait()
		all := s.n.Packets()
		if got, want := all[len(all)-1].To.String(), "224.0.1.75:5070"; got != want {
			t.Errorf("the response went to %s, want %s", got, want)
		}
	})
}

// RFC 3261 section 18.2.2: on a reliable transport the response takes the
// connection of the request, whatever the Via says.
func TestRespondOnTheConnection(t *testing.T) {
	play(t, nil, func(s *scene) {
		var e *inbox
		e = s.listen(&Config{Handle: ok(&e)})
		elsewhere := s.accept(s.alice, aliceAddr)
		phone := s.dial(s.alice, bobAddr)
		phone.send(message(options, "Via: SIP/2.0/TCP 192.0.2.1:5060;rport;branch=z9hG4bK1"))
		s.contains(phone.receive(), "SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP 192.0.2.1:5060;rport=49152;branch=z9hG4bK1;received=192.0.2.1\r\n")
		if got := len(elsewhere.all()); got != 0 {
			t.Errorf("%d connections were made to the sent-by, want 0", got)
		}
	})
}

// RFC 3261 section 18.2.2: if that connection is closed, a new one goes to the
// source address and the port of the sent-by.
func TestRespondOnANewConnection(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		listener := s.accept(s.alice, "192.0.2.1:5070")
		phone := s.dial(s.alice, bobAddr)
		phone.send(message(options, "Via: SIP/2.0/TCP alice.example.com:5070;branch=z9hG4bK1"))
		in := s.one(e)
		phone.Close()
		synctest.Wait()
		resp := in.Message.(*sip.Request).Reply(sip.StatusOK)
		if err := e.Respond(in, resp); err != nil {
			t.Fatal(err)
		}
		conns := listener.all()
		if len(conns) != 1 {
			t.Fatalf("%d connections were made, want 1", len(conns))
		}
		s.contains(conns[0].receive(), "SIP/2.0 200 OK\r\n")

		// Nobody listens: Respond has not waited to learn that.
		listener.Close()
		conns[0].Close()
		synctest.Wait()
		if err := e.Respond(in, resp); err != nil {
			t.Errorf("Respond = %v, want nil", err)
		}
		synctest.Wait()
		s.contains(s.log.String(), "response lost with its connection")
		s.contains(s.log.String(), "connection refused")
	})
}

// RFC 3263 section 5: when nobody is there either, the other servers of the Via's
// host are tried, over TLS. They have to prove that they are that host; over TCP
// nobody does, and whoever the DNS leads to is left alone.
func TestRespondToAnotherServer(t *testing.T) {
	for _, c := range []struct {
		transport string
		names     []string // that the other server proves
		want      bool
	}{
		{"TLS", []string{"example.net"}, true},
		{"TLS", []string{"victim.example"}, false},
		{"TCP", nil, false},
	} {
		play(t, nil, func(s *scene) {
			authority := siptest.NewAuthority()
			bob := s.listenTLS(s.bob, identified(authority, "example.com"), &Config{
				Listen: []string{strings.ToLower(c.transport) + ":" + bobTLS}, Resolver: servedBy("192.0.2.9")})
			other := s.listenTLS(s.n.Host("192.0.2.9"), identified(authority, c.names...), &Config{
				Listen: []string{strings.ToLower(c.transport) + ":192.0.2.9:5061"}})
			phone := s.dial(s.alice, bobTLS)
			if c.transport == "TLS" {
				phone.Close()
				var err error
				if phone, err = s.dialTLS(s.alice, bobTLS, &tls.Config{RootCAs: authority.Pool(), ServerName: "example.com"}); err != nil {
					t.Fatal(err)
				}
			}
			phone.send(message(options, "Via: SIP/2.0/"+c.transport+" example.net:5061;branch=z9hG4bK1"))
			in := s.one(bob)
			phone.Close()
			synctest.Wait()
			if err := bob.Respond(in, in.Message.(*sip.Request).Reply(sip.StatusOK)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got := other.Stats().StrayResponses == 1; got != c.want {
				t.Errorf("%s: the server of %q got the response: %v, want %v", c.transport, c.names, got, c.want)
			}
		})
	}
}

// servedBy is a DNS in which every name has one address.
type servedBy string

func (addr servedBy) Lookup(_ context.Context, _ string, t resolve.Type) (*resolve.Answer, error) {
	if t != resolve.TypeA {
		return &resolve.Answer{}, nil
	}
	return &resolve.Answer{Addrs: []netip.Addr{netip.MustParseAddr(string(addr))}}, nil
}

// A peer that sends requests and is gone without a trace does not make its
// responses pile up.
func TestRespondAnewIsBounded(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		phone := s.dial(s.alice, bobAddr)
		phone.send(message(options, "Via: SIP/2.0/TCP alice.example.com:5070;branch=z9hG4bK1"))
		in := s.one(e)
		phone.Close()
		synctest.Wait()
		s.alice.Down()
		resp := in.Message.(*sip.Request).Reply(sip.StatusOK)
		refused := 0
		for range 10 * maxAnewPerSource {
			if err := e.Respond(in, resp); errors.Is(err, ErrNoFlow) {
				refused++
			}
		}
		if want := 9 * maxAnewPerSource; refused != want {
			t.Errorf("%d responses were refused, want %d", refused, want)
		}
		time.Sleep(time.Minute) // the dial gives up
		if err := e.Respond(in, resp); err != nil {
			t.Errorf("Respond after a minute = %v, want nil", err)
		}
	})
}

// A response that failed to be made is not sent, and nothing goes out by the
// zero Flow.
func TestRespondErrors(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		phone := s.peerSocket(s.alice, aliceAddr)
		phone.send(message(options), bobAddr)
		in := s.one(e)
		r := in.Message.(*sip.Request)
		broken := r.Reply(sip.StatusOK, sip.Field{Name: "Subject", Value: "a\r\nb: c"})
		var syntax *sip.SyntaxError
		if err := e.Respond(in, broken); !errors.As(err, &syntax) {
			t.Errorf("Respond = %v, want a SyntaxError", err)
		}
		if err := e.Respond(&Inbound{}, r.Reply(sip.StatusOK)); !errors.Is(err, ErrNoFlow) {
			t.Errorf("Respond = %v, want ErrNoFlow", err)
		}
		s.stats(e, Stats{Received: 1})
	})
}

// RFC 3261 section 16.11 and RFC 3581 section 4: a response that is forwarded
// goes to received and rport, or to the sent-by.
func TestForward(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		source, sentBy := s.peerSocket(s.alice, "192.0.2.1:9988"), s.peerSocket(s.alice, "192.0.2.1:5070")
		for _, c := range []struct {
			via string
			to  *peerSocket
		}{
			{"SIP/2.0/UDP 10.1.1.1:4540;received=192.0.2.1;rport=9988;branch=z9hG4bK1", source},
			{"SIP/2.0/UDP a.example.com:5070;received=192.0.2.1;branch=z9hG4bK2", sentBy},
			{"SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK3", sentBy},
		} {
			resp := parse[*sip.Response](t, message("SIP/2.0 200 OK", "Via: "+c.via))
			if err := e.Forward(background, resp); err != nil {
				t.Errorf("Forward to %s: %v", c.via, err)
			}
			if text, _ := c.to.receive(); text != resp.String() {
				t.Errorf("%q arrived, want %q", text, resp)
			}
		}

		// By TCP: on the connection of the request while it is there, and to
		// the sent-by when it is not.
		listener := s.accept(s.alice, "192.0.2.1:5070")
		phone := s.dial(s.alice, bobAddr)
		phone.send(message(options, "Via: SIP/2.0/TCP a.example.com:5070;rport;branch=z9hG4bK1"))
		resp := s.one(e).Message.(*sip.Request).Reply(sip.StatusOK)
		if err := e.Forward(background, resp); err != nil {
			t.Error(err)
		}
		s.contains(phone.receive(), "200 OK")
		phone.Close()
		synctest.Wait()
		if err := e.Forward(background, resp); err != nil {
			t.Error(err)
		}
		if got := len(listener.all()); got != 1 {
			t.Errorf("%d connections to the sent-by, want 1", got)
		}
	})
}

// What is forwarded goes to the group of a maddr as well, before any received
// (RFC 3261 section 18.2.2), and not to any other maddr.
func TestForwardMaddr(t *testing.T) {
	play(t, &siptestRecord, func(s *scene) {
		e := s.listen(nil)
		for _, c := range []struct{ via, to string }{
			{"SIP/2.0/UDP 192.0.2.1:5070;maddr=224.0.1.75;ttl=1;branch=z9hG4bK1", "224.0.1.75:5070"},
			{"SIP/2.0/UDP 192.0.2.1;maddr=224.0.1.75;received=192.0.2.9;rport=9988;branch=z9hG4bK2", "224.0.1.75:5060"},
			{"SIP/2.0/UDP 192.0.2.1;maddr=203.0.113.9;branch=z9hG4bK3", "192.0.2.1:5060"},
			{"SIP/2.0/UDP 192.0.2.1;maddr=203.0.113.9;received=192.0.2.9;branch=z9hG4bK4", "192.0.2.9:5060"},
		} {
			if err := e.Forward(background, parse[*sip.Response](t, message("SIP/2.0 200 OK", "Via: "+c.via))); err != nil {
				t.Errorf("Forward to %s: %v", c.via, err)
			}
			synctest.Wait()
			all := s.n.Packets()
			if got := all[len(all)-1].To.String(); got != c.to {
				t.Errorf("by %s the response went to %s, want %s", c.via, got, c.to)
			}
		}
	})
}

// A stranger whose requests name ever other ports, and who hangs up, makes us
// hold no more connections than one who connects as often: those opened for
// responses count against MaxConns, are closed after 32 s, and fill no log.
func TestConnectionsForResponsesAreBounded(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{MaxConns: 10})
		var held []*accepting
		request := func(port int) *Inbound {
			phone := s.dial(s.alice, bobAddr)
			phone.send(message(options, fmt.Sprintf("Via: SIP/2.0/TCP 192.0.2.1:%d;branch=z9hG4bK%d", port, port)))
			in := s.one(e)
			phone.Close()
			synctest.Wait()
			return in
		}
		var ins []*Inbound
		for port := 6000; port < 6050; port++ {
			held = append(held, s.accept(s.alice, fmt.Sprintf("192.0.2.1:%d", port)))
			ins = append(ins, request(port))
		}
		for _, in := range ins {
			if err := e.Respond(in, in.Message.(*sip.Request).Reply(sip.StatusOK)); err != nil {
				t.Fatal(err)
			}
		}
		s.tables(e, 10, 0)
		made := 0
		for _, a := range held {
			made += len(a.all())
		}
		if made != 10 {
			t.Errorf("%d connections were made, want 10", made)
		}
		if got := e.Stats().RefusedConns; got != 40 {
			t.Errorf("RefusedConns = %d, want 40", got)
		}
		// A proxy without transactions opens them for peers as well.
		via := "Via: SIP/2.0/TCP 192.0.2.1:6099;branch=z9hG4bK1"
		if err := e.Forward(background, parse[*sip.Response](t, message("SIP/2.0 200 OK", via))); !errors.Is(err, ErrNoFlow) {
			t.Errorf("Forward = %v, want ErrNoFlow", err)
		}
		// What we want ourselves is not in their way.
		s.accept(s.alice, "192.0.2.1:7000")
		if _, _, err := e.SendRequest(background, outgoing(t), target("TCP", "192.0.2.1:7000"), "z9hG4bK1"); err != nil {
			t.Error(err)
		}
		if strings.Contains(s.log.String(), "level=WARN") {
			t.Errorf("a stranger wrote to the log: %s", s.log.String())
		}
		s.wait(32 * time.Second)
		s.tables(e, 1, 0)
		before := len(held[49].all())
		if err := e.Respond(ins[49], ins[49].Message.(*sip.Request).Reply(sip.StatusOK)); err != nil {
			t.Fatal(err)
		}
		if got := len(held[49].all()) - before; got != 1 {
			t.Errorf("%d connections to the last peer, want 1 now that there is room", got)
		}
		// A dial that fails gives its place back.
		s.wait(32 * time.Second)
		for _, a := range held {
			a.Close()
		}
		for range 3 {
			for _, in := range ins[:10] {
				e.Respond(in, in.Message.(*sip.Request).Reply(sip.StatusOK))
			}
			synctest.Wait()
		}
		if got := e.Stats().RefusedConns; got != 41 {
			t.Errorf("RefusedConns = %d, want still 41", got)
		}
	})
}

// A connection that was opened for a response and then used for requests, of
// either side, is one like any other.
func TestConnectionForAResponseIsKeptForRequests(t *testing.T) {
	for _, ours := range []bool{true, false} {
		play(t, nil, func(s *scene) {
			e := s.listen(nil)
			peer := s.accept(s.alice, aliceAddr)
			resp := parse[*sip.Response](t, message("SIP/2.0 200 OK", "Via: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK1"))
			if err := e.Forward(background, resp); err != nil {
				t.Fatal(err)
			}
			if ours {
				if _, _, err := e.SendRequest(background, outgoing(t), target("TCP", aliceAddr), "z9hG4bK1"); err != nil {
					t.Fatal(err)
				}
			} else {
				peer.all()[0].send(message(options, tcpVia))
			}
			s.wait(5 * time.Minute)
			s.tables(e, 1, 0)
			s.wait(6 * time.Minute)
			s.tables(e, 0, 0)
		})
	}
}
