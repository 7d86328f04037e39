package sip

import "testing"

// The examples of RFC 3891 section 6.1, RFC 3911 section 7.1 and RFC 4538
// section 10.
func TestReplaces(t *testing.T) {
	reads(t,
		reading[Replaces]{"98732@sip.example.com ;from-tag=r33th4x0r ;to-tag=ff87ff", Replaces{CallID: "98732@sip.example.com", ToTag: "ff87ff", FromTag: "r33th4x0r"},
			"98732@sip.example.com;to-tag=ff87ff;from-tag=r33th4x0r"},
		reading[Replaces]{"12adf2f34456gs5;to-tag=12345;from-tag=54321;early-only", Replaces{"12adf2f34456gs5", "12345", "54321", true, ""}, ""},
		reading[Replaces]{"87134@171.161.34.23;to-tag=24796;from-tag=0", Replaces{CallID: "87134@171.161.34.23", ToTag: "24796", FromTag: "0"}, ""},
		reading[Replaces]{`a;x="to-tag=1;" ; To-Tag = 1;y;EARLY-ONLY;From-Tag=2`, Replaces{"a", "1", "2", true, `;x="to-tag=1;";y`}, `a;to-tag=1;from-tag=2;early-only;x="to-tag=1;";y`},
	)
	refuses[Replaces](t, "", ";to-tag=1;from-tag=2", "a", "a;to-tag=1", "a;from-tag=1", "a;to-tag;from-tag=2", "a b;to-tag=1;from-tag=2",
		"a;to-tag=1;from-tag=2;", "a, b;to-tag=1;from-tag=2",
		// Exactly one of each, and tokens.
		"a;to-tag=1;to-tag=2;from-tag=2", "a;to-tag=1;from-tag=2;from-tag=2", "a;to-tag=1;from-tag=2;TO-TAG", `a;to-tag="1";from-tag=2`)
	whole := Replaces{CallID: "a", ToTag: "1", FromTag: "2"}
	wontWrite(t, Replaces{}, Replaces{CallID: "a", ToTag: "1"}, Replaces{"a", "1", "2", false, ";to-tag=3"}, Replaces{"a", "1", "2", false, ";early-only"},
		Replaces{CallID: "a", ToTag: "1;early-only", FromTag: "2"}, Replaces{CallID: "a;to-tag=0", ToTag: "1", FromTag: "2"})
	if err := mustParse(t, tweak("")).(*Request).With(whole).Err(); err != nil {
		t.Error(err)
	}
}

func TestJoin(t *testing.T) {
	reads(t,
		reading[Join]{"98732@sip.example.com;from-tag=r33th4x0r;to-tag=ff87ff", Join{CallID: "98732@sip.example.com", ToTag: "ff87ff", FromTag: "r33th4x0r"},
			"98732@sip.example.com;to-tag=ff87ff;from-tag=r33th4x0r"},
		reading[Join]{"12adf2f34456gs5;to-tag=12345;from-tag=54321;early-only", Join{"12adf2f34456gs5", "12345", "54321", ";early-only"}, ""},
	)
	refuses[Join](t, "", "a;to-tag=1", "a;to-tag=1;from-tag=2;from-tag=3")
	wontWrite(t, Join{}, Join{"a", "1", "2", ";from-tag=3"})
}

func TestTargetDialog(t *testing.T) {
	reads(t,
		reading[TargetDialog]{"fa77as7dad8-sd98ajzz@host.example.com ;local-tag=kkaz- ;remote-tag=6544",
			TargetDialog{CallID: "fa77as7dad8-sd98ajzz@host.example.com", LocalTag: "kkaz-", RemoteTag: "6544"},
			"fa77as7dad8-sd98ajzz@host.example.com;local-tag=kkaz-;remote-tag=6544"},
	)
	refuses[TargetDialog](t, "", "a", "a;local-tag=1", "a;to-tag=1;from-tag=2", "a;local-tag=1;remote-tag=2;local-tag=1")
	wontWrite(t, TargetDialog{}, TargetDialog{"a", "1", "2", ";local-tag=3"})
}
