package dialog_test

import (
	"testing"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// asking is an edit that calls f when it is written.
type asking func() string

func (asking) HeaderName() string            { return "X-Asks" }
func (f asking) AppendValue(b []byte) []byte { return append(b, f()...) }

// An edit asking the dialog whose request it is for something.
func TestEditThatAsksItsDialog(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		newLayer(t, n, bobAddr, &dialog.Config{
			OnInvite:  accepting(t, nil),
			OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) },
		})
		alice := newLayer(t, n, aliceAddr, nil)
		s, _, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
		if err != nil {
			t.Fatal(err)
		}
		target := asking(func() string { return s.Target().Host })
		if err := s.Ack(t.Context(), target); err != nil {
			t.Error(err)
		}
		if _, err := s.Do(t.Context(), sip.INFO, target); err != nil {
			t.Error(err)
		}
		if _, err := s.Invite(t.Context(), nil, target); err != nil {
			t.Error(err)
		}
		s.Ack(t.Context(), target)
		if err := s.Bye(t.Context(), target); err != nil {
			t.Error(err)
		}
		for _, what := range []string{"ACK 1", "INFO 2", "INVITE 3", "ACK 3", "BYE 4"} {
			for _, m := range sent(n, aliceAddr, what) {
				if got, _ := m.Value("X-Asks"); got != bobAddr {
					t.Errorf("%s says %q, want %q", what, got, bobAddr)
				}
			}
		}
	})
}

// An edit sends a request of its own while the one that it is for is made: that goes
// first, with the lower number (RFC 3261 section 12.2.1.1).
func TestEditThatSendsARequest(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		newLayer(t, n, bobAddr, &dialog.Config{
			OnInvite:  accepting(t, nil),
			OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) },
		})
		alice := newLayer(t, n, aliceAddr, nil)
		s := call(t, alice, "sip:bob@"+bobAddr, "1")
		resp, err := s.Do(t.Context(), sip.INFO, asking(func() string {
			s.Do(t.Context(), sip.OPTIONS)
			return "x"
		}))
		if err != nil || !resp.Status().Success() {
			t.Errorf("Do() = %v, %v", resp, err)
		}
		s.Bye(t.Context())
		wantLadder(t, n, "alice: INVITE 1", "bob: 200 INVITE 1", "alice: ACK 1",
			"alice: OPTIONS 2", "bob: 200 OPTIONS 2", "alice: INFO 3", "bob: 200 INFO 3", "alice: BYE 4", "bob: 200 BYE 4")
	})
}
