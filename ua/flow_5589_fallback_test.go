package ua_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// What section 7.6 has in figure 13, where the target answers as the transferor gives up, is not
// played: an agent that has given a call up ends it should it be answered all the same (RFC
// 3261 section 15), and does not keep it to transfer it. Who wants the call that the figure
// comes to does not give up, as in TestFlow5589SemiAttended, which is figure 13 without its
// CANCEL.

// The transferor hangs up while the phone of the target rings. The transfer goes on all the
// same: the agent waits until the target answers, and plays something to it.
func TestFlow5589SemiAttended(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5589, Section: "7.6", Title: "Semi-Attended Transfer",
		Cast: []flow.Actor{transferor, transferee, transferTarget},
		Show: transferFlow,
		Flow: `
			INVITE Transferee -> Transferor
			200    Transferor -> Transferee
			ACK    Transferee -> Transferor
			INVITE Transferor -> Transferee
			200    Transferee -> Transferor
			ACK    Transferor -> Transferee
			INVITE Transferor -> Transfer Target
			180    Transfer Target -> Transferor
			200    Transfer Target -> Transferor
			ACK    Transferor -> Transfer Target
			REFER  Transferor -> Transferee
			- 202  Transferee -> Transferor // 202 is deprecated (RFC 6665 section 8.3.1),
			+ 200  Transferee -> Transferor // and this is what it was
			NOTIFY Transferee -> Transferor
			INVITE Transferee -> Transfer Target
			200    Transferor -> Transferee
			200    Transfer Target -> Transferee
			ACK    Transferee -> Transfer Target
			NOTIFY Transferee -> Transferor
			BYE    Transfer Target -> Transferor
			200    Transferor -> Transferee
			BYE    Transferor -> Transferee
			200    Transferor -> Transfer Target
			200    Transferee -> Transferor
			BYE    Transfer Target -> Transferee
			200    Transferee -> Transfer Target`,
		Play: func(f *flow.Flow) {
			s := beginTransfer(f, true, nil)
			f.Note("The transferor calls the target.")
			call := s.transferor.place(transferTarget.AOR)
			in := s.goal.invited()
			in.ring()
			f.Pass(5 * time.Second)
			f.Note("The transferor hangs up, and wants the transfer to go on.")
			f.Pass(5 * time.Second)
			f.Note("The target answers.")
			goals, ours := in.answer(), call.answered()
			sent := s.attended(ours)
			second, first := s.goal.invited().answer(), <-s.transferee.referred
			replaced(f, ours, goals)
			s.worked(sent, second, first)
		},
	})
}

// The transferor does not want to wait. The RFC does not recommend this, for the target may
// answer just now.
func TestFlow5589SemiAttendedBlind(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5589, Section: "7.6b", Title: "Semi-Attended Transfer as Blind Transfer",
		Cast: []flow.Actor{transferor, transferee, transferTarget},
		Show: transferFlow,
		Flow: `
			INVITE Transferee -> Transferor
			200    Transferor -> Transferee
			ACK    Transferee -> Transferor
			INVITE Transferor -> Transferee
			200    Transferee -> Transferor
			ACK    Transferor -> Transferee
			INVITE Transferor -> Transfer Target
			180    Transfer Target -> Transferor
			CANCEL Transferor -> Transfer Target
			200    Transfer Target -> Transferor
			487    Transfer Target -> Transferor
			ACK    Transferor -> Transfer Target
			REFER  Transferor -> Transferee
			- 202  Transferee -> Transferor // 202 is deprecated (RFC 6665 section 8.3.1),
			+ 200  Transferee -> Transferor // and this is what it was
			NOTIFY Transferee -> Transferor
			INVITE Transferee -> Transfer Target
			200    Transferor -> Transferee
			200    Transfer Target -> Transferee
			ACK    Transferee -> Transfer Target
			NOTIFY Transferee -> Transferor
			200    Transferor -> Transferee
			BYE    Transferor -> Transferee
			200    Transferee -> Transferor
			BYE    Transfer Target -> Transferee
			200    Transferee -> Transfer Target`,
		Play: func(f *flow.Flow) {
			s := beginTransfer(f, true, nil)
			f.Note("The transferor calls the target.")
			call := s.transferor.place(transferTarget.AOR)
			in := s.goal.invited()
			in.ring()
			f.Pass(5 * time.Second)
			f.Note("The transferor gives up waiting.")
			call.cancel()
			call.failed(context.Canceled)
			in.givenUp()
			f.Pass(time.Second)
			sent := s.basic()
			goals := s.goal.invited().answer()
			s.worked(sent, goals, <-s.transferee.referred)
		},
	})
}

