package ua_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// Those of RFC 5589.
var (
	transferor     = flow.Actor{Name: "Transferor", AOR: "sip:transferor@atlanta.example.com", Host: "client.atlanta.example.com", Addr: "192.0.2.1"}
	transferee     = flow.Actor{Name: "Transferee", AOR: "sip:transferee@biloxi.example.com", Host: "client.biloxi.example.com", Addr: "192.0.2.4"}
	transferTarget = flow.Actor{Name: "Transfer Target", AOR: "sip:transfertarget@chicago.example.com", Host: "client.chicago.example.com", Addr: "192.0.2.7"}
)

// What is different from RFC 5589 in several of its flows. The RFC draws what the transferee
// does one after the other; here its NOTIFY, and the call that it places, are under way at
// the same time.
const withBody = "the RFC leaves out the session descriptions"

// gruu is the Contact of a phone that others than its peer can reach it by (RFC 5627), which its
// address makes true without a registrar.
func gruu(who flow.Actor) sip.Contact {
	return sip.Contact{URI: sip.URI{Scheme: "sip", User: mustURI(who.AOR).User, Host: who.Addr, Params: ";gr"}}
}

// transferScene are the phones of a transfer.
type transferScene struct {
	f                            *flow.Flow
	transferor, transferee, goal *phone
	ours, theirs                 *ua.Call // the call of the transferor with the transferee
}

// beginTransfer has the transferee call the transferor, who puts it on hold. If REFERs are to
// come outside of the call it says that it can be reached so.
func beginTransfer(f *flow.Flow, outside bool, onRefer func(context.Context, *ua.Referral)) *transferScene {
	f.Helper()
	s := &transferScene{f: f, transferor: newPhone(f, transferor, ua.Config{}), goal: newPhone(f, transferTarget, ua.Config{})}
	s.transferee = newPhone(f, transferee, ua.Config{OnRefer: onRefer})
	var header []sip.Edit
	if outside {
		header = append(header, gruu(transferee))
	}
	f.Note("The transferee calls the transferor.")
	s.theirs, s.ours = connect(s.transferee, s.transferor, header...)
	f.Pass(10 * time.Second)
	s.hold(s.ours, "The transferor puts the transferee on hold.")
	return s
}

// hold puts the other side of a call on hold.
func (s *transferScene) hold(call *ua.Call, note string) {
	s.f.Helper()
	s.f.Note(note)
	hold(s.f, call)
	s.f.Pass(2 * time.Second)
	if s.f.Lossy() {
		s.f.Pass(30 * time.Second) // until there is an ACK
	}
}

// resume takes it back.
func (s *transferScene) resume(call *ua.Call, note string) {
	s.f.Helper()
	s.f.Note(note)
	resume(s.f, call)
	s.f.Pass(10 * time.Second)
}

// transfer has somebody do it, and returns what comes of it.
func (s *transferScene) transfer(note string, do func(context.Context) error) <-chan error {
	s.f.Note(note)
	return refer(func() error { return do(s.f.Context()) })
}

// basic has the transferee call the target.
func (s *transferScene) basic() <-chan error {
	return s.transfer("The transferor sends the transferee to the target.", func(ctx context.Context) error {
		return s.ours.Transfer(ctx, transferTarget.AOR, nil)
	})
}

// worked has the transfer end well: there is a call of the other two, which the target
// ends.
func (s *transferScene) worked(sent <-chan error, goals, others *ua.Call) {
	s.f.Helper()
	transferEnds(s.f, sent, nil)
	<-s.ours.Done()
	<-s.theirs.Done()
	s.f.Pass(10 * time.Second)
	s.f.Note("The target hangs up.")
	hangup(s.f, goals, others)
}

// transferFlow are the header fields of transfers that show what is part of which dialog.
var transferFlow = []string{"From", "To", "Call-ID", "CSeq", "Contact", "Require", "Refer-To", "Referred-By", "Target-Dialog", "Replaces", "Event", "Subscription-State", "body", "SDP"}

// The transferee can be reached by its Contact, and knows what a Target-Dialog is: the REFER
// has a dialog of its own.
func TestFlow5589Transfer(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5589, Section: "6.1", Title: "Successful Transfer",
		Cast: []flow.Actor{transferor, transferee, transferTarget},
		Show: transferFlow,
		Flow: `
			F1 INVITE Transferee -> Transferor
			F2 200    Transferor -> Transferee
			   ACK    Transferee -> Transferor
			   INVITE Transferor -> Transferee
			   200    Transferee -> Transferor
			   ACK    Transferor -> Transferee
			F3 REFER  Transferor -> Transferee
			-  202    Transferee -> Transferor // 202 is deprecated (RFC 6665 section 8.3.1),
			+  200    Transferee -> Transferor // and this is what it was
			F4 NOTIFY Transferee -> Transferor
			F5 INVITE Transferee -> Transfer Target
			   200    Transferor -> Transferee
			   200    Transfer Target -> Transferee
			   ACK    Transferee -> Transfer Target
			F6 NOTIFY Transferee -> Transferor
			   200    Transferor -> Transferee
			   BYE    Transferor -> Transferee
			   200    Transferee -> Transferor
			   BYE    Transfer Target -> Transferee
			   200    Transferee -> Transfer Target`,
		Differs: map[string]string{"SDP": withBody},
		Play: func(f *flow.Flow) {
			s := beginTransfer(f, true, nil)
			sent := s.basic()
			goals := s.goal.invited().answer()
			s.worked(sent, goals, <-s.transferee.referred)
		},
	})
}

