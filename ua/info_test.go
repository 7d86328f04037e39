package ua_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// takers returns Info Packages that tell what has come: package, type and body.
func takers(told chan<- string, packages ...string) map[string]func(context.Context, ua.Info) error {
	all := map[string]func(context.Context, ua.Info) error{}
	for _, pkg := range packages {
		all[pkg] = func(_ context.Context, i ua.Info) error {
			told <- fmt.Sprintf("%s%s %s %s", i.Package.Name, i.Package.Params, i.ContentType, i.Body)
			if i.Body == "refuse" {
				return sip.StatusDecline
			}
			return nil
		}
	}
	return all
}

// takesInfo is a peer that confirms every INFO.
var takesInfo = &dialog.Config{OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) }}

// Both sides say which packages they take, and each is told of those that the other
// takes; nothing is sent of any other.
func TestInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		calls, toBob, toAlice := make(chan *ua.Call, 1), make(chan string, 9), make(chan string, 9)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: answerWith(calls, newStream(t)), InfoPackages: takers(toBob, "foo", "bar")})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{InfoPackages: takers(toAlice, "foo")})
		a, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
		if err != nil {
			t.Fatal(err)
		}
		b := <-calls
		x := sip.Body{Type: "application/x", Content: "1"}
		for _, test := range []struct {
			from  *ua.Call
			pkg   string
			body  sip.Body
			edits []sip.Edit
			want  error
			told  string
		}{
			{from: a, pkg: "bar", body: x, told: "bar application/x 1"},
			{from: a, pkg: "foo", told: "foo  "},
			{from: a, pkg: "foo", edits: []sip.Edit{sip.InfoPackage{Name: "foo", Params: ";tone=1"}}, told: "foo;tone=1  "},
			{from: a, pkg: "FOO", want: ua.ErrInfoPackage},
			{from: a, pkg: "baz", want: ua.ErrInfoPackage},
			{from: a, pkg: "", body: x, want: sip.StatusUnsupportedMediaType},
			{from: a, pkg: ""}, // is anybody there?
			{from: a, pkg: "bar", body: sip.Body{Type: "text/plain", Content: "refuse"}, want: sip.StatusDecline, told: "bar text/plain refuse"},
			{from: b, pkg: "foo", body: x, told: "foo application/x 1"},
			{from: b, pkg: "bar", want: ua.ErrInfoPackage},
			{from: a, pkg: "bar", told: "bar image/png x", body: multipart(t, "mixed",
				sip.NewPart(sip.Body{Type: "text/plain", Content: "aside"}),
				sip.NewPart(sip.Body{Type: "image/png", Content: "x"}, sip.ContentDisposition{Type: "Info-Package"})),
				edits: []sip.Edit{sip.Del("Content-Disposition")}},
		} {
			err := test.from.Info(t.Context(), test.pkg, test.body, test.edits...)
			if !errors.Is(err, test.want) {
				t.Errorf("Info(%s) = %v, want %v", test.pkg, err, test.want)
			}
			to := toBob
			if test.from == b {
				to = toAlice
			}
			told := ""
			select {
			case told = <-to:
			default:
			}
			if told != test.told {
				t.Errorf("Info(%s) came as %q, want %q", test.pkg, told, test.told)
			}
		}
		// What has gone wrong has not hurt the call (RFC 6086 section 4.2.1).
		if err := a.Hangup(t.Context()); err != nil {
			t.Error(err)
		}
		if err := a.Info(t.Context(), "foo", sip.Body{}); err == nil {
			t.Error("Info() in a call that is over worked")
		}
	})
}

