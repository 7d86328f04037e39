package ua_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// A call is redirected twice, by servers that say how the target came about and not of which
// entry, for they have not read the history: it is that of the INVITE that each was sent (RFC
// 7044 section 10.4).
func TestHistoryRedirectedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		var got []string
		newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
			if req.Method() != sip.INVITE {
				return
			}
			got = append(got, lines(req, "History-Info"))
			switch req.URI().User {
			case "bob":
				tx.Reply(sip.StatusMovedTemporarily, moved("sip:desk@192.0.2.2", ";rc"))
			case "desk":
				tx.Reply(sip.StatusMovedTemporarily, moved("sip:spare@192.0.2.2", ";mp"))
			default:
				tx.Reply(sip.StatusBusyHere)
			}
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		if _, err := alice.Invite(t.Context(), bobURI, &ua.InviteOptions{History: true}); !errors.Is(err, sip.StatusBusyHere) {
			t.Errorf("Invite() = %v, want 486", err)
		}
		const bob = "<sip:bob@192.0.2.2?Reason=SIP%3Bcause%3D302>;index=1, "
		const desk = "<sip:desk@192.0.2.2?Reason=SIP%3Bcause%3D302>;index=2;rc=1, "
		want := []string{
			"<sip:bob@192.0.2.2>;index=1",
			bob + "<sip:desk@192.0.2.2>;index=2;rc=1",
			bob + desk + "<sip:spare@192.0.2.2>;index=3;mp=2",
		}
		if !slices.Equal(got, want) {
			t.Errorf("History-Info %q, want %q", got, want)
		}
	})
}
