package ua_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// Those of RFC 3515, and who is called in them.
var (
	agentA  = flow.Actor{Name: "Agent A", AOR: "sip:a@atlanta.example.com", Host: "agenta.atlanta.example.com", Addr: "192.0.2.11"}
	agentB  = flow.Actor{Name: "Agent B", AOR: "sip:b@atlanta.example.com", Host: "agentb.atlanta.example.com", Addr: "192.0.2.12", Domains: []string{"atlanta.example.com"}}
	anybody = flow.Actor{Name: "Whatever", AOR: "sip:whatever@biloxi.example.com", Host: "whatever.biloxi.example.com", Addr: "192.0.2.13"}
)

// What Agent B refers to is a call.
func TestFlow3515(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3515, Section: "4.1", Title: "Prototypical REFER callflow",
		Cast: []flow.Actor{agentA, agentB, anybody},
		Show: transferFields,
		Flow: `
			F1 REFER  Agent A -> Agent B
			-  F2 202 Agent B -> Agent A // 202 is deprecated (RFC 6665 section 8.3.1),
			+  200    Agent B -> Agent A // and this is what it was
			F3 NOTIFY Agent B -> Agent A
			+  INVITE Agent B -> Whatever // the RFC leaves open what this is
			F4 200    Agent A -> Agent B
			+  200    Whatever -> Agent B // as above
			+  ACK    Agent B -> Whatever // as above
			F5 NOTIFY Agent B -> Agent A
			F6 200    Agent A -> Agent B
			+  BYE    Whatever -> Agent B // as above
			+  200    Agent B -> Whatever // as above`,
		Play: func(f *flow.Flow) {
			a, b, other := newPhone(f, agentA, ua.Config{}), newPhone(f, agentB, ua.Config{}), newPhone(f, anybody, ua.Config{})
			f.Note("A wants B to make a call.")
			sent := refer(func() error { return a.Refer(f.Context(), agentB.AOR, anybody.AOR, nil) })
			others, bs := other.invited().answer(), <-b.referred
			transferEnds(f, sent, nil)
			f.Pass(10 * time.Second)
			f.Note("Whatever hangs up.")
			hangup(f, others, bs)
		},
	})
}

// A wants two things of B, in one dialog: which of them a NOTIFY is about is the id of its
// Event. The first one is not over when the second one begins, for the dialog would be gone
// then. A phone of package ua has a dialog for each, so this is one of package dialog.
func TestFlow3515Multiple(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3515, Section: "4.2", Title: "Multiple REFERs in a dialog",
		Cast: []flow.Actor{agentA, agentB},
		Show: transferFields,
		Flow: `
			+  REFER   Agent A -> Agent B // F1 to F6 are those of section 4.1
			+  200     Agent B -> Agent A // as above
			+  NOTIFY  Agent B -> Agent A // as above
			+  200     Agent A -> Agent B // as above
			F7 REFER   Agent A -> Agent B
			-  F8 202  Agent B -> Agent A // 202 is deprecated (RFC 6665 section 8.3.1),
			+  200     Agent B -> Agent A // and this is what it was
			F9 NOTIFY  Agent B -> Agent A
			F10 200    Agent A -> Agent B
			F11 NOTIFY Agent B -> Agent A
			F12 200    Agent A -> Agent B
			+  NOTIFY  Agent B -> Agent A // F5 of section 4.1
			+  200     Agent A -> Agent B // F6 of section 4.1`,
		Play: func(f *flow.Flow) {
			told := make(chan string, 10)
			dialogs := make(chan *dialog.Dialog, 10)
			a := newDialogs(f, agentA, &dialog.Config{OnRequest: func(tx *dialog.Server, req *sip.Request) {
				tx.Reply(sip.StatusOK)
				event, err := sip.Get[sip.Event](req)
				if err != nil {
					f.Error(err)
				}
				first, _, _ := strings.Cut(req.Body(), "\r\n")
				told <- event.ID() + ": " + first
				dialogs <- tx.Dialog()
			}})
			asked := make(chan *ua.Referral, 2)
			newPhone(f, agentB, ua.Config{OnRefer: func(_ context.Context, r *ua.Referral) {
				if err := r.Accept(); err != nil {
					f.Errorf("Accept() = %v", err)
				}
				asked <- r
			}})
			wait := func(want string) {
				f.Helper()
				if got := <-told; got != want {
					f.Errorf("A is told %q, want %q", got, want)
				}
			}
			f.Note("A wants B to do something.")
			resp, err := a.Subscribe(f.Context(), request(sip.REFER, agentB.AOR, sip.From{URI: mustURI(agentA.AOR), Params: ";tag=a"},
				sip.CallID("4.2@agenta.atlanta.example.com"), sip.ReferTo{URI: mustURI("http://example.com/whatever")}), nil)
			if err != nil || resp.Status() != sip.StatusOK {
				f.Fatalf("REFER: %v, %v, want 200", resp, err)
			}
			wait("1: SIP/2.0 100 Trying")
			f.Pass(5 * time.Second)
			f.Note("A wants something different, too.")
			if resp, err := (<-dialogs).Do(f.Context(), sip.REFER, sip.ReferTo{URI: mustURI("http://example.com/different")}); err != nil || resp.Status() != sip.StatusOK {
				f.Errorf("REFER: %v, %v, want 200", resp, err)
			}
			wait("2: SIP/2.0 100 Trying")
			first, second := <-asked, <-asked
			f.Pass(5 * time.Second)
			f.Note("B has done that.")
			second.Report(sip.StatusOK)
			wait("2: SIP/2.0 200 OK")
			f.Pass(5 * time.Second)
			f.Note("B has done what was wanted first.")
			first.Report(sip.StatusOK)
			wait("1: SIP/2.0 200 OK")
		},
	})
}
