package ua_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// raceFields are what shows which INVITE an ACK or a response is of.
var raceFields = []string{"To", "CSeq", "SDP"}

// shortened is why some messages of RFC 5407 lack what each INVITE has.
const shortened = "the RFC prints the message in short, without Contact and Content-Type"

// together does what several people do in the same moment, and returns when all have done it.
func together(do ...func()) {
	done := make(chan struct{})
	for _, one := range do {
		go func() { // ends with what it does
			one()
			done <- struct{}{}
		}()
	}
	for range do {
		<-done
	}
}

// lose has the network lose the first datagrams that begin so, where all others arrive.
func lose(f *flow.Flow, begins ...string) {
	if !f.Lossy() {
		f.Net.SetFilter(loseFirst(begins...))
	}
}

// taken is what becomes of an Answer that meets the end of the call.
func taken(f *flow.Flow, in *invited, want ...error) {
	f.Helper()
	call, err := in.Answer(f.Context(), newFlowStream(f))
	if err == nil {
		<-call.Done()
		if err := call.Err(); !errors.Is(err, ua.ErrHungUp) {
			f.Errorf("Bob's call ends with %v, want ErrHungUp", err)
		}
		return
	}
	for _, w := range want {
		if errors.Is(err, w) {
			return
		}
	}
	f.Errorf("Answer() = %v, want a call that ends, or one of %v", err, want)
}

// ringing has Alice call Bob, whose phone rings.
func ringing(f *flow.Flow, opts *ua.InviteOptions) (*placed, *invited) {
	f.Helper()
	return ring(newPhone(f, flow.Alice, ua.Config{}), newPhone(f, flow.Bob, ua.Config{}), opts)
}

// talking has Bob answer, and both talk.
func talking(f *flow.Flow) (ours, theirs *ua.Call) {
	f.Helper()
	call, in := ringing(f, nil)
	return pickUp(call, in, "Bob")
}

// The INVITE comes again while Bob answers it: the transaction takes it.
func TestFlow5407InviteAgain(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5407, Section: "3.1.1", Title: "Callee Receives Initial INVITE Retransmission (Preparative State) While in the Moratorium State",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: raceFields,
		Flow: `
			F1 INVITE Alice -> Bob
			F2 180    Bob -> Alice
			F4 INVITE Alice -> Bob
			F3 200    Bob -> Alice
			F5 ACK    Alice -> Bob
			+  BYE    Alice -> Bob // the RFC leaves them talking
			+  200    Bob -> Alice // as above`,
		Play: func(f *flow.Flow) {
			lose(f, "SIP/2.0 180")
			call, in := ringing(f, nil)
			f.Pass(490 * time.Millisecond) // timer A of Alice's phone runs out
			f.Note("Bob answers.")
			theirs, ours := in.answer(), call.answered()
			f.Pass(10 * time.Second)
			f.Note("Alice hangs up.")
			hangup(f, ours, theirs)
		},
	})
}

// Alice gives up when Bob answers. The CANCEL comes too late, and she ends the call.
func TestFlow5407Cancel(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5407, Section: "3.1.2", Title: "Callee Receives CANCEL (Early State) While in the Moratorium State",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: raceFields,
		Flow: `
			F1 INVITE Alice -> Bob
			F2 180    Bob -> Alice
			F3 CANCEL Alice -> Bob
			F4 200    Bob -> Alice
			F5 200    Bob -> Alice
			F6 ACK    Alice -> Bob
			F7 BYE    Alice -> Bob
			F8 200    Bob -> Alice`,
		Play: func(f *flow.Flow) {
			call, in := ringing(f, nil)
			f.Pass(2 * time.Second)
			f.Note("Alice gives up, and Bob answers.")
			together(call.cancel, func() { taken(f, in, transaction.ErrCancelled, ua.ErrHungUp) })
			call.failed(context.Canceled)
		},
	})
}

// Alice ends the call by BYE when Bob answers.
func TestFlow5407EarlyBye(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5407, Section: "3.1.3", Title: "Callee Receives BYE (Early State) While in the Moratorium State",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: raceFields,
		Flow: `
			F1 INVITE Alice -> Bob
			F2 180    Bob -> Alice
			F3 200    Bob -> Alice
			F4 BYE    Alice -> Bob
			F5 ACK    Alice -> Bob
			F6 200    Bob -> Alice
			+  BYE    Alice -> Bob // of the call that the 200 made, whatever becomes of the first BYE
			+  481    Bob -> Alice // as above`,
		Play: func(f *flow.Flow) {
			opts, rings := hears()
			call, in := ringing(f, opts)
			early := <-rings
			f.Pass(2 * time.Second)
			f.Note("Alice hangs up, and Bob answers.")
			together(func() {
				bye(f, early)
			}, func() { taken(f, in, transaction.ErrCancelled, ua.ErrHungUp) })
			if f.Lossy() { // nobody sends a 200 again that was lost; she gives up waiting for it
				f.Pass(time.Minute)
				call.cancel()
			}
			if call.wait(); call.err == nil {
				f.Error("Invite() = nil of a call that is over")
			}
		},
	})
}

