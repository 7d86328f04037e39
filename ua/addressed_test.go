package ua

import (
	"strconv"
	"testing"

	"github.com/goparley/parley/sip"
)

// However many requests there are, the table stays bounded, and a dialog that is in use
// stays in it. A redirection takes it out.
func TestAddressedIsBounded(t *testing.T) {
	request := func(callID, tag string) *sip.Request {
		uri := sip.URI{Scheme: "sip", User: "bob", Host: "b.example"}
		return sip.NewRequest(sip.INVITE, uri, sip.CallID(callID), sip.From{URI: uri, Params: ";tag=a"}, sip.To{URI: uri, Params: sip.Params(tag)})
	}
	s := newAddressed()
	first, within, forgotten := request("first", ""), request("first", ";tag=b"), request("idle", "")
	s.add(first)
	s.add(forgotten)
	for i := range 5 * maxAddressed {
		s.add(request(strconv.Itoa(i), ""))
		if i%(maxAddressed/2) == 0 && !s.has(within) {
			t.Fatalf("after %d others a dialog in use is forgotten", i)
		}
	}
	if n := len(s.young) + len(s.old); n > 2*maxAddressed {
		t.Errorf("there are %d, want %d at most", n, 2*maxAddressed)
	}
	if s.has(forgotten) {
		t.Error("what was not in use is there")
	}
	if s.remove(first); s.has(first) || s.has(within) {
		t.Error("what was redirected is there")
	}
}
