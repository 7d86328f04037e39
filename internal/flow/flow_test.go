package flow

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
)

// asked is a story without a RFC: Alice asks Bob whether he is there.
var asked = Story{
	RFC: 3261, Section: "11", Title: "Querying for Capabilities",
	Cast: []Actor{Alice, Bob},
	Show: []string{"From", "To", "Call-ID", "CSeq", "SDP"},
	Play: func(f *Flow) {
		f.endpoint(Bob, func(tx *transaction.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) })
		alice := f.endpoint(Alice, nil)
		f.Note("Alice asks.")
		if resp, err := alice.Do(f.Context(), request(sip.OPTIONS)); err != nil || resp.Status() != sip.StatusOK {
			f.Errorf("OPTIONS: %v, %v", resp, err)
		}
	},
}

func (f *Flow) endpoint(a Actor, handler func(*transaction.Server, *sip.Request)) *transaction.Layer {
	f.Helper()
	l, err := transaction.Listen(f.Transport(a), &transaction.Config{Handler: handler})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
	return l
}

// request makes a request of Alice to Bob.
func request(method sip.Method, edits ...sip.Edit) *sip.Request {
	to := sip.URI{Scheme: "sip", User: "bob", Host: "biloxi.example.com"}
	return sip.NewRequest(method, to, append([]sip.Edit{
		sip.MaxForwards(70), sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: "atlanta.example.com"}, Params: ";tag=madebyhand"},
		sip.To{URI: to}, sip.CallID("ascallids@are"), sip.CSeq{Seq: 7, Method: method},
	}, edits...)...)
}

func TestStory(t *testing.T) { Test(t, asked) }

// run plays a story on a network where a filter may lose packets, and returns what
// was sent.
func run(t *testing.T, s Story, filter func(siptest.Packet) siptest.Verdict, check func(f *Flow, messages []*message)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFlow(t, s, 0)
		f.Net.SetFilter(filter)
		check(f, f.play())
	})
}

// What is lost, and what is sent again, can be seen.
func TestLostIsShown(t *testing.T) {
	n := 0
	run(t, asked, func(siptest.Packet) siptest.Verdict { n++; return siptest.Verdict{Drop: n < 3} }, func(f *Flow, messages []*message) {
		want := strings.TrimPrefix(`
RFC 3261 section 11: Querying for Capabilities

          Alice                       Bob
            |                          |
   0.000  Alice asks.
            |                          |
   0.000    |------- OPTIONS F1 ------x|
   0.500    |---- OPTIONS F1 again ---x|
   1.500    |---- OPTIONS F1 again --->|
   1.510    |<-------- 200 F2 ---------|
            |                          |
`, "\n")
		if got := f.numbered(messages); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		for _, fault := range settled(messages, nil) {
			t.Error(fault)
		}
	})
}

// A share of the datagrams is lost, the same ones for the same seed, and none more than twice.
func TestLossy(t *testing.T) {
	alice, bob := netip.MustParseAddrPort("192.0.2.101:5060"), netip.MustParseAddrPort("192.0.2.201:5060")
	// play sends a thousand datagrams, each four times, and returns what is lost of each.
	play := func(seed uint64) (lost []int) {
		filter := lossy(seed, 0.5)
		for i := range 1000 {
			p := siptest.Packet{Network: "udp", From: alice, To: bob, Data: []byte{byte(i), byte(i >> 8)}}
			lost = append(lost, 0)
			for range 4 {
				filter(siptest.Packet{Network: "udp", From: bob, To: alice, Data: p.Data}) // is another one
				if filter(p).Drop {
					lost[i]++
				}
			}
		}
		return lost
	}
	lost := play(1)
	for n, want := range []int{1000 / 16, 1000 / 4, 1000 * 11 / 16} {
		got := 0
		for _, times := range lost {
			if times == n {
				got++
			}
		}
		if got < want-50 || got > want+50 {
			t.Errorf("%d datagrams are lost %d times, want about %d", got, n, want)
		}
	}
	if slices.Max(lost) != mostLost {
		t.Errorf("a datagram is lost %d times, want %d", slices.Max(lost), mostLost)
	}
	if !slices.Equal(play(1), lost) || slices.Equal(play(2), lost) {
		t.Error("what is lost does not follow from the seed")
	}
	if filter := lossy(1, 1); filter(siptest.Packet{Network: "tcp", From: alice, To: bob}).Drop {
		t.Error("a stream has lost something")
	}
}

