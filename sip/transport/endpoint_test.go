package transport

import (
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
)

// An entry without an address or a port is a mistake, and not a wish for any
// port on all addresses. This is on the system's network, which would take it
// for one.
func TestListenNeedsAHostAndAPort(t *testing.T) {
	for _, l := range []string{"udp", "udp:", "tcp", "tcp:", "udp:127.0.0.1:", "tcp:[::1]", "tcp:localhost", "udp::"} {
		e, err := Listen(&Config{Listen: []string{l}})
		if err == nil {
			t.Errorf("Listen on %q bound %v and %v, want an error", l, e.Addr("udp"), e.Addr("tcp"))
			e.Close()
		} else if text := err.Error(); !strings.Contains(text, strconv.Quote(l)) || !strings.Contains(text, "no host and port") {
			t.Errorf("Listen on %q: %v, want what is wrong with the entry", l, err)
		}
	}
}

func TestListenErrors(t *testing.T) {
	play(t, nil, func(s *scene) {
		s.listen(nil)
		var op *net.OpError
		for _, l := range []string{"udp:" + bobAddr, "tcp:" + bobAddr} {
			// The first entry is given back when the second cannot be had.
			_, err := Listen(&Config{Network: s.bob, Listen: []string{"udp:192.0.2.2:5099", l}})
			if !errors.As(err, &op) || !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), l) {
				t.Errorf("Listen on %s twice: %v, want EADDRINUSE in a *net.OpError", l, err)
			}
		}
		for _, l := range []string{"tls:" + bobAddr, "sctp:" + bobAddr, bobAddr, "", "udp", "udp:192.0.2.2", "udp:192.0.2.2:sip"} {
			if _, err := Listen(&Config{Network: s.bob, Listen: []string{l}}); err == nil {
				t.Errorf("Listen on %q: no error", l)
			}
		}
	})
}

// Port 0 is one free port for all that ask for it, also where the first free
// port of one transport is taken in another.
func TestListenOnAFreePort(t *testing.T) {
	play(t, nil, func(s *scene) {
		l, err := s.bob.Listen(background, "tcp", "192.0.2.2:49152")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		e := s.listen(&Config{Listen: []string{"udp:192.0.2.2:0", "tcp:192.0.2.2:0"}})
		if udp, tcp := e.Addr("udp"), e.Addr("tcp"); udp != tcp || udp.Port() == 0 || udp.Port() == 49152 {
			t.Errorf("bound to %v and %v, want one free port", udp, tcp)
		}
	})
}

// What is not there cannot be sent, and is no reason to panic.
func TestSendNothing(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		alice := s.peerSocket(s.alice, aliceAddr)
		alice.send(message(options), bobAddr)
		in := s.one(e)
		resp := in.Message.(*sip.Request).Reply(sip.StatusOK)
		_, _, sendRequest := e.SendRequest(background, nil, target("UDP", aliceAddr), "z9hG4bK1")
		_, _, prepare := e.Prepare(background, nil, target("UDP", aliceAddr), "z9hG4bK1")
		for name, err := range map[string]error{
			"Send of nil":             e.Send(in.Flow, nil),
			"Send of a nil Request":   e.Send(in.Flow, (*sip.Request)(nil)),
			"Send of a nil Response":  e.Send(in.Flow, (*sip.Response)(nil)),
			"Send of nil by no flow":  e.Send(Flow{}, nil),
			"Respond with nil":        e.Respond(in, nil),
			"Respond to nil":          e.Respond(nil, resp),
			"Respond to nil with nil": e.Respond(nil, nil),
			"Respond to no request":   e.Respond(&Inbound{}, resp),
			"Forward of nil":          e.Forward(background, nil),
			"SendRequest of nil":      sendRequest,
			"Prepare of nil":          prepare,
		} {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		s.stats(e, Stats{Received: 1})
	})
}

func TestZeroFlow(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		var f Flow
		if !f.IsZero() || f.Reliable() || f.Transport() != "" || f.LocalAddr().IsValid() || f.RemoteAddr().IsValid() || f.String() != "no flow" {
			t.Errorf("the zero Flow is %v", f)
		}
		if err := e.Send(f, outgoing(t)); !errors.Is(err, ErrNoFlow) {
			t.Errorf("Send = %v, want ErrNoFlow", err)
		}
		alice := s.peerSocket(s.alice, aliceAddr)
		alice.send(message(options), bobAddr)
		alice.send(message(options), bobAddr)
		got := e.take()
		if len(got) != 2 || got[0].Flow != got[1].Flow || got[0].Flow.IsZero() {
			t.Error("two datagrams of one peer came by different flows")
		}
		if _, err := e.flowTo(background, resolve.Target{}, forRequest); !errors.Is(err, resolve.ErrTransport) {
			t.Errorf("the zero Target: %v, want ErrTransport", err)
		}
	})
}

// Each listener has a port of its own, and TCP that of UDP.
func TestListenOnFreePorts(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{
			Listen: []string{"udp:192.0.2.2:0", "tcp:192.0.2.2:0", "tls:192.0.2.2:0", "ws:192.0.2.2:0", "wss:192.0.2.2:0"},
			TLS:    &tls.Config{Certificates: []tls.Certificate{siptest.NewAuthority().Certificate("example.com")}},
		})
		ports := map[uint16]bool{}
		for _, transport := range []string{"tcp", "tls", "ws", "wss"} {
			ports[e.Addr(transport).Port()] = true
		}
		if len(ports) != 4 || ports[0] || e.Addr("udp").Port() != e.Addr("tcp").Port() {
			t.Errorf("ports %v, UDP %v, want four, and that of TCP for UDP", ports, e.Addr("udp"))
		}
	})
}
