package sip

import "testing"

// What is no number of seconds is told the range, as that of every header field.
func TestSecondsErrors(t *testing.T) {
	for _, header := range []typedHeader{typed[Expires]{}, typed[MinExpires]{}, typed[SessionExpires]{}, typed[MinSE]{}, typed[FlowTimer]{}, typed[RetryAfter]{}} {
		for _, value := range []string{"4294967296", "x", "-1", ""} {
			err := header.read(mustParse(t, tweak("", header.name()+": "+value)))
			if got, want := msgOf(err), "expected a number from 0 to 4294967295"; got != want {
				t.Errorf("%s: %s: %s, want %s", header.name(), value, got, want)
			}
		}
	}
}

func TestSessionTimer(t *testing.T) {
	reads(t,
		reading[SessionExpires]{text: "4000;refresher=uac", want: SessionExpires{4000, ";refresher=uac"}}, // RFC 4028 section 13
		reading[SessionExpires]{text: "50", want: SessionExpires{Seconds: 50}},
		reading[SessionExpires]{text: "1800 ; Refresher = UAS ; x", want: SessionExpires{1800, "; Refresher = UAS ; x"}, wrote: "1800; Refresher = UAS ; x"},
		reading[SessionExpires]{text: "4294967295", want: SessionExpires{Seconds: 1<<32 - 1}},
	)
	refuses[SessionExpires](t, "", "x", "-1", "4294967296", "1800 uac", "1800;", "1800;refresher=", "1800, 1800")
	wontWrite(t, SessionExpires{90, "0"}, SessionExpires{90, "0;refresher=uac"})
	reads(t,
		reading[MinSE]{text: "3600", want: 3600}, // RFC 4028 section 13
		reading[MinSE]{text: "90;x=y", want: 90, wrote: "90"},
	)
	refuses[MinSE](t, "", "x", "4294967296", "90 x", "90;;")
}

func TestRefresher(t *testing.T) {
	for params, want := range map[Params]string{";refresher=uac": "uac", ";x;REFRESHER=UAS": "uas", ";refresher=proxy": "", ";refresher": "", "": ""} {
		if got := (SessionExpires{1800, params}).Refresher(); got != want {
			t.Errorf("Refresher() of %q = %q, want %q", params, got, want)
		}
	}
}

// A proxy that finds the interval too short answers 422, and the next try has
// what it asked for (RFC 4028 sections 7.3 and 8.1).
func TestSessionIntervalTooSmall(t *testing.T) {
	req := mustParse(t, tweak("", "x: 50;refresher=uac")).(*Request)
	resp := req.Reply(StatusSessionIntervalTooSmall, MinSE(3600))
	least, err := Get[MinSE](resp)
	if err != nil {
		t.Fatal(err)
	}
	se, err := Get[SessionExpires](req)
	if err != nil {
		t.Fatal(err)
	}
	se.Seconds = max(se.Seconds, uint32(least))
	again := req.With(se, least)
	if got, _ := again.Value("Session-Expires"); got != "3600;refresher=uac" || again.Err() != nil {
		t.Errorf("Session-Expires = %q, %v, want 3600;refresher=uac", got, again.Err())
	}
}
