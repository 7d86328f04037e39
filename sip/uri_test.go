package sip

import "testing"

func mustURI(t testing.TB, s string) URI {
	t.Helper()
	u, err := ParseURI(s)
	if err != nil {
		t.Fatalf("ParseURI(%q): %v", s, err)
	}
	return u
}

// The examples of RFC 3261 section 19.1.3, part by part.
func TestURIExamples(t *testing.T) {
	for s, want := range map[string]URI{
		"sip:alice@atlanta.com":                                        {Scheme: "sip", User: "alice", Host: "atlanta.com"},
		"sip:alice:secretword@atlanta.com;transport=tcp":               {Scheme: "sip", User: "alice", Password: "secretword", Host: "atlanta.com", Params: ";transport=tcp"},
		"sips:alice@atlanta.com?subject=project%20x&priority=urgent":   {Scheme: "sips", User: "alice", Host: "atlanta.com", Headers: "subject=project%20x&priority=urgent"},
		"sip:+1-212-555-1212:1234@gateway.com;user=phone":              {Scheme: "sip", User: "+1-212-555-1212", Password: "1234", Host: "gateway.com", Params: ";user=phone"},
		"sips:1212@gateway.com":                                        {Scheme: "sips", User: "1212", Host: "gateway.com"},
		"sip:alice@192.0.2.4":                                          {Scheme: "sip", User: "alice", Host: "192.0.2.4"},
		"sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com":       {Scheme: "sip", Host: "atlanta.com", Params: ";method=REGISTER", Headers: "to=alice%40atlanta.com"},
		"sip:alice;day=tuesday@atlanta.com":                            {Scheme: "sip", User: "alice;day=tuesday", Host: "atlanta.com"},
		"SIP:alice@Atlanta.com:5070":                                   {Scheme: "sip", User: "alice", Host: "Atlanta.com", Port: 5070},
		"sip:[2001:db8::1]:5070;lr":                                    {Scheme: "sip", Host: "[2001:db8::1]", Port: 5070, Params: ";lr"},
		"tel:+1-201-555-0123":                                          {Scheme: "tel", User: "+1-201-555-0123"},
		"tel:7042;phone-context=example.com":                           {Scheme: "tel", User: "7042", Params: ";phone-context=example.com"},
		"tel:863-1234;phone-context=+1-914-555;ext=99":                 {Scheme: "tel", User: "863-1234", Params: ";phone-context=+1-914-555;ext=99"},
		"urn:service:sos":                                              {Scheme: "urn", Opaque: "service:sos"},
		"http://www.example.com/a?b=c#d":                               {Scheme: "http", Opaque: "//www.example.com/a?b=c#d"},
		"sip:bob@example.com;maddr=239.255.255.1;ttl=15?Accept=&a=b+c": {Scheme: "sip", User: "bob", Host: "example.com", Params: ";maddr=239.255.255.1;ttl=15", Headers: "Accept=&a=b+c"},
	} {
		got, err := ParseURI(s)
		if err != nil || got != want {
			t.Errorf("ParseURI(%s) = %#v, %v, want %#v", s, got, err, want)
		}
		if again := mustURI(t, got.String()); again != got {
			t.Errorf("%s became %s", s, got)
		}
	}
}

