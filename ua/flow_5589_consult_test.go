package ua_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction/proxy"
	"github.com/goparley/parley/ua"
)

// consult has the transferor call the target, which can be reached by its Contact, too, and
// put it on hold.
func (s *transferScene) consult() (ours, goals *ua.Call) {
	s.f.Helper()
	s.f.Note("The transferor calls the target.")
	call := s.transferor.place(transferTarget.AOR)
	in := s.goal.invited()
	in.Dialog().SetContact(gruu(transferTarget))
	goals, ours = in.answer(), call.answered()
	s.f.Pass(10 * time.Second)
	s.hold(ours, "The transferor puts the target on hold, too.")
	return ours, goals
}

// attended has the transferee take the place of the transferor in its call with the target.
func (s *transferScene) attended(with *ua.Call) <-chan error {
	return s.transfer("The transferor has the transferee take its place.", func(ctx context.Context) error {
		return s.ours.TransferTo(ctx, with, nil)
	})
}

// The transferor calls the target, hangs up, and sends the transferee there.
func TestFlow5589Exposing(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5589, Section: "7.1", Title: "Exposing Transfer Target",
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
			200    Transfer Target -> Transferor
			ACK    Transferor -> Transfer Target
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
			s := beginTransfer(f, true, nil)
			f.Note("The transferor calls the target.")
			ours, goals := connect(s.transferor, s.goal)
			f.Pass(10 * time.Second)
			f.Note("The transferor hangs up.")
			hangup(f, ours, goals)
			f.Pass(time.Second)
			sent := s.basic()
			goals = s.goal.invited().answer()
			s.worked(sent, goals, <-s.transferee.referred)
		},
	})
}

// It is the target who is sent to the transferee, who so does not learn where it is.
func TestFlow5589Protecting(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5589, Section: "7.2", Title: "Protecting Transfer Target",
		Cast: []flow.Actor{transferor, transferee, transferTarget},
		Show: transferFlow,
		Flow: `
			F1 INVITE Transferee -> Transferor
			F2 200    Transferor -> Transferee
			   ACK    Transferee -> Transferor
			   INVITE Transferor -> Transferee
			   200    Transferee -> Transferor
			   ACK    Transferor -> Transferee
			F3 INVITE Transferor -> Transfer Target
			F4 200    Transfer Target -> Transferor
			   ACK    Transferor -> Transfer Target
			   INVITE Transferor -> Transfer Target
			   200    Transfer Target -> Transferor
			   ACK    Transferor -> Transfer Target
			F5 REFER  Transferor -> Transfer Target
			-  202    Transfer Target -> Transferor // 202 is deprecated (RFC 6665 section 8.3.1),
			+  200    Transfer Target -> Transferor // and this is what it was
			   NOTIFY Transfer Target -> Transferor
			F6 INVITE Transfer Target -> Transferee
			   200    Transferor -> Transfer Target
			   200    Transferee -> Transfer Target
			   ACK    Transfer Target -> Transferee
			   NOTIFY Transfer Target -> Transferor
			   BYE    Transferee -> Transferor
			   200    Transferor -> Transfer Target
			   BYE    Transferor -> Transfer Target
			   200    Transferor -> Transferee
			   200    Transfer Target -> Transferor
			   BYE    Transferee -> Transfer Target
			   200    Transfer Target -> Transferee`,
		Differs: map[string]string{"SDP": withBody},
		Play: func(f *flow.Flow) {
			s := beginTransfer(f, true, nil)
			ours, goals := s.consult()
			sent := s.transfer("The transferor has the target take its place.", func(ctx context.Context) error {
				return ours.TransferTo(ctx, s.ours, nil)
			})
			in := s.transferee.invited()
			in.inPlaceOf(s.theirs)
			second, first := in.answer(), <-s.goal.referred
			transferEnds(f, sent, nil)
			replaced(f, s.ours, s.theirs)
			<-goals.Done()
			f.Pass(10 * time.Second)
			f.Note("The transferee hangs up.")
			hangup(f, second, first)
		},
	})
}

