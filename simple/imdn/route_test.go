package imdn

import (
	"reflect"
	"testing"

	"github.com/goparley/parley/simple/cpim"
)

// A message passes a list server and a store, and its notification comes back through
// both (RFC 5438 sections 6.4 to 6.6 and 8).
func TestNotificationsComeBackTheWayTheyWereAskedFor(t *testing.T) {
	list := cpim.Address{Name: "List, of friends", URI: "im:friends@example.com"}
	store := cpim.Address{URI: "im:store@example.net"}
	m := hello()
	m.To = []cpim.Address{list}
	if _, err := Ask(m, Display, noon); err != nil {
		t.Fatal(err)
	}

	m = travel(t, m)
	RecordRoute(m, list)
	Readdress(m, cpim.Address{URI: "im:robert@example.com"})
	m = travel(t, m)
	RecordRoute(m, store)
	Readdress(m, bob)
	m = travel(t, m)
	if got, want := values(m, recordRoute), []string{store.String(), list.String()}; !reflect.DeepEqual(got, want) {
		t.Errorf("IMDN-Record-Route = %q, want %q", got, want)
	}
	if got, want := values(m, originalTo), []string{list.String()}; !reflect.DeepEqual(got, want) {
		t.Errorf("Original-To = %q, want %q alone", got, want)
	}

	r := Received(m)
	if r == nil || r.OriginalTo != list.URI || r.Recipient != bob {
		t.Fatalf("Received() = %+v, want Bob, originally the list", r)
	}
	note, err := r.Notify(DisplayNotification, Displayed, noon)
	if err != nil {
		t.Fatal(err)
	}
	if got := values(note, recordRoute); got != nil {
		t.Errorf("IMDN-Record-Route = %q in a notification, want none", got)
	}
	for _, want := range []string{store.URI, list.URI, alice.URI} {
		note = travel(t, note)
		if got := NextHop(note); got != want {
			t.Errorf("NextHop() = %q, want %q", got, want)
		}
		PopRoute(note)
	}
	got, err := Read(note)
	if err != nil || got[0].Recipient != bob.URI || got[0].OriginalRecipient != list.URI {
		t.Errorf("Read() = %+v, %v, want Bob, originally the list", got, err)
	}
}

// What cannot be read is not copied, and leads nowhere.
func TestRoutesThatCannotBeRead(t *testing.T) {
	r := Received(with(t, "i.Message-ID: 1", "i.Disposition-Notification: display", "i.Original-To: x",
		"i.IMDN-Record-Route: nowhere", "i.IMDN-Record-Route: <im:a@example.com>"))
	if want := []cpim.Address{{URI: "im:a@example.com"}}; r == nil || !reflect.DeepEqual(r.Routes, want) || r.OriginalTo != "" {
		t.Errorf("Received() = %+v, want the route %v alone", r, want)
	}
	if got := NextHop(with(t, "i.IMDN-Route: nowhere")); got != "" {
		t.Errorf("NextHop() = %q, want none", got)
	}
	if got := NextHop(&cpim.Message{}); got != "" {
		t.Errorf("NextHop() = %q, want none", got)
	}
}

// Of several recipients the first stays, for Original-To is there only once, and has to be when To is changed (RFC 5438
// section 6.4). Of none nothing stays.
func TestReaddressOfSeveral(t *testing.T) {
	list := cpim.Address{URI: "im:friends@example.com"}
	for _, tt := range []struct {
		to   []cpim.Address
		want []string
	}{
		{[]cpim.Address{list, {URI: "im:others@example.com"}}, []string{list.String()}},
		{nil, nil},
	} {
		m := hello()
		m.To = tt.to
		Readdress(m, bob)
		if got := values(m, originalTo); !reflect.DeepEqual(got, tt.want) || len(m.To) != 1 || m.To[0] != bob {
			t.Errorf("Original-To = %q of %v, To = %v, want %q and Bob alone", got, tt.to, m.To, tt.want)
		}
	}
}