// Recv-Info is where RFC 6086 section 5.2.3 wants it, and nowhere else.
func TestRecvInfo(t *testing.T) {
	for _, test := range []struct {
		name   string
		invite []sip.Edit
		want   string
	}{
		{"none", nil, "200 -"},
		{"empty", []sip.Edit{sip.RecvInfo{}}, "200 [bar, foo]"},
		{"some", []sip.Edit{sip.RecvInfo{Name: "x"}}, "200 [bar, foo]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				told := make(chan string, 1)
				newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
					InfoPackages: takers(told, "foo", "", "bar"),
					OnInvite: func(ctx context.Context, in *ua.Invitation) {
						in.Ring(ctx)
						in.Answer(ctx, newStream(t))
					},
				})
				alice := newCaller(t, n, "192.0.2.1", nil)
				var got []string
				note := func(resp *sip.Response) {
					value, ok := resp.Value("Recv-Info")
					if !ok {
						got = append(got, fmt.Sprint(int(resp.Status()), " -"))
						return
					}
					got = append(got, fmt.Sprintf("%d [%s]", int(resp.Status()), value))
				}
				edits := append([]sip.Edit{describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0")}, test.invite...)
				s, resp, err := alice.Invite(t.Context(), request(sip.INVITE, bobURI, edits...), nil)
				if err != nil {
					t.Fatal(err)
				}
				note(resp)
				s.Ack(t.Context())
				resp, err = s.Invite(t.Context(), nil, append([]sip.Edit{describe("192.0.2.1", 2, "audio 5000 RTP/AVP 0")}, test.invite...)...)
				if err != nil {
					t.Fatal(err)
				}
				s.Ack(t.Context())
				note(resp)
				resp, err = s.Do(t.Context(), sip.UPDATE, test.invite...)
				if err != nil {
					t.Fatal(err)
				}
				note(resp)
				for _, got := range got {
					if got != test.want {
						t.Errorf("the answer to INVITE, re-INVITE or UPDATE says %s, want %s", got, test.want)
					}
				}
				resp, err = s.Do(t.Context(), sip.INFO, sip.InfoPackage{Name: "other"})
				if err != nil || resp.Status() != sip.StatusBadInfoPackage {
					t.Fatalf("an INFO of another package got %v, %v, want 469", resp, err)
				}
				if value, _ := resp.Value("Recv-Info"); value != "bar, foo" {
					t.Errorf("the 469 says %q, want bar, foo", value)
				}
				if resp, err := s.Do(t.Context(), sip.OPTIONS); err != nil {
					t.Error(err)
				} else if _, ok := resp.Value("Recv-Info"); ok {
					t.Error("OPTIONS got a Recv-Info, which RFC 6086 section 7.1 does not have")
				}
			})
		})
	}
}

// What a peer takes changes with its next Recv-Info, but not with one of a request that
// is refused (RFC 6086 section 5.2.4).
func TestRecvInfoChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: answerWith(calls, newStream(t))})
		alice := newCaller(t, n, "192.0.2.1", takesInfo)
		offer := func(version int, kind string) sip.Body {
			return describe("192.0.2.1", version, kind+" 5000 RTP/AVP 0")
		}
		s, _, err := alice.Invite(t.Context(), request(sip.INVITE, bobURI, offer(1, "audio"), sip.RecvInfo{Name: "foo"}), nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Ack(t.Context())
		call := <-calls
		check := func(after, takes string) {
			t.Helper()
			for _, pkg := range []string{"foo", "bar"} {
				want := ua.ErrInfoPackage
				if pkg == takes {
					want = nil
				}
				if err := call.Info(t.Context(), pkg, sip.Body{}); !errors.Is(err, want) {
					t.Errorf("after %s Info(%s) = %v, want %v", after, pkg, err, want)
				}
			}
		}
		check("the INVITE", "foo")
		resp, err := s.Invite(t.Context(), nil, describe("192.0.2.1", 2, "video 5000 RTP/AVP 0"), sip.RecvInfo{Name: "bar"})
		if err != nil || resp.Status().Success() {
			t.Fatalf("the re-INVITE got %v, %v, want a refusal", resp, err)
		}
		check("a refused re-INVITE", "foo")
		s.Do(t.Context(), sip.UPDATE)
		check("an UPDATE that does not say", "foo")
		s.Do(t.Context(), sip.UPDATE, sip.RecvInfo{Name: "bar"})
		check("an UPDATE", "bar")
		if _, err := s.Invite(t.Context(), nil, offer(3, "audio"), sip.RecvInfo{}); err != nil {
			t.Fatal(err)
		}
		s.Ack(t.Context())
		synctest.Wait()
		check("a re-INVITE", "")
	})
}

// A peer that lists what it likes fills no memory of ours.
func TestRecvInfoFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: answerWith(calls, newStream(t))})
		alice := newCaller(t, n, "192.0.2.1", takesInfo)
		var many []string
		for i := range 200 {
			many = append(many, fmt.Sprint("p", i))
		}
		s, _, err := alice.Invite(t.Context(), request(sip.INVITE, bobURI, describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0"),
			sip.Field{Name: "Recv-Info", Value: strings.Join(many, ", ")}), nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Ack(t.Context())
		call := <-calls
		if err := call.Info(t.Context(), "p31", sip.Body{}); err != nil {
			t.Error(err)
		}
		if err := call.Info(t.Context(), "p32", sip.Body{}); !errors.Is(err, ua.ErrInfoPackage) {
			t.Errorf("Info() = %v, want ErrInfoPackage", err)
		}
	})
}

