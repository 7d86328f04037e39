package ua_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// Bob's machine answers, and changes the session, sends a digit or hangs up right behind
// its 200. That is of the call, and nobody is left with half of one.
func TestRequestRightBehindAnswer(t *testing.T) {
	for _, test := range []struct {
		method sip.Method
		edits  []sip.Edit
		told   string
	}{
		{method: sip.INFO, edits: []sip.Edit{sip.Field{Name: "Info-Package", Value: "foo"}, sip.Body{Type: "application/x", Content: "1"}}, told: "foo application/x 1"},
		{method: sip.UPDATE, edits: []sip.Edit{contactAt("192.0.2.2"), describe("192.0.2.2", 2, "audio 6002 RTP/AVP 0")}},
		{method: sip.BYE},
	} {
		t.Run(string(test.method), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 50 * time.Millisecond})
				answer := make(chan *sip.Response, 1)
				var bob *transaction.Layer
				bob = newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
					switch req.Method() {
					case sip.INVITE:
						ok := req.Reply(sip.StatusOK, contactAt("192.0.2.2"), describe("192.0.2.2", 1, "audio 6000 RTP/AVP 0"))
						tx.Respond(ok)
						contact, _ := sip.Get[sip.Contact](req)
						resp, err := bob.Do(t.Context(), sip.NewRequest(test.method, contact.URI, append([]sip.Edit{
							sip.MaxForwards(70), sip.From(ok.To()), sip.To(ok.From()), sip.CallID(ok.CallID()),
							sip.CSeq{Seq: 1, Method: test.method}}, test.edits...)...))
						if err != nil {
							t.Errorf("%s: %v", test.method, err)
						}
						answer <- resp
					case sip.BYE:
						tx.Reply(sip.StatusOK)
					}
				})
				told := make(chan string, 1)
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{InfoPackages: takers(told, "foo")})
				call, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
				if got := (<-answer).Status(); got != sip.StatusOK {
					t.Errorf("the %s got %v, want 200", test.method, got)
				}
				if test.method == sip.BYE {
					if err == nil {
						<-call.Done()
						err = call.Err()
					}
					if !errors.Is(err, ua.ErrHungUp) {
						t.Errorf("the call ended with %v, want ErrHungUp", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if test.told != "" {
					if got := <-told; got != test.told {
						t.Errorf("the program was told %q, want %q", got, test.told)
					}
				}
				if err := call.Hangup(t.Context()); err != nil {
					t.Errorf("Hangup() = %v", err)
				}
			})
		})
	}
}
