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

		// RFC 5627 section 3.1, RFC 5626 section 4.2, RFC 8599 section 4.1.1.
		"sip:callee@example.com;gr=urn:uuid:f81d4fae-7dec":                                        {Scheme: "sip", User: "callee", Host: "example.com", Params: ";gr=urn:uuid:f81d4fae-7dec"},
		"sip:alice@192.0.2.2;ob;gr":                                                               {Scheme: "sip", User: "alice", Host: "192.0.2.2", Params: ";ob;gr"},
		"sip:alice@a.example;pn-provider=acme;pn-param=acme-param;pn-prid=ZTY4ZDJlMzODE1NmUgKi0K": {Scheme: "sip", User: "alice", Host: "a.example", Params: ";pn-provider=acme;pn-param=acme-param;pn-prid=ZTY4ZDJlMzODE1NmUgKi0K"},
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

// What the grammar of RFC 3261 section 25.1 and RFC 3966 section 3 have no way
// to say is refused, and what peers are known to write besides is not.
func TestURIGrammar(t *testing.T) {
	for _, c := range []struct {
		rule string
		uri  string
		ok   bool
	}{
		{"19.1.1: after '@' the user is not empty", "sip:@a.example", false},
		{"19.1.1: a password belongs to a user", "sip::secret@a.example", false},
		{"19.1.1: the host is mandatory", "sip:bob@", false},
		{"19.1.1: a parameter twice is for the first to say", "sip:a.example;a=1;a=2", true},
		{"19.1.1: any parameter may come", "sip:a.example;x-any;lr=on", true},
		{"19.1.2: no white space", "sip:a b@a.example", false},
		{"19.1.2: no control character", "sip:a\x01b@a.example", false},
		{"19.1.2: '@' in a user needs an escape", "sip:j@s0n@a.example", false},
		{"19.1.2: '@' in a user with its escape", "sip:j%40s0n@a.example", true},
		{"19.1.2: '#' in a user needs an escape", "sip:*67#@a.example", false},
		{"19.1.2: an escape has two digits", "sip:a%4@a.example", false},
		{"19.1.2: of base 16", "sip:a%4g@a.example", false},
		{"19.1.2: no escapes in hosts", "sip:bob@a%2Eexample", false},
		{"19.1.2: UTF-8 is escaped", "sip:j\u00fcrgen@a.example", false},
		{"25.1: a header has an '='", "sip:a.example?Subject", false},
		{"25.1: and a name", "sip:a.example?=x", false},
		{"25.1: its value may be empty", "sip:a.example?Subject=", true},
		{"25.1: '=' in a value needs an escape", "sip:a.example?a=b=c", false},
		{"25.1: '@' in a value needs an escape", "sip:bob@a.example?to=alice@a.example", false},
		{"25.1: '?' without headers", "sip:a.example?", false},
		{"25.1: a parameter has a name", "sip:a.example;", false},
		{"25.1: and a value after its '='", "sip:a.example;a=", false},
		{"25.1: no quotes in a parameter", `sip:a.example;a="b"`, false},
		{"25.1: a host may end in a dot", "sip:a.example.", true},
		{"25.1: '_' in hosts, which the field uses", "sip:my_host.example", true},
		{"25.1: no sub-delimiters in hosts", "sip:a+b.example", false},
		{"port 1", "sip:a.example:1", true},
		{"port 65535", "sip:a.example:65535", true},
		{"port 65536", "sip:a.example:65536", false},
		{"port 2^32+5060", "sip:a.example:4294972356", false},
		{"port 0", "sip:a.example:0", false},
		{"leading zeros of a port", "sip:a.example:05060", true},
		{"a port without digits", "sip:a.example:", false},
		{"a negative port", "sip:a.example:-1", false},

		{"3966: global number", "tel:+1-201-555-0123", true},
		{"3966: letters have no place in one", "tel:+1-800-FLOWERS", false},
		{"3966: nor have digits of base 16", "tel:+1A", false},
		{"3966: but in a local one", "tel:*67AB#;phone-context=+1", true},
		{"3966: '+' stands in front", "tel:1+1;phone-context=+1", false},
		{"3966: separators alone are no number", "tel:+-.()", false},
		{"3966: nothing is no number", "tel:", false},
		{"3966: no spaces", "tel:+1 201", false},
		{"3966 section 5.1.5: a local number has a context, if not in the field", "tel:911", true},
		{"3966: parameters in another order", "tel:1;tsp=a.b;phone-context=+5;ext=3", true},
		{"3966: ISDN subaddress", "tel:+1;isub=1411/a:b", true},
		{"3966: no headers", "tel:+1?a=b", false},
		{"3966: no host", "tel:+1@a.example", false},

		{"3986: a scheme begins with a letter", "1ip:a.example", false},
		{"3986: and has some", ":a.example", false},
		{"3986: an absolute URI has one", "//a.example/", false},
		{"3986: letters, digits, '+', '-' and '.'", "a+b-c.1:x", true},
		{"3986: something comes behind it", "urn:", false},
		{"3986: no spaces", "http://a b/", false},
		{"3986: no brackets that would end it", "http://a/<b>", false},
		{"3986: escapes are whole", "http://a/%4", false},
	} {
		if u, err := ParseURI(c.uri); (err == nil) != c.ok {
			t.Errorf("%s: ParseURI(%q) = %#v, %v", c.rule, c.uri, u, err)
		}
	}
}

