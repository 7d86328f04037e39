package registrar

import (
	"context"
	"errors"
	"strings"
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
// its domains to a phone, which takes everything, and with a client elsewhere. The
// proxy is called sip.example.net, too, and puts itself on the Path of REGISTERs.
func callers(t *testing.T, cfg *Config, f func(t *testing.T, client, phone *transaction.Layer, arrived chan *sip.Request)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		cfg.Logger = quiet
		if cfg.Users != nil {
			cfg.Users = secrets(t) // of the time in here
		}
		location := must(New(cfg))
		p, err := proxy.Listen(
			&transport.Config{Listen: []string{"udp:" + proxyAddr + ":5060"}, Network: n.Host(proxyAddr), Advertise: "sip.example.net", Logger: quiet},
			&proxy.Config{Domains: []string{"example.com"}, RecordRoute: true, Path: true, Handler: func(tx *proxy.Server, req *sip.Request) {
				switch req, _ := location.Authenticate(tx, req); {
				case req == nil:
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
		arrived := make(chan *sip.Request, 100)
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
	exists := func(_ context.Context, aor sip.URI) (bool, error) {
		if aor.User == "+0" {
			return false, errors.New("no database")
		}
		return aor.User == "+12015550123" || aor.User == "5550123", nil
	}
	cfg := &Config{Users: secrets(t), ThirdParty: third, Exists: exists, Domains: []string{"example.com", "example.net"}}
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
			// Others read a user and a host, whatever else there is.
			{"sip:alice@example.com..", "alice", "secret", 200},
			{"sip:alice@example.com:9999;transport=tls", "alice", "secret", 200},
			{"sip:alice@" + proxyAddr + ":5060", "", "", 407},
			{"sip:alice@[::ffff:" + proxyAddr + "]:5060", "", "", 407},
			// An address with another port is another program on our machine.
			{"sip:alice@" + proxyAddr + ":9999", "", "", 200},
			{"sips:alice@" + proxyAddr, "", "", 200},
			{"sip:alice@[:::FFFF:" + proxyAddr + "]", "", "", 407},
			{"sip:alice@sip.example.net:9999", "", "", 407},
			{"sip:alice@SIP.example.net..", "alice", "secret", 403},
			{"im:alice@example.com", "", "", 407},
			{"IM:alice@example.com", "alice", "secret", 200},
			{"im:bob@example.com", "alice", "secret", 403},
			{"im:alice%40example.com", "alice", "secret", 403}, // which we cannot read
			{"pres:alice@EXAMPLE.com?x=y", "", "", 407},
			{"pres:alice@example.org", "", "", 200},
			{"xmpp:alice@example.org", "", "", 200},
			{"tel:+1-201-555-0123", "", "", 407}, // see Exists
			{"tel:+12015550123", "alice", "secret", 403},
			{"tel:+12015550123", "admin", "secret", 200},
			{"tel:5550123;phone-context=example.net", "", "", 407},
			{"tel:5550123;phone-context=example.org", "", "", 200},
			{"tel:+12015550199", "", "", 200},
			{"tel:+0", "", "", 500},
			{"tel:+" + strings.Repeat("1", 600), "", "", 200}, // which nobody has
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
			if again := header(resp, "Retry-After"); (resp.Status() == 500) != (again != "") {
				t.Errorf("as %s: %v with Retry-After %q", c.who, resp.Status(), again)
			}
			if got := resp.Status(); got != c.want {
				t.Errorf("as %s, with the password %s of %q: got %v, want %v", c.who, c.password, c.user, got, c.want)
			}
		}
	})
}

// Nobody is asked for what begins nothing within a dialog: a stranger calls, and our
// user hangs up. The ACK of an INVITE that nobody answered for goes nowhere.
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

// Who was called holds and transfers, whatever the caller wrote into the To: that is
// her From (RFC 3261 section 12.1.1), and no address whose password she has. Who has
// called is who the From says, and is asked.
func TestAuthenticateCallee(t *testing.T) {
	cfg := &Config{Users: secrets(t), Domains: []string{"example.com"}}
	callers(t, cfg, func(t *testing.T, client, phone *transaction.Layer, arrived chan *sip.Request) {
		const caller = "sip:x@192.0.2.30"
		for _, to := range []string{"sip:bob@example.com", "sip:alice@example.com", "sip:+1555@example.com", "sip:sales@example.org"} {
			ok, err := client.Do(t.Context(), from(t, sip.INVITE, "sip:stranger@example.org").With(sip.To{URI: uri(t, to)}, sip.CallID(to)))
			if err != nil {
				t.Fatal(err)
			}
			route, err := sip.Get[sip.RecordRoute](ok)
			if err != nil {
				t.Fatal(err)
			}
			seq := uint32(0)
			within := func(l *transaction.Layer, method sip.Method, target string, from, to sip.Address, want sip.Status, edits ...sip.Edit) {
				t.Helper()
				seq++
				req := sip.NewRequest(method, uri(t, target), sip.MaxForwards(70), sip.Route(route), sip.From(from), sip.To(to),
					sip.CallID(ok.CallID()), sip.CSeq{Seq: 100 + seq, Method: method}, sip.Contact{URI: uri(t, "sip:y@192.0.2.99")})
				resp, err := l.Do(t.Context(), req.With(edits...))
				if err != nil || resp.Status() != want {
					t.Errorf("%s to %s from %s: got %v, %v, want %v", method, target, from.URI, resp, err, want)
				}
				for len(arrived) > 0 {
					<-arrived
				}
			}
			callee, calling, alice := sip.Address(ok.To()), sip.Address(ok.From()), sip.Address{URI: uri(t, aliceAOR), Params: ";tag=1"}
			for _, method := range []sip.Method{sip.INVITE, sip.REFER, sip.MESSAGE} {
				within(phone, method, caller, callee, calling, 200)
				within(phone, method, caller, sip.Address{URI: alice.URI, Params: ";tag=9"}, sip.Address{URI: callee.URI, Params: ";tag=8"}, 407)
				within(phone, method, "sip:bob@example.com", sip.Address{URI: alice.URI, Params: callee.Params}, calling, 407) // to an address-of-record
				within(client, method, "sip:bob@"+phoneAddr, alice, callee, 407)
				within(client, method, "sip:bob@"+phoneAddr, calling, callee, 200)
			}
			within(phone, sip.INVITE, caller, sip.Address{URI: alice.URI, Params: callee.Params}, calling, 407, sip.CallID("another"))
		}
	})
}

// A stranger who has called Bob was sent the Route of that dialog. With its Call-ID
// and tag, and a To tag that is made up, he is no user of ours by that: who says to be
// Alice is asked, whatever the method and wherever it goes, but for what cannot
// begin anything. As who he is, he goes on.
func TestAuthenticateByTheRouteOfAnother(t *testing.T) {
	const bob, contact, abroad = "sip:bob@example.com", "sip:bob@" + phoneAddr, "sip:x@192.0.2.30"
	inDialog := []sip.Method{sip.BYE, sip.PRACK, sip.UPDATE, sip.INFO, sip.NOTIFY}
	anywhere := []sip.Method{sip.INVITE, sip.MESSAGE, sip.REFER, sip.SUBSCRIBE, sip.PUBLISH, sip.OPTIONS, "NEW"}
	cfg := &Config{Users: secrets(t), Domains: []string{"example.com"}}
	callers(t, cfg, func(t *testing.T, client, _ *transaction.Layer, arrived chan *sip.Request) {
		ok, err := client.Do(t.Context(), from(t, sip.INVITE, "sip:stranger@example.org"))
		if err != nil {
			t.Fatal(err)
		}
		<-arrived
		route, err := sip.Get[sip.RecordRoute](ok)
		if err != nil {
			t.Fatal(err)
		}
		seq := uint32(1)
		for _, c := range []struct {
			who, to, tag string
			methods      []sip.Method
			want         sip.Status
		}{
			{aliceAOR, bob, "made-up", anywhere, 407},
			{aliceAOR, contact, "made-up", anywhere, 407},
			{aliceAOR, abroad, "made-up", anywhere, 407},
			{aliceAOR, bob + ";gr=urn:uuid:1", "made-up", anywhere, 407},
			{aliceAOR, contact, "made-up", inDialog, 200},
			{aliceAOR, abroad, "made-up", inDialog, 200},
			{aliceAOR, bob + ";gr=urn:uuid:1", "made-up", inDialog, 200},
			{aliceAOR, contact, "", inDialog, 407},
			{aliceAOR, bob, "made-up", inDialog, 407},
			{aliceAOR, "sip:bob@EXAMPLE.COM.:5060;user=phone", "made-up", inDialog, 407},
			{aliceAOR, "sip:bob@" + proxyAddr, "made-up", inDialog, 407},
			{aliceAOR, "sip:bob@" + proxyAddr + ";gr=urn:uuid:1", "made-up", inDialog, 407}, // which is no domain of ours
			{aliceAOR, "tel:+12015550123;gr=1", "made-up", inDialog, 407},
			{aliceAOR, bob + ";gr", "made-up", inDialog, 407}, // which we have not made
			{"sip:stranger@example.org", bob, "made-up", append(anywhere, inDialog...), 200},
		} {
			for _, method := range c.methods {
				to := sip.To{URI: uri(t, c.to)}
				if c.tag != "" {
					to.Params = to.Params.With("tag", c.tag)
				}
				seq++
				req := from(t, method, c.who).With(sip.Route(route), to, sip.CSeq{Seq: seq, Method: method}).WithURI(to.URI)
				resp, err := client.Do(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				if got := resp.Status(); got != c.want {
					t.Errorf("%s from %s to %s, tag %q: got %v, want %v", method, c.who, c.to, c.tag, got, c.want)
				}
				for len(arrived) > 0 {
					<-arrived
				}
			}
		}
	})
}

// Alice has registered at another domain by way of us, and has a Path that opens the
// way to her phone. It is Routed who calls there by it, and asked all the same who
// says to be Carol: a new call has no To tag, whatever its Route.
func TestAuthenticateByAPath(t *testing.T) {
	cfg := &Config{Users: secrets(t), Domains: []string{"example.com"}}
	callers(t, cfg, func(t *testing.T, client, phone *transaction.Layer, arrived chan *sip.Request) {
		there := uri(t, "sip:alice@192.0.2.30") // where client is the registrar
		resp, err := phone.Do(t.Context(), sip.NewRequest(sip.REGISTER, uri(t, "sip:192.0.2.30"), sip.MaxForwards(70),
			sip.Route{URI: uri(t, "sip:"+proxyAddr+";lr")}, sip.From{URI: there, Params: ";tag=1"}, sip.To{URI: there},
			sip.CallID("elsewhere"), sip.CSeq{Seq: 1, Method: sip.REGISTER}, sip.Contact{URI: uri(t, "sip:alice@"+phoneAddr)}))
		if err != nil || resp.Status() != sip.StatusOK {
			t.Fatalf("REGISTER got %v, %v, want 200", resp, err)
		}
		path, err := sip.Get[sip.Path](<-arrived)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range []struct {
			method sip.Method
			who    string
			want   sip.Status
		}{
			{sip.INVITE, "sip:carol@example.com", 407},
			{sip.NOTIFY, "sip:carol@example.com", 407}, // of no subscription
			{sip.INVITE, "sip:stranger@example.org", 200},
		} {
			req := from(t, c.method, c.who).With(sip.Route(path), sip.CSeq{Seq: uint32(1 + i), Method: c.method}).WithURI(uri(t, "sip:alice@"+phoneAddr))
			resp, err := client.Do(t.Context(), req)
			if err != nil || resp.Status() != c.want {
				t.Errorf("%s from %s: got %v, %v, want %v", c.method, c.who, resp, err, c.want)
			}
		}
	})
}

// What Alice says to prove who she is, she says to us. The phone that she calls gets
// nothing of it, in the call neither, and what she says to others on the way. Nor does
// it get what she says to be the word of others on who she is.
func TestAuthenticateConsumes(t *testing.T) {
	cfg := &Config{Users: secrets(t), Domains: []string{"example.com"}}
	callers(t, cfg, func(t *testing.T, client, _ *transaction.Layer, arrived chan *sip.Request) {
		const other = `Digest username="alice", realm="example.net", nonce="1", uri="sip:bob@example.com", response="1"`
		asserted := []sip.Edit{
			sip.Add(sip.Field{Name: "P-Asserted-Identity", Value: "<sip:root@example.com>"}), sip.Add(sip.Field{Name: "p-asserted-identity", Value: "<tel:+1>"}),
			sip.Add(sip.Field{Name: "Remote-Party-ID", Value: "<sip:root@example.com>;party=calling"}),
		}
		invite := from(t, sip.INVITE, aliceAOR).With(asserted...)
		resp, err := client.Do(t.Context(), invite)
		if err != nil {
			t.Fatal(err)
		}
		invite, err = digest.NewClient(digest.Credentials{Username: "alice", Password: "secret"}).Authorize(invite, resp)
		if err != nil {
			t.Fatal(err)
		}
		invite = invite.With(sip.CSeq{Seq: 2, Method: sip.INVITE}, sip.Add(sip.Field{Name: "Proxy-Authorization", Value: other}))
		ok, err := client.Do(t.Context(), invite)
		if err != nil || ok.Status() != sip.StatusOK {
			t.Fatalf("INVITE got %v, %v, want 200", ok, err)
		}
		route, err := sip.Get[sip.RecordRoute](ok)
		if err != nil {
			t.Fatal(err)
		}
		var both []sip.Edit
		for h, err := range sip.All[sip.ProxyAuthorization](invite) {
			if err != nil {
				t.Fatal(err)
			}
			both = append(both, sip.Add(h))
		}
		if len(both) != 2 {
			t.Fatalf("the INVITE has %d credentials, want 2", len(both))
		}
		ack := sip.NewRequest(sip.ACK, uri(t, "sip:bob@"+phoneAddr), append(both, sip.MaxForwards(70), sip.Route(route),
			sip.From(ok.From()), sip.To(ok.To()), sip.CallID(ok.CallID()), sip.CSeq{Seq: 2, Method: sip.ACK})...)
		if _, _, err := client.Send(t.Context(), ack); err != nil {
			t.Fatal(err)
		}
		for _, method := range []sip.Method{sip.INVITE, sip.ACK} {
			req := <-arrived
			if req.Method() != method {
				t.Errorf("the phone got %s, want %s", req.Method(), method)
			}
			var got []string
			for h, err := range sip.All[sip.ProxyAuthorization](req) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, string(h.AppendValue(nil)))
			}
			if len(got) != 1 || got[0] != other {
				t.Errorf("%s with the credentials %q, want %q alone", method, got, other)
			}
			expectHeader(t, req, "P-Asserted-Identity", "")
			expectHeader(t, req, "Remote-Party-ID", "")
		}
		stranger := from(t, sip.MESSAGE, "sip:stranger@example.org").With(asserted...)
		if resp, err := client.Do(t.Context(), stranger); err != nil || resp.Status() != sip.StatusOK {
			t.Fatalf("MESSAGE got %v, %v, want 200", resp, err)
		}
		req := <-arrived
		expectHeader(t, req, "P-Asserted-Identity", "")
		expectHeader(t, req, "Remote-Party-ID", "")
	})
}

// Authenticate tells who it is that has proved it, by whichever address, and of a
// stranger nothing. Without Users it believes what it is told.
func TestAuthenticateTellsTheUser(t *testing.T) {
	for _, c := range []struct {
		who, user string
		ask       bool
		want      string
	}{
		{aliceAOR, "alice", true, "alice"},
		{"tel:+12015550123", "alice", true, "alice"},
		{"im:alice@example.com", "alice", true, "alice"},
		{"sip:carol@example.com", "carol@example.com", true, "carol@example.com"},
		{"sip:bob@example.com", "admin", true, "admin"},
		{"sip:alice@example.org", "", true, ""},
		{"sip:%61lice@example.com", "", false, "alice"},
		{"sip:alice@example.org", "", false, ""},
		{"sip:example.com", "", false, ""},
		{"tel:+12015550123", "", false, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			cfg := &Config{Domains: []string{"example.com"}, Logger: quiet,
				Exists:     func(_ context.Context, aor sip.URI) (bool, error) { return aor.User == "+12015550123", nil },
				ThirdParty: func(user string, aor sip.URI) bool { return user == "admin" || aor.User == "+12015550123" }}
			if c.ask {
				cfg.Users = secrets(t)
			}
			location, got := must(New(cfg)), "nobody"
			p := must(proxy.Listen(&transport.Config{Listen: []string{"udp:" + proxyAddr + ":5060"}, Network: n.Host(proxyAddr), Logger: quiet},
				&proxy.Config{Domains: []string{"example.com"}, Handler: func(tx *proxy.Server, req *sip.Request) {
					if req, user := location.Authenticate(tx, req); req != nil {
						got = user
						tx.Reply(sip.StatusOK)
					}
				}}))
			defer p.Close()
			client := listen(t, n.Host("192.0.2.30"), nil)
			req := from(t, sip.MESSAGE, c.who)
			resp, err := client.Do(t.Context(), req)
			if err == nil && resp.Status() == sip.StatusProxyAuthRequired {
				req = must(digest.NewClient(digest.Credentials{Username: c.user, Password: "secret"}).Authorize(req, resp))
				resp, err = client.Do(t.Context(), req.With(sip.CSeq{Seq: 2, Method: sip.MESSAGE}))
			}
			if err != nil || resp.Status() != sip.StatusOK || got != c.want {
				t.Errorf("%s as %q, asked %v: got %v, %v and the user %q, want 200 and %q", c.who, c.user, c.ask, resp, err, got, c.want)
			}
		})
	}
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
