package sip

import "testing"

// The examples of RFC 6442.
func TestGeolocation(t *testing.T) {
	reads(t,
		reading[Geolocation]{"<cid:target123@atlanta.example.com>", Geolocation{URI: URI{Scheme: "cid", Opaque: "target123@atlanta.example.com"}}, ""},
		reading[Geolocation]{"<sips:target123@server5.atlanta.example.com>;x=y", Geolocation{uriOf(t, "sips:target123@server5.atlanta.example.com"), ";x=y"}, ""},
	)
	refuses[Geolocation](t, "", "here", "<here>", "Alice <cid:a@b>")
	wontWrite(t, Geolocation{}, Geolocation{URI: URI{Scheme: "cid", Opaque: "a>;x"}})

	reads(t,
		reading[GeolocationRouting]{"yes", true, ""},
		reading[GeolocationRouting]{"YES", true, "yes"},
		reading[GeolocationRouting]{"no", false, ""},
		reading[GeolocationRouting]{"sometimes", false, "no"},
		reading[GeolocationRouting]{"yes = maybe", false, "no"},
		reading[GeolocationRouting]{`yes="no"`, false, "no"},
	)
	refuses[GeolocationRouting](t, "", "yes no", "yes;no", "yes=", `yes="`, "=yes")

	reads(t,
		reading[GeolocationError]{`100 ; code="Cannot Process Location"`, GeolocationError{100, `; code="Cannot Process Location"`}, `100; code="Cannot Process Location"`},
		reading[GeolocationError]{"007", GeolocationError{7, ""}, "7"},
	)
	refuses[GeolocationError](t, "", "1000", "-1", "100 x", `100;code="`)
	wontWrite(t, GeolocationError{Code: 1000}, GeolocationError{Code: -1}, GeolocationError{1, "00"})
	e, _ := GeolocationError{}.ParseValue(`300 ; code="Dereference Failure"`)
	expect(t, "Text", e.Text(), "Dereference Failure")
	expect(t, "Text of none", GeolocationError{}.Text(), "")
}
