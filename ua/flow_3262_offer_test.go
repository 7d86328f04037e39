package ua_test

import (
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// Alice leaves the offer to Bob, whose early media makes it: her answer is in the PRACK. The
// section has no figure.
func TestFlow3262OfferInResponse(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3262, Section: "5", Title: "The Offer/Answer Model and PRACK, offer in the response",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: reliableFields,
		Flow: `
			INVITE Alice -> Bob
			183    Bob -> Alice
			PRACK  Alice -> Bob
			200    Bob -> Alice
			200    Bob -> Alice
			ACK    Alice -> Bob
			BYE    Alice -> Bob
			200    Bob -> Alice`,
		Play: func(f *flow.Flow) {
			callWithPRACK(f, nil, describe("192.0.2.101", 1, "audio 4000 RTP/AVP 0"), "sendrecv 192.0.2.101:4000")
		},
	})
}

// Alice and Bob agree in INVITE and 183, and Alice offers something else in the PRACK, which his
// 200 to that answers.
func TestFlow3262OfferInPRACK(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3262, Section: "5b", Title: "The Offer/Answer Model and PRACK, offer in the PRACK",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: reliableFields,
		Flow: `
			INVITE Alice -> Bob
			183    Bob -> Alice
			PRACK  Alice -> Bob
			200    Bob -> Alice
			200    Bob -> Alice
			ACK    Alice -> Bob
			BYE    Alice -> Bob
			200    Bob -> Alice`,
		Play: func(f *flow.Flow) {
			callWithPRACK(f, []sip.Edit{describe("192.0.2.101", 1, "audio 4000 RTP/AVP 0")},
				describe("192.0.2.101", 2, "audio 4002 RTP/AVP 0|a=sendonly"), "recvonly 192.0.2.101:4002")
		},
	})
}

// callWithPRACK has Alice call Bob with a description, or none, and acknowledge his early media
// with another one, of which his stream is told.
func callWithPRACK(f *flow.Flow, invite []sip.Edit, prack sip.Body, told string) {
	f.Helper()
	bob := newPhone(f, flow.Bob, ua.Config{})
	alice := newDialogs(f, flow.Alice, &dialog.Config{OnRequest: onRequest("192.0.2.101")})
	f.Note("Alice calls Bob.")
	called := make(chan *dialog.Session, 1)
	go func() { // ends with the answer
		s, resp, err := alice.Invite(f.Context(), request(sip.INVITE, flow.Bob.AOR, append([]sip.Edit{
			sip.From{URI: mustURI(flow.Alice.AOR), Params: ";tag=alice"}, sip.CallID("5@atlanta.example.com"),
			sip.Supported{sip.Option100rel}, sip.Require{sip.Option100rel},
		}, invite...)...), func(s *dialog.Session, _ *sip.Response) {
			if resp, err := s.Do(f.Context(), sip.PRACK, prack); err != nil || resp.Status() != sip.StatusOK {
				f.Errorf("PRACK: %v, %v, want 200", resp, err)
			}
		})
		if err != nil || s == nil {
			f.Errorf("Invite() = %v, %v, want 200", resp, err)
		} else if err := s.Ack(f.Context()); err != nil {
			f.Error(err)
		}
		called <- s
	}()
	in := bob.invited()
	f.Note("Bob has an announcement.")
	stream := in.progress()
	f.Pass(2 * time.Second)
	if got := last(stream); got != told {
		f.Errorf("Bob's stream was told %q, want %s", got, told)
	}
	f.Note("Bob answers.")
	theirs := in.answer()
	ours := <-called
	goodbye(f, ours, theirs)
}
