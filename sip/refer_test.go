package sip

import "testing"

// The examples of RFC 3515 section 2.1, RFC 4538 section 10 and RFC 3892
// section 3.
func TestReferTo(t *testing.T) {
	reads(t,
		reading[ReferTo]{"sip:alice@atlanta.example.com", ReferTo{URI: uriOf(t, "sip:alice@atlanta.example.com")}, "<sip:alice@atlanta.example.com>"},
		reading[ReferTo]{"<sip:dave@denver.example.org?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994>",
			ReferTo{URI: uriOf(t, "sip:dave@denver.example.org?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994")}, ""},
		reading[ReferTo]{"<sip:carol@cleveland.example.org;method=SUBSCRIBE>", ReferTo{URI: uriOf(t, "sip:carol@cleveland.example.org;method=SUBSCRIBE")}, ""},
		reading[ReferTo]{"http://serverB.example.org/ui-component.html", ReferTo{URI: uriOf(t, "http://serverB.example.org/ui-component.html")},
			"<http://serverB.example.org/ui-component.html>"},
		reading[ReferTo]{"<sip:a@b>;x", ReferTo{URI: uriOf(t, "sip:a@b"), Params: ";x"}, ""},
	)
	refuses[ReferTo](t, "", "dave", "(whatever URI)",
		// A header field without "=", as the second example of section 2.1 has it.
		"<sip:bob@biloxi.example.net?Accept-Contact=sip:bobsdesk.biloxi.example.net&Call-ID%3D55432%40alicepc.atlanta.example.com>",
		// RFC 3261 section 20.10: this needs brackets.
		"sip:dave@denver.example.org?Replaces=12345")
	wontWrite(t, ReferTo{}, ReferTo{URI: URI{Scheme: "sip", Host: "a", Headers: "Route=<sip:b>"}})
}

func TestReferredBy(t *testing.T) {
	r := uriOf(t, "sip:r@ref.example")
	reads(t,
		reading[ReferredBy]{`sip:r@ref.example;cid="2UWQFN309shb3@ref.example"`, ReferredBy{URI: r, Params: `;cid="2UWQFN309shb3@ref.example"`},
			`<sip:r@ref.example>;cid="2UWQFN309shb3@ref.example"`},
		reading[ReferredBy]{"Bob <sip:r@ref.example>", ReferredBy{Display: "Bob", URI: r}, `"Bob" <sip:r@ref.example>`},
	)
	refuses[ReferredBy](t, "", "Bob", "<alice@atlanta.example.com>")
	got := ReferredBy{URI: r, Params: Params("").With("cid", "2UWQFN309shb3@ref.example")}
	expect(t, "ContentID", got.ContentID(), "2UWQFN309shb3@ref.example")
	expect(t, "what With writes", Address(got).String(), `<sip:r@ref.example>;cid="2UWQFN309shb3@ref.example"`)
	expect(t, "ContentID of none", ReferredBy{}.ContentID(), "")
}

func TestReferSub(t *testing.T) {
	reads(t,
		reading[ReferSub]{"false", ReferSub{}, ""},
		reading[ReferSub]{"True ; x=y", ReferSub{true, "; x=y"}, "true; x=y"},
	)
	refuses[ReferSub](t, "", "no", "false true", "falsetto", "false;")
	wontWrite(t, ReferSub{Params: "hood"}, ReferSub{Params: ";a, b"})
}
