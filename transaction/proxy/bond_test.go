package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// The Record-Route of one dialog opens the way to that dialog, from either end, and
// to nothing else (RFC 3261 sections 16.4 and 16.6 step 4): without a handler the
// rest is refused.
func TestRecordRouteOfAnotherDialog(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(to(at("sip:bob@"+bobAddr)...)))
		s.phone("bob", bobAddr, 200)
		alice := s.ua(aliceAddr, nil)
		ok := s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "200")
		invite := s.sent(bobAddr, "INVITE")
		s.phone("victim", carolAddr, 200)
		bye := within(sip.BYE, 2, ok)
		set := sip.List(routeSet(invite)...)
		tags := sip.To{URI: uri(aor), Params: ";tag=9"}
		for _, test := range []struct {
			name string
			req  *sip.Request
			want string
		}{
			{"a new call", request(sip.INVITE, "sip:victim@"+carolAddr, set, sip.CallID("2")), "403"},
			{"with the same Call-ID", request(sip.INVITE, "sip:victim@"+carolAddr, set, sip.CSeq{Seq: 9, Method: sip.INVITE}), "403"},
			{"with tags of its own", request(sip.MESSAGE, "sip:victim@"+carolAddr, set, tags, sip.From{URI: uri(aor), Params: ";tag=8"}, sip.CSeq{Seq: 10, Method: sip.MESSAGE}), "403"},
			{"with tags and another Call-ID", request(sip.MESSAGE, "sip:victim@"+carolAddr, set, tags, sip.CallID("3")), "403"},
			{"from the callee", request(sip.INFO, "sip:alice@"+carolAddr, set, sip.From(ok.To()), sip.To(ok.From())), "200"},
			{"from the caller", bye, "200"},
		} {
			if got, _ := collect(s.Context(), alice, test.req); got != test.want {
				s.Errorf("%s: responses %q, want %q", test.name, got, test.want)
			}
		}
		s.noted("bob INVITE", "victim INFO", "bob BYE")
	})
}

// Within a dialog it is known who was called, by the tag of who has called, and that of
// no other dialog will do.
func TestFromCallee(t *testing.T) {
	play(t, func(s *scene) {
		toBob := to(at("sip:bob@" + bobAddr)...)
		s.proxy(proxyAddr, example(func(tx *Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				toBob(tx, req)
				return
			}
			s.note("%s from the callee: %v", req.Method(), tx.FromCallee())
			tx.Reply(sip.StatusOK)
		}))
		s.phone("bob", bobAddr, 200)
		alice := s.ua(aliceAddr, nil)
		ok := s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "200")
		within := func(method sip.Method, edits ...sip.Edit) *sip.Request {
			set := sip.List(routeSet(s.sent(bobAddr, "INVITE"))...)
			return request(method, aor, append(edits, set, sip.CSeq{Seq: 9, Method: method})...)
		}
		from, to := sip.From(ok.To()), sip.To(ok.From())
		s.expect(alice, within(sip.INFO, from, to), "200")
		s.expect(alice, within(sip.MESSAGE, from, to, sip.CallID("2")), "200")
		s.expect(alice, within(sip.UPDATE, ok.From(), ok.To()), "200")
		s.expect(alice, within(sip.PUBLISH, from, sip.To{URI: uri(aor)}), "200")
		s.noted("bob INVITE", "INFO from the callee: true", "MESSAGE from the callee: false", "UPDATE from the callee: false", "PUBLISH from the callee: false")
	})
}

// atHome runs a proxy of these domains that is on the Path of what is registered at
// another server, 192.0.2.9, and relays nothing but REGISTERs and what comes by a Path.
// It returns that server.
func (s *scene) atHome(domains ...string) *transaction.Layer {
	s.Helper()
	s.proxy(proxyAddr, &Config{Domains: domains, Path: true, Handler: func(tx *Server, req *sip.Request) {
		if tx.Routed() || req.Method() == sip.REGISTER {
			tx.Relay(req)
			return
		}
		tx.Reply(sip.StatusForbidden)
	}})
	return s.ua("192.0.2.9", func(tx *transaction.Server, req *sip.Request) { tx.Reply(sip.StatusOK) })
}