// Nobody knows whether the transferee can be reached by its Contact: the REFER is within the
// call.
func TestFlow5589DialogReuse(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5589, Section: "6.2", Title: "Transfer with Dialog Reuse",
		Cast: []flow.Actor{transferor, transferee, transferTarget},
		Show: transferFlow,
		Flow: `
			F1 INVITE Transferee -> Transferor
			F2 200    Transferor -> Transferee
			   ACK    Transferee -> Transferor
			   INVITE Transferor -> Transferee
			   200    Transferee -> Transferor
			   ACK    Transferor -> Transferee
			F3 REFER  Transferor -> Transferee
			-  202    Transferee -> Transferor // 202 is deprecated (RFC 6665 section 8.3.1),
			+  200    Transferee -> Transferor // and this is what it was
			F4 NOTIFY Transferee -> Transferor
			F5 INVITE Transferee -> Transfer Target
			   200    Transferor -> Transferee
			   200    Transfer Target -> Transferee
			   ACK    Transferee -> Transfer Target
			F6 NOTIFY Transferee -> Transferor
			   200    Transferor -> Transferee
			   BYE    Transferor -> Transferee
			   200    Transferee -> Transferor
			   BYE    Transfer Target -> Transferee
			   200    Transferee -> Transfer Target`,
		Differs: map[string]string{"SDP": withBody},
		Play: func(f *flow.Flow) {
			s := beginTransfer(f, false, nil)
			sent := s.basic()
			goals := s.goal.invited().answer()
			s.worked(sent, goals, <-s.transferee.referred)
		},
	})
}

// failing places the call that a REFER wants, and expects it to fail.
func failing(f *flow.Flow, want sip.Status, tired time.Duration) func(context.Context, *ua.Referral) {
	return func(ctx context.Context, r *ua.Referral) {
		if tired > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, tired)
			defer cancel()
		}
		_, err := r.Invite(ctx, streams(newFlowStream(f)))
		if tired > 0 && !errors.Is(err, context.DeadlineExceeded) || tired == 0 && !errors.Is(err, want) {
			f.Errorf("Invite() of a Referral = %v, want %v", err, want)
		}
	}
}

// failed has the transferor take the transferee off hold, and hang up.
func (s *transferScene) failed(sent <-chan error, want sip.Status) {
	s.f.Helper()
	transferEnds(s.f, sent, want)
	s.f.Pass(time.Second)
	s.resume(s.ours, "The transferor takes the transferee off hold.")
	s.f.Note("The transferor hangs up.")
	hangup(s.f, s.ours, s.theirs)
}

// The target is busy, and the call goes on.
func TestFlow5589Busy(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5589, Section: "6.3.1", Title: "Target Busy",
		Cast: []flow.Actor{transferor, transferee, transferTarget},
		Show: transferFlow,
		Flow: `
			INVITE Transferee -> Transferor
			200    Transferor -> Transferee
			ACK    Transferee -> Transferor
			INVITE Transferor -> Transferee
			200    Transferee -> Transferor
			ACK    Transferor -> Transferee
			REFER  Transferor -> Transferee
			- 202  Transferee -> Transferor // 202 is deprecated (RFC 6665 section 8.3.1),
			+ 200  Transferee -> Transferor // and this is what it was
			NOTIFY Transferee -> Transferor
			INVITE Transferee -> Transfer Target
			200    Transferor -> Transferee
			486    Transfer Target -> Transferee
			ACK    Transferee -> Transfer Target
			NOTIFY Transferee -> Transferor
			200    Transferor -> Transferee
			INVITE Transferor -> Transferee
			200    Transferee -> Transferor
			ACK    Transferor -> Transferee
			BYE    Transferor -> Transferee
			200    Transferee -> Transferor`,
		Play: func(f *flow.Flow) {
			s := beginTransfer(f, true, failing(f, sip.StatusBusyHere, 0))
			sent := s.basic()
			s.goal.invited().reject(sip.StatusBusyHere)
			s.failed(sent, sip.StatusBusyHere)
		},
	})
}

// The target does not answer. The transferee waits no longer, and the call goes on. It says so
// at once, and not when the 487 has come.
func TestFlow5589NoAnswer(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5589, Section: "6.3.2", Title: "Transfer Target Does Not Answer",
		Cast: []flow.Actor{transferor, transferee, transferTarget},
		Show: transferFlow,
		Flow: `
			INVITE Transferee -> Transferor
			200    Transferor -> Transferee
			ACK    Transferee -> Transferor
			INVITE Transferor -> Transferee
			200    Transferee -> Transferor
			ACK    Transferor -> Transferee
			REFER  Transferor -> Transferee
			- 202  Transferee -> Transferor // 202 is deprecated (RFC 6665 section 8.3.1),
			+ 200  Transferee -> Transferor // and this is what it was
			NOTIFY Transferee -> Transferor
			INVITE Transferee -> Transfer Target
			200    Transferor -> Transferee
			180    Transfer Target -> Transferee
			+ NOTIFY Transferee -> Transferor // that it rings
			+ 200  Transferor -> Transferee   // as above
			CANCEL Transferee -> Transfer Target
			NOTIFY Transferee -> Transferor
			200    Transfer Target -> Transferee
			487    Transfer Target -> Transferee
			200    Transferor -> Transferee
			ACK    Transferee -> Transfer Target
			INVITE Transferor -> Transferee
			200    Transferee -> Transferor
			ACK    Transferor -> Transferee
			BYE    Transferor -> Transferee
			200    Transferee -> Transferor`,
		Play: func(f *flow.Flow) {
			s := beginTransfer(f, true, failing(f, sip.StatusRequestTerminated, 30*time.Second))
			sent := s.basic()
			in := s.goal.invited()
			in.ring()
			in.givenUp()
			s.failed(sent, sip.StatusRequestTerminated)
		},
	})
}
