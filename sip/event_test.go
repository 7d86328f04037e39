package sip

import (
	"strings"
	"testing"
)

func TestEvent(t *testing.T) {
	reads(t,
		reading[Event]{text: "presence", want: Event{Package: "presence"}}, // RFC 3856 section 8
		reading[Event]{text: "presence.winfo;id=a", want: Event{"presence.winfo", ";id=a"}},
		reading[Event]{text: "dialog ; sla", want: Event{"dialog", "; sla"}, wrote: "dialog; sla"},
	)
	refuses[Event](t, "", ";id=1", "presence dialog", "presence, dialog", "presence;", "presence;id=", `"presence"`)
	wontWrite(t, Event{}, Event{Package: "a;id=1"}, Event{Package: "a, b"}, Event{"a", "b"})
	if id := (Event{"refer", ";ID=93809824"}).ID(); id != "93809824" {
		t.Errorf("ID() = %q, want 93809824", id)
	}
	if id := (Event{Package: "refer"}).ID(); id != "" {
		t.Errorf("ID() = %q without one", id)
	}
}

func TestSubscriptionState(t *testing.T) {
	reads(t,
		reading[SubscriptionState]{text: "active; expires=3599", want: SubscriptionState{"active", "; expires=3599"}}, // RFC 3903 section 15
		reading[SubscriptionState]{text: "pending", want: SubscriptionState{State: "pending"}},
		reading[SubscriptionState]{text: "Terminated;Reason=NoResource", want: SubscriptionState{"terminated", ";Reason=NoResource"}, wrote: "terminated;Reason=NoResource"},
		reading[SubscriptionState]{text: "Dormant;x", want: SubscriptionState{"Dormant", ";x"}},
	)
	refuses[SubscriptionState](t, "", ";expires=1", "active expires=1", "active;expires=", "active, pending")
	wontWrite(t, SubscriptionState{}, SubscriptionState{State: "active;expires=1"}, SubscriptionState{"active", "x"})
	if err := readBackLike(SubscriptionState.like)(single, SubscriptionState{"ACTIVE", ";expires=1 "}, "ACTIVE;expires=1"); err != nil {
		t.Errorf("With refuses a state in upper case: %v", err)
	}
}

// What a notifier says about a subscription (RFC 6665 section 4.1.3).
func TestSubscriptionStateParams(t *testing.T) {
	s := SubscriptionState{"terminated", ";reason=Probation;retry-after=60"}
	if after, ok := s.RetryAfter(); s.Reason() != "probation" || after != 60 || !ok {
		t.Errorf("Reason() = %q, RetryAfter() = %d, %v, want probation, 60", s.Reason(), after, ok)
	}
	if _, ok := s.Expires(); ok {
		t.Error("Expires() without one")
	}
	s = SubscriptionState{"active", ";expires=0"}
	if n, ok := s.Expires(); n != 0 || !ok || s.Reason() != "" {
		t.Errorf("Expires() = %d, %v, Reason() = %q, want 0 and no reason", n, ok, s.Reason())
	}
	if _, ok := (SubscriptionState{"active", ";expires=4294967296"}).Expires(); ok {
		t.Error("Expires() of more than 32 bits")
	}
	for _, reason := range []string{"deactivated", "probation", "rejected", "timeout", "giveup", "noresource", "invariant"} {
		if got := (SubscriptionState{"terminated", Params(";reason=" + strings.ToUpper(reason))}).Reason(); got != reason {
			t.Errorf("Reason() = %q, want %q", got, reason)
		}
	}
	if got := (SubscriptionState{"terminated", ";reason=Other"}).Reason(); got != "Other" {
		t.Errorf("Reason() = %q, want Other", got)
	}
}

// A publisher goes by the tag of its last 200 (RFC 3903 section 15, and
// RFC 5839 section 7.2 for subscribers).
func TestEntityTags(t *testing.T) {
	reads(t, reading[SIPETag]{text: "dx200xyz", want: "dx200xyz"})
	reads(t, reading[SIPIfMatch]{text: "dx200xyz", want: "dx200xyz"})
	reads(t, reading[SuppressIfMatch]{text: "b4cf7", want: "b4cf7"}, reading[SuppressIfMatch]{text: "*", want: "*"})
	refuses[SIPETag](t, "", `"dx200xyz"`, "a b", "a,b", "a;b", "W/a")
	refuses[SIPIfMatch](t, "", `"dx200xyz"`, "a b")
	refuses[SuppressIfMatch](t, "", "* *", `"*"`)
	wontWrite(t, SIPETag(""), SIPETag("a b"), SIPETag("a,b"))

	resp := mustParse(t, tweak("OPTIONS", "SIP/2.0 200 OK", "SIP-ETag: dx200xyz"))
	tag, err := Get[SIPETag](resp)
	if err != nil {
		t.Fatal(err)
	}
	refresh := NewRequest(PUBLISH, URI{Scheme: "sip", Host: "h"}, SIPIfMatch(tag))
	if got, _ := refresh.Value("SIP-If-Match"); got != "dx200xyz" {
		t.Errorf("SIP-If-Match = %q, want dx200xyz", got)
	}
}

// The packages of a notifier, over two lines.
func TestAllowEvents(t *testing.T) {
	m := mustParse(t, tweak("", "Allow-Events: presence, presence.winfo", "u: dialog"))
	if got, err := Get[AllowEvents](m); err != nil || len(got) != 3 || got[1] != "presence.winfo" || got[2] != "dialog" {
		t.Errorf("Allow-Events = %q, %v", got, err)
	}
}

// RFC 6086 section 12.
func TestInfoPackages(t *testing.T) {
	reads(t,
		reading[InfoPackage]{text: "foo", want: InfoPackage{Name: "foo"}},
		reading[InfoPackage]{text: "foo ;a=b", want: InfoPackage{"foo", ";a=b"}, wrote: "foo;a=b"},
	)
	refuses[InfoPackage](t, "", "foo, bar", "foo bar", ";a=b")
	wontWrite(t, InfoPackage{}, InfoPackage{Name: "a;b"})
	reads(t, reading[RecvInfo]{text: "P", want: RecvInfo{Name: "P"}}, reading[RecvInfo]{text: "", want: RecvInfo{}})
	refuses[RecvInfo](t, "a b", ";x")
	wontWrite(t, RecvInfo{Params: ";x"}, RecvInfo{Name: "P, R"})
	if got := values[RecvInfo](t, mustParse(t, tweak("", "Recv-Info: P, R;x", "Recv-Info: T"))); len(got) != 3 || got[1] != (RecvInfo{"R", ";x"}) {
		t.Errorf("Recv-Info = %v", got)
	}
	if got := values[RecvInfo](t, mustParse(t, tweak("", "Recv-Info:"))); len(got) != 1 || got[0].Name != "" {
		t.Errorf("an empty Recv-Info is %v", got)
	}
}