// homePath registers Contacts there, and returns the Path that the server gets.
func (s *scene) homePath(phone *transaction.Layer, edits ...sip.Edit) sip.Route {
	s.Helper()
	s.expect(phone, request(sip.REGISTER, "sip:192.0.2.9", append(edits, by(proxyAddr))...), "200")
	path, err := sip.Get[sip.Path](s.sent("192.0.2.9", "REGISTER"))
	if err != nil {
		s.Fatal(err)
	}
	return sip.Route(path)
}

// The Path of a client that is reached by its Contact opens the way to that
// Contact. Its parameters may be others by then.
func TestPathOfAnotherContact(t *testing.T) {
	play(t, func(s *scene) {
		home := s.atHome()
		phone := s.phone("phone", aliceAddr, 200)
		s.phone("victim", carolAddr, 200)
		path := s.homePath(phone, sip.Contact{URI: uri("sip:alice@" + aliceAddr + ";x=1")})
		for _, test := range []struct{ uri, want string }{
			{"sip:alice@" + aliceAddr, "200"},
			{"sip:alice@" + carolAddr, "403"},
			{"sip:victim@" + aliceAddr, "403"},
		} {
			s.expect(home, request(sip.MESSAGE, test.uri, path, sip.CallID(test.uri)), test.want)
		}
		// A REGISTER that has no Contact gets a Path that opens no way.
		if path := s.homePath(phone, sip.Del("Contact"), sip.CallID("query")); path.URI.Params.Has(bondParam) {
			s.Errorf("Path = %v, want one without a bond", path.URI)
		}
	})
}

// Who registers elsewhere with a user of ours for a Contact has no way to that user:
// a call to one of our domains is not Routed by such a Path. The Contacts beside it are.
func TestPathOfAContactInOurDomains(t *testing.T) {
	play(t, func(s *scene) {
		home := s.atHome("example.com")
		s.phone("phone", aliceAddr, 200)
		mallory := s.phone("mallory", carolAddr, 200)
		for i, user := range []string{"sip:bob@example.com", "sips:bob@EXAMPLE.com.", "sip:bob@example.com:9999"} {
			id := sip.CallID(fmt.Sprint(i))
			path := s.homePath(mallory, id, sip.List(sip.Contact{URI: uri(user)}, sip.Contact{URI: uri("sip:alice@" + aliceAddr)}))
			s.expect(home, request(sip.MESSAGE, "sip:bob@example.com", path, id), "403")
			s.expect(home, request(sip.MESSAGE, "sip:alice@"+aliceAddr, path, id, sip.CSeq{Seq: 2, Method: sip.MESSAGE}), "200")
		}
	})
}

// A Path belongs to every Contact of its REGISTER (RFC 3327 section 5.3), and opens
// the way to each. Where there are too many it opens none.
func TestPathOfSeveralContacts(t *testing.T) {
	play(t, func(s *scene) {
		home := s.atHome()
		s.phone("desk", bobAddr, 200)
		s.phone("hand", carolAddr, 200)
		phone := s.phone("phone", aliceAddr, 200)
		list := []sip.Contact{
			{URI: uri("sip:b%6Fb@" + bobAddr)},
			{URI: uri("sip:bob@" + bobAddr + ";transport=tcp")}, // the same bond
			{URI: uri("tel:+12015550123")},                      // none
			sip.Contact{URI: uri("sip:old@" + bobAddr)}.WithExpires(0),
			{URI: uri("sip:bob@" + carolAddr)},
		}
		for _, test := range []struct {
			more int // Contacts beside these, which have other users
			to   string
			want string
		}{
			{0, "sip:bob@" + bobAddr, "200"},
			{0, "sip:bob@" + carolAddr, "200"},
			{0, "sip:%62ob@" + carolAddr, "200"},
			{0, "sip:bob@192.0.2.13", "403"},
			{0, "sip:eve@" + carolAddr, "403"},
			{0, "sip:old@" + bobAddr, "403"},
			{maxBonds - 2, "sip:bob@" + carolAddr, "200"},
			{maxBonds - 1, "sip:bob@" + bobAddr, "403"},
			{maxBonds - 1, "sip:bob@" + carolAddr, "403"},
		} {
			all := list
			for i := range test.more {
				all = append(all[:len(all):len(all)], sip.Contact{URI: uri(fmt.Sprintf("sip:%d@%s", i, aliceAddr))})
			}
			id := sip.CallID(fmt.Sprint(test.more, test.to))
			path := s.homePath(phone, sip.List(all...), id)
			if got, _ := collect(s.Context(), home, request(sip.MESSAGE, test.to, path, id)); got != test.want {
				s.Errorf("with %d more Contacts, to %s: responses %q, want %q", test.more, test.to, got, test.want)
			}
		}
	})
}

