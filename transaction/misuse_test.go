package transaction

import (
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// An ACK is sent with Send. In Responses it would be sent eleven times, for
// nobody answers it: that is an error at once, with nothing on the wire.
func TestACKHasNoTransaction(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), nil)
		alice := listen(t, n.Host(aliceAddr), nil)
		start := time.Now()
		if resp, err := alice.Do(t.Context(), request(sip.ACK, bobURI)); resp != nil || err == nil {
			t.Errorf("Do(ACK) = %v, %v, want an error", resp, err)
		}
		if got, err := collect(t.Context(), alice, request(sip.ACK, bobURI)); got != "error" || err == nil {
			t.Errorf("Responses(ACK) yielded %q, %v, want an error", got, err)
		}
		pass(time.Minute)
		ladder(t, n, start, "")
		if _, _, err := alice.Send(t.Context(), request(sip.ACK, bobURI)); err != nil {
			t.Errorf("Send(ACK): %v", err)
		}
	})
}

// What is no request, and no response, is an error and no panic.
func TestNothingToSend(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			for _, resp := range []*sip.Response{nil, new(sip.Response)} {
				if err := tx.Respond(resp); err == nil {
					t.Errorf("Respond(%v) = nil, want an error", resp)
				}
			}
			tx.Reply(sip.StatusOK)
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		for _, r := range []*sip.Request{nil, new(sip.Request)} {
			if resp, err := alice.Do(t.Context(), r); resp != nil || err == nil {
				t.Errorf("Do(%v) = %v, %v, want an error", r, resp, err)
			}
			if got, err := collect(t.Context(), alice, r); got != "error" || err == nil {
				t.Errorf("Responses(%v) yielded %q, %v, want an error", r, got, err)
			}
			if _, _, err := alice.Send(t.Context(), r); err == nil {
				t.Errorf("Send(%v) = nil error", r)
			}
		}
		// The handler goes on as if nothing had been given, to an ACK too.
		expect(t, alice, request(sip.OPTIONS, bobURI), "200")
		if _, _, err := alice.Send(t.Context(), request(sip.ACK, bobURI)); err != nil {
			t.Errorf("Send(ACK): %v", err)
		}
		pass(time.Second)
	})
}
