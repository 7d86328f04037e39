package msrp

import (
	"strings"
	"testing"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip/siptest"
)

const (
	relayURI = "msrp://192.0.2.9:2855;tcp"
	usePath  = "msrp://192.0.2.9:2855/jui787s2f;tcp"
	bobPath  = "msrp://192.0.2.2:4444/bob;tcp"
)

// A scene is alice behind a relay.
type scene struct {
	t     *testing.T
	net   *siptest.Network
	relay *standIn
	alice *Endpoint
}

// newScene makes one. It is called in a bubble.
func newScene(t *testing.T, change func(*Config)) *scene {
	t.Helper()
	n := siptest.NewNetwork(nil)
	s := &scene{t: t, net: n, relay: newStandIn(t, n.Host("192.0.2.9"), ":2855")}
	cfg := &Config{Network: n.Host("192.0.2.1"), Relays: []Relay{{URI: relayURI, Username: "alice", Password: "secret"}}}
	if change != nil {
		change(cfg)
	}
	var err error
	if s.alice, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.alice.Close() })
	return s
}

// offer returns the offer of a session, for which the relay gives one URI, and the connection.
func (s *scene) offer(session *Session) (*sdp.Media, *client) {
	s.t.Helper()
	offered := later(func() (*sdp.Media, error) { return session.Offer(s.t.Context()) })
	c := s.relay.accept()
	c.admit(usePath)
	m, err := offered()
	if err != nil {
		s.t.Fatal(err)
	}
	return m, c
}

// answerOf returns the answer of a peer.
func answerOf(path, setup string) *sdp.Media {
	m := &sdp.Media{Type: "message", Proto: "TCP/MSRP", Formats: []string{"*"}, Address: "192.0.2.2", Port: 4444}
	for _, a := range [][2]string{{"path", path}, {"accept-types", "*"}, {"setup", setup}} {
		m.Attributes = append(m.Attributes, sdp.Attribute{Name: a[0], Value: a[1]})
	}
	return m
}

func attribute(t testing.TB, m *sdp.Media, name string) string {
	t.Helper()
	value, ok := m.Attribute(name)
	if !ok {
		t.Errorf("no a=%s in %v", name, m)
	}
	return value
}

// own returns the URI of the session in a description: the last of its path.
func own(t testing.TB, m *sdp.Media) string {
	t.Helper()
	path := attribute(t, m, "path")
	return path[strings.LastIndexByte(path, ' ')+1:]
}

// connected returns a session that has a peer, and the connection with its relay.
func (s *scene) connected(cfg *SessionConfig) (*Session, *client, *sdp.Media) {
	s.t.Helper()
	session := NewSession(s.alice, cfg)
	m, c := s.offer(session)
	if err := session.Update(s.t.Context(), m, answerOf(bobPath, "passive")); err != nil {
		s.t.Fatal(err)
	}
	c.answer(c.next(frame.SEND), "200 OK")
	return session, c, m
}