// The ACK is lost, and Alice puts Bob on hold when the 200 comes again. Bob's phone refuses
// what it might as well accept; the RFC leaves that to it.
func TestFlow5407Reinvite(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5407, Section: "3.1.4", Title: "Callee Receives re-INVITE (Established State) While in the Moratorium State (Case 1)",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: raceFields,
		Flow: `
			F1 INVITE Alice -> Bob
			F2 180    Bob -> Alice
			F3 200    Bob -> Alice
			F4 ACK    Alice -> Bob
			F6 INVITE Alice -> Bob
			F5 200    Bob -> Alice
			F7 ACK    Alice -> Bob
			F8 491    Bob -> Alice
			F9 ACK    Alice -> Bob
			+  BYE    Alice -> Bob // the RFC leaves them talking
			+  200    Bob -> Alice // as above`,
		Differs: map[string]string{
			"F6 Contact": shortened,
			"F6 SDP":     shortened,
			"F8 status":  "a 491 can lead to the same outcome, so either response can be used",
		},
		Play: func(f *flow.Flow) { reinviteInMoratorium(f, nil) },
	})
}

// reinviteInMoratorium has the ACK lost, and Alice put Bob on hold when the 200 comes again.
func reinviteInMoratorium(f *flow.Flow, opts *ua.InviteOptions) {
	f.Helper()
	lose(f, "ACK")
	call, in := ringing(f, opts)
	f.Pass(2 * time.Second)
	f.Note("Bob answers.")
	answered := make(chan *ua.Call, 1)
	go func() { answered <- in.answer() }() // ends when he has the ACK
	ours := call.answered()
	f.Pass(490 * time.Millisecond) // Bob's phone sends its 200 again
	f.Note("Alice puts Bob on hold, and wants no more of it when that does not work at once.")
	ctx, cancel := context.WithTimeout(f.Context(), time.Second)
	defer cancel()
	if err := ours.Hold(ctx); !f.Lossy() && !errors.Is(err, context.DeadlineExceeded) {
		f.Errorf("Hold() = %v, want DeadlineExceeded", err)
	}
	theirs := <-answered
	f.Pass(time.Minute)
	f.Note("Alice hangs up.")
	hangup(f, ours, theirs)
}

// The same where the offer is Bob's.
func TestFlow5407ReinviteAndOffer(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5407, Section: "3.1.5", Title: "Callee Receives re-INVITE (Established State) While in the Moratorium State (Case 2)",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: raceFields,
		Flow: `
			F1 INVITE Alice -> Bob
			F2 180    Bob -> Alice
			F3 200    Bob -> Alice
			F4 ACK    Alice -> Bob
			F6 INVITE Alice -> Bob
			F5 200    Bob -> Alice
			F7 ACK    Alice -> Bob
			F8 491    Bob -> Alice
			F9 ACK    Alice -> Bob
			+  BYE    Alice -> Bob // the RFC leaves them talking
			+  200    Bob -> Alice // as above`,
		Differs: map[string]string{
			"F6 Contact": shortened,
			"F6 SDP":     shortened,
		},
		Play: func(f *flow.Flow) { reinviteInMoratorium(f, &ua.InviteOptions{NoOffer: true}) },
	})
}

// The ACK is lost, and Alice hangs up when the 200 comes again.
func TestFlow5407Bye(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5407, Section: "3.1.6", Title: "Callee Receives BYE (Established State) While in the Moratorium State",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: raceFields,
		Flow: `
			F1 INVITE Alice -> Bob
			F2 180    Bob -> Alice
			F3 200    Bob -> Alice
			F4 ACK    Alice -> Bob
			F6 BYE    Alice -> Bob
			F5 200    Bob -> Alice
			F7 ACK    Alice -> Bob
			F8 200    Bob -> Alice`,
		Play: func(f *flow.Flow) {
			lose(f, "ACK")
			call, in := ringing(f, nil)
			f.Pass(2 * time.Second)
			f.Note("Bob answers.")
			done := make(chan struct{})
			go func() { // ends when the call does
				taken(f, in, ua.ErrHungUp)
				close(done)
			}()
			ours := call.answered()
			f.Pass(490 * time.Millisecond) // Bob's phone sends its 200 again
			f.Note("Alice hangs up.")
			bye(f, ours)
			<-done
		},
	})
}
