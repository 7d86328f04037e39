package ua_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// An INVITE without an offer, and what may come of the callee's offer in its ACK: without an
// answer that can be read there is no call, and it is ended.
func TestAnswerInACK(t *testing.T) {
	for _, test := range []struct {
		name  string
		edits []sip.Edit
		told  string
	}{
		{"answer", []sip.Edit{describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0")}, "sendrecv 192.0.2.1:5000"},
		{"none", nil, ""},
		{"nonsense", []sip.Edit{sip.Body{Type: "application/sdp", Content: "x"}}, ""},
		{"two sections for one", []sip.Edit{describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0", "audio 5002 RTP/AVP 0")}, ""},
		{"refusal", []sip.Edit{describe("192.0.2.1", 1, "audio 0 RTP/AVP 0")}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				calls := make(chan *ua.Call, 1)
				s := newStream(t)
				newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: answerWith(calls, s)})
				alice := newCaller(t, n, "192.0.2.1", nil)
				session, resp, err := alice.Invite(t.Context(), request(sip.INVITE, bobURI), nil)
				if err != nil || !contains(resp.Body(), "m=audio 4000") {
					t.Fatalf("the INVITE got %v, %v", resp, err)
				}
				session.Ack(t.Context(), test.edits...)
				call := <-calls
				synctest.Wait()
				if (call != nil) != (test.told != "") || (session.Err() == nil) != (test.told != "") {
					t.Errorf("Answer returned %p, and the call has ended at the caller with %v", call, session.Err())
				}
				s.check(t, "callee", test.told, test.told == "")
			})
		})
	}
}

// A call whose offer is left to the callee, who makes none, or none that fits.
func TestNoOfferFails(t *testing.T) {
	for _, test := range []struct {
		name string
		body sip.Body
		ack  string
		want error
	}{
		{name: "none", want: ua.ErrNoStream},
		{name: "nonsense", body: sip.Body{Type: "application/sdp", Content: "x"}},
		{name: "codec", body: describe("192.0.2.2", 1, "audio 5000 RTP/AVP 8"), ack: "m=audio 0 RTP/AVP 8", want: ua.ErrNoStream},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				b := newBank(t, n, func(b *bank) {
					if test.body.Type == "" {
						b.say("one", 200)
					} else {
						b.say("one", 200, test.body)
					}
				})
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
				s := newStream(t)
				opts := streams(s)
				opts.NoOffer = true
				_, err := alice.Invite(t.Context(), bobURI, opts)
				if err == nil || test.want != nil && !errors.Is(err, test.want) {
					t.Errorf("Invite() = %v, want %v", err, test.want)
				}
				s.check(t, "caller", "", true)
				synctest.Wait()
				if got := b.body[0]; test.ack == "" && got != "" || !contains(got, test.ack) {
					t.Errorf("the ACK says %q, want %q", got, test.ack)
				}
				if got, want := b.heard(), "ACK one, BYE one"; got != want {
					t.Errorf("the phone got %s, want %s", got, want)
				}
			})
		})
	}
}

// A caller that leaves the offer to the callee, and requires reliable responses, gets it in the
// first of them (RFC 3262 section 5). Ring has none, so that Progress comes first.
func TestRingReliablyWithoutOffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		theirs := newStream(t)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			if err := in.Ring(ctx); !errors.Is(err, ua.ErrNoStream) {
				t.Errorf("Ring() = %v before there is an offer, want ErrNoStream", err)
			}
			if err := in.Progress(ctx, theirs); err != nil {
				t.Errorf("Progress() = %v", err)
			}
			if err := in.Ring(ctx); err != nil {
				t.Errorf("Ring() = %v", err)
			}
			if _, err := in.Answer(ctx); err != nil {
				t.Errorf("Answer() = %v", err)
			}
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		ours := newStream(t)
		opts := streams(ours)
		opts.NoOffer, opts.Header = true, []sip.Edit{sip.Require{sip.Option100rel}}
		var heard []string
		opts.OnProvisional = func(_ *ua.Call, resp *sip.Response) {
			heard = append(heard, fmt.Sprint(int(resp.Status()), " ", resp.Body() != ""))
		}
		call, err := alice.Invite(t.Context(), bobURI, opts)
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"183 true", "180 false"}; !slices.Equal(heard, want) {
			t.Errorf("Alice has heard %v, want %v", heard, want)
		}
		call.Hangup(t.Context())
	})
}
