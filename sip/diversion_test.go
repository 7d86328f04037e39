package sip

import "testing"

// RFC 5806 sections 8.2 and 9.2.5.
func TestDiversion(t *testing.T) {
	tel := uriOf(t, "tel:+19195551002")
	reads(t,
		reading[Diversion]{`<tel:+19195551002>;reason=user-busy;privacy="full";counter=4`, Diversion{URI: tel, Params: `;reason=user-busy;privacy="full";counter=4`}, ""},
		reading[Diversion]{`"B" <tel:+19195551002> ; reason = "user busy"`, Diversion{"B", tel, `; reason = "user busy"`}, `"B" <tel:+19195551002>; reason = "user busy"`},
		reading[Diversion]{"tel:+19195551002;reason=away", Diversion{URI: tel, Params: ";reason=away"}, "<tel:+19195551002>;reason=away"},
	)
	refuses[Diversion](t, "", "Bob@P2", "<tel:+19195551002>, <tel:+19195551001>")
	wontWrite(t, Diversion{}, Diversion{URI: tel, Params: ", <tel:911>"})

	m := mustParse(t, tweak("", "Diversion: <tel:+19195551002>;reason=user-busy;counter=4", "Diversion: <tel:+19195551001>", "Diversion: <tel:+1>;counter=x;reason=\"\""))
	sum := 0
	var reasons string
	for _, d := range values[Diversion](t, m) {
		sum += d.Counter()
		reasons += d.Reason() + " "
	}
	expect(t, "the sum of the counters", sum, 6)
	expect(t, "the reasons", reasons, "user-busy unknown unknown ")
}