// attendedFlow is the flow of an attended transfer.
const attendedFlow = `
			F1 INVITE Transferee -> Transferor
			F2 200    Transferor -> Transferee
			   ACK    Transferee -> Transferor
			   INVITE Transferor -> Transferee
			   200    Transferee -> Transferor
			   ACK    Transferor -> Transferee
			F3 INVITE Transferor -> Transfer Target
			F4 200    Transfer Target -> Transferor
			   ACK    Transferor -> Transfer Target
			   INVITE Transferor -> Transfer Target
			   200    Transfer Target -> Transferor
			   ACK    Transferor -> Transfer Target
			F5 REFER  Transferor -> Transferee
			-  202    Transferee -> Transferor // 202 is deprecated (RFC 6665 section 8.3.1),
			+  200    Transferee -> Transferor // and this is what it was
			   NOTIFY Transferee -> Transferor
			F6 INVITE Transferee -> Transfer Target
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
			   200    Transferee -> Transfer Target`

// attendedTransfer is what people do in it.
func attendedTransfer(f *flow.Flow) {
	s := beginTransfer(f, true, nil)
	ours, goals := s.consult()
	sent := s.attended(ours)
	in := s.goal.invited()
	in.inPlaceOf(goals)
	if by, err := sip.Get[sip.ReferredBy](in.Request()); err != nil || by.URI.User != "transferor" {
		f.Errorf("the call is by order of %v, %v, want the transferor", by, err)
	}
	second, first := in.answer(), <-s.transferee.referred
	replaced(f, ours, goals)
	s.worked(sent, second, first)
}

// The transferee takes the place of the transferor in its call with the target.
func TestFlow5589Attended(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5589, Section: "7.3", Title: "Attended Transfer",
		Cast:    []flow.Actor{transferor, transferee, transferTarget},
		Show:    transferFlow,
		Flow:    attendedFlow,
		Differs: map[string]string{"SDP": withBody},
		Play:    attendedTransfer,
	})
}

