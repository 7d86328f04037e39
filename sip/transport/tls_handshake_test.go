package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip/siptest"
)

// Group 7 of what must be survived: connections on which the TLS handshake never
// comes to its end are closed after 10 seconds, and hold up nobody until then.
func TestSurvivesTLSHandshakeNeverCompleted(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		var e *inbox
		e = s.listenTLS(s.bob, identified(authority, "example.com"), &Config{Handle: func(in *Inbound) { ok(&e)(in) }})
		var mute []*peerStream
		for range 50 {
			c := s.dial(s.n.Host("192.0.2.66"), bobTLS)
			c.send("\x16\x03\x01\x02\x00\x01") // a ClientHello that begins
			mute = append(mute, c)
		}
		drip := s.dial(s.n.Host("192.0.2.66"), bobTLS)
		go func() { // ends when the connection is closed
			for range 1000 {
				if _, err := drip.Write([]byte{0x16}); err != nil {
					return
				}
				<-time.After(time.Second)
			}
		}()
		phone, err := s.dialTLS(s.alice, bobTLS, &tls.Config{RootCAs: authority.Pool(), ServerName: "example.com"})
		if err != nil {
			t.Fatal(err)
		}
		s.at(0)
		phone.send(message(options, tlsVia))
		s.contains(phone.receive(), "200 OK")
		s.wait(handshakeTimeout - time.Millisecond)
		if mute[0].isClosed() {
			t.Error("a handshake has less than 10 s")
		}
		s.wait(2 * time.Millisecond)
		for i, c := range mute {
			if !c.isClosed() {
				t.Fatalf("connection %d is open after 10 s", i)
			}
		}
		if !drip.isClosed() {
			t.Error("a byte a second keeps a handshake alive")
		}
		s.stats(e, Stats{Received: 1, Sent: 1, FailedHandshakes: 51})
		phone.Close()
		s.tables(e, 0, 0)
	})
}

// A server that does not answer the handshake costs those who send to it 10
// seconds, or their patience, and nobody else anything. What they are told is what
// was waited for, and it is no deadline of theirs unless it was.
func TestTLSServerThatDoesNotShakeHands(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		s.accept(s.bob, bobTLS)
		bob := s.acceptTLS(s.bob, "192.0.2.2:5071", identified(authority, "example.com"))
		alice := s.listen(&Config{Network: s.alice, Listen: []string{}, TLS: identified(authority)})
		errs := make(chan error)
		for range 3 {
			go func() { // ends with the handshake
				_, _, err := alice.SendRequest(background, outgoing(t), domainAt("example.com", "TLS", bobTLS), "z9hG4bK1")
				errs <- err
			}()
		}
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		if _, _, err := alice.SendRequest(ctx, outgoing(t), domainAt("example.com", "TLS", bobTLS), "z9hG4bK1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("SendRequest = %v, want the deadline of its context", err)
		}
		s.at(time.Second)
		if _, _, err := alice.SendRequest(background, outgoing(t), domainAt("example.com", "TLS", "192.0.2.2:5071"), "z9hG4bK1"); err != nil {
			t.Error(err)
		}
		s.at(time.Second)
		if got := bob.ends(); len(got) != 1 || !strings.HasPrefix(got[0].text, options) {
			t.Errorf("the other server has read %+v, want the request", got)
		}
		for range 3 {
			s.timedOut(<-errs, "TLS handshake tcp 192.0.2.2:5061: i/o timeout")
		}
		s.at(handshakeTimeout)
	})
}

// RFC 8996: no TLS 1.1, in neither direction.
func TestTLSOldVersionsRefused(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		cfg := identified(authority, "example.com")
		cfg.MinVersion = tls.VersionTLS10
		e := s.listenTLS(s.bob, cfg, nil)
		old := &tls.Config{RootCAs: authority.Pool(), ServerName: "example.com", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
		if _, err := s.dialTLS(s.alice, bobTLS, old); err == nil || !strings.Contains(err.Error(), "protocol version") {
			t.Errorf("a client of TLS 1.1: %v, want an alert", err)
		}
		old.Certificates = cfg.Certificates
		s.acceptTLS(s.alice, aliceTLS, old)
		if _, _, err := e.SendRequest(background, outgoing(t), domainAt("example.com", "TLS", aliceTLS), "z9hG4bK1"); err == nil || !strings.Contains(err.Error(), "protocol version") {
			t.Errorf("a server of TLS 1.1: %v, want an alert", err)
		}
		s.stats(e, Stats{FailedHandshakes: 1})
	})
}

// SIP in the clear on the port of TLS, and TLS on the port of TCP: neither is a
// message, and both connections end, the latter when a message takes too long.
func TestTLSAndTCPMixedUp(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		e := s.listenTLS(s.bob, identified(authority, "example.com"), &Config{Listen: []string{"tls:" + bobTLS, "tcp:" + bobAddr}})
		plain := s.dial(s.alice, bobTLS)
		plain.send(message(options, tcpVia))
		text, _ := plain.rest()
		if strings.Contains(text, "SIP/2.0") {
			t.Errorf("answered %q on a connection that is none of TLS", text)
		}
		s.at(0)
		if _, err := s.dialTLS(s.alice, bobAddr, &tls.Config{RootCAs: authority.Pool(), ServerName: "example.com"}); err == nil {
			t.Error("a handshake of TLS succeeded on the port of TCP")
		}
		s.at(messageTimeout)
		s.none(e)
		s.stats(e, Stats{FailedHandshakes: 1})
		s.tables(e, 0, 0)
	})
}
