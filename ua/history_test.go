package ua_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// lines returns the values of a header field, one for each line, with their commas.
func lines(m sip.Message, name string) string {
	var all []string
	for f := range m.Fields() {
		if strings.EqualFold(f.Name, name) {
			all = append(all, f.Value)
		}
	}
	return strings.Join(all, ", ")
}

// moved is a Contact of a redirection.
func moved(uri string, params sip.Params) sip.Contact {
	u, err := sip.ParseURI(uri)
	if err != nil {
		panic(err)
	}
	return sip.Contact{URI: u, Params: params}
}

// A call that is redirected, and refused, on its way: each INVITE has the history of
// those before it (RFC 7044 section 6.1).
func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		var got []string
		newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
			if req.Method() != sip.INVITE {
				return
			}
			if supported, _ := req.Value("Supported"); !contains(supported, "histinfo") {
				t.Errorf("Supported is %s, without histinfo", supported)
			}
			got = append(got, lines(req, "History-Info"))
			switch req.URI().User {
			case "bob": // by a proxy, which had sent it to bob@home
				tx.Reply(sip.StatusMovedTemporarily, sip.List(moved("sip:mobile@192.0.2.2", ";q=0.9;mp=1.1"), moved("sip:mail@192.0.2.2", ";q=0.1;mp=garbage"), moved("sip:desk@192.0.2.2", ";q=0.5;rc")),
					sip.Field{Name: "History-Info", Value: "<sip:bob@192.0.2.2>;index=1, <sip:bob@home.example?Reason=SIP%3Bcause%3D302>;index=1.1;rc=1, <sip:x@y>;index=nonsense, <sip:x@y>"})
			case "mobile":
				tx.Reply(sip.StatusTemporarilyUnavailable, sip.Reason{Protocol: "Q.850", Cause: 20})
			case "desk":
				tx.Reply(sip.StatusMovedTemporarily, moved("sip:spare@192.0.2.2", ""))
			default:
				tx.Reply(sip.StatusBusyHere)
			}
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		if _, err := alice.Invite(t.Context(), bobURI, &ua.InviteOptions{History: true}); !errors.Is(err, sip.StatusBusyHere) {
			t.Errorf("Invite() = %v, want 486", err)
		}
		const first = "<sip:bob@192.0.2.2?Reason=SIP%3Bcause%3D302>;index=1, <sip:bob@home.example?Reason=SIP%3Bcause%3D302>;index=1.1;rc=1, "
		const mobile = "<sip:mobile@192.0.2.2?Reason=SIP%3Bcause%3D480&Reason=Q.850%3Bcause%3D20>;index=2;mp=1.1, "
		const desk = "<sip:desk@192.0.2.2?Reason=SIP%3Bcause%3D302>;index=3;rc=1, "
		const spare = "<sip:spare@192.0.2.2?Reason=SIP%3Bcause%3D486>;index=4, "
		want := []string{
			"<sip:bob@192.0.2.2>;index=1",
			first + "<sip:mobile@192.0.2.2>;index=2;mp=1.1",
			first + mobile + "<sip:desk@192.0.2.2>;index=3;rc=1",
			first + mobile + desk + "<sip:spare@192.0.2.2>;index=4",
			first + mobile + desk + spare + "<sip:mail@192.0.2.2>;index=5;mp=1",
		}
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i] != want[i] {
				t.Errorf("History-Info\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
				break
			}
		}
	})
}

// Where nobody answers, and where the call could not be sent, is in the history, too; and who
// redirects it says where it was from there on, and not where it will be.
func TestHistoryOfWhoIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		got := ""
		newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
			tx.Reply(sip.StatusMultipleChoices, sip.List(moved("sip:a@192.0.2.77", ""), moved("sip:b@nowhere.invalid", ""), moved("sip:c@192.0.2.3", "")),
				sip.Field{Name: "History-Info", Value: "<sip:x@b.example>;index=1.1, <sip:boss@evil.example>;index=2, <sip:boss@evil.example>;index=4"})
		})
		newPeer(t, n, "192.0.2.3", func(tx *transaction.Server, req *sip.Request) {
			got = lines(req, "History-Info")
			tx.Reply(sip.StatusDecline)
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		if _, err := alice.Invite(t.Context(), bobURI, &ua.InviteOptions{History: true}); !errors.Is(err, sip.StatusDecline) {
			t.Errorf("Invite() = %v, want 603", err)
		}
		const want = "<sip:bob@192.0.2.2?Reason=SIP%3Bcause%3D300>;index=1, <sip:x@b.example>;index=1.1, " +
			"<sip:a@192.0.2.77?Reason=SIP%3Bcause%3D408>;index=2, <sip:b@nowhere.invalid?Reason=SIP%3Bcause%3D503>;index=3, <sip:c@192.0.2.3>;index=4"
		if got != want {
			t.Errorf("History-Info\n%s\nwant\n%s", got, want)
		}
	})
}

