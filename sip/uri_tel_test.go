package sip

import "testing"

// RFC 3261 section 19.1.6, with its examples.
func TestTelAndSIP(t *testing.T) {
	for _, c := range []struct {
		what, tel, sip string
	}{
		{"the whole subscriber is the user", "tel:+358-555-1234567;postd=pp22", "sip:+358-555-1234567;postd=pp22@foo.com;user=phone"},
		{"in lower case", "tel:+358-555-1234567;POSTD=PP22", "sip:+358-555-1234567;postd=pp22@foo.com;user=phone"},
		{"in order", "tel:+358-555-1234567;tsp=a.b;phone-context=5", "sip:+358-555-1234567;phone-context=5;tsp=a.b@foo.com;user=phone"},
		{"isub first", "tel:+358-555-1234567;postd=pp22;isub=1411", "sip:+358-555-1234567;isub=1411;postd=pp22@foo.com;user=phone"},
		{"ext first, then the context (RFC 3966 section 3)", "tel:7;a=1;Phone-Context=A.example;EXT=2", "sip:7;ext=2;phone-context=a.example;a=1@foo.com;user=phone"},
		{"no value", "tel:+1;b;a", "sip:+1;a;b@foo.com;user=phone"},
		{"what a user has no place for is escaped", "tel:*67#;phone-context=+1;x=a:[b]", "sip:*67%23;phone-context=+1;x=a%3A%5Bb%5D@foo.com;user=phone"},
		{"what was escaped stays so", "tel:+1;x=a%3bB%41", "sip:+1;x=a%3Bba@foo.com;user=phone"},
	} {
		tel := mustURI(t, c.tel)
		got := tel.SIP("foo.com")
		expect(t, c.what, got.String(), c.sip)
		if again := mustURI(t, got.String()); again != got {
			t.Errorf("%s: %#v is read as %#v", c.what, got, again)
		}
		back, ok := got.Tel()
		if !ok || !back.Equal(tel) {
			t.Errorf("%s: %s.Tel() = %s, %v, want %s", c.what, got, back, ok, tel)
		}
		sips := got
		sips.Scheme = "sips"
		if back, ok := sips.Tel(); !ok || !back.Equal(tel) {
			t.Errorf("%s: %s.Tel() = %s, %v, want %s", c.what, sips, back, ok, tel)
		}
		if same, ok := tel.Tel(); !ok || same != tel {
			t.Errorf("%s: Tel() of a tel URI = %s, %v", c.what, same, ok)
		}
	}
	for _, s := range []string{"sip:+1@a.example", "sip:+1@a.example;user=ip", "sip:bob@a.example;user=phone", "sip:a.example;user=phone", "sip:+1;=@a.example;user=phone", "urn:service:sos",
		// An escape that would end the number and begin a parameter.
		"sip:+1%3Bphone-context=evil@a.example;user=phone", "sip:+1%3b@a.example;user=phone", "sip:+1%3Bext=9;isub=1@a.example;user=phone",
		"sip:+1%40b@a.example;user=phone", "sip:+1%3Fa=b@a.example;user=phone", "sip:+1%253B@a.example;user=phone"} {
		if tel, ok := mustURI(t, s).Tel(); ok {
			t.Errorf("%s.Tel() = %s", s, tel)
		}
	}
	// Nor does one in a parameter begin another.
	uri := mustURI(t, "sip:+1;x=a%3Bphone-context=evil@a.example;user=phone")
	if tel, ok := uri.Tel(); ok && tel.Params.Has("phone-context") {
		t.Errorf("%s.Tel() = %s", uri, tel)
	}
	bob := mustURI(t, "sip:bob@a.example")
	expect(t, "SIP of a sip URI", bob.SIP("foo.com"), bob)
	expect(t, "a number without its parameter", mustURI(t, "sip:+1@a.example;USER=Phone").User, "+1")
	if tel, ok := mustURI(t, "sip:+1@a.example;USER=Phone").Tel(); !ok || tel.String() != "tel:+1" {
		t.Errorf("Tel() = %s, %v", tel, ok)
	}
}
