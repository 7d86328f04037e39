package registrar

import (
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
)

// twoProxies is the Path of RFC 3327 section 5.5.1.
func twoProxies(t testing.TB) sip.Edit {
	return sip.List(sip.Path{URI: uri(t, "sip:p3.example.com;lr")}, sip.Path{URI: uri(t, "sip:p1.example.net;lr"), Params: ";x=1"})
}

const twoProxiesText = "<sip:p3.example.com;lr>, <sip:p1.example.net;lr>;x=1"

// RFC 3327 section 5.3: the Path is kept with the binding in its order, and given
// back.
func TestPath(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		ok := s.phone.register(200, contact(numbered(1)), behind(), twoProxies(t), knows("path"))
		expectHeader(t, ok, "Path", twoProxiesText)
		target := s.expectTargets(aliceAOR, "sip:alice@192.0.2.1:6001")[0]
		if got := string(sip.List(target.Route...).AppendValue(nil)); got != twoProxiesText {
			t.Errorf("Route: %s, want %s", got, twoProxiesText)
		}
		// The next REGISTER may come by another way.
		expectHeader(t, s.phone.register(200, contact(numbered(1)), behind(), knows("path")), "Path", "")
		if target := s.expectTargets(aliceAOR, "sip:alice@192.0.2.1:6001")[0]; len(target.Route) != 0 {
			t.Errorf("Route: %v, want none", target.Route)
		}
	})
}

// RFC 3327 section 5.3: a Path that its client does not support is refused, unless
// the registrar was told to take it.
func TestPathUnsupported(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		resp := s.phone.register(420, contact(numbered(1)), behind(), twoProxies(t), knows("gruu"))
		expectHeader(t, resp, "Unsupported", "path")
		s.expectTargets(aliceAOR)
	})
	story(t, &Config{AnyPath: true}, func(t *testing.T, s *scene) {
		ok := s.phone.register(200, contact(numbered(1)), behind(), twoProxies(t))
		expectHeader(t, ok, "Path", "")
		if target := s.expectTargets(aliceAOR, "sip:alice@192.0.2.1:6001")[0]; len(target.Route) != 2 {
			t.Errorf("Route: %v, want two", target.Route)
		}
	})
}

// RFC 3608 section 6.3: in each 200, that of a query included, top down and with
// lr.
func TestServiceRoute(t *testing.T) {
	story(t, &Config{ServiceRoute: []sip.URI{uri(t, "sip:p2.example.com"), uri(t, "sip:hsp.example.com;lr")}}, func(t *testing.T, s *scene) {
		for _, contacts := range [][]string{contact(numbered(1)), nil} {
			expectHeader(t, s.phone.register(200, contacts), "Service-Route", "<sip:p2.example.com;lr>, <sip:hsp.example.com;lr>")
		}
		expectHeader(t, s.phone.register(400, contact("*")), "Service-Route", "")
	})
}

// RFC 5630 section 5.2: a sips Contact takes a Request-URI, Contacts and a Path
// that are all sips.
func TestSIPSContact(t *testing.T) {
	const secure, plain = "<sips:alice@192.0.2.1>", "<sip:alice@192.0.2.2>"
	sipsPath := sip.Path{URI: uri(t, "sips:edge.example.com;lr")}
	for _, c := range []struct {
		name     string
		target   string
		contacts []string
		edits    []sip.Edit
		status   sip.Status
	}{
		{"all sips", "sips:example.com", contact(secure), []sip.Edit{sipsPath, knows("path")}, 200},
		{"sip Contact", "sips:example.com", contact(plain), nil, 200},
		{"sip Request-URI", "sip:example.com", contact(secure), nil, 400},
		{"both Contacts", "sips:example.com", contact(secure, plain), nil, 400},
		{"one removed", "sips:example.com", contact(secure, plain+";expires=0"), nil, 200},
		{"sip Path", "sips:example.com", contact(secure), []sip.Edit{sip.Path{URI: uri(t, "sip:edge.example.com;lr")}, knows("path")}, 400},
		{"removed from anywhere", "sip:example.com", contact(secure + ";expires=0"), nil, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &phone{t: t, uri: c.target, to: aliceAOR, callID: "1"}
			_, err := must(New(nil)).read(p.request(c.contacts, c.edits...), false)
			var syntax *sip.SyntaxError
			if c.status == 200 && err != nil || c.status == 400 && !errors.As(err, &syntax) {
				t.Errorf("read() = %v, want %v", err, c.status)
			}
		})
	}
}

// RFC 5630 section 5.3: a sips URI leads to what was registered with sips alone, a
// sip URI to that as well, as sip and by TLS. One replaces the other.
func TestSIPSTargets(t *testing.T) {
	location := must(New(nil))
	seq := uint32(0)
	register := func(contacts ...string) {
		t.Helper()
		seq++
		a := &asked{key: "alice@example.com", callID: "1", seq: seq}
		for _, text := range contacts {
			c, err := sip.Contact{}.ParseValue(text)
			if err != nil {
				t.Fatal(err)
			}
			a.contacts = append(a.contacts, wanted{contact: c, expires: seconds(60)})
		}
		if err := location.commit(t.Context(), a, time.Now().Truncate(time.Millisecond), fits); err != nil {
			t.Fatal(err)
		}
	}
	register("<sip:alice@192.0.2.1>;q=0.9", "<sips:alice@192.0.2.2>;q=0.8", "<sips:alice@192.0.2.3;transport=ws>;q=0.7", "<mailto:alice@example.com>;q=0.6")
	expectTargets(t, location, "sips:alice@example.com", "sips:alice@192.0.2.2", "sips:alice@192.0.2.3;transport=ws")
	expectTargets(t, location, "sip:alice@example.com", "sip:alice@192.0.2.1", "sip:alice@192.0.2.2;transport=tls", "sip:alice@192.0.2.3;transport=ws")
	register("<sip:alice@192.0.2.2>;q=0.8")
	expectTargets(t, location, "sips:alice@example.com", "sips:alice@192.0.2.3;transport=ws")
}