// While a call rings and has early media, INFO goes both ways, in each branch.
func TestEarlyInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		toBob, toAlice := make(chan string, 1), make(chan string, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
			InfoPackages: takers(toBob, "foo"),
			OnInvite: func(ctx context.Context, in *ua.Invitation) {
				if err := in.Progress(ctx, newStream(t)); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second)
				if err := in.Call().Info(ctx, "foo", sip.Body{Type: "text/plain", Content: "too"}); err != nil {
					t.Error(err)
				}
				in.Reject(ctx, sip.StatusBusyHere)
			},
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{InfoPackages: takers(toAlice, "foo")})
		opts := streams(newStream(t))
		opts.OnProvisional = func(call *ua.Call, resp *sip.Response) {
			if err := call.Info(t.Context(), "foo", sip.Body{Type: "text/plain", Content: "early"}); err != nil {
				t.Error(err)
			}
		}
		if _, err := alice.Invite(t.Context(), bobURI, opts); !errors.Is(err, sip.StatusBusyHere) {
			t.Errorf("Invite() = %v, want 486", err)
		}
		if got := <-toBob; got != "foo text/plain early" {
			t.Errorf("%q came to Bob", got)
		}
		if got := <-toAlice; got != "foo text/plain too" {
			t.Errorf("%q came to Alice", got)
		}
	})
}

// Each branch of a fork takes packages of its own (RFC 6086 section 4.2.1).
func TestInfoOfForks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		var came []string
		newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
			switch req.Method() {
			case sip.INVITE:
				for _, pkg := range []string{"foo", "bar"} {
					resp := req.Reply(sip.StatusRinging, contactAt("192.0.2.2"), sip.RecvInfo{Name: pkg})
					tx.Respond(resp.With(resp.To().WithTag("of-" + pkg)))
				}
				time.Sleep(time.Second)
				tx.Reply(sip.StatusBusyHere)
			case sip.INFO:
				pkg, _ := sip.Get[sip.InfoPackage](req)
				came = append(came, req.To().Tag()+" "+pkg.Name)
				tx.Reply(sip.StatusOK)
			}
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		opts := &ua.InviteOptions{OnProvisional: func(call *ua.Call, resp *sip.Response) {
			for _, pkg := range []string{"foo", "bar"} {
				want := ua.ErrInfoPackage
				if resp.To().Tag() == "of-"+pkg {
					want = nil
				}
				if err := call.Info(t.Context(), pkg, sip.Body{}); !errors.Is(err, want) {
					t.Errorf("Info(%s) to %s = %v, want %v", pkg, resp.To().Tag(), err, want)
				}
			}
		}}
		if _, err := alice.Invite(t.Context(), bobURI, opts); !errors.Is(err, sip.StatusBusyHere) {
			t.Errorf("Invite() = %v, want 486", err)
		}
		if got := strings.Join(came, ", "); got != "of-foo foo, of-bar bar" {
			t.Errorf("%s came", got)
		}
	})
}

// INFO belongs to a call: outside of one there is none (RFC 6086 section 4.2.1). An
// agent that takes none says so.
func TestInfoOfNoCall(t *testing.T) {
	for want, cfg := range map[sip.Status]ua.Config{
		sip.StatusCallDoesNotExist: {InfoPackages: takers(nil, "")},
		sip.StatusMethodNotAllowed: {},
		sip.StatusAccepted: {Methods: map[sip.Method]func(context.Context, *ua.Request){
			sip.INFO: func(_ context.Context, r *ua.Request) { r.Reply(sip.StatusAccepted) }}},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			newAgent(t, n, "192.0.2.2", "sip:bob@b.example", cfg)
			stranger := newPeer(t, n, "192.0.2.9", nil)
			resp, err := stranger.Do(t.Context(), request(sip.INFO, bobURI))
			if err != nil || resp.Status() != want {
				t.Errorf("INFO got %v, %v, want %v", resp, err, want)
			}
		})
	}
}

