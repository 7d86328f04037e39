package dialog_test

import (
	"testing"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// boom is an edit with a bug.
type boom struct{}

func (boom) HeaderName() string        { return "X-Boom" }
func (boom) AppendValue([]byte) []byte { panic("a bug of the program's") }

// An edit that panics does not lock the dialog for ever: who recovers goes on.
func TestEditThatPanics(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil)})
		alice := newLayer(t, n, aliceAddr, nil)
		s, _, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
		if err != nil {
			t.Fatal(err)
		}
		recovers := func(what string, f func()) {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic", what)
				}
			}()
			f()
		}
		recovers("Ack", func() { s.Ack(t.Context(), boom{}) })
		if err := s.Ack(t.Context()); err != nil {
			t.Error(err)
		}
		recovers("Do", func() { s.Do(t.Context(), sip.INFO, boom{}) })
		recovers("Invite", func() { s.Invite(t.Context(), nil, boom{}) })
		recovers("Bye", func() { s.Bye(t.Context(), boom{}) })
		if err := s.Bye(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