// The target does not know Replaces, and says so before its phone rings: the transfer is a
// basic one. What it has is not a phone of package ua, which knows it.
func TestFlow5589Fallback(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5589, Section: "7.7", Title: "Attended Transfer Fallback to Basic Transfer Using Require:replaces",
		Cast: []flow.Actor{transferor, transferee, transferTarget},
		Show: append([]string{"Supported", "Unsupported"}, transferFlow...),
		Flow: `
			INVITE Transferee -> Transferor
			200    Transferor -> Transferee
			ACK    Transferee -> Transferor
			OPTIONS Transferor -> Transferee
			200    Transferee -> Transferor
			INVITE Transferor -> Transferee
			200    Transferee -> Transferor
			ACK    Transferor -> Transferee
			INVITE Transferor -> Transfer Target
			420    Transfer Target -> Transferor
			ACK    Transferor -> Transfer Target
			REFER  Transferor -> Transferee
			- 202  Transferee -> Transferor // 202 is deprecated (RFC 6665 section 8.3.1),
			+ 200  Transferee -> Transferor // and this is what it was
			NOTIFY Transferee -> Transferor
			INVITE Transferee -> Transfer Target
			200    Transferor -> Transferee
			200    Transfer Target -> Transferee
			ACK    Transferee -> Transfer Target
			NOTIFY Transferee -> Transferor
			200    Transferor -> Transferee
			BYE    Transferor -> Transferee
			200    Transferee -> Transferor
			BYE    Transfer Target -> Transferee
			200    Transferee -> Transfer Target`,
		Play: func(f *flow.Flow) {
			goal := newOldPhone(f, transferTarget)
			s := beginFallback(f)
			s.hold(s.ours, "The transferor puts the transferee on hold.")
			f.Note("The transferor calls the target.")
			call := s.transferor.placeWith(transferTarget.AOR, &ua.InviteOptions{Header: []sip.Edit{sip.Require{sip.OptionReplaces}}})
			call.failed(sip.StatusBadExtension)
			f.Pass(time.Second)
			s.fellBack(s.basic(), goal)
		},
	})
}