// The transferee does not take REFER, so it is the target who gets one.
func TestFlow5589NoRefer(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5589, Section: "7.4", Title: "Recovery When One Party Does Not Support REFER",
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
			200    Transfer Target -> Transferor
			ACK    Transferor -> Transfer Target
			INVITE Transferor -> Transfer Target
			200    Transfer Target -> Transferor
			ACK    Transferor -> Transfer Target
			REFER  Transferor -> Transferee
			501    Transferee -> Transferor
			REFER  Transferor -> Transfer Target
			- 202  Transfer Target -> Transferor // 202 is deprecated (RFC 6665 section 8.3.1),
			+ 200  Transfer Target -> Transferor // and this is what it was
			NOTIFY Transfer Target -> Transferor
			INVITE Transfer Target -> Transferee
			200    Transferor -> Transfer Target
			200    Transferee -> Transfer Target
			ACK    Transfer Target -> Transferee
			NOTIFY Transfer Target -> Transferor
			BYE    Transferee -> Transferor
			200    Transferor -> Transfer Target
			BYE    Transferor -> Transfer Target
			200    Transferor -> Transferee
			200    Transfer Target -> Transferor
			BYE    Transferee -> Transfer Target
			200    Transfer Target -> Transferee`,
		Play: func(f *flow.Flow) {
			s := beginTransfer(f, true, func(_ context.Context, r *ua.Referral) {
				r.Reject(sip.StatusNotImplemented)
			})
			ours, goals := s.consult()
			sent := s.attended(ours)
			transferEnds(f, sent, sip.StatusNotImplemented)
			sent = s.transfer("The transferor has the target take its place.", func(ctx context.Context) error {
				return ours.TransferTo(ctx, s.ours, nil)
			})
			second, first := s.transferee.invited().answer(), <-s.goal.referred
			transferEnds(f, sent, nil)
			replaced(f, s.ours, s.theirs)
			<-goals.Done()
			f.Pass(10 * time.Second)
			f.Note("The transferee hangs up.")
			hangup(f, second, first)
		},
	})
}

// screening is what stands before the target.
var screening = flow.Actor{Name: "Screening Proxy", Host: "ss3.chicago.example.com", Addr: "192.0.2.8", Domains: []string{"chicago.example.com"}}

// beginScreened is beginTransfer where nobody knows whether Contacts can be reached, and there
// is a proxy before the target, and consult.
func beginScreened(f *flow.Flow, forward func(*proxy.Server, *sip.Request), onRefer func(context.Context, *ua.Referral)) (s *transferScene, ours, goals *ua.Call) {
	f.Helper()
	(&server{f: f, recordRoute: true, forward: forward}).run(screening)
	s = beginTransfer(f, false, onRefer)
	f.Note("The transferor calls the target.")
	ours, goals = connect(s.transferor, s.goal)
	f.Pass(10 * time.Second)
	s.hold(ours, "The transferor puts the target on hold, too.")
	return s, ours, goals
}

// The target is called at its address, for nobody knows whether its Contact can be
// reached.
func TestFlow5589Address(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5589, Section: "7.5b", Title: "Attended Transfer When Contact URI Is Not Known to Route to a Unique User Agent",
		Cast: []flow.Actor{transferor, transferee, screening, transferTarget},
		Show: append([]string{"Record-Route"}, transferFlow...),
		Flow: `
			INVITE Transferee -> Transferor
			200    Transferor -> Transferee
			ACK    Transferee -> Transferor
			INVITE Transferor -> Transferee
			200    Transferee -> Transferor
			ACK    Transferor -> Transferee
			INVITE Transferor -> Screening Proxy
			INVITE Screening Proxy -> Transfer Target
			+ 100  Screening Proxy -> Transferor // the RFC leaves it out
			200    Transfer Target -> Screening Proxy
			200    Screening Proxy -> Transferor
			ACK    Transferor -> Screening Proxy
			ACK    Screening Proxy -> Transfer Target
			INVITE Transferor -> Screening Proxy
			INVITE Screening Proxy -> Transfer Target
			200    Transfer Target -> Screening Proxy
			200    Screening Proxy -> Transferor
			ACK    Transferor -> Screening Proxy
			ACK    Screening Proxy -> Transfer Target
			REFER  Transferor -> Transferee
			- 202  Transferee -> Transferor // 202 is deprecated (RFC 6665 section 8.3.1),
			+ 200  Transferee -> Transferor // and this is what it was
			NOTIFY Transferee -> Transferor
			INVITE Transferee -> Screening Proxy
			200    Transferor -> Transferee
			INVITE Screening Proxy -> Transfer Target
			+ 100  Screening Proxy -> Transferee // the RFC leaves it out
			200    Transfer Target -> Screening Proxy
			200    Screening Proxy -> Transferee
			ACK    Transferee -> Screening Proxy
			NOTIFY Transferee -> Transferor
			ACK    Screening Proxy -> Transfer Target
			200    Transferor -> Transferee
			BYE    Transferor -> Transferee
			200    Transferee -> Transferor
			BYE    Transfer Target -> Screening Proxy
			BYE    Screening Proxy -> Transferor
			200    Transferor -> Screening Proxy
			200    Screening Proxy -> Transfer Target
			BYE    Transfer Target -> Screening Proxy
			BYE    Screening Proxy -> Transferee
			200    Transferee -> Screening Proxy
			200    Screening Proxy -> Transfer Target`,
		Play: func(f *flow.Flow) {
			s, ours, goals := beginScreened(f, locate(transferTarget), nil)
			sent := s.attended(ours)
			second, first := s.goal.invited().answer(), <-s.transferee.referred
			replaced(f, ours, goals)
			s.worked(sent, second, first)
		},
	})
}

// The proxy does not let the transferee call the target at its address, so it is tried at its
// Contact. That is an address, and the call does not go by the proxy.
func TestFlow5589Contact(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5589, Section: "7.5", Title: "Attended Transfer with Non-Routable Contact URI and AOR Failure",
		Cast: []flow.Actor{transferor, transferee, screening, transferTarget},
		Show: append([]string{"Record-Route"}, transferFlow...),
		Flow: `
			   INVITE Transferee -> Transferor
			   200    Transferor -> Transferee
			   ACK    Transferee -> Transferor
			   INVITE Transferor -> Transferee
			   200    Transferee -> Transferor
			   ACK    Transferor -> Transferee
			F1 INVITE Transferor -> Screening Proxy
			   INVITE Screening Proxy -> Transfer Target
			+  100    Screening Proxy -> Transferor // the RFC leaves it out
			   200    Transfer Target -> Screening Proxy
			F2 200    Screening Proxy -> Transferor
			   ACK    Transferor -> Screening Proxy
			   ACK    Screening Proxy -> Transfer Target
			   INVITE Transferor -> Screening Proxy
			   INVITE Screening Proxy -> Transfer Target
			   200    Transfer Target -> Screening Proxy
			   200    Screening Proxy -> Transferor
			   ACK    Transferor -> Screening Proxy
			   ACK    Screening Proxy -> Transfer Target
			F3 REFER  Transferor -> Transferee
			-  202    Transferee -> Transferor // 202 is deprecated (RFC 6665 section 8.3.1),
			+  200    Transferee -> Transferor // and this is what it was
			   NOTIFY Transferee -> Transferor
			   INVITE Transferee -> Screening Proxy
			   200    Transferor -> Transferee
			   403    Screening Proxy -> Transferee
			   ACK    Transferee -> Screening Proxy
			F4 NOTIFY Transferee -> Transferor
			   200    Transferor -> Transferee
			F5 REFER  Transferor -> Transferee
			-  202    Transferee -> Transferor // as above
			+  200    Transferee -> Transferor // as above
			   NOTIFY Transferee -> Transferor
			F6 INVITE Transferee -> Transfer Target
			   200    Transferor -> Transferee
			   200    Transfer Target -> Transferee
			   ACK    Transferee -> Transfer Target
			F7 NOTIFY Transferee -> Transferor
			   BYE    Transfer Target -> Screening Proxy
			   200    Transferor -> Transferee
			   BYE    Transferor -> Transferee
			   BYE    Screening Proxy -> Transferor
			   200    Transferee -> Transferor
			   200    Transferor -> Screening Proxy
			   200    Screening Proxy -> Transfer Target
			   BYE    Transfer Target -> Transferee
			   200    Transferee -> Transfer Target`,
		Differs: map[string]string{"SDP": withBody, "F2 Record-Route": "the RFC leaves it out, as it does the proxy in what it prints of its first flow"},
		Play: func(f *flow.Flow) {
			placed := make(chan *ua.Call, 1)
			s, ours, goals := beginScreened(f, func(tx *proxy.Server, req *sip.Request) {
				if _, found := req.Value("Replaces"); found {
					tx.Reply(sip.StatusForbidden)
					return
				}
				locate(transferTarget)(tx, req)
			}, func(ctx context.Context, r *ua.Referral) {
				call, err := r.Invite(ctx, streams(newFlowStream(f)))
				if err != nil {
					if !errors.Is(err, sip.StatusForbidden) {
						f.Errorf("Invite() of a Referral = %v, want 403", err)
					}
					return
				}
				placed <- call
			})
			if err := <-s.attended(ours); !errors.Is(err, sip.StatusForbidden) {
				f.Errorf("TransferTo() = %v, want 403", err)
			}
			f.Pass(time.Second)
			sent := s.transfer("The transferor has it tried at the Contact.", func(ctx context.Context) error {
				to := ours.Dialog().Target()
				to.Params = ""
				return s.ours.Transfer(ctx, to.WithHeader("Replaces", string(ours.Replaces().AppendValue(nil))).String(), nil)
			})
			second, first := s.goal.invited().answer(), <-placed
			replaced(f, ours, goals)
			s.worked(sent, second, first)
		},
	})
}