// What is left open is found, and what is lost counts as open.
func TestSettled(t *testing.T) {
	at := time.Unix(0, 0)
	invite := request(sip.INVITE, sip.Field{Name: "Via", Value: "SIP/2.0/UDP 192.0.2.101;branch=z9hG4bK1"})
	ok := invite.Reply(sip.StatusOK, sip.To{URI: invite.URI(), Params: ";tag=bob"})
	ack := request(sip.ACK, sip.Field{Name: "Via", Value: "SIP/2.0/UDP 192.0.2.101;branch=z9hG4bK2"}, ok.To())
	bye := request(sip.BYE, sip.Field{Name: "Via", Value: "SIP/2.0/UDP 192.0.2.101;branch=z9hG4bK3"}, ok.To())
	whole := []sip.Message{invite, ok, ack, bye, bye.Reply(sip.StatusOK)}
	for _, c := range []struct {
		name   string
		lost   int // of whole; less than 0: none
		silent []string
		faults []string
		talk   time.Duration // before the BYE
	}{
		{"nothing", -1, nil, nil, 0},
		{"the 200", 1, nil, []string{"INVITE Alice -> Bob at 0s has no final response"}, 10 * time.Second},
		{"the 200 of one who is silent", 1, []string{"Bob"}, nil, 10 * time.Second},
		{"the ACK", 2, nil, []string{"Bob has no ACK for the 2xx with CSeq 7"}, 10 * time.Second},
		{"the BYE", 3, nil, []string{"the call that Bob has answered has no BYE"}, 10 * time.Second},
		{"the end", 4, nil, []string{"BYE Alice -> Bob at 10s has no final response"}, 10 * time.Second},
		{"the 200, which the BYE meets", 1, nil, nil, time.Second},
		{"the ACK, and the BYE comes first", 2, nil, nil, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &Flow{story: asked, columns: []string{"Alice", "Bob"}}
			var messages []*message
			for i, m := range whole {
				from, to := Alice.Addr, Bob.Addr
				if _, is := m.(*sip.Response); is {
					from, to = to, from
				}
				at := at
				if i > 2 {
					at = at.Add(c.talk)
				}
				messages = append(messages, f.message(m, at, netip.MustParseAddr(from), netip.MustParseAddr(to), false, i == c.lost))
			}
			if got := settled(messages, c.silent); !slices.Equal(got, c.faults) {
				t.Errorf("faults %q, want %q", got, c.faults)
			}
		})
	}
}

// Who hears that a subscription is over needs no response to the SUBSCRIBE.
func TestSettledSubscription(t *testing.T) {
	via := func(branch string) sip.Edit {
		return sip.Field{Name: "Via", Value: "SIP/2.0/UDP 192.0.2.101;branch=z9hG4bK" + branch}
	}
	subscribe := request(sip.SUBSCRIBE, via("1"))
	for state, want := range map[string][]string{
		"terminated": nil,
		"active":     {"SUBSCRIBE Alice -> Bob at 0s has no final response"},
	} {
		notify := request(sip.NOTIFY, via("2"), sip.To(subscribe.From()), sip.SubscriptionState{State: state})
		f := &Flow{story: asked, columns: []string{"Alice", "Bob"}}
		at, alice, bob := time.Unix(0, 0), netip.MustParseAddr(Alice.Addr), netip.MustParseAddr(Bob.Addr)
		got := settled([]*message{
			f.message(subscribe, at, alice, bob, false, false),
			f.message(subscribe.Reply(sip.StatusOK, sip.To{URI: subscribe.URI(), Params: ";tag=bob"}), at, bob, alice, false, true),
			f.message(notify, at, bob, alice, false, false),
			f.message(notify.Reply(sip.StatusOK), at, alice, bob, false, false),
		}, nil)
		if !slices.Equal(got, want) {
			t.Errorf("%s: faults %q, want %q", state, got, want)
		}
	}
}

// A message that is not as the RFC prints it is found, and so is a reason for a
// difference that there is not.
func TestComparedWithRFC(t *testing.T) {
	s := Story{RFC: 3665, Section: "3.1", Cast: []Actor{Alice, Bob}, Flow: "F1 F2 F3 F4 F5 F6"}
	printed, what := s.printedMessages()
	if len(printed) != 6 || what["F2"] != "180" {
		t.Fatalf("%d messages, F2 is %s; want 6, and 180", len(printed), what["F2"])
	}
	short := Story{RFC: 3665, Section: "3.1", Flow: "F1 F2 F3 F5 F6"}
	if got, want := strings.Join(short.compare(nil), ", "), "F4 is missing in Flow: ACK in the RFC"; got != want {
		t.Errorf("fault %q, want %q", got, want)
	}
	for _, c := range []struct {
		name    string
		edit    sip.Edit
		differs map[string]string
		fault   string
	}{
		{"the same", sip.MaxForwards(69), nil, ""},
		{"another way", sip.Push(sip.RecordRoute{URI: sip.URI{Scheme: "sip", Host: "192.0.2.111"}}), nil, "F1 INVITE Alice -> Bob: Record-Route is 1, and in the RFC 0"},
		{"excused", sip.Push(sip.RecordRoute{URI: sip.URI{Scheme: "sip", Host: "192.0.2.111"}}), map[string]string{"F1 Record-Route": "just so"}, ""},
		{"excused of all", sip.Push(sip.RecordRoute{URI: sip.URI{Scheme: "sip", Host: "192.0.2.111"}}), map[string]string{"Record-Route": "just so"}, ""},
		{"no reason to", sip.MaxForwards(69), map[string]string{"F1 Route": "just so"}, `Differs has "F1 Route", and there it is as in the RFC`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.Differs = c.differs
			m := &message{label: "F1", what: "INVITE", from: "Alice", to: "Bob", msg: printed["F1"].(*sip.Request).With(c.edit)}
			if got := strings.Join(s.compare([]*message{m}), ", "); got != c.fault {
				t.Errorf("fault %q, want %q", got, c.fault)
			}
		})
	}
}

