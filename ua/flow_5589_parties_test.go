package ua_test

import (
	"context"
	"testing"
	"time"

	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/ua"
)

// The target hears by whose order it is called. There is no signed token that proves it.
func TestFlow5589ReferredBy(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5589, Section: "8", Title: "Transfer with Referred-By",
		Cast: []flow.Actor{transferor, transferee, transferTarget},
		Show: transferFlow,
		Flow: attendedFlow,
		Play: attendedTransfer,
	})
}

// The parties of RFC 5589 section 10.
var (
	originator  = flow.Actor{Name: "Originator", AOR: "sip:mary@atlanta.example.com", Host: "mary.atlanta.example.com", Addr: "192.0.2.21"}
	facilitator = flow.Actor{Name: "Facilitator", AOR: "sip:office@boston.example.com", Host: "office.boston.example.com", Addr: "192.0.2.22"}
	screener    = flow.Actor{Name: "Screener", AOR: "sip:desk@chicago.example.com", Host: "desk.chicago.example.com", Addr: "192.0.2.23"}
	recipient   = flow.Actor{Name: "Recipient", AOR: "sip:fred@dallas.example.com", Host: "fred.dallas.example.com", Addr: "192.0.2.24"}
)

// Mary wants Fred, and two people get him for her: one after the other each sends a call
// on, and is rid of it.
func TestFlow5589Parties(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5589, Section: "10", Title: "Transfer with Multiple Parties",
		Cast: []flow.Actor{originator, facilitator, screener, recipient},
		Show: transferFlow,
		Flow: `
			INVITE Originator -> Facilitator
			200    Facilitator -> Originator
			ACK    Originator -> Facilitator
			INVITE Facilitator -> Originator
			200    Originator -> Facilitator
			ACK    Facilitator -> Originator
			INVITE Facilitator -> Screener
			200    Screener -> Facilitator
			ACK    Facilitator -> Screener
			INVITE Screener -> Facilitator
			200    Facilitator -> Screener
			ACK    Screener -> Facilitator
			INVITE Screener -> Recipient
			200    Recipient -> Screener
			ACK    Screener -> Recipient
			INVITE Screener -> Recipient
			200    Recipient -> Screener
			ACK    Screener -> Recipient
			REFER  Screener -> Facilitator
			- 202  Facilitator -> Screener // 202 is deprecated (RFC 6665 section 8.3.1),
			+ 200  Facilitator -> Screener // and this is what it was
			NOTIFY Facilitator -> Screener
			INVITE Facilitator -> Recipient
			200    Screener -> Facilitator
			200    Recipient -> Facilitator
			ACK    Facilitator -> Recipient
			NOTIFY Facilitator -> Screener
			200    Screener -> Facilitator
			BYE    Screener -> Facilitator
			200    Facilitator -> Screener
			BYE    Screener -> Recipient
			200    Recipient -> Screener
			INVITE Facilitator -> Recipient
			200    Recipient -> Facilitator
			ACK    Facilitator -> Recipient
			REFER  Facilitator -> Originator
			- 202  Originator -> Facilitator // as above
			+ 200  Originator -> Facilitator // as above
			NOTIFY Originator -> Facilitator
			INVITE Originator -> Recipient
			200    Facilitator -> Originator
			200    Recipient -> Originator
			ACK    Originator -> Recipient
			NOTIFY Originator -> Facilitator
			200    Facilitator -> Originator
			BYE    Facilitator -> Originator
			200    Originator -> Facilitator
			BYE    Facilitator -> Recipient
			200    Recipient -> Facilitator
			BYE    Recipient -> Originator
			200    Originator -> Recipient`,
		Play: func(f *flow.Flow) {
			mary, office := newPhone(f, originator, ua.Config{}), newPhone(f, facilitator, ua.Config{})
			desk, fred := newPhone(f, screener, ua.Config{}), newPhone(f, recipient, ua.Config{})
			s := &transferScene{f: f}

			f.Note("Mary calls: get Fred for me!")
			marys, officeMary := connect(mary, office)
			f.Pass(5 * time.Second)
			s.hold(officeMary, "The facilitator puts her on hold.")
			f.Note("The facilitator calls the screener: I have a call from Mary for Fred.")
			officeDesk, desks := connect(office, desk)
			f.Pass(5 * time.Second)
			s.hold(desks, "The screener puts the facilitator on hold.")
			f.Note("The screener calls Fred: you have a call from Mary.")
			deskFred, freds := connect(desk, fred)
			f.Pass(5 * time.Second)
			s.hold(deskFred, "The screener puts him on hold.")

			sent := s.transfer("The screener sends the facilitator to him.", func(ctx context.Context) error {
				return desks.Transfer(ctx, recipient.AOR, nil)
			})
			freds2, officeFred := fred.invited().answer(), <-office.referred
			transferEnds(f, sent, nil)
			<-officeDesk.Done()
			f.Pass(time.Second)
			f.Note("The screener hangs up.")
			hangup(f, deskFred, freds)
			f.Pass(5 * time.Second)
			s.hold(officeFred, "The facilitator puts Fred on hold: please hold for Mary.")

			sent = s.transfer("The facilitator sends Mary to him.", func(ctx context.Context) error {
				return officeMary.Transfer(ctx, recipient.AOR, nil)
			})
			freds3, marys2 := fred.invited().answer(), <-mary.referred
			transferEnds(f, sent, nil)
			<-marys.Done()
			f.Pass(time.Second)
			f.Note("The facilitator hangs up.")
			hangup(f, officeFred, freds2)
			f.Pass(10 * time.Second)
			f.Note("Fred hangs up.")
			hangup(f, freds3, marys2)
		},
	})
}
