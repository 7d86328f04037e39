package sip

import (
	"testing"

	"github.com/goparley/parley/internal/race"
)

// allocs fails the test if f allocates more than limit times.
func allocs(t *testing.T, what string, limit float64, f func()) {
	t.Helper()
	if got := testing.AllocsPerRun(200, f); got > limit {
		t.Errorf("%s: %v allocations, want at most %v", what, got, limit)
	}
}

var sink any

// What handling a message may allocate: the text, the index, and what the
// caller asks to have made.
func TestAllocations(t *testing.T) {
	bytes := readMessage(t, "invite.sip")
	text := string(bytes)
	req := mustParse(t, text).(*Request)

	allocs(t, "a datagram, parsed and read", 1, func() {
		if _, err := parseAndRead(bytes); err != nil {
			t.Fatal(err)
		}
	})
	allocs(t, "Parse", 1, func() {
		if _, err := Parse(text); err != nil {
			t.Fatal(err)
		}
	})
	for _, name := range []string{"register.sip", "ok.sip", "notify.sip"} {
		other := string(readMessage(t, name))
		allocs(t, "Parse of "+name, 1, func() { Parse(other) })
	}
	allocs(t, "getters", 0, func() {
		via, from, to, uri := req.Via(), req.From(), req.To(), req.URI()
		if via.Branch() == "" || via.Received().Is6() || from.Tag() == "" || to.Tag() != "" || uri.Host == "" ||
			req.CallID() == "" || req.CSeq().Seq == 0 || req.Method() != INVITE || req.MaxForwards() == 0 || req.Body() == "" {
			t.Fatal("a getter found nothing")
		}
		if _, ok := req.Value("User-Agent"); !ok {
			t.Fatal("no User-Agent")
		}
	})
	allocs(t, "Get", 0, func() {
		contact, err1 := Get[Contact](req)
		route, err2 := Get[RecordRoute](req)
		length, err3 := Get[ContentLength](req)
		typ, err4 := Get[ContentType](req)
		agent, err5 := Get[UserAgent](req)
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil || err5 != nil ||
			!contact.Params.Has("+sip.instance") || !route.URI.Params.Has("lr") || length == 0 || !typ.Is("application/sdp") || agent == "" {
			t.Fatal("Get found nothing")
		}
	})
	allocs(t, "Get of a list of tokens: the list", 1, func() {
		if list, err := Get[Supported](req); err != nil || len(list) != 4 {
			t.Fatal(list, err)
		}
	})
	allocs(t, "All", 0, func() {
		n := 0
		for via, err := range All[Via](req) {
			if err == nil && via.Host != "" {
				n++
			}
		}
		if n != 3 {
			t.Fatal(n)
		}
	})

	via := Via{Transport: "UDP", Host: "192.0.2.1", Params: ";branch=z9hG4bKabcdefg;rport"}
	rr := RecordRoute{URI: URI{Scheme: "sip", Host: "192.0.2.1", Params: ";lr"}}
	// The text, the index, and an interface for each value and for each Push.
	allocs(t, "With of a proxy's edits", 6+race.PoolMisses, func() {
		sink = req.With(MaxForwards(req.MaxForwards()-1), Push(rr), Push(via), Pop("Route"))
	})
	allocs(t, "Reply: text, index, tag", 3+race.PoolMisses, func() { sink = req.Reply(StatusOK) })
}
