package sip

import (
	"slices"
	"strings"
	"testing"
)

// TestTortureIPv6 holds Parse to RFC 5118: all but one of its messages are read,
// one of them for the sake of peers that went by the grammar of RFC 3261.
func TestTortureIPv6(t *testing.T) {
	refused := map[string]verdict{"ipv6-bad.sip": {400, "Request-URI", ""}}
	rows := expectations(t, "rfc5118")
	if len(rows) != 12 {
		t.Fatalf("%d messages, want 12", len(rows))
	}
	for _, row := range rows {
		name, valid := row[0], row[2]
		want := refused[name]
		if (valid == "no") != (want.where != "") {
			t.Errorf("%s: valid is %s, and the verdict %v", name, valid, want)
		}
		t.Run(name, func(t *testing.T) { judge(t, readFile(t, "rfc5118/"+name), want) })
	}
}

// Sections 4.1 to 4.4: what is the port, and what is not.
func TestTortureIPv6Hosts(t *testing.T) {
	m := parseFile(t, "rfc5118/ipv6-good.sip").(*Request)
	expect(t, "host", m.URI().Host, "[2001:db8::10]")
	expect(t, "sent-by", m.Via().SentBy(), "[2001:db8::9:1]")
	expect(t, "port of the sent-by", m.Via().Port, 0)
	contact, err := Get[Contact](m)
	expect(t, "Contact error", err, nil)
	expect(t, "host of the Contact", contact.URI.Host, "[2001:db8::1]")

	u := parseFile(t, "rfc5118/port-ambiguous.sip").(*Request).URI()
	expect(t, "port in the brackets", u.HostPort(), "[2001:db8::10:5070]")
	expect(t, "port", u.Port, 0)
	u = parseFile(t, "rfc5118/port-unambiguous.sip").(*Request).URI()
	expect(t, "host", u.Host, "[2001:db8::10]")
	expect(t, "port", u.Port, 5070)
}

// Sections 4.5 and 4.7: addresses in a Via.
func TestTortureIPv6Vias(t *testing.T) {
	for _, name := range []string{"rfc5118/via-received-param-with-delim.sip", "rfc5118/via-received-param-no-delim.sip"} {
		via := parseFile(t, name).Via()
		expect(t, name, via.Received().String(), "2001:db8::9:255")
		// Brackets are taken but not given.
		expect(t, name, Params("").With("received", via.Received().String()), Params(";received=2001:db8::9:255"))
	}
	vias := values[Via](t, parseFile(t, "rfc5118/mult-ip-in-header.sip"))
	if len(vias) != 3 {
		t.Fatalf("%d Vias, want 3", len(vias))
	}
	expect(t, "Via 1", vias[0].SentBy(), "[2001:db8::9:1]:6050")
	expect(t, "Via 2", vias[1].SentBy(), "192.0.2.1")
	expect(t, "Via 3", vias[2].SentBy(), "[2001:db8::9:255]")
	expect(t, "Via 3, received", vias[2].Received().String(), "192.0.2.200")
}

// Sections 4.6 and 4.8: a body is left as it is.
func TestTortureIPv6Bodies(t *testing.T) {
	for name, want := range map[string][]string{
		"ipv6-in-sdp.sip": {
			"o=assistant 971731711378798081 0 IN IP6 2001:db8::20", "c=IN IP6 2001:db8::20"},
		"mult-ip-in-sdp.sip": {
			"o=bob 280744730 28977631 IN IP4 host.example.com", "s=", "c=IN IP4 192.0.2.1", "c=IN IP6 2001:db8::1"},
		"ipv4-mapped-ipv6.sip": {
			"o=assistant 971731711378798081 0 IN IP6 ::ffff:192.0.2.2", "c=IN IP6 ::ffff:192.0.2.2"},
	} {
		lines := strings.Split(parseFile(t, "rfc5118/"+name).Body(), "\r\n")
		for _, line := range want {
			if !slices.Contains(lines, line) {
				t.Errorf("%s: no line %s in the body", name, line)
			}
		}
	}
}

// Sections 4.9 and 4.10: IPv4 addresses within, and the grammar's third colon,
// which is tolerated and means what was meant.
func TestTortureIPv6WithIPv4(t *testing.T) {
	mapped := parseFile(t, "rfc5118/ipv4-mapped-ipv6.sip")
	vias := values[Via](t, mapped)
	if len(vias) != 2 || vias[0].SentBy() != "[::ffff:192.0.2.10]:19823" || vias[1].SentBy() != "[::ffff:192.0.2.2]" {
		t.Errorf("Vias = %v", vias)
	}
	contact, err := Get[Contact](mapped)
	expect(t, "Contact error", err, nil)
	expect(t, "mapped host", contact.URI.Host, "[::ffff:192.0.2.2]")

	bug := parseFile(t, "rfc5118/ipv6-bug-abnf-3-colons.sip").(*Request)
	good := parseFile(t, "rfc5118/ipv6-correct-abnf-2-colons.sip").(*Request)
	expect(t, "host", good.URI().Host, "[2001:db8::192.0.2.1]")
	expect(t, "both are equal", bug.URI().Equal(good.URI()), true)
	expect(t, "both To are equal", bug.To().URI.Equal(good.To().URI), true)
}
