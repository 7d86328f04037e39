package transport

import (
	"errors"
	"net/http"
	"testing"
)

// Contact for the peer of a flow: by the transport that it came by, at the
// address that it came to or the one that is advertised.
func TestContactOn(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		if _, err := e.ContactOn(background, Flow{}); !errors.Is(err, ErrNoFlow) {
			t.Errorf("ContactOn the zero Flow = %v, want ErrNoFlow", err)
		}
		s.peerSocket(s.alice, aliceAddr).send(message(options), bobAddr)
		in := s.one(e)
		if in.Endpoint() != e.Endpoint {
			t.Error("Endpoint() is another one")
		}
		uri, err := e.ContactOn(background, in.Flow)
		if got, want := uri.String(), "sip:192.0.2.2:5060"; got != want || err != nil {
			t.Errorf("ContactOn = %s, %v, want %s", got, err, want)
		}
		s.dial(s.alice, bobAddr).send(message(options, tcpVia))
		uri, err = e.ContactOn(background, s.one(e).Flow)
		if got, want := uri.String(), "sip:192.0.2.2:5060;transport=tcp"; got != want || err != nil {
			t.Errorf("ContactOn = %s, %v, want %s", got, err, want)
		}
	})
}

// A browser that came by a program's own server reaches us where that is
// advertised. Nobody dials a browser.
func TestContactOnAWebSocketOfAnotherServer(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{Advertise: "sip.example.com", AdvertisePorts: map[string]int{"ws": 8080}})
		ln, err := s.bob.Listen(background, "tcp", "192.0.2.2:80")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: e.WebSocketHandler()}
		defer server.Close()
		go server.Serve(ln) // ends with Close
		alice := s.listen(&Config{Network: s.alice, Listen: []string{}})
		if _, _, err := alice.SendRequest(background, outgoing(t), target("WS", "192.0.2.2:80"), "z9hG4bK1"); err != nil {
			t.Fatal(err)
		}
		uri, err := e.ContactOn(background, s.one(e).Flow)
		if got, want := uri.String(), "sip:sip.example.com:8080;transport=ws"; got != want || err != nil {
			t.Errorf("ContactOn = %s, %v, want %s", got, err, want)
		}
	})
}
