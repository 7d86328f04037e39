package ua_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// The callee sends more than a session description, and says of the 183 that its
// description is for something else: an announcement, in a session of its own
// (RFC 3959). What counts is found.
func TestDescriptionAmongOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		answer := sip.NewPart(describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
		announcement := describe("192.0.2.3", 1, "audio 6000 RTP/AVP 0")
		newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				tx.Reply(sip.StatusSessionProgress, contactAt("192.0.2.2"), announcement, sip.ContentDisposition{Type: "early-session"})
			}
			if req.Method() != sip.ACK {
				tx.Reply(sip.StatusOK, contactAt("192.0.2.2"), multipart(t, "mixed", picture(""), answer))
			}
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		stream := newStream(t)
		if _, err := alice.Invite(t.Context(), bobURI, streams(stream)); err != nil {
			t.Fatal(err)
		}
		stream.check(t, "caller", "sendrecv 192.0.2.2:5000", false)
	})
}

// Early media of two forks, each told once. The one that answers counts, and is
// told again though it says nothing new: the other may have spoken in between.
func TestEarlyMedia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		var mu sync.Mutex
		var requests []sip.Method
		newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
			mu.Lock()
			requests = append(requests, req.Method())
			mu.Unlock()
			if req.Method() != sip.INVITE {
				if req.Method() != sip.ACK {
					tx.Reply(sip.StatusOK)
				}
				return
			}
			contact := contactAt("192.0.2.2")
			fork := func(tag string) sip.Edit { return req.To().WithTag(tag) }
			first, second := describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"), describe("192.0.2.3", 1, "audio 6000 RTP/AVP 0")
			tx.Reply(sip.StatusSessionProgress, fork("1"), contact, first)
			tx.Reply(sip.StatusSessionProgress, fork("1"), contact, first)
			tx.Reply(sip.StatusRinging, fork("3"), contact, sip.Body{Type: "application/sdp", Content: "nonsense"})
			tx.Reply(sip.StatusSessionProgress, fork("2"), contact, second)
			time.Sleep(time.Second)
			tx.Reply(sip.StatusOK, fork("2"), contact, second)
			time.Sleep(time.Second)
			tx.Reply(sip.StatusOK, fork("1"), contact, first) // surplus
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		stream := newStream(t)
		call, err := alice.Invite(t.Context(), bobURI, streams(stream))
		if err != nil {
			t.Fatal(err)
		}
		stream.check(t, "caller", "sendrecv 192.0.2.2:5000, sendrecv 192.0.2.3:6000", false)
		time.Sleep(5 * time.Second)
		call.Hangup(t.Context())
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		want := []sip.Method{sip.INVITE, sip.ACK, sip.ACK, sip.BYE, sip.BYE}
		if len(requests) != len(want) {
			t.Errorf("the forks got %v, want %v", requests, want)
		}
	})
}

// Some put the answer into the 18x alone.
func TestAnswerIn18xOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
			contact := contactAt("192.0.2.2")
			if req.Method() == sip.INVITE {
				tx.Reply(sip.StatusSessionProgress, contact, describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
			}
			tx.Reply(sip.StatusOK, contact)
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		stream := newStream(t)
		call, err := alice.Invite(t.Context(), bobURI, streams(stream))
		if err != nil {
			t.Fatal(err)
		}
		stream.check(t, "caller", "sendrecv 192.0.2.2:5000", false)
		call.Hangup(t.Context())
		stream.check(t, "caller", "", true)
	})
}

// An INVITE without an offer: the offer is in the 200, the answer in the ACK.
func TestOfferless(t *testing.T) {
	for _, test := range []struct {
		name  string
		ack   []sip.Edit
		told  string
		works bool
	}{
		{"answered", []sip.Edit{describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0")}, "sendrecv 192.0.2.1:5000", true},
		{"refused", []sip.Edit{describe("192.0.2.1", 1, "audio 0 RTP/AVP 0")}, "", false},
		{"no answer", nil, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				calls := make(chan *ua.Call, 1)
				stream := newStream(t)
				newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: answerWith(calls, stream)})
				alice := newCaller(t, n, "192.0.2.1", nil)
				s, resp, err := alice.Invite(t.Context(), request(sip.INVITE, bobURI), nil)
				if err != nil {
					t.Fatal(err)
				}
				if resp.Body() == "" {
					t.Error("no offer in the 200")
				}
				s.Ack(t.Context(), test.ack...)
				call := <-calls
				if works := call != nil; works != test.works {
					t.Errorf("the call is up: %v, want %v", works, test.works)
				}
				stream.check(t, "callee", test.told, !test.works)
				if !test.works {
					<-s.Done() // by a BYE
				}
			})
		})
	}
}