// A Contact is the same in each of its spellings (RFC 3261 section 19.1.4).
func TestBondOfContact(t *testing.T) {
	k := newKey()
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"sip:al%69ce@h", "sip:alice@h", true},
		{"sip:alice@H.", "sips:alice@h:5070;x=1", true},
		{"sip:a@[::1]", "sip:a@[0:0::1]", true},
		{"sip:Alice@h", "sip:alice@h", false},
		{"sip:alice@h", "sip:h", false},
		{"sip:alice%40h@x", "sip:alice@hx", false},
	} {
		if got := k.contact(uri(test.a)) == k.contact(uri(test.b)); got != test.same {
			t.Errorf("the bonds of %s and %s are the same: %v, want %v", test.a, test.b, got, test.same)
		}
	}
}

// An entry has as many bonds as we write, and all of them whole.
func TestBondIsIn(t *testing.T) {
	k := newKey()
	b, c := k.dialog("1", "2"), k.dialog("3", "4")
	one, other := string(b[:]), string(c[:])
	for value, want := range map[string]bool{
		one: true, other + one: true, strings.Repeat(other, maxBonds-1) + one: true,
		"": false, other: false, one[:15]: false, "x" + one: false, strings.Repeat(other, maxBonds) + one: false,
	} {
		if got := b.isIn(value); got != want {
			t.Errorf("the bond %s is in %q: %v, want %v", one, value, got, want)
		}
	}
}

// A Path with a flow leads to the client behind it, whatever the Contact is called,
// and nowhere else: not on to another Route, and not to the world for the client
// itself (RFC 5626 section 5.3).
func TestPathWithFlowOfAnotherContact(t *testing.T) {
	play(t, func(s *scene) {
		var token string
		s.proxy(proxyAddr, &Config{Handler: func(tx *Server, req *sip.Request) {
			switch {
			case req.Method() == sip.REGISTER:
				token = tx.Layer().Endpoint().FlowToken(tx.Flow())
				tx.Reply(sip.StatusOK)
			case tx.Routed():
				tx.Relay(req)
			default:
				tx.Reply(sip.StatusForbidden)
			}
		}})
		bob := s.client(bobAddr, func(tx *transaction.Server, req *sip.Request) {
			s.note("bob %s", req.Method())
			tx.Reply(sip.StatusOK)
		})
		s.expect(bob, request(sip.REGISTER, "sip:"+proxyAddr+";transport=tcp"), "200")
		s.phone("victim", carolAddr, 200)
		home := s.ua("192.0.2.9", nil)
		path := sip.Route{URI: uri("sip:" + token + "@" + proxyAddr + ";lr;ob")}
		s.expect(home, request(sip.MESSAGE, "sip:bob@10.0.0.1", path), "200")
		further := sip.List(path, sip.Route{URI: uri("sip:" + carolAddr + ";lr")})
		s.expect(home, request(sip.MESSAGE, "sip:bob@10.0.0.1", further, sip.CallID("2")), "403")
		own := path
		own.URI.Params = own.URI.Params.With("transport", "tcp")
		s.expect(bob, request(sip.MESSAGE, "sip:victim@"+carolAddr, own, sip.CallID("3")), "403")
		s.noted("bob MESSAGE")
		bob.Close()
		pass(1)
		s.expect(home, request(sip.MESSAGE, "sip:bob@10.0.0.1", path, sip.CallID("4")), "430")
	})
}

