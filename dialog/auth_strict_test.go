package dialog_test

import (
	"testing"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// routeless is an Authorizer that says what it was shown.
type routeless struct {
	password
	t *testing.T
}

func (r *routeless) Authorize(req *sip.Request, resp *sip.Response) (*sip.Request, error) {
	if route, shown := req.Value("Route"); shown && req.Method() == sip.BYE {
		r.t.Errorf("the Authorizer sees Route %q of a request to a strict router", route)
	}
	return r.password.Authorize(req, resp)
}

// A peer records itself as a strict router with a proxy of ours behind it. What the
// Authorizer is asked about goes to the peer, and does not look otherwise; the request
// that goes out has the whole route.
func TestChallengeByStrictRouter(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{Auth: &routeless{password{tries: 1}, t}})
		result := make(chan *dialog.Session, 1)
		go func() { result <- call(t, alice, "sip:bob@"+bobAddr, "1") }() // ends with the answer
		record := sip.List(
			sip.RecordRoute{URI: sip.URI{Scheme: "sip", Host: "ours.example", Params: ";lr"}},
			sip.RecordRoute{URI: sip.URI{Scheme: "sip", Host: bobAddr}},
		)
		p.reply(p.expect("INVITE 1"), sip.StatusOK, p.contact(), record)
		s := <-result
		p.expect("ACK 1")
		go s.Bye(t.Context()) // ends with the answer
		p.reply(p.expect("BYE 2"), sip.StatusProxyAuthRequired, challenge("x"))
		bye := p.expect("BYE 3")
		var routes []string
		for r, err := range sip.All[sip.Route](bye.Message) {
			if err != nil {
				t.Fatal(err)
			}
			routes = append(routes, r.URI.Host)
		}
		if len(routes) != 2 || routes[0] != "ours.example" || credentials(bye.Message) == "" {
			t.Errorf("the BYE goes by %v with credentials %q, want ours.example and the target", routes, credentials(bye.Message))
		}
		p.reply(bye, sip.StatusOK)
		<-s.Done()
	})
}
