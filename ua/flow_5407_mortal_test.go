package ua_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// Both hang up.
func TestFlow5407Byes(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5407, Section: "3.2.1", Title: "UA Receives BYE (Established State) While in the Mortal State",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: raceFields,
		Flow: `
			F1 INVITE Alice -> Bob
			F2 180    Bob -> Alice
			F3 200    Bob -> Alice
			F4 ACK    Alice -> Bob
			F5 BYE    Alice -> Bob
			F6 BYE    Bob -> Alice
			F7 200    Bob -> Alice
			F8 200    Alice -> Bob`,
		Play: func(f *flow.Flow) {
			ours, theirs := talking(f)
			f.Note("Both hang up.")
			together(func() {
				bye(f, ours)
			}, func() {
				bye(f, theirs)
			})
		},
	})
}

// Alice hangs up when Bob puts her on hold.
func TestFlow5407MortalReinvite(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5407, Section: "3.2.2", Title: "UA Receives re-INVITE (Established State) While in the Mortal State",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: raceFields,
		Flow: `
			F1 INVITE Alice -> Bob
			F2 180    Bob -> Alice
			F3 200    Bob -> Alice
			F4 ACK    Alice -> Bob
			F5 BYE    Alice -> Bob
			F6 INVITE Bob -> Alice
			F7 200    Bob -> Alice
			F8 481    Alice -> Bob
			F9 ACK    Bob -> Alice`,
		Play: func(f *flow.Flow) {
			ours, theirs := talking(f)
			f.Note("Alice hangs up, and Bob puts her on hold.")
			together(func() {
				bye(f, ours)
			}, func() {
				if err := theirs.Hold(f.Context()); err == nil {
					f.Error("Hold() = nil of a call that is over")
				}
			})
			<-theirs.Done()
		},
	})
}

// Bob puts Alice on hold, and hangs up before she has accepted that.
func TestFlow5407MortalAnswer(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5407, Section: "3.2.3", Title: "UA Receives 200 OK for re-INVITE (Established State) While in the Mortal State",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: raceFields,
		Flow: `
			F1 INVITE Alice -> Bob
			F2 180    Bob -> Alice
			F3 200    Bob -> Alice
			F4 ACK    Alice -> Bob
			F5 INVITE Bob -> Alice
			F7 200    Alice -> Bob
			F6 BYE    Bob -> Alice
			F8 200    Alice -> Bob
			F9 ACK    Bob -> Alice`,
		Differs: map[string]string{
			"F5 Contact": shortened,
			"F5 SDP":     shortened,
		},
		Play: func(f *flow.Flow) {
			ours, theirs := talking(f)
			f.Note("Bob puts Alice on hold.")
			held := make(chan error, 1)
			go func() { held <- theirs.Hold(f.Context()) }() // ends with the call
			f.Pass(10 * time.Millisecond)
			f.Note("Bob hangs up.")
			hangup(f, theirs, ours)
			<-held
		},
	})
}

// Bob answers, and hangs up before the ACK has come. A phone of package ua has no call before
// that, so his is one of package dialog. (The titles of the messages of the RFC have Alice
// hang up, its figure and its text have Bob.)
func TestFlow5407MortalACK(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5407, Section: "3.2.4", Title: "Callee Receives ACK (Moratorium State) While in the Mortal State",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: raceFields,
		Flow: `
			F1 INVITE Alice -> Bob
			F2 180    Bob -> Alice
			F3 200    Bob -> Alice
			F4 ACK    Alice -> Bob
			F5 BYE    Bob -> Alice
			F6 200    Alice -> Bob`,
		Play: func(f *flow.Flow) {
			ended := make(chan error, 1)
			newDialogs(f, flow.Bob, &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
				in.Provisional(sip.StatusRinging)
				f.Pass(2 * time.Second)
				f.Note("Bob answers, and hangs up.")
				go func() { // ends when the call does
					f.Pass(10 * time.Millisecond)
					ended <- in.Session().Bye(context.Background())
				}()
				if _, err := in.Accept(describe("192.0.2.201", 1, "audio 3456 RTP/AVP 0")); err != nil && !errors.Is(err, dialog.ErrEnded) {
					f.Errorf("Accept() = %v, want ErrEnded", err)
				}
			}})
			alice := newPhone(f, flow.Alice, ua.Config{})
			f.Note("Alice calls Bob.")
			call := alice.place(flow.Bob.AOR)
			if err := <-ended; err != nil {
				f.Errorf("Bye() = %v", err)
			}
			if call.wait(); call.err == nil {
				<-call.call.Done()
			}
		},
	})
}

// Alice hangs up when Bob sends her to Carol.
func TestFlow5407MortalRefer(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5407, Section: "3.3.3", Title: "Receiving REFER (Established State) While in the Mortal State",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: raceFields,
		Flow: `
			F1 INVITE Alice -> Bob
			F2 180    Bob -> Alice
			F3 200    Bob -> Alice
			F4 ACK    Alice -> Bob
			F5 BYE    Alice -> Bob
			F6 REFER  Bob -> Alice
			F7 200    Bob -> Alice
			F8 481    Alice -> Bob`,
		Play: func(f *flow.Flow) {
			ours, theirs := talking(f)
			f.Note("Alice hangs up, and Bob sends her to Carol.")
			together(func() {
				bye(f, ours)
			}, func() {
				if err := theirs.Transfer(f.Context(), flow.Carol.AOR, nil); err == nil {
					f.Error("Transfer() = nil of a call that is over")
				}
			})
			<-theirs.Done()
		},
	})
}