// The target is asked when it is on the phone.
func TestFlow5589FallbackOptions(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5589, Section: "7.7b", Title: "Attended Transfer Fallback to Basic Transfer",
		Cast: []flow.Actor{transferor, transferee, transferTarget},
		Show: append([]string{"Supported", "Allow"}, transferFlow...),
		Flow: `
			INVITE Transferee -> Transferor
			200    Transferor -> Transferee
			ACK    Transferee -> Transferor
			OPTIONS Transferor -> Transferee
			200    Transferee -> Transferor
			INVITE Transferor -> Transferee
			200    Transferee -> Transferor
			ACK    Transferor -> Transferee
			INVITE Transferor -> Transfer Target
			200    Transfer Target -> Transferor
			ACK    Transferor -> Transfer Target
			OPTIONS Transferor -> Transfer Target
			200    Transfer Target -> Transferor
			BYE    Transferor -> Transfer Target
			200    Transfer Target -> Transferor
			REFER  Transferor -> Transferee
			- 202  Transferee -> Transferor // 202 is deprecated (RFC 6665 section 8.3.1),
			+ 200  Transferee -> Transferor // and this is what it was
			NOTIFY Transferee -> Transferor
			INVITE Transferee -> Transfer Target
			200    Transferor -> Transferee
			200    Transfer Target -> Transferee
			ACK    Transferee -> Transfer Target
			NOTIFY Transferee -> Transferor
			200    Transferor -> Transferee
			BYE    Transferor -> Transferee
			200    Transferee -> Transferor
			BYE    Transfer Target -> Transferee
			200    Transferee -> Transfer Target`,
		Play: func(f *flow.Flow) {
			goal := newOldPhone(f, transferTarget)
			s := beginFallback(f)
			s.hold(s.ours, "The transferor puts the transferee on hold.")
			f.Note("The transferor calls the target.")
			ours := s.transferor.place(transferTarget.AOR).answered()
			goals := <-goal
			f.Pass(10 * time.Second)
			f.Note("The transferor asks whether the target knows Replaces, and hangs up.")
			if can(f, ours, sip.OptionReplaces) {
				f.Error("the target knows Replaces")
			}
			bye(f, ours)
			<-goals.Done()
			f.Pass(time.Second)
			s.fellBack(s.basic(), goal)
		},
	})
}

// newOldPhone makes one that answers all calls, and knows of nothing that is not in RFC
// 3261.
func newOldPhone(f *flow.Flow, who flow.Actor) <-chan *dialog.Session {
	calls := make(chan *dialog.Session, 2)
	newDialogs(f, who, &dialog.Config{
		OnInvite: func(_ context.Context, in *dialog.Invitation) {
			if _, found := in.Request().Value("Require"); found {
				in.Reject(sip.StatusBadExtension, sip.Unsupported{sip.OptionReplaces})
				return
			}
			if _, err := in.Accept(describe(who.Addr, 1, "audio 4000 RTP/AVP 0")); err != nil {
				f.Errorf("Accept() = %v", err)
			}
			if !in.Re() {
				calls <- in.Session()
			}
		},
		OnRequest: func(tx *dialog.Server, _ *sip.Request) {
			tx.Reply(sip.StatusOK, sip.Allow{sip.INVITE, sip.ACK, sip.CANCEL, sip.BYE, sip.OPTIONS})
		},
	})
	return calls
}

// beginFallback is beginTransfer without a target, and with a question.
func beginFallback(f *flow.Flow) *transferScene {
	f.Helper()
	s := &transferScene{f: f, transferor: newPhone(f, transferor, ua.Config{}), transferee: newPhone(f, transferee, ua.Config{})}
	f.Note("The transferee calls the transferor.")
	s.theirs, s.ours = connect(s.transferee, s.transferor)
	f.Pass(10 * time.Second)
	f.Note("The transferor asks whether the transferee knows Replaces.")
	if !can(f, s.ours, sip.OptionReplaces) {
		f.Error("the transferee does not know Replaces")
	}
	f.Pass(time.Second)
	return s
}

// can asks whether a peer knows an extension.
func can(f *flow.Flow, call *ua.Call, option string) bool {
	f.Helper()
	resp, err := call.Do(f.Context(), sip.OPTIONS)
	if err != nil {
		f.Errorf("OPTIONS: %v", err)
		return false
	}
	supported, err := sip.Get[sip.Supported](resp)
	return err == nil && slices.Contains(supported, option)
}

// fellBack is worked with an old phone.
func (s *transferScene) fellBack(sent <-chan error, goal <-chan *dialog.Session) {
	s.f.Helper()
	goals, others := <-goal, <-s.transferee.referred
	transferEnds(s.f, sent, nil)
	<-s.ours.Done()
	<-s.theirs.Done()
	s.f.Pass(10 * time.Second)
	s.f.Note("The target hangs up.")
	if err := goals.Bye(s.f.Context()); err != nil {
		s.f.Errorf("Bye() = %v", err)
	}
	<-others.Done()
}
