package sip

import (
	"strings"
	"testing"
)

// A name is not taken for a usual one that it begins with.
func TestNamesThatBeginLikeUsualOnes(t *testing.T) {
	for id := idVia; int(id) < len(headers); id++ {
		for _, name := range []string{headers[id].name + "x", headers[id].name + "-longer-by-far"} {
			m := mustParse(t, tweak("", name+": value"))
			if got, want := lookupHeader(name), m.base().fields(); want[len(want)-1].id != got {
				t.Errorf("%s is indexed as %d, want %d", name, want[len(want)-1].id, got)
			}
		}
	}
}

// Values that are too long for the index are read when they are asked for.
func TestLongValues(t *testing.T) {
	long := strings.Repeat("x", 300)
	spaces := strings.Repeat(" ", 300)
	m := mustParse(t, strings.Join([]string{
		"OPTIONS sip:" + long + "@b.example SIP/2.0",
		"Via: SIP/2.0/UDP a.example;branch=" + long,
		`From: "` + long + `" <sip:a@a.example>;tag=1`,
		"To:" + spaces + "<sip:b@b.example>",
		"Call-ID: 1",
		"CSeq: 1" + spaces + "OPTIONS\r\n\r\n",
	}, "\r\n")).(*Request)
	expect(t, "URI", m.URI(), URI{Scheme: "sip", User: long, Host: "b.example"})
	expect(t, "From", m.From(), From{Display: long, URI: URI{Scheme: "sip", User: "a", Host: "a.example"}, Params: ";tag=1"})
	expect(t, "Branch", m.Via().Branch(), long)
	expect(t, "To", m.To().URI.Host, "b.example")
	expect(t, "CSeq", m.CSeq(), CSeq{1, OPTIONS})
	out := m.With(MaxForwards(1))
	expect(t, "From of a copy", out.From(), m.From())
	expect(t, "To of a copy", out.To(), m.To())
}
