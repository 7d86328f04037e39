package transport

import (
	"crypto/tls"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip/siptest"
)

// everyKind are the transports that have connections.
var everyKind = []string{viaTCP, viaTLS, viaWS, viaWSS}

// peerOn opens a connection of bare sockets to bob's listener of a kind, which
// is at port 5060, and returns it with what makes a frame of a message there.
func (s *scene) peerOn(kind string, authority *siptest.Authority) (*peerStream, func(text string) string) {
	s.Helper()
	phone := s.dial(s.alice, bobAddr)
	if isSecure(kind) {
		secure := tls.Client(phone, &tls.Config{RootCAs: authority.Pool(), ServerName: "example.com"})
		if err := secure.Handshake(); err != nil {
			s.Fatal(err)
		}
		phone = &peerStream{s, secure}
	}
	if !isWebSocket(kind) {
		return phone, func(text string) string { return text }
	}
	s.upgrade(phone)
	return phone, func(text string) string { return masked(frameText, text) }
}

// listenOn makes an endpoint that listens on one kind, at port 5060.
func (s *scene) listenOn(kind string, authority *siptest.Authority, cfg Config) *inbox {
	s.Helper()
	cfg.TLS = identified(authority, "example.com")
	cfg.Listen = []string{strings.ToLower(kind) + ":" + bobAddr}
	return s.listen(&cfg)
}

// A peer that has proved itself with a message has 32 seconds for the next from
// when it begins, however many of its bytes come in that time: each of them is no
// new beginning.
func TestMessageThatTrickles(t *testing.T) {
	for _, kind := range everyKind {
		t.Run(kind, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				authority := siptest.NewAuthority()
				ended := &deaths{s: s}
				e := s.listenOn(kind, authority, Config{Closed: ended.closed})
				phone, frame := s.peerOn(kind, authority)
				phone.send(frame(message(options, tcpVia)))
				s.one(e)
				s.wait(time.Minute)
				next := frame(message(options, tcpVia))
				for i := range next {
					if len(ended.all()) > 0 {
						break
					}
					io.WriteString(phone, next[i:i+1])
					s.wait(time.Second)
				}
				s.none(e)
				ended.want(os.ErrDeadlineExceeded)
				if len(ended.at) == 1 && ended.at[0] != 92*time.Second {
					t.Errorf("closed at %v, want 32 s after what began at 1m0s", ended.at[0])
				}
			})
		})
	}
}

// What stands between messages has no time limit but Config.Idle, in whatever
// pieces it comes, and takes none from the message behind it.
func TestPingsBeforeAMessageThatTrickles(t *testing.T) {
	for _, kind := range everyKind {
		t.Run(kind, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				authority := siptest.NewAuthority()
				e := s.listenOn(kind, authority, Config{})
				phone, frame := s.peerOn(kind, authority)
				phone.send(frame(message(options, tcpVia)))
				s.one(e)
				for range 60 {
					phone.send(frame("\r\n"))
					s.wait(time.Second)
				}
				next := frame(message(options, tcpVia))
				phone.send(next[:20])
				s.wait(31 * time.Second)
				phone.send(next[20:])
				s.one(e)
			})
		})
	}
}