// The ladder of the RFC is compared message by message; those of one moment may be
// in any order.
func TestLadder(t *testing.T) {
	messages := func() []*message {
		at := time.Unix(0, 0)
		return []*message{
			{at: at, what: "INVITE", from: "Alice", to: "Bob"},
			{at: at.Add(1), what: "100", from: "Bob", to: "Alice"},
			{at: at.Add(1), what: "180", from: "Bob", to: "Alice"},
			{at: at.Add(2), what: "200", from: "Bob", to: "Alice"},
		}
	}
	for _, c := range []struct{ name, flow, fault, labels string }{
		{"as it is", "F1 INVITE Alice -> Bob\nF2 100 Bob -> Alice\nF3 180 Bob -> Alice\nF4 200 Bob -> Alice", "", "F1 F2 F3 F4"},
		{"at once", "F1 INVITE Alice -> Bob\nF2 180 Bob -> Alice\nF3 100 Bob -> Alice\nF4 200 Bob -> Alice", "", "F1 F2 F3 F4"},
		{"ours", "F1 INVITE Alice -> Bob\n+ 100 Bob -> Alice // why not\nF2 180 Bob -> Alice\nF3 200 Bob -> Alice", "", "F1 F1a F2 F3"},
		{"theirs", "F1 INVITE Alice -> Bob\nF2 100 Bob -> Alice\nF3 180 Bob -> Alice\n- F4 183 Bob -> Alice // who cares\nF5 200 Bob -> Alice", "", "F1 F2 F3 F5"},
		{"another order", "F1 INVITE Alice -> Bob\nF2 200 Bob -> Alice\nF3 100 Bob -> Alice\nF4 180 Bob -> Alice", `message 2 is 100 Bob -> Alice, want "F2 200`, ""},
		{"another way", "F1 INVITE Bob -> Alice", `message 1 is INVITE Alice -> Bob, want "F1 INVITE Bob`, ""},
		{"one is missing", "F1 INVITE Alice -> Bob\nF2 100 Bob -> Alice\nF3 180 Bob -> Alice\nF4 200 Bob -> Alice\nF5 ACK Alice -> Bob", `"F5 ACK Alice -> Bob" is missing`, ""},
		{"one too many", "F1 INVITE Alice -> Bob\nF2 100 Bob -> Alice\nF3 180 Bob -> Alice", "200 Bob -> Alice is one message more", ""},
		{"no reason", "+ INVITE Alice -> Bob", "has no reason", ""},
		{"a stranger", "INVITE Alice -> Zoe", "Zoe is not in the cast", ""},
		{"no arrow", "INVITE Alice", `is not "F1 INVITE`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := parseLadder(c.flow, []Actor{Alice, Bob})
			all := messages()
			if err == nil {
				err = l.label(all)
			}
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) {
					t.Errorf("fault: %v, want one that says %q", err, c.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var labels []string
			for _, m := range all {
				labels = append(labels, m.label)
			}
			if got := strings.Join(labels, " "); got != c.labels {
				t.Errorf("labels %q, want %q", got, c.labels)
			}
		})
	}
}

// What is random has the same name in each run, wherever it stands.
func TestRename(t *testing.T) {
	f := &Flow{T: t, columns: []string{"Alice", "Bob"}, story: asked}
	first := request(sip.INVITE, sip.Field{Name: "Via", Value: "SIP/2.0/UDP 192.0.2.101;branch=z9hG4bKwhatever;rport=49152"})
	second := request(sip.INVITE, sip.CallID("another@call"), sip.Field{Name: "Replaces", Value: "ascallids@are;to-tag=0;from-tag=madebyhand"},
		sip.Field{Name: "Proxy-Authorization", Value: `Digest nonce="of the server", cnonce="of the client", response="1234567890"`})
	r := newRenamer()
	for _, m := range []sip.Message{first, second} {
		r.learn(f.message(m, time.Time{}, netip.MustParseAddr(Alice.Addr), netip.MustParseAddr(Bob.Addr), false, false))
	}
	for _, c := range []struct {
		m          *sip.Request
		name, want string
	}{
		{first, "Via", "Via: SIP/2.0/UDP 192.0.2.101;branch=z9hG4bK-alice-1;rport=port-1"},
		{first, "From", "From: <sip:alice@atlanta.example.com>;tag=alice-1"},
		{second, "Call-ID", "Call-ID: call-2"},
		{second, "replaces", "Replaces: call-1;to-tag=0;from-tag=alice-1"},
		{second, "Proxy-Authorization", `Proxy-Authorization: Digest nonce="nonce-1", cnonce="cnonce-1", response="response-1"`},
	} {
		if got := strings.Join(shown(c.m, c.name, r), "\n"); got != c.want {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
}