// Without the option there is none, and what a redirecting server makes up is bounded.
func TestHistoryBounds(t *testing.T) {
	for _, on := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			got := ""
			newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
				if req.Method() != sip.INVITE {
					return
				}
				if got = lines(req, "History-Info"); req.URI().User != "bob" {
					tx.Reply(sip.StatusBusyHere)
					return
				}
				edits := []sip.Edit{moved("sip:mobile@192.0.2.2", "")}
				for i := range 150 {
					edits = append(edits, sip.Add(sip.Field{Name: "History-Info", Value: fmt.Sprintf("<sip:x@y>;index=1.%d", i)}))
				}
				tx.Reply(sip.StatusMovedTemporarily, append(edits, sip.Add(sip.Field{Name: "History-Info", Value: "<sip:x@y>;index=" + strings.Repeat("1.", 500) + "1"}))...)
			})
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
			if _, err := alice.Invite(t.Context(), bobURI, &ua.InviteOptions{History: on}); !errors.Is(err, sip.StatusBusyHere) {
				t.Errorf("Invite() = %v, want 486", err)
			}
			entries := strings.Count(got, "index=")
			if want := map[bool]int{false: 0, true: 65}[on]; entries != want {
				t.Errorf("%d entries, want %d", entries, want)
			}
		})
	}
}

