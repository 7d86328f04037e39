package sip

import "testing"

func TestAccept(t *testing.T) {
	reads(t,
		reading[Accept]{text: "application/sdp;level=1", want: Accept{"application/sdp", ";level=1"}}, // RFC 3261 section 20.1
		reading[Accept]{text: "text/html", want: Accept{Type: "text/html"}},
		reading[Accept]{text: "*/*;q=0.1", want: Accept{"*/*", ";q=0.1"}},
		reading[Accept]{text: "", want: Accept{}},
		reading[Accept]{text: "text / * ; q = 0.5", want: Accept{"text/*", "; q = 0.5"}, wrote: "text/*; q = 0.5"},
	)
	refuses[Accept](t, "text", "text/", "/plain", "*", "text/plain q=1", "text/plain, text/html", ";q=1")
	wontWrite(t, Accept{Type: "text"}, Accept{Params: ";q=1"}, Accept{Type: "a/b, c/d"}, Accept{"a/b", "c"})
	reads(t,
		reading[AcceptEncoding]{text: "gzip", want: AcceptEncoding{Coding: "gzip"}}, // RFC 3261 section 20.2
		reading[AcceptEncoding]{text: "*;q=0", want: AcceptEncoding{"*", ";q=0"}},
		reading[AcceptEncoding]{text: "", want: AcceptEncoding{}},
	)
	refuses[AcceptEncoding](t, "gzip deflate", "gzip;", ";q=0", "gz/ip")
	reads(t,
		reading[AcceptLanguage]{text: "en-gb;q=0.8", want: AcceptLanguage{"en-gb", ";q=0.8"}}, // RFC 3261 section 20.3
		reading[AcceptLanguage]{text: "*", want: AcceptLanguage{Language: "*"}},
		reading[AcceptLanguage]{text: "", want: AcceptLanguage{}},
	)
	refuses[AcceptLanguage](t, "en gb", "\"en\"", "en;q=")
}

// What a peer takes, in a list over two lines.
func TestAcceptList(t *testing.T) {
	m := mustParse(t, tweak("", "Accept: application/sdp;level=1, text/*;q=.5,", "Accept: */*;q=0.125", "Accept-Language: da, en-gb;q=0.8, en;q=0.7"))
	var got []float64
	for _, a := range values[Accept](t, m) {
		got = append(got, a.Q())
	}
	for _, a := range values[AcceptLanguage](t, m) {
		got = append(got, a.Q())
	}
	for i, want := range []float64{1, 0.5, 0.125, 1, 0.8, 0.7} {
		if i >= len(got) || got[i] != want {
			t.Fatalf("Q() of all = %v, want %v at %d", got, want, i)
		}
	}
	for mediaType, want := range map[string]int{"application/SDP": 2, "text/plain": 2, "text/": 1, "text": 1, "image/png": 1} {
		n := 0
		for _, a := range values[Accept](t, m) {
			if a.Matches(mediaType) {
				n++
			}
		}
		if n != want {
			t.Errorf("%d ranges match %s, want %d", n, mediaType, want)
		}
	}
	if (Accept{}).Matches("a/b") || (Accept{Type: "*"}).Matches("a/b") {
		t.Error("what is no range matches")
	}
	// The empty header field is one value: nothing is taken.
	if got := values[Accept](t, mustParse(t, tweak("", "Accept:"))); len(got) != 1 || got[0] != (Accept{}) {
		t.Errorf("an empty Accept is %v", got)
	}
}
