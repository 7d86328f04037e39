package ua_test

import (
	"context"
	"testing"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// What a program says of itself stands in the Contact of REGISTER, and of the answer
// to OPTIONS (RFC 3840 sections 6 and 8). The methods are those that it serves.
func TestFeatures(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		alice := s.alice(ua.Config{
			Features:  sip.Params(";audio;methods").WithFeature("+sip.message", ""),
			OnMessage: func(context.Context, ua.Message) error { return nil },
		})
		if _, err := alice.Register(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		resp, err := newOutsider(s).options(sip.URI{Scheme: "sip", User: "alice", Host: homeAddr})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range []sip.Message{s.sent(sip.REGISTER)[0], resp} {
			got := contact(t, m).Params
			for name, want := range map[string]sip.Feature{
				"audio": "", "+sip.message": "", "methods": "ACK,BYE,CANCEL,OPTIONS,NOTIFY,MESSAGE",
			} {
				if f, ok := got.Feature(name); !ok || f != want {
					t.Errorf("%s = %q, %v, want %q:\n%s", name, f, ok, want, m)
				}
			}
		}
	})
}

// A program that says nothing of itself gets no Contact into its OPTIONS, and what
// is no feature is found by New.
func TestFeaturesAreChecked(t *testing.T) {
	for _, params := range []sip.Params{";expires=0", ";q=1", `;+sip.instance="<urn:x>"`, ";audio;reg-id=2", "audio", ";audio\r\nX: y", ";=", ";audio, <sip:x@y>"} {
		a, err := ua.New("sip:alice@192.0.2.10", &ua.Config{Features: params, Listen: []string{"udp:127.0.0.1:0"}})
		if err == nil {
			a.Close()
			t.Errorf("New takes features %q", params)
		}
	}
}
