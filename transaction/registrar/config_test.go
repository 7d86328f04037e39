package registrar

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
)

func years(n int) time.Duration { return time.Duration(n) * 365 * 24 * time.Hour }

// New says what is wrong with its options: none is bent in silence.
func TestOptionsThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		want string // of the error; "" for none
		cfg  Config
	}{
		{"", Config{}},
		{"", Config{Users: secrets(t), Domains: []string{"example.com", "192.0.2.10", "[2001:db8::1]", "2001:db8::2", "localhost", "example.com."}}},
		{"Users without Domains", Config{Users: secrets(t)}},
		{"Users without Domains", Config{Users: secrets(t), Domains: []string{}}},
		{"is no host", Config{Domains: []string{"example.com", ""}}},
		{"is no host", Config{Domains: []string{"sip:example.com"}}},
		{"is no host", Config{Domains: []string{"alice@example.com"}}},
		{"is no host", Config{Domains: []string{"example.com:5060"}}},
		{"is no host", Config{Domains: []string{"example.com;lr"}}},
		{"is no host", Config{Domains: []string{"*.example.com"}}},
		{"MinExpires 10m0s is more than MaxExpires 5m0s", Config{MinExpires: 10 * time.Minute, MaxExpires: 5 * time.Minute}},
		{"MinExpires 10m0s is more than DefaultExpires 5m0s", Config{MinExpires: 10 * time.Minute, DefaultExpires: 5 * time.Minute}},
		{"negative", Config{MaxExpires: -1}},
		{"", Config{MaxExpires: 30 * time.Second}},
		{"", Config{MinExpires: 2 * time.Hour}},
		{"", Config{MaxBindings: 100}},
		{"Domains are empty", Config{Domains: []string{}}},
		{"is no host", Config{Domains: []string{strings.Repeat("a", 256)}}},
		{"", Config{MinExpires: years(136), MaxExpires: years(136), DefaultExpires: years(136), FlowTimer: years(136)}},
		{"more than 2^32-1 s", Config{MinExpires: years(137)}},
		{"more than 2^32-1 s", Config{MaxExpires: years(200)}},
		{"more than 2^32-1 s", Config{DefaultExpires: years(137)}},
		{"more than 2^32-1 s", Config{FlowTimer: years(137)}},
		{"", Config{Node: uri(t, "sip:n1.example.com:5070;transport=TCP")}},
		{"", Config{Node: sip.URI{Host: "[2001:db8::1]"}}},
		{"of Node is no host", Config{Node: sip.URI{Host: "2001:db8::1"}}},
		{`"tel:+1" is no sip URI`, Config{Node: uri(t, "tel:+1")}},
		{"nobody sends to", Config{Node: uri(t, "sip:0.0.0.0:5060")}},
		{"nobody sends to", Config{Node: uri(t, "sip:[::]")}},
		{"nobody sends to", Config{Node: uri(t, "sip:[::ffff:0.0.0.0]")}},
		{"more than host, port and transport", Config{Node: uri(t, "sip:alice@n1.example.com")}},
		{"more than host, port and transport", Config{Node: uri(t, "sip:n1.example.com;maddr=192.0.2.99")}},
		{"more than host, port and transport", Config{Node: uri(t, "sip:n1.example.com?subject=x")}},
		{`"node 1" of Node is no host`, Config{Node: sip.URI{Scheme: "sip", Host: "node 1"}}},
		{`"a>,<sip:b" of Node is no host`, Config{Node: sip.URI{Scheme: "sip", Host: "a>,<sip:b"}}},
		{`"" of Node is no host`, Config{Node: sip.URI{Scheme: "sip", Port: 5060}}},
		{"is no port", Config{Node: sip.URI{Scheme: "sip", Host: "a", Port: 1 << 16}}},
		{`transport "x;y" of Node`, Config{Node: uri(t, "sip:a").WithParam("transport", "x;y")}},
		{`transport "udp" of Node is none for sips`, Config{Node: uri(t, "sips:a;transport=udp")}},
		{"", Config{ServiceRoute: []sip.URI{uri(t, "sip:a@b:5061;transport=tls;lr"), {Scheme: "sip", User: "a b", Host: "c"}}}},
		{"of ServiceRoute is no URI of a proxy", Config{ServiceRoute: []sip.URI{uri(t, "sip:a"), {}}}},
		{"of ServiceRoute is no URI of a proxy", Config{ServiceRoute: []sip.URI{uri(t, "tel:+1")}}},
		{"of ServiceRoute is no URI of a proxy", Config{ServiceRoute: []sip.URI{uri(t, "sip:a?b=c")}}},
		{"of ServiceRoute is no URI of a proxy", Config{ServiceRoute: []sip.URI{{Scheme: "sip", Host: "a b"}}}},
		{"of ServiceRoute is no URI of a proxy", Config{ServiceRoute: []sip.URI{{Scheme: "sip", Host: "a", Params: ";b>,<sip:c"}}}},
		{"of ServiceRoute is no URI of a proxy", Config{ServiceRoute: []sip.URI{{Scheme: "sip", Host: "a", Port: -1}}}},
		{"MaxBindings is 101", Config{MaxBindings: 101}},
		{"MaxBindings is -1", Config{MaxBindings: -1}},
	} {
		location, err := New(&c.cfg)
		switch {
		case c.want == "" && (err != nil || location == nil):
			t.Errorf("New(%+v) = %v, %v", c.cfg, location, err)
		case c.want != "" && (err == nil || location != nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("New(%+v) = %v, %v, want nil and an error with %q", c.cfg, location, err, c.want)
		}
	}
}

// Of Node it is host, port and transport that other nodes are told, and with a
// client of sips the same with TLS.
func TestWhatCountsOfNode(t *testing.T) {
	for node, want := range map[string]string{
		"sip:n1.example.com:5070;transport=TCP;ttl=1": "sip:@n1.example.com:5070;transport=tcp;lr;ob",
		"sip:192.0.2.10":               "sip:@192.0.2.10;lr;ob",
		"sips:n1.example.com":          "sip:@n1.example.com;transport=tls;lr;ob",
		"sip:n1.example.com;lr;ob;x=1": "sip:@n1.example.com;lr;ob",
	} {
		story(t, &Config{Node: uri(t, node)}, func(t *testing.T, s *scene) {
			s.phone.byTCP().register(200, contact(flowOne), knows("outbound", "path"))
			targets, err := s.location.Lookup(t.Context(), uri(t, aliceAOR))
			if err != nil || len(targets) != 1 || len(targets[0].Route) != 1 {
				t.Fatalf("Lookup() = %v, %v, want one target by one Route", targets, err)
			}
			own := targets[0].Route[0].URI
			if got := strings.Replace(own.String(), own.User, "", 1); own.User == "" || got != want {
				t.Errorf("with Node %s the Path is %s, want %s", node, own, want)
			}
		})
	}
}

// What could not be read again is not stored: who is registered stays so.
func TestNothingUnreadableIsStored(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		s.phone.register(200, contact(numbered(1)))
		s.location.cfg.Node.Host = "node 1" // which New does not take
		s.phone.byTCP().register(500, contact(flowOne), knows("outbound", "path"))
		s.expectTargets(aliceAOR, "sip:alice@192.0.2.1:6001")
		if _, err := decode(encode([]Binding{{Contact: sip.Contact{URI: sip.URI{Scheme: "sip", Host: "a b"}}, Expires: time.Now().Add(time.Hour)}}), time.Now()); !errors.Is(err, errWire) {
			t.Errorf("decode() of a Contact that is none = %v, want %v", err, errWire)
		}
	})
}
