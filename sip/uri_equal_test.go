package sip

import "testing"

// RFC 3261 section 19.1.4 and RFC 3966 section 4, with the sets of both texts.
func TestURIEqual(t *testing.T) {
	for _, c := range []struct {
		rule string
		a, b string
		want bool
	}{
		{"equal set 1", "sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true},
		{"equal set 2", "sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true},
		{"equal set 2", "sip:carol@chicago.com", "sip:carol@chicago.com;security=on", true},
		{"equal set 2", "sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", true},
		{"equal set 3", "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com", "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com", true},
		{"equal set 4", "sip:alice@atlanta.com?subject=project%20x&priority=urgent", "sip:alice@atlanta.com?priority=urgent&subject=project%20x", true},

		{"different usernames", "SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false},
		{"can resolve to different ports", "sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false},
		{"can resolve to different transports", "sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false},
		{"can resolve to different port and transports", "sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false},
		{"different header component", "sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false},
		{"even though that is what it resolves to", "sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false},
		{"not transitive", "sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false},

		{"a SIP and a SIPS URI", "sip:bob@biloxi.com", "sips:bob@biloxi.com", false},
		{"case of the scheme", "SIP:bob@biloxi.com", "sip:bob@biloxi.com", true},
		{"userinfo is case-sensitive", "sip:bob@biloxi.com", "sip:Bob@biloxi.com", false},
		{"and so is the password", "sip:bob:pw@biloxi.com", "sip:bob:PW@biloxi.com", false},
		{"telephone-subscribers, too", "sip:+1;ext=A@biloxi.com;user=phone", "sip:+1;ext=a@biloxi.com;user=phone", false},
		{"with their separators", "sip:+1-2@biloxi.com;user=phone", "sip:+12@biloxi.com;user=phone", false},
		{"no user", "sip:biloxi.com", "sip:bob@biloxi.com", false},
		{"no password", "sip:bob@biloxi.com", "sip:bob:pw@biloxi.com", false},

		{"escapes of what is not reserved", "sip:b%4fb@biloxi.com", "sip:bOb@biloxi.com", true},
		{"as marks are", "sip:%2d%5F%2e%21%7E%2a%27%28%29@a.example", "sip:-_.!~*'()@a.example", true},
		{"case of an escape", "sip:b%3bb@biloxi.com", "sip:b%3Bb@biloxi.com", true},
		{"';' is reserved", "sip:b%3bb@biloxi.com", "sip:b;b@biloxi.com", false},
		{"'+' is reserved", "sip:%2B1@biloxi.com", "sip:+1@biloxi.com", false},
		{"escapes are undone once", "sip:b%2561@biloxi.com", "sip:ba@biloxi.com", false},
		{"escapes in a password", "sip:bob:%70w@biloxi.com", "sip:bob:pw@biloxi.com", true},
		{"escapes in a parameter", "sip:a.example;%61=%62", "sip:a.example;A=B", true},
		{"reserved ones", "sip:a.example;a=b%3Ac", "sip:a.example;a=b:c", false},

		{"ttl in one only", "sip:bob@biloxi.com;ttl=1", "sip:bob@biloxi.com", false},
		{"user in one only", "sip:bob@biloxi.com;user=ip", "sip:bob@biloxi.com", false},
		{"method in one only", "sip:bob@biloxi.com;method=INVITE", "sip:bob@biloxi.com", false},
		{"maddr in one only", "sip:bob@biloxi.com;maddr=192.0.2.1", "sip:bob@biloxi.com", false},
		{"in any case", "sip:bob@biloxi.com;TTL=1", "sip:bob@biloxi.com", false},
		{"lr in one only", "sip:bob@biloxi.com;lr", "sip:bob@biloxi.com", true},
		{"in both, it must match", "sip:bob@biloxi.com;lr", "sip:bob@biloxi.com;lr=on", false},
		{"order of parameters", "sip:a.example;a=1;b=2;c", "sip:a.example;c;b=2;a=1", true},
		{"a parameter twice", "sip:a.example;a=1;a=2", "sip:a.example;a=1", false},
		{"maddr is a host", "sip:a.example;maddr=[2001:db8::1]", "sip:a.example;maddr=[2001:DB8:0::1]", true},
		{"maddr is another host", "sip:a.example;maddr=[2001:db8::1]", "sip:a.example;maddr=[2001:db8::2]", false},

		{"RFC 5627 section 3.1: a public GRUU is its AOR", "sip:a@a.example;gr=urn:uuid:f8", "sip:a@a.example", true},
		{"two GRUUs of one AOR", "sip:a@a.example;gr=1", "sip:a@a.example;gr=2", false},
		{"RFC 5626: ob", "sip:a@192.0.2.1;ob", "sip:a@192.0.2.1", true},
		{"RFC 8599 section 5.3: by default, the rules of RFC 3261", "sip:a@a.example;pn-provider=x;pn-prid=y", "sip:a@a.example", true},
		{"another push device", "sip:a@a.example;pn-provider=x;pn-prid=y", "sip:a@a.example;pn-provider=x;pn-prid=z", false},

		{"IPv6 by value", "sip:[2001:db8::1]", "sip:[2001:DB8:0::1]", true},
		{"another address", "sip:[2001:db8::1]", "sip:[2001:db8::2]", false},
		{"an IPv4-mapped address has two forms", "sip:[::ffff:192.0.2.1]", "sip:[::FFFF:c000:201]", true},
		{"and is no IPv4 address", "sip:[::ffff:192.0.2.1]", "sip:192.0.2.1", false},
		{"RFC 5118 section 4.10", "sip:[2001:db8:::192.0.2.1]", "sip:[2001:db8::192.0.2.1]", true},
		{"an IPv4 address is its text", "sip:192.0.2.4", "sip:192.0.2.04", false},
		{"a name is its text", "sip:a.example", "sip:a.example.", false},
		{"leading zeros of a port", "sip:a.example:05070", "sip:a.example:5070", true},

		{"a header twice", "sip:a.example?a=b&a=c", "sip:a.example?a=b&a=b", false},
		{"order of headers", "sip:a.example?a=b&a=c", "sip:a.example?a=c&a=b", true},
		{"one of them missing", "sip:a.example?a=b", "sip:a.example?a=b&a=b", false},
		{"case of their names", "sip:a.example?Subject=x", "sip:a.example?sUBJECT=x", true},
		{"compact forms", "sip:a.example?subject=x", "sip:a.example?s=x", true},
		{"escapes of their values", "sip:a.example?s=%61%3a", "sip:a.example?s=a:", true},
		{"their values", "sip:a.example?s=x", "sip:a.example?s=y", false},
		{"to the letter", "sip:a.example?s=x", "sip:a.example?s=X", false},

		{"visual separators", "tel:+1-201-555-0123", "tel:+1(201)555.0123", true},
		{"both global or both local", "tel:+12015550123", "tel:12015550123", false},
		{"digits", "tel:+12015550123", "tel:+12015550124", false},
		{"digits of base 16 in any case", "tel:aB;phone-context=+1", "tel:Ab;phone-context=+1", true},
		{"phone-context is a name", "tel:7042;phone-context=example.com", "tel:7042;Phone-Context=EXAMPLE.com", true},
		{"hyphens of which count", "tel:7042;phone-context=ex-ample.com", "tel:7042;phone-context=example.com", false},
		{"phone-context is a number", "tel:7042;phone-context=+1-914", "tel:7042;phone-context=+1914", true},
		{"phone-context in one only", "tel:7042;phone-context=example.com", "tel:7042", false},
		{"another context", "tel:7042;phone-context=+1", "tel:7042;phone-context=+49", false},
		{"order of parameters", "tel:1;a=1;b=2", "tel:1;b=2;a=1", true},
		{"ext is a number", "tel:1;ext=1-2", "tel:1;ext=12", true},
		{"ext and isub are not the same", "tel:1;ext=12", "tel:1;isub=12", false},
		{"isub is its text", "tel:1;isub=1-2", "tel:1;isub=12", false},
		{"in any case", "tel:1;isub=Ab", "tel:1;ISUB=aB", true},
		{"other parameters, too", "tel:1;x=a.b", "tel:1;x=ab", false},
		{"any parameter in one only", "tel:1;x=y", "tel:1", false},
		{"a mandatory one", "tel:1;m-x", "tel:1", false},
		{"escapes in parameters", "tel:1;x=%61", "tel:1;x=a", true},
		{"RFC 3261 section 19.1.6, case", "tel:+358-555-1234567;postd=pp22", "tel:+358-555-1234567;POSTD=PP22", true},
		{"and order", "tel:+358-555-1234567;postd=pp22;isub=1411", "tel:+358-555-1234567;isub=1411;postd=pp22", true},
		{"which is not so in sip URIs", "sip:+358-555-1234567;postd=pp22@foo.com;user=phone", "sip:+358-555-1234567;POSTD=PP22@foo.com;user=phone", false},
		{"nor is order", "sip:+358-555-1234567;postd=pp22;isub=1411@foo.com;user=phone", "sip:+358-555-1234567;isub=1411;postd=pp22@foo.com;user=phone", false},
		{"tel and sip", "tel:12015550123", "sip:12015550123@a.example", false},

		{"other schemes", "urn:service:sos", "urn:service:sos", true},
		{"case of their scheme", "URN:service:sos", "urn:service:sos", true},
		{"their text", "urn:service:sos", "urn:service:sos.fire", false},
	} {
		a, b := mustURI(t, c.a), mustURI(t, c.b)
		if a.Equal(b) != c.want || b.Equal(a) != c.want {
			t.Errorf("%s: %s and %s: %v and %v, want %v", c.rule, c.a, c.b, a.Equal(b), b.Equal(a), c.want)
		}
		if !a.Equal(a) || !b.Equal(b) {
			t.Errorf("%s or %s is not equal to itself", a, b)
		}
	}
}

// A URI that a program made is equal to what its peer reads.
func TestURIEqualAsWritten(t *testing.T) {
	for _, c := range []struct {
		made URI
		text string
		want bool
	}{
		{URI{Scheme: "sip", User: "a b", Host: "a.example"}, "sip:a%20b@a.example", true},
		{URI{Scheme: "sip", User: "100%", Host: "a.example"}, "sip:100%25@a.example", true},
		{URI{Scheme: "sip", User: "100%zz", Host: "a.example"}, "sip:100%25zz@a.example", true},
		{URI{Scheme: "sip", User: "100%zz", Host: "a.example"}, "sip:100%23@a.example", false},
		{URI{Scheme: "sip", User: "a", Password: "p w", Host: "a.example"}, "sip:a:p%20w@a.example", true},
		{URI{Scheme: "sip", Host: "a.example", Params: Params("").With("x", "a b")}, "sip:a.example;x=a%20b", true},
		{URI{Scheme: "sip", Host: "a.example"}.WithParam("x", "a b"), "sip:a.example;x=a%20b", true},
		{URI{Scheme: "sip", Opaque: "bob@A.example;lr"}, "sip:bob@a.example", true},
		{URI{Scheme: "sip", Opaque: "alice@a.example"}, "sip:bob@a.example", false},
		{URI{Scheme: "tel", Opaque: "+1-2"}, "tel:+12", true},
		{URI{Scheme: "sip", Opaque: "@"}, "sip:a.example", false},
	} {
		read := mustURI(t, c.text)
		if c.made.Equal(read) != c.want || read.Equal(c.made) != c.want {
			t.Errorf("%#v and %s: %v and %v, want %v", c.made, c.text, c.made.Equal(read), read.Equal(c.made), c.want)
		}
	}
	a, b := URI{Scheme: "sip", Opaque: "@a"}, URI{Scheme: "sip", Opaque: "@b"}
	if a.Equal(b) || !a.Equal(a) {
		t.Error("sip URIs that are none are not compared by their text")
	}
}
