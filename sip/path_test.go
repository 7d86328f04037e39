package sip

import "testing"

// RFC 3327 section 5.5 and RFC 3608 section 6.4: what becomes a Route.
func TestPathAndServiceRoute(t *testing.T) {
	p3 := uriOf(t, "sip:P3.EXAMPLEHOME.COM;lr")
	reads(t,
		reading[Path]{"<sip:P3.EXAMPLEHOME.COM;lr>", Path{URI: p3}, ""},
		reading[Path]{"P3 <sip:P3.EXAMPLEHOME.COM;lr> ;x=y", Path{"P3", p3, ";x=y"}, `"P3" <sip:P3.EXAMPLEHOME.COM;lr>;x=y`},
		// RFC 5626 section 9.2: a flow token.
		reading[Path]{"<sip:VskztcQ/S8p4WPbOnHbuyh5iJvJIW3ib@ep1.example.com;lr;ob>",
			Path{URI: uriOf(t, "sip:VskztcQ/S8p4WPbOnHbuyh5iJvJIW3ib@ep1.example.com;lr;ob")}, ""},
	)
	reads(t, reading[ServiceRoute]{"<sip:HSP.EXAMPLE.COM;lr>", ServiceRoute{URI: uriOf(t, "sip:HSP.EXAMPLE.COM;lr")}, ""})
	refuses[Path](t, "", "sip:P3.EXAMPLEHOME.COM;lr", "<sip:P3.EXAMPLEHOME.COM;lr", "<P3>")
	refuses[ServiceRoute](t, "", "sip:P3.EXAMPLEHOME.COM;lr")
	wontWrite(t, Path{}, Path{URI: URI{Scheme: "sip", Host: "a>, <sip:evil"}})
	wontWrite(t, ServiceRoute{}, ServiceRoute{URI: p3, Params: ", <sip:evil>"})

	m := mustParse(t, tweak("", "Path: <sip:P3.EXAMPLEHOME.COM;lr>,<sip:P1.EXAMPLEVISITED.COM;lr>"))
	var edits []Edit
	for _, p := range values[Path](t, m) {
		edits = append(edits, Add(Route(p)))
	}
	out := with(m, edits...)
	if got := values[Route](t, out); len(got) != 2 || got[0].URI != p3 || out.Err() != nil {
		t.Errorf("routes = %v, %v", got, out.Err())
	}
}
