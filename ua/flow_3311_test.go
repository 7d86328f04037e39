package ua_test

import (
	"context"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// reliableFields are what shows which provisional response a PRACK is for, and who
// offers what.
var reliableFields = []string{"CSeq", "Require", "RSeq", "RAck", "SDP", "o="}

// onRequest answers what comes within the calls of one of the cast: an offer with an
// answer of the same number, and all else with 200.
func onRequest(addr string) func(*dialog.Server, *sip.Request) {
	version := 1
	return func(tx *dialog.Server, req *sip.Request) {
		if _, err := sip.FindBody(req, "application/sdp", ""); err != nil {
			tx.Reply(sip.StatusOK)
			return
		}
		version++
		tx.Reply(sip.StatusOK, describe(addr, version, "audio 4000 RTP/AVP 0"))
	}
}

// Alice and Bob agree on a session before Bob answers, and change it twice.
func TestFlow3311(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3311, Section: "8", Title: "Example Call Flow",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: reliableFields,
		Flow: `
			F1  INVITE Alice -> Bob
			F2  180    Bob -> Alice
			F3  PRACK  Alice -> Bob
			F4  200    Bob -> Alice
			F5  UPDATE Alice -> Bob
			F6  200    Bob -> Alice
			F7  UPDATE Bob -> Alice
			F8  200    Alice -> Bob
			F9  200    Bob -> Alice
			F10 ACK    Alice -> Bob
			+   BYE    Alice -> Bob // to be done
			+   200    Bob -> Alice // as above`,
		Play: func(f *flow.Flow) {
			answers := make(chan *dialog.Session, 1)
			newDialogs(f, flow.Bob, &dialog.Config{
				OnInvite: func(ctx context.Context, in *dialog.Invitation) {
					if err := in.Reliable(sip.StatusRinging, describe("192.0.2.201", 1, "audio 4000 RTP/AVP 0")); err != nil {
						f.Errorf("Reliable() = %v", err)
					}
					f.Pass(5 * time.Second) // with loss, it takes its time
					if f.Lossy() {
						f.Pass(time.Minute)
					}
					f.Note("Bob changes the session.")
					resp, err := in.Session().Do(ctx, sip.UPDATE, describe("192.0.2.201", 3, "audio 4002 RTP/AVP 0"))
					if err != nil || resp.Status() != sip.StatusOK {
						f.Errorf("UPDATE: %v, %v, want 200", resp, err)
					}
					f.Pass(time.Second)
					f.Note("Bob answers.")
					if _, err := in.Accept(); err != nil {
						f.Errorf("Accept() = %v", err)
					}
					answers <- in.Session()
				},
				OnRequest: onRequest("192.0.2.201"),
			})
			alice := newDialogs(f, flow.Alice, &dialog.Config{OnRequest: onRequest("192.0.2.101")})

			f.Note("Alice calls Bob.")
			s := establishDialog(f, alice, request(sip.INVITE, flow.Bob.AOR, sip.From{URI: mustURI(flow.Alice.AOR), Params: ";tag=alice"},
				sip.CallID("8@atlanta.example.com"), sip.Supported{sip.Option100rel}, sip.Allow{sip.INVITE, sip.ACK, sip.CANCEL, sip.BYE, sip.PRACK, sip.UPDATE},
				describe("192.0.2.101", 1, "audio 4000 RTP/AVP 0")),
				func(s *dialog.Session, resp *sip.Response) {
					if resp, err := s.Do(f.Context(), sip.PRACK); err != nil || resp.Status() != sip.StatusOK {
						f.Errorf("PRACK: %v, %v, want 200", resp, err)
					}
					f.Pass(time.Second)
					f.Note("Alice changes the session.")
					if resp, err := s.Do(f.Context(), sip.UPDATE, describe("192.0.2.101", 2, "audio 4002 RTP/AVP 0")); err != nil || resp.Status() != sip.StatusOK {
						f.Errorf("UPDATE: %v, %v, want 200", resp, err)
					}
				})
			goodbye(f, s, <-answers)
		},
	})
}

// Alice's phone changes the session before Bob answers, by UPDATE. Bob's does not: there is no
// call for him before he has answered.
func TestFlow3311Phones(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3311, Section: "8b", Title: "Example Call Flow, of phones",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: reliableFields,
		Flow: `
			F1   INVITE Alice -> Bob
			- F2 180    Bob -> Alice // a reliable response with early media
			+    183    Bob -> Alice // is a 183 here
			F3   PRACK  Alice -> Bob
			F4   200    Bob -> Alice
			F5   UPDATE Alice -> Bob
			F6   200    Bob -> Alice
			- F7 UPDATE Bob -> Alice // this phone cannot before it has answered
			- F8 200    Alice -> Bob // as above
			F9   200    Bob -> Alice
			F10  ACK    Alice -> Bob
			+    BYE    Alice -> Bob // to be done
			+    200    Bob -> Alice // as above`,
		Play: func(f *flow.Flow) {
			alice, bob := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, flow.Bob, ua.Config{})
			opts, rings := hears()
			f.Note("Alice calls Bob.")
			call := alice.placeWith(flow.Bob.AOR, opts)
			in := bob.invited()
			in.progress()
			early := <-rings
			f.Pass(2 * time.Second)
			f.Note("Alice changes the session.")
			if err := early.Renegotiate(f.Context()); err != nil {
				f.Errorf("Renegotiate() = %v", err)
			}
			f.Pass(2 * time.Second)
			f.Note("Bob answers.")
			theirs := in.answer()
			ours := call.answered()
			if ours != early {
				f.Error("Invite() returns another call than the one that rang")
			}
			f.Pass(10 * time.Second)
			f.Note("Alice hangs up.")
			hangup(f, ours, theirs)
		},
	})
}