// The callee reads the history, and each of its responses tells it, for callers who want
// to know where they have come out (RFC 7044 section 9.4): also what the agent says by itself.
func TestHistoryAtTheCallee(t *testing.T) {
	const was = "<sip:support@a.example?Reason=SIP%3Bcause%3D302>;index=1, <sip:bob@b.example>;index=1.1;mp=1"
	reads := func(t *testing.T, in *ua.Invitation) {
		asked := ""
		for entry, err := range sip.All[sip.HistoryInfo](in.Request()) {
			if err != nil {
				t.Error(err)
			}
			asked += fmt.Sprint(entry.Index(), " ", entry.URI.User, " ", entry.Reason(), "; ")
		}
		if want := "1 support SIP;cause=302; 1.1 bob ; "; asked != want {
			t.Errorf("the history is %q, want %q", asked, want)
		}
	}
	audio := describe("192.0.2.9", 1, "audio 5000 RTP/AVP 0")
	waits := func(ctx context.Context, in *ua.Invitation) {
		in.Ring(ctx)
		<-ctx.Done()
	}
	for _, test := range []struct {
		name  string
		does  func(ctx context.Context, in *ua.Invitation) // nil: refuses every call
		edits []sip.Edit
		want  string
	}{
		{"refused", func(ctx context.Context, in *ua.Invitation) {
			in.Ring(ctx)
			in.Reject(ctx, sip.StatusBusyHere)
		}, nil, "180 486"},
		{"left", func(context.Context, *ua.Invitation) {}, nil, "480"},
		{"panic", func(context.Context, *ua.Invitation) { panic("bug") }, nil, "500"},
		{"nothing fits", func(ctx context.Context, in *ua.Invitation) { in.Answer(ctx, newStream(t)) },
			[]sip.Edit{describe("192.0.2.9", 1, "audio 5000 RTP/AVP 8")}, "488"},
		{"the program is in a hurry", func(ctx context.Context, in *ua.Invitation) {
			ctx, cancel := context.WithCancel(ctx)
			s := newStream(t)
			s.onAnswer = func(context.Context) error {
				cancel()
				return ctx.Err()
			}
			in.Answer(ctx, s)
		}, nil, "480"},
		{"a stream panics", func(ctx context.Context, in *ua.Invitation) {
			s := newStream(t)
			s.onAnswer = func(context.Context) error { panic("bug") }
			in.Answer(ctx, s)
		}, nil, "500"},
		{"expired", waits, []sip.Edit{sip.Expires(5)}, "180 487"},
		{"expired before the answer", func(ctx context.Context, in *ua.Invitation) {
			<-ctx.Done()
			in.Answer(context.WithoutCancel(ctx), newStream(t))
		}, []sip.Edit{sip.Expires(5)}, "487"},
		{"no calls", nil, nil, "405"},
		{"not understood", waits, []sip.Edit{sip.Require{"x"}}, "420"},
		{"a body that is not understood", waits, []sip.Edit{sip.Body{Type: "text/plain", Content: "x"}}, "415"},
		{"Replaces of none", waits, []sip.Edit{sip.Replaces{CallID: "x", ToTag: "1", FromTag: "2"}}, "481"},
		{"Replaces and Join", waits, []sip.Edit{sip.Replaces{CallID: "x", ToTag: "1", FromTag: "2"}, sip.Join{CallID: "x", ToTag: "1", FromTag: "2"}}, "400"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				cfg := ua.Config{}
				if test.does != nil {
					cfg.OnInvite = func(ctx context.Context, in *ua.Invitation) {
						reads(t, in)
						test.does(ctx, in)
					}
				}
				newAgent(t, n, "192.0.2.2", "sip:bob@b.example", cfg)
				stranger := newPeer(t, n, "192.0.2.9", nil)
				edits := []sip.Edit{contactAt("192.0.2.9"), audio, sip.Supported{sip.OptionHistInfo}, sip.Field{Name: "History-Info", Value: was}}
				var said []string
				for resp, err := range stranger.Responses(t.Context(), request(sip.INVITE, bobURI, append(edits, test.edits...)...)) {
					if err != nil {
						t.Fatal(err)
					}
					if got := lines(resp, "History-Info"); got != was {
						t.Errorf("the %d says %q, want %q", resp.Status(), got, was)
					}
					said = append(said, fmt.Sprint(int(resp.Status())))
				}
				if got := strings.Join(said, " "); got != test.want {
					t.Errorf("the responses are %s, want %s", got, test.want)
				}
			})
		})
	}
}

// What is no history entry is not said again, and does not keep the call from ringing.
func TestHistoryThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			if err := in.Ring(ctx); err != nil {
				t.Error(err)
			}
			in.Reject(ctx, sip.StatusBusyHere)
		}})
		stranger := newPeer(t, n, "192.0.2.9", nil)
		const good = "<sip:bob@b.example>;index=1"
		text := request(sip.INVITE, bobURI, contactAt("192.0.2.9"), sip.Via{Transport: "UDP", Host: "x", Params: ";branch=z9hG4bKx"}).String()
		m, err := sip.Parse(strings.Replace(text, "\r\nFrom:", "\r\nHistory-Info: garbage\r\nHistory-Info: "+good+"\r\nFrom:", 1))
		if err != nil {
			t.Fatal(err)
		}
		for resp, err := range stranger.Responses(t.Context(), m.(*sip.Request).With(sip.Pop("Via"))) {
			if err != nil {
				t.Fatal(err)
			}
			if got := lines(resp, "History-Info"); got != good {
				t.Errorf("the %d says %q, want %q", resp.Status(), got, good)
			}
		}
	})
}