// RFC 3261 section 19.1.4 and RFC 3966 section 4, with the sets of both texts.
func TestURIEqual(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true},
		{"sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true},
		{"sip:carol@chicago.com", "sip:carol@chicago.com;security=on", true},
		{"sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", true},
		{"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com", "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com", true},
		{"sip:alice@atlanta.com?subject=project%20x&priority=urgent", "sip:alice@atlanta.com?priority=urgent&subject=project%20x", true},

		{"SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false},
		{"sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false},
		{"sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false},
		{"sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false},

		{"sip:bob@biloxi.com", "sips:bob@biloxi.com", false},
		{"sip:biloxi.com", "sip:bob@biloxi.com", false},
		{"sip:bob@biloxi.com", "sip:bob:pw@biloxi.com", false},
		{"sip:bob@biloxi.com;ttl=1", "sip:bob@biloxi.com", false},
		{"sip:bob@biloxi.com;user=ip", "sip:bob@biloxi.com", false},
		{"sip:bob@biloxi.com;method=INVITE", "sip:bob@biloxi.com", false},
		{"sip:bob@biloxi.com;maddr=192.0.2.1", "sip:bob@biloxi.com", false},
		{"sip:b%4fb@biloxi.com", "sip:b%4Fb@biloxi.com", true},
		{"sip:b%40b@biloxi.com", "sip:b%40b@biloxi.com", true},
		{"sip:b%3bb@biloxi.com", "sip:b;b@biloxi.com", false}, // ";" is reserved
		{"sip:b%3bb@biloxi.com", "sip:b%3Bb@biloxi.com", true},
		{"sip:[2001:db8::1]", "sip:[2001:DB8:0::1]", true},
		{"sip:[2001:db8::1]", "sip:[2001:db8::2]", false},
		{"sip:a.example?a=b&a=c", "sip:a.example?a=b&a=b", false},
		{"sip:a.example?a=b&a=c", "sip:a.example?a=c&a=b", true},
		{"sip:a.example?a=b", "sip:a.example?a=b&a=b", false},

		{"tel:+1-201-555-0123", "tel:+1(201)555.0123", true},
		{"tel:+12015550123", "tel:12015550123;phone-context=example.com", false},
		{"tel:7042;phone-context=example.com", "tel:7042;phone-context=EXAMPLE.com", true},
		{"tel:7042;phone-context=example.com", "tel:7042", false},
		{"tel:1;a=1;b=2", "tel:1;b=2;a=1", true},
		{"tel:1;ext=1-2", "tel:1;ext=12", true},
		{"tel:12015550123", "sip:12015550123@a.example", false},
		{"urn:service:sos", "urn:service:sos", true},
		{"urn:service:sos", "urn:service:sos.fire", false},
	} {
		a, b := mustURI(t, c.a), mustURI(t, c.b)
		if a.Equal(b) != c.want || b.Equal(a) != c.want {
			t.Errorf("%s and %s: %v and %v, want %v", c.a, c.b, a.Equal(b), b.Equal(a), c.want)
		}
		if !a.Equal(a) || !b.Equal(b) {
			t.Errorf("%s or %s is not equal to itself", a, b)
		}
	}
}

// Escapes are undone once when a user is read and put in when one is written.
func TestURIEscapes(t *testing.T) {
	expect(t, "Username", mustURI(t, "sip:a%20b%2540@a.example").Username(), "a b%40")
	for user, want := range map[string]string{
		"alice":            "sip:alice@a.example",
		"a b@c":            "sip:a%20b%40c@a.example",
		"j\u00fcrgen":      "sip:j%C3%BCrgen@a.example",
		"100%":             "sip:100%25@a.example",
		"a%20b":            "sip:a%20b@a.example", // as ParseURI keeps it
		"a:b":              "sip:a%3Ab@a.example",
		"\r\nVia: x":       "sip:%0D%0AVia%3A%20x@a.example",
		"1;phone-context=": "sip:1;phone-context=@a.example",
	} {
		u := URI{Scheme: "sip", User: user, Host: "a.example"}
		expect(t, "URI of "+user, u.String(), want)
		if _, err := ParseURI(u.String()); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	// Other parts are the caller's to get right; what is wrong is refused by
	// With, never written.
	for _, u := range []URI{
		{Scheme: "sip", Host: "a b"},
		{Scheme: "sip", Host: "a.example>", Params: ";x"},
		{Scheme: "sip", Host: "a.example", Params: ";x\r\nVia: y"},
		{Scheme: "sip", Host: "a.example", Headers: "a=\x00"},
		{Scheme: "x", Opaque: "a\nb"},
	} {
		if req := NewRequest(OPTIONS, u); req.Err() == nil {
			t.Errorf("NewRequest(%q) has no error", u.String())
		}
	}
}

// Parameters are read and set without regard to case.
func TestParams(t *testing.T) {
	p := Params(`;a=1;B; c = "x;y\"" ;a=2`)
	for _, c := range []struct {
		name, want string
		ok         bool
	}{{"A", "1", true}, {"b", "", true}, {"c", `x;y"`, true}, {"d", "", false}, {"x", "", false}} {
		if got, ok := p.Get(c.name); got != c.want || ok != c.ok {
			t.Errorf("Get(%s) = %q, %v, want %q, %v", c.name, got, ok, c.want, c.ok)
		}
	}
	expect(t, "With", p.With("a", "3"), Params(`;a=3;B; c = "x;y\"" `))
	expect(t, "With of a new one", Params(";a").With("b", "c d"), Params(`;a;b="c d"`))
	expect(t, "With of an address", Params("").With("received", "2001:db8::1"), Params(";received=2001:db8::1"))
	expect(t, "With of a host", Params("").With("maddr", "[2001:db8::1]"), Params(";maddr=[2001:db8::1]"))
	expect(t, "Without", p.Without("A"), Params(`;B; c = "x;y\"" `))
	expect(t, "Without of none", p.Without("d"), p)
}
