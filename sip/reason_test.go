package sip

import "testing"

func TestReason(t *testing.T) {
	reads(t,
		// RFC 3326 section 2.
		reading[Reason]{text: `SIP ;cause=200 ;text="Call completed elsewhere"`, want: Reason{Protocol: "SIP", Cause: 200, Text: "Call completed elsewhere"},
			wrote: `SIP;cause=200;text="Call completed elsewhere"`},
		reading[Reason]{text: `Q.850;cause=16;text="Terminated"`, want: Reason{Protocol: "Q.850", Cause: 16, Text: "Terminated"}},
		reading[Reason]{text: "SIP", want: Reason{Protocol: "SIP"}},
		reading[Reason]{text: `RELEASE_CAUSE ;cause=1 ;text="User ends call"`, want: Reason{Protocol: "RELEASE_CAUSE", Cause: 1, Text: "User ends call"},
			wrote: `RELEASE_CAUSE;cause=1;text="User ends call"`},
		// In any case and order, among others, and the text without its quotes.
		reading[Reason]{text: `sip;TEXT=Busy;Cause=600`, want: Reason{Protocol: "SIP", Cause: 600, Text: "Busy"}, wrote: `SIP;cause=600;text="Busy"`},
		reading[Reason]{text: `q.850;a;cause=31;b=2 ; text="\"c\"";d`, want: Reason{"Q.850", 31, `"c"`, ";a;b=2 ;d"}, wrote: `Q.850;cause=31;text="\"c\"";a;b=2 ;d`},
		reading[Reason]{text: "SIP;cause=200;cause=300", want: Reason{"SIP", 200, "", ";cause=300"}},
		// What is no cause and no text stays what it is.
		reading[Reason]{text: "SIP;cause=busy", want: Reason{Protocol: "SIP", Params: ";cause=busy"}},
		reading[Reason]{text: "SIP;cause=0", want: Reason{Protocol: "SIP", Params: ";cause=0"}},
		reading[Reason]{text: "SIP;cause=2147483647", want: Reason{Protocol: "SIP", Cause: 2147483647}},
		reading[Reason]{text: "SIP;cause=2147483648", want: Reason{Protocol: "SIP", Params: ";cause=2147483648"}},
		reading[Reason]{text: "SIP;cause=99999999999", want: Reason{Protocol: "SIP", Params: ";cause=99999999999"}},
		reading[Reason]{text: `SIP;text=""`, want: Reason{Protocol: "SIP", Params: `;text=""`}},
	)
	refuses[Reason](t, "", ";cause=200", "SIP cause=200", "SIP;cause=", `SIP;text="a`, "SIP;cause=200,", "SIP/2.0;cause=1")
	wontWrite(t,
		Reason{},
		Reason{Protocol: "SIP;cause=200", Cause: 16},
		Reason{Protocol: "SIP", Cause: -1},
		Reason{Protocol: "SIP", Params: ";cause=200"}, // Cause is where it goes
		Reason{Protocol: "SIP", Params: "x"},
	)
	if err := readBackLike(Reason.like)(list, Reason{Protocol: "q.850", Cause: 16, Params: ";a "}, "q.850;cause=16;a"); err != nil {
		t.Errorf("With refuses a protocol in lower case: %v", err)
	}
}

// A proxy cancels a branch because another one has answered, and a gateway says
// what the telephone network said. Each is one value.
func TestReasonList(t *testing.T) {
	req := mustParse(t, tweak("")).(*Request)
	req = req.With(Reason{Protocol: "SIP", Cause: 200, Text: `Answered by "Bob", elsewhere`}, Add(Reason{Protocol: "Q.850", Cause: 26}))
	if req.Err() != nil {
		t.Fatal(req.Err())
	}
	got := values[Reason](t, mustParse(t, req.String()))
	if len(got) != 2 || got[0].Text != `Answered by "Bob", elsewhere` || got[1].Cause != 26 {
		t.Errorf("reasons = %v", got)
	}
}