// Data of applications goes with a call wherever RFC 7433 has it: INVITE, ringing,
// answer, BYE, and along with a redirection, if the program knows of it.
func TestUserToUser(t *testing.T) {
	data := func(text, params string) sip.UserToUser {
		return sip.UserToUser{Data: hex.EncodeToString([]byte(text)), Params: sip.Params(";encoding=hex" + params)}
	}
	for _, known := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			calls, said := make(chan *ua.Call, 1), make(chan string, 1)
			newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
				Supported: []string{sip.OptionUUI},
				OnInvite: func(ctx context.Context, in *ua.Invitation) {
					got := ""
					for h, err := range sip.All[sip.UserToUser](in.Request()) {
						b, bytesErr := h.Bytes()
						if err := errors.Join(err, bytesErr); err != nil {
							t.Error(err)
						}
						got += string(b) + " for " + h.Purpose() + "; "
					}
					said <- got + lines(in.Request(), "History-Info")
					in.Add(data("from bob", ""))
					in.Ring(ctx)
					answerWith(calls, newStream(t))(ctx, in)
				},
			})
			redirected := moved("sip:bob@192.0.2.2", "")
			redirected.URI = redirected.URI.WithHeader("User-to-User", "62;encoding=hex;purpose=foo").WithHeader("Subject", "not followed")
			newPeer(t, n, "192.0.2.3", func(tx *transaction.Server, req *sip.Request) {
				if req.Method() == sip.INVITE {
					tx.Reply(sip.StatusMovedTemporarily, redirected)
				}
			})
			cfg := ua.Config{}
			if known {
				cfg.Supported = []string{sip.OptionUUI}
			}
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", cfg)
			opts := streams(newStream(t))
			opts.History = true
			opts.Header = []sip.Edit{data("from alice", ""), sip.Require{sip.OptionUUI}}
			rang := ""
			opts.OnProvisional = func(_ *ua.Call, resp *sip.Response) { rang, _ = resp.Value("User-to-User") }
			answered := ""
			opts.OnAnswer = func(call *ua.Call, resp *sip.Response) { answered, _ = resp.Value("User-to-User") }
			call, err := alice.Invite(t.Context(), "sip:carol@192.0.2.3", opts)
			if err != nil {
				t.Fatal(err)
			}
			<-calls
			want := "from alice for isdn-uui; <sip:carol@192.0.2.3?Reason=SIP%3Bcause%3D302>;index=1, <sip:bob@192.0.2.2>;index=2"
			if known {
				want = "from alice for isdn-uui; b for foo; <sip:carol@192.0.2.3?Reason=SIP%3Bcause%3D302>;index=1, " +
					"<sip:bob@192.0.2.2?User-to-User=62%3Bencoding%3Dhex%3Bpurpose%3Dfoo>;index=2"
			}
			if got := <-said; got != want {
				t.Errorf("Bob is told\n%s, want\n%s", got, want)
			}
			if want := string(data("from bob", "").AppendValue(nil)); rang != want || answered != want {
				t.Errorf("the 180 says %q and the 200 %q, want %q", rang, answered, want)
			}
			call.Hangup(t.Context(), data("the end", "")) // as in TestByeReason
		})
	}
}

// Caller preferences are for the proxies on the way (RFC 3841): they go out as they are
// given, and reach a callee who is asked directly.
func TestCallerPreferences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			d, err := sip.Get[sip.RequestDisposition](in.Request())
			if got := strings.Join(d, " "); err != nil || got != "no-fork queue" {
				t.Errorf("Request-Disposition is %s, %v", got, err)
			}
			a, err := sip.Get[sip.AcceptContact](in.Request())
			if f, _ := a.Params.Feature("extensions"); err != nil || !a.Require() || f != "answermode" {
				t.Errorf("Accept-Contact is %v, %v", a, err)
			}
			r, err := sip.Get[sip.RejectContact](in.Request())
			if f, _ := r.Params.Feature("actor"); err != nil || f != "msg-taker" {
				t.Errorf("Reject-Contact is %v, %v", r, err)
			}
			in.Reject(ctx, sip.StatusBusyHere)
		}})
		newPeer(t, n, "192.0.2.3", func(tx *transaction.Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				tx.Reply(sip.StatusMovedTemporarily, moved(bobURI, ""))
			}
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		opts := &ua.InviteOptions{Header: []sip.Edit{
			sip.RequestDisposition{"no-fork", "queue"},
			sip.AcceptContact{Params: sip.Params("").WithFeature("extensions", "answermode") + ";require"},
			sip.RejectContact{Params: sip.Params("").WithFeature("actor", "msg-taker")},
		}}
		for _, target := range []string{bobURI, "sip:carol@192.0.2.3"} {
			if _, err := alice.Invite(t.Context(), target, opts); !errors.Is(err, sip.StatusBusyHere) {
				t.Errorf("Invite() = %v, want 486", err)
			}
		}
	})
}
