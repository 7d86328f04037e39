package sip

import "testing"

// RFC 3325 section 10.1, and what stands without brackets.
func TestAssertedIdentity(t *testing.T) {
	tel := uriOf(t, "tel:+14085264000")
	reads(t,
		reading[PAssertedIdentity]{`"Cullen Jennings" <sip:fluffy@cisco.com>`, PAssertedIdentity{Display: "Cullen Jennings", URI: uriOf(t, "sip:fluffy@cisco.com")}, ""},
		reading[PAssertedIdentity]{"tel:+14085264000", PAssertedIdentity{URI: tel}, "<tel:+14085264000>"},
		// There are no header parameters, so these are the URI's.
		reading[PAssertedIdentity]{"tel:7042;phone-context=example.com", PAssertedIdentity{URI: uriOf(t, "tel:7042;phone-context=example.com")},
			"<tel:7042;phone-context=example.com>"},
		// Peers add some all the same.
		reading[PAssertedIdentity]{"<tel:+14085264000>;verstat=TN-Validation-Passed", PAssertedIdentity{URI: tel, Params: ";verstat=TN-Validation-Passed"}, ""},
	)
	reads(t, reading[PPreferredIdentity]{`"Cullen Jennings" <sip:fluffy@cisco.com>`, PPreferredIdentity{Display: "Cullen Jennings", URI: uriOf(t, "sip:fluffy@cisco.com")}, ""})
	refuses[PAssertedIdentity](t, "", "fluffy", "sip:fluffy@cisco.com?a=b", "sip:fluffy@cisco.com ;a=b", `tel:7042;a="b"`, "Cullen <sip:fluffy@cisco.com", "<sip:a@b> <sip:c@d>")
	refuses[PPreferredIdentity](t, "", "fluffy@cisco.com")
	wontWrite(t, PAssertedIdentity{}, PAssertedIdentity{URI: URI{Scheme: "sip", Host: "a>, <sip:b"}}, PAssertedIdentity{URI: tel, Params: ", <tel:911>"})

	two := mustParse(t, tweak("", `P-Asserted-Identity: "Cullen, J" <sip:fluffy@cisco.com>, tel:+14085264000`))
	if got := values[PAssertedIdentity](t, two); len(got) != 2 || got[0].Display != "Cullen, J" || got[1].URI != tel {
		t.Errorf("P-Asserted-Identity = %v", got)
	}
}
