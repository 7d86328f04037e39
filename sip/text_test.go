package sip

import "testing"

func TestTexts(t *testing.T) {
	// RFC 3261 sections 20.25, 20.26, 20.35, 20.36 and 20.41.
	reads(t, reading[Subject]{text: "A tornado is heading our way!", want: "A tornado is heading our way!"}, reading[Subject]{text: "caf\u00e9, \"1\" (x", want: "caf\u00e9, \"1\" (x"}, reading[Subject]{})
	reads(t, reading[Organization]{text: "Boxes by Bob", want: "Boxes by Bob"}, reading[Organization]{})
	reads(t, reading[Server]{text: "HomeServer v2", want: "HomeServer v2"})
	reads(t, reading[UserAgent]{text: "Softphone Beta1.5", want: "Softphone Beta1.5"}, reading[UserAgent]{text: "x/1 (a (b)", want: "x/1 (a (b)"})
	reads(t,
		reading[Priority]{text: "non-urgent", want: "non-urgent"},
		reading[Priority]{text: "Emergency", want: "emergency", wrote: "emergency"},
		reading[Priority]{text: "psap-callback", want: "psap-callback"}, // RFC 7090
	)
	refuses[Priority](t, "", "very urgent", "urgent, normal", "urgent;x")
	wontWrite(t, Priority(""), Priority("a b"))
	if err := readBackLike(Priority.like)(single, Priority("URGENT"), "URGENT"); err != nil {
		t.Errorf("With refuses a priority in upper case: %v", err)
	}
}

// RFC 5393 section 5.3.1.
func TestMaxBreadth(t *testing.T) {
	reads(t, reading[MaxBreadth]{text: "60", want: 60}, reading[MaxBreadth]{text: "2147483647", want: 1<<31 - 1})
	refuses[MaxBreadth](t, "", "0", "-1", "2147483648", "60;x", "6 0")
	wontWrite(t, MaxBreadth(0), MaxBreadth(-1))
}

func TestLanguagesAndPriorities(t *testing.T) {
	m := mustParse(t, tweak("", "Content-Language: fr, en-gb", "Resource-Priority: ets.0, wps.3", "Accept-Resource-Priority:"))
	if got, err := Get[ContentLanguage](m); err != nil || len(got) != 2 || got[1] != "en-gb" {
		t.Errorf("Content-Language = %q, %v", got, err)
	}
	if got, err := Get[ResourcePriority](m); err != nil || len(got) != 2 || got[0] != "ets.0" {
		t.Errorf("Resource-Priority = %q, %v", got, err)
	}
	if got, err := Get[AcceptResourcePriority](m); err != nil || len(got) != 0 {
		t.Errorf("Accept-Resource-Priority = %q, %v", got, err)
	}
	if out := m.(*Request).With(ContentLanguage{"fr", "e n"}); out.Err() == nil {
		t.Errorf("With wrote\n%s", out)
	}
}
