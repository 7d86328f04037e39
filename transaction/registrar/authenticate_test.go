package registrar

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/proxy"
)

const proxyAddr = "192.0.2.20"

// callers runs f with a proxy that has requests authenticated and sends those to
// its domains to a phone, which takes everything, and with a client elsewhere.
func callers(t *testing.T, cfg *Config, f func(t *testing.T, client, phone *transaction.Layer, arrived chan *sip.Request)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		cfg.Logger = quiet
		location := must(New(cfg))
		p, err := proxy.Listen(
			&transport.Config{Listen: []string{"udp:" + proxyAddr + ":5060"}, Network: n.Host(proxyAddr), Logger: quiet},
			&proxy.Config{Domains: []string{"example.com"}, RecordRoute: true, Handler: func(tx *proxy.Server, req *sip.Request) {
				switch {
				case !location.Authenticate(tx, req):
				case tx.Local():
					tx.Forward(req, proxy.Target{URI: uri(t, "sip:bob@"+phoneAddr)})
				default:
					tx.Relay(req)
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		arrived := make(chan *sip.Request, 10)
		take := func(tx *transaction.Server, req *sip.Request) {
			arrived <- req
			if req.Method() != sip.ACK {
				tx.Reply(sip.StatusOK, sip.Contact{URI: uri(t, "sip:bob@"+phoneAddr)})
			}
		}
		f(t, listen(t, n.Host("192.0.2.30"), take), listen(t, n.Host(phoneAddr), take), arrived)
	})
}

// from makes a request to bob, by way of the proxy.
func from(t testing.TB, method sip.Method, who string) *sip.Request {
	bob := uri(t, "sip:bob@example.com")
	return sip.NewRequest(method, bob, sip.MaxForwards(70), sip.Route{URI: uri(t, "sip:"+proxyAddr+";lr")},
		sip.From{URI: uri(t, who), Params: ";tag=1"}, sip.To{URI: bob}, sip.CallID("1@client"), sip.CSeq{Seq: 1, Method: method},
		sip.Contact{URI: uri(t, "sip:x@192.0.2.30")})
}

// RFC 3261 section 22.3: who calls as a user of ours has that user's password.
func TestAuthenticate(t *testing.T) {
	third := func(user string, aor sip.URI) bool { return user == "admin" && aor.User != "root" }
	cfg := &Config{Users: secrets(t), ThirdParty: third, Domains: []string{"example.com", "example.net"}}
	callers(t, cfg, func(t *testing.T, client, _ *transaction.Layer, _ chan *sip.Request) {
		for _, c := range []struct {
			who, user, password string
			want                sip.Status
		}{
			{"sip:stranger@example.org", "", "", 200},
			{aliceAOR, "", "", 407},
			{aliceAOR, "alice", "secret", 200},
			{aliceAOR, "alice", "guess", 407},
			{aliceAOR, "mallory", "secret", 407},
			{aliceAOR, "broken", "secret", 500},
			{"sips:alice@EXAMPLE.com.:5070", "", "", 407},
			{"sip:al%69ce@example.com", "alice", "secret", 200},
			{"sip:carol@example.com", "carol@example.com", "secret", 200},
			{"sip:bob@example.com", "alice", "secret", 403},
			{"sip:example.com", "alice", "secret", 403},
			{"sip:bob@example.com", "admin", "secret", 200},
			{"sip:root@example.com", "admin", "secret", 403},
			{"sip:alice@example.net", "", "", 407}, // which the proxy does not serve
			{"sip:alice@example.net", "alice", "secret", 200},
			{"sip:carol@example.net", "carol@example.com", "secret", 403},
			{"sip:alice@" + proxyAddr, "", "", 407}, // which is no domain
			{"sip:alice@" + proxyAddr, "alice", "secret", 403},
		} {
			req := from(t, sip.MESSAGE, c.who)
			resp, err := client.Do(t.Context(), req)
			if err == nil && c.user != "" {
				req, err = digest.NewClient(digest.Credentials{Username: c.user, Password: c.password}).Authorize(req, resp)
				if err == nil {
					resp, err = client.Do(t.Context(), req.With(sip.CSeq{Seq: 2, Method: sip.MESSAGE}))
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := resp.Status(); got != c.want {
				t.Errorf("as %s, with the password %s of %q: got %v, want %v", c.who, c.password, c.user, got, c.want)
			}
		}
	})
}

// Within a dialog nobody is asked: a stranger calls, and our user hangs up. The
// ACK of an INVITE that nobody answered for goes nowhere.
func TestAuthenticateDialog(t *testing.T) {
	cfg := &Config{Users: secrets(t), Domains: []string{"example.com"}}
	callers(t, cfg, func(t *testing.T, client, phone *transaction.Layer, arrived chan *sip.Request) {
		invite := from(t, sip.INVITE, "sip:stranger@example.org")
		ok, err := client.Do(t.Context(), invite)
		if err != nil {
			t.Fatal(err)
		}
		if got := (<-arrived).Method(); got != sip.INVITE {
			t.Fatalf("the phone got %s, want INVITE", got)
		}
		route, err := sip.Get[sip.RecordRoute](ok)
		if err != nil {
			t.Fatal(err)
		}
		byeTo := func(contact string) *sip.Request {
			return sip.NewRequest(sip.BYE, uri(t, contact), sip.MaxForwards(70), sip.Route(route), sip.From(ok.To()), sip.To(ok.From()),
				sip.CallID(ok.CallID()), sip.CSeq{Seq: 1, Method: sip.BYE})
		}
		bye := byeTo("sip:x@192.0.2.30")
		for _, c := range []struct {
			req  *sip.Request
			want sip.Status
		}{
			{bye, 200},
			{bye.With(sip.CallID("another")), 407},
			{bye.With(sip.Route{URI: uri(t, "sip:"+proxyAddr+";lr")}), 407},
			// Linphone's Contact is its GRUU, which is to be looked up.
			{byeTo("sip:alice@example.com;gr=urn:uuid:1"), 200},
		} {
			resp, err := phone.Do(t.Context(), c.req)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Status() != c.want {
				t.Errorf("got %v, want %v, for\n%s", resp.Status(), c.want, c.req)
			}
		}
		for _, who := range []string{"client", "owner of the GRUU"} {
			if got := (<-arrived).Method(); got != sip.BYE {
				t.Errorf("the %s got %s, want BYE", who, got)
			}
		}
		if _, _, err := client.Send(t.Context(), from(t, sip.ACK, aliceAOR)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		select {
		case req := <-arrived:
			t.Errorf("got\n%s\nwant nothing", req)
		default:
		}
	})
}

// A stranger who has called Bob was sent the Route of that dialog. It lets nobody
// reach a user of ours as another one: with the Call-ID and the tag of the call, and
// a To tag that is made up, who says to be Alice is asked. As who he is, he goes on.
func TestAuthenticateByTheRouteOfAnother(t *testing.T) {
	cfg := &Config{Users: secrets(t), Domains: []string{"example.com"}}
	callers(t, cfg, func(t *testing.T, client, _ *transaction.Layer, _ chan *sip.Request) {
		ok, err := client.Do(t.Context(), from(t, sip.INVITE, "sip:stranger@example.org"))
		if err != nil {
			t.Fatal(err)
		}
		route, err := sip.Get[sip.RecordRoute](ok)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range []struct {
			who, to string
			want    sip.Status
		}{
			{aliceAOR, "sip:bob@example.com", 407},
			{aliceAOR, "sip:bob@EXAMPLE.COM.:5060;user=phone", 407},
			{aliceAOR, "sip:bob@" + proxyAddr, 407},
			{aliceAOR, "sip:bob@" + proxyAddr + ";gr=urn:uuid:1", 407}, // which is no domain of ours
			{aliceAOR, "tel:+12015550123;gr=1", 407},
			{aliceAOR, "sip:bob@example.com;gr", 407}, // which we have not made
			{aliceAOR, "sip:bob@example.com;gr=urn:uuid:1", 200},
			{aliceAOR, "sip:bob@" + phoneAddr, 200},
			{"sip:stranger@example.org", "sip:bob@example.com", 200},
		} {
			req := from(t, sip.MESSAGE, c.who).With(sip.Route(route), sip.To{URI: uri(t, c.to), Params: ";tag=made-up"},
				sip.CSeq{Seq: uint32(2 + i), Method: sip.MESSAGE}).WithURI(uri(t, c.to))
			resp, err := client.Do(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if got := resp.Status(); got != c.want {
				t.Errorf("%s to %s: got %v, want %v", c.who, c.to, got, c.want)
			}
		}
	})
}

// Without Users nobody is asked.
func TestAuthenticateWithoutUsers(t *testing.T) {
	callers(t, &Config{Domains: []string{"example.com"}}, func(t *testing.T, client, _ *transaction.Layer, _ chan *sip.Request) {
		resp, err := client.Do(t.Context(), from(t, sip.MESSAGE, aliceAOR))
		if err != nil || resp.Status() != sip.StatusOK {
			t.Errorf("got %v, %v, want 200", resp, err)
		}
	})
}