// Digits by INFO arrive in the order in which they were pressed, over a network that
// turns datagrams around and loses some. What is no digit is not sent.
func TestDigits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 20 * time.Millisecond, Jitter: 30 * time.Millisecond, Loss: 0.1, Reorder: 0.2, Seed: 3})
		calls := make(chan *ua.Call, 1)
		var pressed []string
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
			OnInvite: answerWith(calls, newStream(t)),
			InfoPackages: map[string]func(context.Context, ua.Info) error{
				"": func(_ context.Context, i ua.Info) error {
					digit, d, ok := i.Digit()
					pressed = append(pressed, fmt.Sprintf("%c %v %v", digit, d, ok))
					return nil
				},
			},
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		call, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
		if err != nil {
			t.Fatal(err)
		}
		<-calls
		sent := make(chan error)
		var want []string
		for _, digit := range "0123456789*#ABCD!" {
			want = append(want, fmt.Sprintf("%c 160ms true", digit))
			go func() { sent <- call.Info(t.Context(), "", ua.DTMF(digit, 160*time.Millisecond)) }()
			synctest.Wait() // it is in the line
		}
		for range want {
			if err := <-sent; err != nil {
				t.Error(err)
			}
		}
		for _, digit := range "xE.\n\x00\u00e9" {
			err := call.Info(t.Context(), "", ua.DTMF(digit, 160*time.Millisecond))
			if want := fmt.Sprintf("info bob: ua: %q is no DTMF digit (0-9, *, #, A-D, !)", string(digit)); err == nil || err.Error() != want {
				t.Errorf("Info() of %q = %v, want %s", digit, err, want)
			}
		}
		if got, want := fmt.Sprint(pressed), fmt.Sprint(want); got != want {
			t.Errorf("pressed\n%s, want\n%s", got, want)
		}
	})
}

// Digits as others write them.
func TestReadDigit(t *testing.T) {
	const relay = "application/dtmf-relay"
	for _, test := range []struct {
		contentType, body string
		want              string
	}{
		{relay, "Signal=5\r\nDuration=160\r\n", "5 160ms true"},
		{"Application/DTMF-Relay", "Signal= 5\nDuration= 160", "5 160ms true"},
		{relay, "signal = #", "# 0s true"},
		{relay, "Duration=250\r\nSignal=11", "# 250ms true"},
		{relay, "Signal=10", "* 0s true"},
		{relay, "Signal=a", "A 0s true"},
		{relay, "Signal=16", "! 0s true"},
		{relay, "Signal=1\r\nDuration=4294967295", "1 1m0s true"},
		{relay, "Signal=1\r\nDuration=-1", "1 0s true"},
		{relay, "Signal=17", "\x00 0s false"},
		{relay, "Signal=-1", "\x00 0s false"},
		{relay, "Signal=007", "\x00 0s false"},
		{relay, "Signal=", "\x00 0s false"},
		{relay, "", "\x00 0s false"},
		{"application/dtmf", "9", "9 0s true"},
		{"application/dtmf", " *\r\n", "* 0s true"},
		{"application/dtmf", "Signal=5", "\x00 0s false"},
		{"application/media_control+xml", "<media_control/>", "\x00 0s false"},
		{"", "5", "\x00 0s false"},
	} {
		digit, d, ok := ua.Info{ContentType: test.contentType, Body: test.body}.Digit()
		if got := fmt.Sprintf("%c %v %v", digit, d, ok); got != test.want {
			t.Errorf("%s %q: %q, want %q", test.contentType, test.body, got, test.want)
		}
	}
}

// A call that only rings, and reliably: its PRACK is accepted, though there is no media
// yet.
func TestReliableRinging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		rang := make(chan error, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
			OnInvite: func(ctx context.Context, in *ua.Invitation) {
				rang <- in.Ring(ctx)
				in.Reject(ctx, sip.StatusBusyHere)
			},
		})
		var got []string
		alice := newPeer(t, n, "192.0.2.1", nil)
		invite := request(sip.INVITE, bobURI, contactAt("192.0.2.1"), describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0"), sip.Require{sip.Option100rel})
		for resp, err := range alice.Responses(t.Context(), invite) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(int(resp.Status())))
			rseq, err := sip.Get[sip.RSeq](resp)
			if err != nil {
				continue
			}
			prack := request(sip.PRACK, bobURI).With(invite.From(), resp.To(), sip.CallID(invite.CallID()), sip.CSeq{Seq: 2, Method: sip.PRACK},
				sip.RAck{RSeq: rseq, CSeq: invite.CSeq()})
			if resp, err := alice.Do(t.Context(), prack); err != nil || resp.Status() != sip.StatusOK {
				t.Errorf("PRACK got %v, %v, want 200", resp, err)
			}
		}
		if err := <-rang; err != nil {
			t.Errorf("Ring() = %v", err)
		}
		if got := strings.Join(got, " "); got != "180 486" {
			t.Errorf("responses %s, want 180 486", got)
		}
	})
}