// An entry that leads to a client by its flow leads there within its dialog alone:
// not without its bond, not with that of another dialog, and not behind the entry
// of one.
func TestRecordRouteWithFlowOfAnotherDialog(t *testing.T) {
	play(t, func(s *scene) {
		var path sip.Route
		s.proxy(proxyAddr, &Config{Domains: []string{"example.com"}, RecordRoute: true, Handler: func(tx *Server, req *sip.Request) {
			switch {
			case req.Method() == sip.REGISTER:
				path = sip.Route{URI: uri("sip:" + tx.Layer().Endpoint().FlowToken(tx.Flow()) + "@" + proxyAddr + ";lr")}
				tx.Reply(sip.StatusOK)
			case tx.Routed():
				tx.Relay(req)
			case req.URI().User == "carol":
				tx.Forward(req, at("sip:carol@"+carolAddr)...)
			case tx.Local():
				tx.Forward(req, Target{URI: uri("sip:bob@10.0.0.1"), Route: []sip.Route{path}})
			default:
				tx.Reply(sip.StatusForbidden)
			}
		}})
		bob := s.client(bobAddr, func(tx *transaction.Server, req *sip.Request) {
			s.note("bob %s", req.Method())
			tx.Reply(sip.StatusOK, sip.Contact{URI: uri("sip:bob@10.0.0.1")})
		})
		s.expect(bob, request(sip.REGISTER, "sip:"+proxyAddr+";transport=tcp"), "200")
		s.phone("carol", carolAddr, 200)
		mallory := s.ua(aliceAddr, nil)
		ok := s.expect(mallory, request(sip.INVITE, aor, by(proxyAddr)), "200")
		other := s.expect(mallory, request(sip.INVITE, "sip:carol@example.com", by(proxyAddr), sip.CallID("2")), "200")
		set := routeSet(ok)
		slices.Reverse(set)
		var way sip.Route
		for _, r := range set {
			if isVeiled(r.URI.User) {
				way = r
			}
		}
		bare, named, swapped := way, way, way
		bare.URI.Params = way.URI.Params.Without(bondParam)
		named.URI.User = way.URI.User[1:]
		carols := routeSet(other)[0]
		bond, _ := carols.URI.Param(bondParam)
		swapped.URI.Params = way.URI.Params.With(bondParam, bond)
		seq := uint32(10)
		for _, test := range []struct {
			name string
			set  []sip.Route
			edit sip.Edit // beside
			want string
		}{
			{"of no dialog", []sip.Route{way}, sip.CallID("3"), "403"},
			{"without its bond", []sip.Route{bare}, sip.CallID("3"), "403"},
			{"as if it were a Path", []sip.Route{named}, sip.CallID("3"), "403"},
			{"with the bond of another dialog", []sip.Route{swapped}, other.To(), "403"},
			{"in its dialog", set, ok.To(), "200"},
		} {
			seq++
			req := request(sip.MESSAGE, "sip:bob@10.0.0.1", sip.CallID("2"), sip.CSeq{Seq: seq, Method: sip.MESSAGE}, test.edit, sip.List(test.set...))
			if test.want == "200" {
				req = req.With(sip.CallID("call-1"))
			}
			if got, _ := collect(s.Context(), mallory, req); got != test.want {
				s.Errorf("%s: responses %q, want %q", test.name, got, test.want)
			}
		}
		// Behind the entry of another dialog it is one that leads nowhere.
		req := request(sip.MESSAGE, "sip:carol@"+carolAddr, sip.CallID("2"), sip.CSeq{Seq: 30, Method: sip.MESSAGE}, other.To(), sip.List(carols, way))
		s.expect(mallory, req, "200")
		s.noted("bob INVITE", "carol INVITE", "bob MESSAGE", "carol MESSAGE")
	})
}

// The key of bonds lasts as long as that of tokens.
func TestBondKey(t *testing.T) {
	derive := func(flowKey string) key { return deriveKey([]byte(flowKey), bondParam) }
	one, random := derive("key"), derive("")
	if one != derive("key") || one == derive("yek") || one == random || random == derive("") || one == (key{}) {
		t.Error("keys of bonds do not follow the FlowKey")
	}
	if one.dialog("1", "2") == one.contact(sip.URI{User: "1", Host: "2"}) {
		t.Error("a dialog and a Contact have the same bond")
	}
}
