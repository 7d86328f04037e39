package ua_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// Each refusal that an agent makes by itself, with the header fields that go with it.
func TestRefusals(t *testing.T) {
	audio := describe("192.0.2.9", 1, "audio 5000 RTP/AVP 0")
	takes := func(ctx context.Context, in *ua.Invitation) { in.Answer(ctx, newStream(t)) }
	breaks := func(ctx context.Context, in *ua.Invitation) {
		s := newStream(t)
		s.onAnswer = func(context.Context) error { return errors.New("/dev/audio0 is busy") }
		in.Answer(ctx, s)
	}
	const calls = "ACK, BYE, CANCEL, OPTIONS, NOTIFY, INVITE, PRACK, UPDATE"
	const sdpTypes = "application/sdp, multipart/mixed, multipart/alternative, multipart/related"
	for _, test := range []struct {
		name   string
		cfg    ua.Config
		method sip.Method
		uri    string
		edits  []sip.Edit
		want   sip.Status
		header string
		value  string
	}{
		{"no calls", ua.Config{}, sip.INVITE, bobURI, []sip.Edit{audio}, 405, "Allow", "ACK, BYE, CANCEL, OPTIONS, NOTIFY"},
		{"no such method", ua.Config{OnInvite: takes}, "PLAY", bobURI, nil, 405, "Allow", calls},
		{"not a media type of ours", ua.Config{OnInvite: takes}, sip.INVITE, bobURI, []sip.Edit{sip.Body{Type: "application/isup", Content: "x"}}, 415, "Accept", sdpTypes},
		{"not a coding of ours", ua.Config{OnInvite: takes}, sip.INVITE, bobURI, []sip.Edit{audio, sip.ContentEncoding{"gzip"}}, 415, "Accept-Encoding", "identity"},
		{"not an extension of ours", ua.Config{OnInvite: takes}, sip.INVITE, bobURI, []sip.Edit{audio, sip.Require{"timer", "precondition", "x"}}, 420, "Unsupported", "precondition, x"},
		{"nothing that we could answer with", ua.Config{OnInvite: takes}, sip.INVITE, bobURI, []sip.Edit{sip.Accept{Type: "application/isup"}}, 406, "", ""},
		{"nothing at all to answer with", ua.Config{OnInvite: takes}, sip.INVITE, bobURI, []sip.Edit{sip.Accept{}}, 406, "", ""},
		{"anything but a description", ua.Config{OnInvite: takes}, sip.INVITE, bobURI, []sip.Edit{sip.List(sip.Accept{Type: "application/sdp", Params: ";q=0"}, sip.Accept{Type: "text/plain"})}, 406, "", ""},
		{"a scheme that we do not know", ua.Config{OnInvite: takes}, sip.INVITE, "im:bob@b.example", []sip.Edit{audio}, 416, "", ""},
		{"nothing in common", ua.Config{OnInvite: takes}, sip.INVITE, bobURI, []sip.Edit{describe("192.0.2.9", 1, "audio 5000 RTP/AVP 18")}, 488, "Warning", `305 192.0.2.2:5060 "Incompatible media format"`},
		{"a stream that fails", ua.Config{OnInvite: breaks}, sip.INVITE, bobURI, []sip.Edit{audio}, 488, "Warning", `399 192.0.2.2:5060 "Session cannot be set up"`},
		{"too short a session timer", ua.Config{OnInvite: takes}, sip.INVITE, bobURI, []sip.Edit{audio, sip.Supported{"timer"}, sip.SessionExpires{Seconds: 30}}, 422, "Min-SE", "90"},
		{"options, and no hop left", ua.Config{OnInvite: takes}, sip.OPTIONS, bobURI, []sip.Edit{sip.MaxForwards(0)}, 200, "Allow", calls},
		{"a call, and no hop left", ua.Config{OnInvite: takes}, sip.INVITE, bobURI, []sip.Edit{audio, sip.MaxForwards(0)}, 200, "", ""},
		{"anything, in a list", ua.Config{OnInvite: takes}, sip.INVITE, bobURI, []sip.Edit{audio, sip.List(sip.Accept{Type: "text/plain"}, sip.Accept{Type: "*/*"})}, 200, "", ""},
		{"a description, and text alone is taken", ua.Config{OnInvite: takes}, sip.INVITE, bobURI, []sip.Edit{audio, sip.Accept{Type: "text/plain"}}, 200, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				newAgent(t, n, "192.0.2.2", "sip:bob@b.example", test.cfg)
				stranger := newPeer(t, n, "192.0.2.9", nil)
				edits := append([]sip.Edit{sip.Route{URI: sip.URI{Scheme: "sip", Host: "192.0.2.2", Params: ";lr"}}, contactAt("192.0.2.9")}, test.edits...)
				resp, err := stranger.Do(t.Context(), request(test.method, test.uri, edits...))
				if err != nil {
					t.Fatal(err)
				}
				if resp.Status() != test.want {
					t.Errorf("%s got %v, want %v", test.method, resp.Status(), test.want)
				}
				if got, _ := resp.Value(test.header); test.header != "" && got != test.value {
					t.Errorf("%s: %s, want %s", test.header, got, test.value)
				}
			})
		})
	}
}

// The same INVITE by two ways: one rings, and the other is a loop (RFC 3261 section
// 8.2.2.2).
func TestMergedInvite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			in.Ring(ctx)
			time.Sleep(time.Second)
			in.Reject(ctx, sip.StatusBusyHere)
		}})
		invite := request(sip.INVITE, bobURI, contactAt("192.0.2.9"), describe("192.0.2.9", 1, "audio 5000 RTP/AVP 0"))
		got := make(chan sip.Status, 2)
		for _, way := range []string{"192.0.2.9", "192.0.2.10"} {
			peer := newPeer(t, n, way, nil)
			go func() {
				resp, err := peer.Do(t.Context(), invite)
				if err != nil {
					t.Error(err)
				}
				got <- resp.Status()
			}()
			synctest.Wait()
		}
		if first, second := <-got, <-got; first != sip.StatusLoopDetected || second != sip.StatusBusyHere {
			t.Errorf("got %v and %v, want 482 for the second and 486 for the first", first, second)
		}
	})
}

// What the program alone can know it refuses with the header fields that belong to it.
func TestRejectWithHeaders(t *testing.T) {
	for status, edit := range map[sip.Status]sip.Edit{
		sip.StatusAmbiguous:              sip.Contact{URI: sip.URI{Scheme: "sip", User: "bob.b", Host: "b.example"}},
		sip.StatusTemporarilyUnavailable: sip.RetryAfter{Seconds: 60},
		sip.StatusNotAcceptable:          sip.Warning{Code: 370, Agent: "b.example", Text: "Insufficient Bandwidth"},
		sip.StatusMovedTemporarily:       sip.Contact{URI: sip.URI{Scheme: "sip", User: "bob", Host: "192.0.2.3"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
				if err := in.Reject(ctx, status, edit); err != nil {
					t.Error(err)
				}
			}})
			stranger := newPeer(t, n, "192.0.2.9", func(tx *transaction.Server, _ *sip.Request) {})
			resp, err := stranger.Do(t.Context(), request(sip.INVITE, bobURI, contactAt("192.0.2.9")))
			if err != nil {
				t.Fatal(err)
			}
			got, _ := resp.Value(edit.HeaderName())
			if want := string(edit.AppendValue(nil)); resp.Status() != status || got != want {
				t.Errorf("got %v with %s: %s, want %v with %s", resp.Status(), edit.HeaderName(), got, status, want)
			}
		})
	}
}