// What ParseURI says that it takes besides, and how it is written again.
func TestURITolerances(t *testing.T) {
	for s, want := range map[string]string{
		"sip:..":                "sip:..",
		"sip:-":                 "sip:-",
		"sip:_sip.1.2.3":        "sip:_sip.1.2.3",
		"sip:999.999.999.999":   "sip:999.999.999.999",
		"sip:[2001:db8:::1]":    "sip:[2001:db8:::1]",
		"sip:h:005060":          "sip:h:5060",
		"sip:a:b;c?d/e@h":       "sip:a:b;c?d/e@h",
		"sip:a:@h":              "sip:a@h",
		"sip:h;maddr=-;ttl=999": "sip:h;maddr=-;ttl=999",
		"sip:h;transport;a=1;a": "sip:h;transport;a=1;a",
		"tel:+1;x;ext;isub":     "tel:+1;x;ext;isub",
		"tel:1;phone-context":   "tel:1;phone-context",
		"tel:+1;ext=a":          "tel:+1;ext=a",
	} {
		u, err := ParseURI(s)
		if err != nil || u.String() != want {
			t.Errorf("ParseURI(%s) = %s, %v, want %s", s, u, err, want)
		}
		if addr := u.Addr(); addr.IsValid() != (u.Host == "[2001:db8:::1]") {
			t.Errorf("Addr() of %s = %s", s, addr)
		}
	}
}

// IPv6 references stand in brackets and have no zone, wherever a host may be
// (RFC 3261 section 25.1, RFC 5118).
func TestIPv6References(t *testing.T) {
	for _, c := range []struct {
		host string
		ok   bool
	}{
		{"[2001:db8::10]", true},
		{"[2001:DB8::9:1]", true},
		{"[::]", true},
		{"[::1]", true},
		{"[::ffff:192.0.2.10]", true},      // section 4.9
		{"[2001:db8:::192.0.2.1]", true},   // section 4.10
		{"[2001:db8::10:5070]", true},      // section 4.3
		{"2001:db8::10", false},            // section 4.2
		{"[2001:db8::10", false},           // no end
		{"[]", false},                      // no address
		{"[192.0.2.1]", false},             // of another kind
		{"[a.example]", false},             // nor a name
		{"[2001:db8::1::2]", false},        // two gaps
		{"[2001:db8::12345]", false},       // five digits
		{"[1:2:3:4:5:6:7:8:9]", false},     // too long
		{"[::::]", false},                  // more colons than RFC 5118 forgives
		{"[v1.fe]", false},                 // of the future (RFC 3986)
		{"[fe80::1%eth0]", false},          // a zone
		{"[fe80::1%25eth0]", false},        // a zone as URIs write it (RFC 6874)
		{"[fe80::1%251]", false},           // a zone by number
		{"[::ffff:192.0.2.1%1]", false},    // a zone that netip knows of no other way
		{"[fe80::1%]", false},              // an empty one
		{"[2001:db8::1]x", false},          // text behind
		{"[2001:db8::1]:5060", true},       // section 4.4
		{"[2001:db8::1]:0", false},         // no port
		{"[2001:db8::1]:", false},          // no port, either
		{"[2001:db8::1\r\nVia: x]", false}, // nothing of that kind
	} {
		if _, err := ParseURI("sip:bob@" + c.host); (err == nil) != c.ok {
			t.Errorf("URI with %q: %v", c.host, err)
		}
		if _, err := (Via{}).ParseValue("SIP/2.0/UDP " + c.host + ";branch=z9hG4bK1"); (err == nil) != c.ok {
			t.Errorf("Via with %q: %v", c.host, err)
		}
		if _, err := (Contact{}).ParseValue("<sip:bob@" + c.host + ">"); (err == nil) != c.ok {
			t.Errorf("Contact with %q: %v", c.host, err)
		}
		if _, err := Parse(start("OPTIONS sip:" + c.host + " SIP/2.0")); (err == nil) != c.ok {
			t.Errorf("Request-URI with %q: %v", c.host, err)
		}
	}
	// A zone in received would choose the interface that a response leaves by.
	for received, ok := range map[string]bool{
		"2001:db8::9:255": true, "[2001:db8::9:255]": true, "192.0.2.1": true, "::ffff:192.0.2.1": true,
		"fe80::1%eth0": false, "[fe80::1%eth0]": false, "fe80::1%25eth0": false, "a.example": false,
	} {
		via, err := Via{}.ParseValue("SIP/2.0/UDP a.example;received=" + received)
		if got := via.Received(); err != nil || got.IsValid() != ok || got.Zone() != "" {
			t.Errorf("received=%s is %v, %v", received, got, err)
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
