package interop

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// Register registers contacts of a user of sip.test, each as it stands in a
// Contact, over UDP from one address to the server at another. It returns the
// answer to the password, which is the one that Kamailio and Example have for the
// user.
//
// It is a client of ours. SIPp, whose contacts these are, can register where MD5
// is the only challenge, or the first. A script that is to be reached by the flow
// of its registration starts afterwards, at the address that it came from.
func Register(t testing.TB, from, server, user string, contacts ...string) *sip.Response {
	t.Helper()
	layer, err := transaction.Listen(&transport.Config{Listen: []string{"udp:" + from}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer layer.Close()
	return RegisterBy(t, layer, server, user, contacts...)
}

// RegisterBy does it by a layer that stays, and the transport that the parameters of
// the server say, as in "127.0.0.1:80;transport=ws".
func RegisterBy(t testing.TB, layer *transaction.Layer, server, user string, contacts ...string) *sip.Response {
	t.Helper()
	proxy, err := sip.ParseURI("sip:" + server + ";lr")
	if err != nil {
		t.Fatal(err)
	}
	aor := sip.URI{Scheme: "sip", User: user, Host: "sip.test"}
	req := sip.NewRequest(sip.REGISTER, sip.URI{Scheme: "sip", Host: "sip.test"},
		sip.Route{URI: proxy},
		sip.MaxForwards(70),
		sip.From{URI: aor, Params: ";tag=1"},
		sip.To{URI: aor},
		sip.CallID(rand.Text()),
		sip.CSeq{Seq: 1, Method: sip.REGISTER},
		sip.Field{Name: "Contact", Value: strings.Join(contacts, ", ")},
		sip.Field{Name: "Supported", Value: "path, outbound"},
		sip.Field{Name: "Expires", Value: "600"})
	resp, err := layer.Do(t.Context(), req)
	if err != nil {
		t.Fatalf("register %s: %v", user, err)
	}
	req, err = digest.NewClient(digest.Credentials{Username: user, Password: user + "pw"}).Authorize(req, resp)
	if err != nil {
		t.Fatalf("register %s: %v", user, err)
	}
	resp, err = layer.Do(t.Context(), req.With(sip.CSeq{Seq: 2, Method: sip.REGISTER}))
	if err != nil {
		t.Fatalf("register %s: %v", user, err)
	}
	return resp
}
