package ua_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// What callers ask for, as the callee sees it: those who may overrule, and those who
// may not (RFC 5373 section 4.1).
func TestAnswerModeAsked(t *testing.T) {
	auto, manual := sip.AnswerMode{Mode: "Auto"}, sip.AnswerMode{Mode: "manual", Params: ";require"}
	for _, test := range []struct {
		name   string
		header []sip.Edit
		plain  ua.AnswerMode
		priv   ua.AnswerMode
	}{
		{"nothing", nil, ua.AnswerMode{}, ua.AnswerMode{}},
		{"auto", []sip.Edit{auto}, ua.AnswerMode{Auto: true}, ua.AnswerMode{Auto: true}},
		{"manual", []sip.Edit{manual}, ua.AnswerMode{Manual: true, Required: true}, ua.AnswerMode{Manual: true, Required: true}},
		{"privileged", []sip.Edit{sip.PrivAnswerMode{Mode: "AUTO", Params: ";require"}}, ua.AnswerMode{}, ua.AnswerMode{Auto: true, Required: true, Priv: true}},
		{"both", []sip.Edit{manual, sip.PrivAnswerMode(auto)}, ua.AnswerMode{Manual: true, Required: true}, ua.AnswerMode{Auto: true, Priv: true}},
		{"a mode to come", []sip.Edit{sip.AnswerMode{Mode: "Sing", Params: ";require"}}, ua.AnswerMode{}, ua.AnswerMode{}},
		{"a privileged mode to come", []sip.Edit{auto, sip.PrivAnswerMode{Mode: "Sing"}}, ua.AnswerMode{Auto: true}, ua.AnswerMode{Auto: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
					if got := in.AnswerMode(false); got != test.plain {
						t.Errorf("AnswerMode(false) = %+v, want %+v", got, test.plain)
					}
					if got := in.AnswerMode(true); got != test.priv {
						t.Errorf("AnswerMode(true) = %+v, want %+v", got, test.priv)
					}
					in.Reject(ctx, sip.StatusBusyHere)
				}})
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
				if _, err := alice.Invite(t.Context(), bobURI, &ua.InviteOptions{Header: test.header}); !errors.Is(err, sip.StatusBusyHere) {
					t.Errorf("Invite() = %v, want 486", err)
				}
			})
		})
	}
}

// A callee that knows the extension, with a policy: friends are answered at once, and
// others ring, if they do not insist. One that does not know it cannot be required to.
func TestAnswerModePolicy(t *testing.T) {
	required := []sip.Edit{sip.AnswerMode{Mode: "Auto", Params: ";require"}, sip.Require{sip.OptionAnswerMode}}
	for _, test := range []struct {
		name      string
		caller    string
		header    []sip.Edit
		supported []string
		rings     bool
		want      error
	}{
		{"a friend", "sip:alice@a.example", []sip.Edit{sip.AnswerMode{Mode: "Auto"}}, []string{sip.OptionAnswerMode}, false, nil},
		{"a friend who insists", "sip:alice@a.example", required, []string{sip.OptionAnswerMode}, false, nil},
		{"a stranger", "sip:mallory@m.example", []sip.Edit{sip.AnswerMode{Mode: "Auto"}}, []string{sip.OptionAnswerMode}, true, nil},
		{"a stranger who insists", "sip:mallory@m.example", required, []string{sip.OptionAnswerMode}, false, sip.StatusForbidden},
		{"an agent without", "sip:alice@a.example", required, nil, false, sip.StatusBadExtension},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{Supported: test.supported, OnInvite: func(ctx context.Context, in *ua.Invitation) {
					answerInMode(ctx, in, newStream(t))
				}})
				alice := newAgent(t, n, "192.0.2.1", test.caller, ua.Config{})
				opts := streams(newStream(t))
				opts.Header = test.header
				rang := false
				opts.OnProvisional = func(_ *ua.Call, resp *sip.Response) { rang = true }
				call, err := alice.Invite(t.Context(), bobURI, opts)
				if !errors.Is(err, test.want) || rang != test.rings {
					t.Errorf("Invite() = %v after it rang: %v, want %v and %v", err, rang, test.want, test.rings)
				}
				var refused *ua.StatusError
				if errors.As(err, &refused) && refused.Status == sip.StatusForbidden && refused.Reason != "automatic answer forbidden" {
					t.Errorf("refused for %q", refused.Reason)
				}
				if call != nil {
					call.Hangup(t.Context())
				}
			})
		})
	}
}

// answerInMode answers Alice at once if she asks for that, and rings for others.
func answerInMode(ctx context.Context, in *ua.Invitation, s ua.Stream) {
	mode := in.AnswerMode(false)
	friend := in.From().URI.User == "alice" // in earnest: in.User, or in.Asserted
	switch {
	case mode.Auto && friend:
		in.Add(sip.AnswerMode{Mode: "Auto"})
	case mode.Auto && mode.Required:
		in.Reject(ctx, sip.StatusForbidden, sip.ReasonPhrase("automatic answer forbidden"))
		return
	default:
		in.Ring(ctx) // and wait for the user
	}
	in.Answer(ctx, s)
}

// The mode is in the 200 if the program says so, and in nothing before it (RFC 5373
// section 5).
func TestAnswerModeOfThe200(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			in.Ring(ctx)
			in.Add(sip.AnswerMode{Mode: "Manual"})
			in.Answer(ctx, newStream(t))
		}})
		alice := newPeer(t, n, "192.0.2.9", nil)
		for resp, err := range alice.Responses(t.Context(), request(sip.INVITE, bobURI, contactAt("192.0.2.9"), describe("192.0.2.9", 1, "audio 5000 RTP/AVP 0"))) {
			if err != nil {
				t.Fatal(err)
			}
			got, _ := sip.Get[sip.AnswerMode](resp)
			want := ""
			if resp.Status().Final() {
				want = "Manual"
			}
			if got.Mode != want {
				t.Errorf("Answer-Mode of the %d is %q, want %q", resp.Status(), got.Mode, want)
			}
		}
	})
}
