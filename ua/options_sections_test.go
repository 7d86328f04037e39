package ua_test

import (
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// The answer to OPTIONS says what could be in a session (RFC 3264 section 9), to who takes that.
func TestOptionsDescribes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		section := &sdp.Media{Type: "message", Port: 9, Proto: "TCP/MSRP", Formats: []string{"*"}, Attributes: []sdp.Attribute{{Name: "accept-types", Value: "*"}}}
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{Sections: []*sdp.Media{section}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		resp, err := alice.Options(t.Context(), bobURI)
		if err != nil {
			t.Fatal(err)
		}
		s, err := sdp.Parse(resp.Body())
		if err != nil || len(s.Media) != 1 || s.Media[0].Port != 0 || s.Media[0].Proto != "TCP/MSRP" {
			t.Fatalf("the body is\n%s(%v), want a section of MSRP with port 0", resp.Body(), err)
		}
		if types, _ := s.Media[0].Attribute("accept-types"); types != "*" || section.Port != 9 {
			t.Errorf("accept-types are %q, and the section of the program has port %d", types, section.Port)
		}
		caller := newCaller(t, n, "192.0.2.3", nil)
		resp, err = caller.Transactions().Do(t.Context(), request(sip.OPTIONS, bobURI, sip.List(sip.Accept{Type: "text/plain"})))
		if err != nil || resp.Body() != "" {
			t.Errorf("who takes a text gets %q, %v", resp.Body(), err)
		}
	})
}
