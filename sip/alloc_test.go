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
	req := mustParse(t, string(readMessage(t, "invite.sip"))).(*Request)

	for _, file := range []struct {
		name     string
		datagram float64
	}{{"invite.sip", 1}, {"register.sip", 1}, {"ok.sip", 1}, {"notify.sip", 1}, {"large.sip", 2}} {
		datagram := readMessage(t, file.name)
		message := string(datagram)
		allocs(t, "a datagram, "+file.name+", parsed and read", file.datagram, func() {
			if _, err := parseAndRead(datagram); err != nil {
				t.Fatal(err)
			}
		})
		allocs(t, "Parse of "+file.name, 1, func() {
			if _, err := Parse(message); err != nil {
				t.Fatal(err)
			}
		})
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
	contact := Contact{URI: URI{Scheme: "sip", User: "bob", Host: "192.0.2.1"}}
	body := Body{"application/sdp", "v=0\r\n"}
	// The message, and an interface for each value.
	allocs(t, "With of a proxy's edits", 3+race.PoolMisses, func() {
		sink = req.With(MaxForwards(req.MaxForwards()-1), Push(rr), Push(via), Pop("Route"))
	})
	allocs(t, "Reply", 1+race.PoolMisses, func() { sink = req.Reply(StatusOK) })
	allocs(t, "Reply with a session description", 3+race.PoolMisses, func() { sink = req.Reply(StatusOK, contact, body) })
}

// Reading one value of a header field makes nothing, however many parts it has.
func TestAllocationsOfValues(t *testing.T) {
	m := mustParse(t, tweak("",
		"Accept: text/*;q=0.5", "Accept-Encoding: gzip;q=1", "Accept-Language: en-gb;q=0.8", "Date: Sat, 13 Nov 2010 23:29:00 GMT",
		"Timestamp: 54.2 0.005", `Warning: 301 isi.edu "Incompatible"`, "Retry-After: 120 (in a meeting);duration=60",
		`Reason: Q.850 ;cause=16 ;text="Terminated"`, "RSeq: 988789", "RAck: 776656 1 INVITE", "Session-Expires: 1800;refresher=uac",
		"Min-SE: 90", "Event: presence.winfo;id=1", "Subscription-State: terminated;reason=timeout;retry-after=1", "SIP-ETag: a",
		"SIP-If-Match: a", "Suppress-If-Match: *", "Info-Package: foo", "Recv-Info: foo", "Security-Server: tls;q=0.2",
		"Priority: Urgent", "Subject: lunch", "Max-Breadth: 60"))
	via := Via{Params: `;oc=20;oc-algo="loss";oc-validity=500;oc-seq=1282321615.782`}
	noAllocs[Accept](t, m, func(h Accept) bool { return h.Q() == 0.5 && h.Matches("text/plain") })
	noAllocs[AcceptEncoding](t, m, func(h AcceptEncoding) bool { return h.Q() == 1 })
	noAllocs[AcceptLanguage](t, m, func(h AcceptLanguage) bool { return h.Q() == 0.8 })
	noAllocs[Date](t, m, nil)
	noAllocs[Timestamp](t, m, nil)
	noAllocs[Warning](t, m, nil)
	noAllocs[RetryAfter](t, m, func(h RetryAfter) bool { n, ok := h.Duration(); return ok && n == 60 })
	noAllocs[Reason](t, m, func(h Reason) bool { return h.Text == "Terminated" })
	noAllocs[RSeq](t, m, nil)
	noAllocs[RAck](t, m, nil)
	noAllocs[SessionExpires](t, m, func(h SessionExpires) bool { return h.Refresher() == "uac" })
	noAllocs[MinSE](t, m, nil)
	noAllocs[Event](t, m, func(h Event) bool { return h.ID() == "1" })
	noAllocs[SubscriptionState](t, m, func(h SubscriptionState) bool {
		n, ok := h.RetryAfter()
		return ok && n == 1 && h.Reason() == "timeout"
	})
	noAllocs[SIPETag](t, m, nil)
	noAllocs[SIPIfMatch](t, m, nil)
	noAllocs[SuppressIfMatch](t, m, nil)
	noAllocs[InfoPackage](t, m, nil)
	noAllocs[RecvInfo](t, m, nil)
	noAllocs[SecurityServer](t, m, func(h SecurityServer) bool { return SecurityMechanism(h).Q() == 0.2 })
	noAllocs[Priority](t, m, func(h Priority) bool { return h == "urgent" })
	noAllocs[Subject](t, m, nil)
	noAllocs[MaxBreadth](t, m, func(h MaxBreadth) bool {
		oc, ok := via.OverloadControl()
		return ok && oc.OC == 20 && h == 60
	})
}

// noAllocs reads a header field, and what the rest says of it, without an
// allocation.
func noAllocs[H Parser[H]](t *testing.T, m Message, rest func(H) bool) {
	t.Helper()
	var zero H
	allocs(t, zero.HeaderName(), 0, func() {
		h, err := Get[H](m)
		if err != nil || rest != nil && !rest(h) {
			t.Fatal(h, err)
		}
	})
}
