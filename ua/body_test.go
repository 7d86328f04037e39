package ua_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// A body that has to be understood, and is not, is refused with 415, whatever it comes in
// (RFC 3261 section 8.2.3); one that is optional is passed over. What is for the program or
// for an event package to understand is not looked at.
func TestBodiesThatAreNotUnderstood(t *testing.T) {
	const accept = "Accept: application/sdp, multipart/mixed, multipart/alternative, multipart/related"
	text := sip.Body{Type: "text/plain", Content: "x"}
	carol := sip.ReferTo{URI: sip.URI{Scheme: "sip", User: "carol", Host: "192.0.2.3"}}
	proof := multipart(t, "mixed", sip.NewPart(text, sip.ContentID("proof@c.example")))
	for _, test := range []struct {
		name   string
		method sip.Method
		edits  []sip.Edit
		want   sip.Status // with a body that is required
		says   string
		passes sip.Status // with one that is optional
	}{
		{"UPDATE", sip.UPDATE, []sip.Edit{text}, 415, accept, 200},
		{"UPDATE with a picture beside the offer", sip.UPDATE, []sip.Edit{multipart(t, "mixed", picture(""), sip.NewPart(describe("192.0.2.1", 2, "audio 5000 RTP/AVP 0")))}, 415, accept, 200},
		{"OPTIONS", sip.OPTIONS, []sip.Edit{text}, 415, accept, 200},
		{"OPTIONS with a description", sip.OPTIONS, []sip.Edit{describe("192.0.2.1", 2, "audio 5000 RTP/AVP 0")}, 200, accept, 200},
		{"REFER", sip.REFER, []sip.Edit{carol, text}, 415, accept, 603},
		{"REFER with a proof", sip.REFER, []sip.Edit{carol, sip.ReferredBy{URI: carol.URI, Params: `;cid="proof@c.example"`}, proof}, 603, "", 603},
		{"REFER with the proof of something else", sip.REFER, []sip.Edit{carol, sip.ReferredBy{URI: carol.URI, Params: `;cid="other@c.example"`}, proof}, 415, accept, 603},
		{"REFER to a list", sip.REFER, []sip.Edit{sip.ReferTo{URI: sip.URI{Scheme: "cid", Opaque: "proof@c.example"}}, proof}, 603, "", 603},
		{"SUBSCRIBE", sip.SUBSCRIBE, []sip.Edit{sip.Event{Package: "mood"}, text}, 415, "Accept: ", 200},
		{"SUBSCRIBE to what became of a REFER", sip.SUBSCRIBE, []sip.Edit{sip.Event{Package: "refer"}, text}, 415, accept, 403},
		{"MESSAGE", sip.MESSAGE, []sip.Edit{text}, 200, "", 200},
		{"INFO", sip.INFO, []sip.Edit{sip.InfoPackage{Name: "foo"}, text}, 200, "", 200},
		{"a method of the program", "PLAY", []sip.Edit{text}, 202, "", 202},
		{"NOTIFY", sip.NOTIFY, []sip.Edit{sip.Event{Package: "mood"}, sip.SubscriptionState{State: "active"}, text}, 481, "", 481},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
					OnInvite:     func(ctx context.Context, in *ua.Invitation) { in.Answer(ctx, newStream(t)) },
					OnMessage:    func(context.Context, ua.Message) error { return nil },
					OnRefer:      func(context.Context, *ua.Referral) {},
					Notifiers:    []*ua.Notifier{ua.NewNotifier(&mood{}, nil)},
					InfoPackages: map[string]func(context.Context, ua.Info) error{"foo": func(context.Context, ua.Info) error { return nil }},
					Methods: map[sip.Method]func(context.Context, *ua.Request){
						"PLAY": func(_ context.Context, r *ua.Request) { r.Reply(sip.StatusAccepted) }},
				})
				alice := newCaller(t, n, "192.0.2.1", takesInfo)
				s, _, err := alice.Invite(t.Context(), request(sip.INVITE, bobURI, describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0")), nil)
				if err != nil {
					t.Fatal(err)
				}
				s.Ack(t.Context())
				synctest.Wait()
				resp, err := s.Do(t.Context(), test.method, test.edits...)
				if err != nil || resp.Status() != test.want || said(resp, "Accept") != test.says {
					t.Errorf("%s got %v, %v, want %v with %q", test.method, resp, err, test.want, test.says)
				}
				optional := sip.ContentDisposition{Type: "render", Params: ";handling=optional"}
				if resp, err = s.Do(t.Context(), test.method, append(test.edits, optional)...); err != nil || resp.Status() != test.passes {
					t.Errorf("%s with an optional body got %v, %v, want %v", test.method, resp, err, test.passes)
				}
			})
		})
	}
}

// The PRACK of ringing, and of early media, has a body that is not understood. It is refused,
// and nothing else.
func TestBodyOfPRACK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			if err := in.Ring(ctx); err != nil {
				t.Errorf("Ring() = %v", err)
			}
			if err := in.Progress(ctx, newStream(t)); err != nil {
				t.Errorf("Progress() = %v", err)
			}
			time.Sleep(time.Second)
			in.Answer(ctx)
		}})
		alice := newCaller(t, n, "192.0.2.1", nil)
		_, resp, err := alice.Invite(t.Context(), request(sip.INVITE, bobURI, sip.Require{sip.Option100rel}, describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0")),
			func(s *dialog.Session, _ *sip.Response) {
				resp, err := s.Do(t.Context(), sip.PRACK, sip.Body{Type: "text/plain", Content: "x"})
				if err != nil || resp.Status() != sip.StatusUnsupportedMediaType {
					t.Errorf("PRACK got %v, %v, want 415", resp, err)
				}
			})
		if err != nil || resp.Status() != sip.StatusOK {
			t.Errorf("the INVITE got %v, %v, want 200", resp, err)
		}
	})
}
