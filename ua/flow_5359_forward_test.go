package ua_test

import (
	"context"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/transaction/proxy"
	"github.com/goparley/parley/ua"
)

// forwardingFields are what shows where a call went.
var forwardingFields = []string{"Record-Route", "Route", "From", "To", "CSeq", "Contact"}

// The phones of Bob in RFC 5359, and who is beside them.
var (
	officeProxy = flow.Actor{Name: "Proxy", Host: "ss1.example.com", Addr: "192.0.2.111", Domains: []string{"biloxi.example.com"}}
	gateway     = flow.Actor{Name: "Gateway", AOR: "sip:gw1@example.com", Host: "gw1.example.com", Addr: "192.0.2.150"}
	bob1        = flow.Actor{Name: "B1", AOR: "sip:bob@biloxi.example.com", Host: "client.biloxi.example.com", Addr: "192.0.2.201"}
	bob2        = flow.Actor{Name: "B2", AOR: "sip:bob@biloxi.example.com", Host: "client2.biloxi.example.com", Addr: "192.0.2.202"}
	bob3        = flow.Actor{Name: "B3", AOR: "sip:bob@biloxi.example.com", Host: "client3.biloxi.example.com", Addr: "192.0.2.203"}
	bob4        = flow.Actor{Name: "B4", AOR: "sip:bob@biloxi.example.com", Host: "client4.biloxi.example.com", Addr: "192.0.2.204"}
)

// screeningProxy decides who may call whom.
var screeningProxy = flow.Actor{Name: "Proxy 1", Host: "ss1.example.com", Addr: "192.0.2.111", Domains: []string{"biloxi.example.com"}}

// withoutDomain is the same where calls for Bob go to him, and announcements are what
// it has for those who may not call.
var (
	withoutDomain = flow.Actor{Name: "Proxy 1", Host: "ss1.example.com", Addr: "192.0.2.111", Domains: []string{"example.com"}}
	announcements = flow.Actor{Name: "Announcement Server", AOR: "sip:screen-fail-term-ann@ms.biloxi.example.com", Host: "ms.biloxi.example.com", Addr: "192.0.2.202"}
)

// screeningFields are what shows who was asked for a password, and refused.
var screeningFields = []string{"From", "To", "CSeq", "Proxy-Authenticate", "Proxy-Authorization", "Error-Info"}

// forwarded says so to the caller, as the RFC has it: "strictly speaking, the proxy is
// behaving as a user agent in this case".
func forwarded(tx *proxy.Server) {
	tx.Reply(sip.StatusCallIsBeingForwarded)
}

// talk has a phone ring, and who is called answer; then Alice hangs up.
func talk(f *flow.Flow, call *placed, in *invited, name string) {
	f.Helper()
	in.ring()
	ours, theirs := pickUp(call, in, name)
	f.Note("Alice hangs up.")
	hangup(f, ours, theirs)
}

// All calls for Bob go to a gateway.
func TestFlow5359Forward(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5359, Section: "2.7", Title: "Call Forwarding Unconditional",
		Cast: []flow.Actor{flow.Alice, officeProxy, gateway},
		Show: forwardingFields,
		Flow: `
			F1  INVITE Alice -> Proxy
			F2  100    Proxy -> Alice
			F3  181    Proxy -> Alice
			F4  INVITE Proxy -> Gateway
			F5  180    Gateway -> Proxy
			F6  180    Proxy -> Alice
			F7  200    Gateway -> Proxy
			F8  200    Proxy -> Alice
			F9  ACK    Alice -> Proxy
			F10 ACK    Proxy -> Gateway
			F11 BYE    Alice -> Proxy
			F12 BYE    Proxy -> Gateway
			F13 200    Gateway -> Proxy
			F14 200    Proxy -> Alice`,
		Play: func(f *flow.Flow) {
			(&server{f: f, recordRoute: true, forward: func(tx *proxy.Server, req *sip.Request) {
				trying(tx, req)
				forwarded(tx)
				tx.Forward(req, proxy.Target{URI: mustURI("sip:+19727293660@192.0.2.150;user=phone")})
			}}).run(officeProxy)
			alice, gw := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, gateway, ua.Config{})
			f.Note("Alice calls Bob.")
			call := alice.place(flow.Bob.AOR)
			talk(f, call, gw.invited(), "Somebody behind the gateway")
		},
	})
}

// Where Bob is busy, his other phone rings.
func TestFlow5359ForwardBusy(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5359, Section: "2.8", Title: "Call Forwarding - Busy",
		Cast: []flow.Actor{flow.Alice, officeProxy, bob1, bob2},
		Show: forwardingFields,
		Flow: `
			F1  INVITE Alice -> Proxy
			F2  INVITE Proxy -> B1
			F3  100    Proxy -> Alice
			F4  486    B1 -> Proxy
			F5  ACK    Proxy -> B1
			F6  181    Proxy -> Alice
			F7  INVITE Proxy -> B2
			F8  180    B2 -> Proxy
			F9  180    Proxy -> Alice
			F10 200    B2 -> Proxy
			F11 200    Proxy -> Alice
			F12 ACK    Alice -> Proxy
			F13 ACK    Proxy -> B2
			F14 BYE    Alice -> Proxy
			F15 BYE    Proxy -> B2
			F16 200    B2 -> Proxy
			F17 200    Proxy -> Alice`,
		Play: func(f *flow.Flow) {
			(&server{f: f, recordRoute: true, forward: func(tx *proxy.Server, req *sip.Request) {
				trying(tx, req)
				tx.ForkThen(req, func(best *sip.Response) {
					switch {
					case best == nil: // there is an answer
					case best.Status() == sip.StatusBusyHere:
						forwarded(tx)
						tx.Forward(req, at(bob2))
					default:
						tx.Respond(best)
					}
				}, at(bob1))
			}}).run(officeProxy)
			alice, one, two := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, bob1, ua.Config{}), newPhone(f, bob2, ua.Config{})
			f.Note("Alice calls Bob, who is busy.")
			call := alice.place(flow.Bob.AOR)
			one.invited().reject(sip.StatusBusyHere)
			talk(f, call, two.invited(), "Bob")
		},
	})
}

// Where Bob does not answer, his other phone rings. A branch that has run out of time is over at
// once, so F10 and F11 do not wait for what becomes of its CANCEL.
func TestFlow5359ForwardNoAnswer(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5359, Section: "2.9", Title: "Call Forwarding - No Answer",
		Cast: []flow.Actor{flow.Alice, officeProxy, bob1, bob2},
		Show: forwardingFields,
		Flow: `
			F1  INVITE Alice -> Proxy
			F2  INVITE Proxy -> B1
			F3  100    Proxy -> Alice
			F4  180    B1 -> Proxy
			F5  180    Proxy -> Alice
			F6  CANCEL Proxy -> B1
			F10 181    Proxy -> Alice
			F11 INVITE Proxy -> B2
			F7  200    B1 -> Proxy
			F8  487    B1 -> Proxy
			F12 180    B2 -> Proxy
			F9  ACK    Proxy -> B1
			F13 180    Proxy -> Alice
			F14 200    B2 -> Proxy
			F15 200    Proxy -> Alice
			F16 ACK    Alice -> Proxy
			F17 ACK    Proxy -> B2
			F18 BYE    Alice -> Proxy
			F19 BYE    Proxy -> B2
			F20 200    B2 -> Proxy
			F21 200    Proxy -> Alice`,
		Play: func(f *flow.Flow) {
			(&server{f: f, recordRoute: true, forward: func(tx *proxy.Server, req *sip.Request) {
				trying(tx, req)
				first := at(bob1)
				first.Wait = 20 * time.Second
				tx.ForkThen(req, func(best *sip.Response) {
					switch {
					case best == nil: // there is an answer
					case best.Status() == sip.StatusRequestTimeout:
						forwarded(tx)
						tx.Forward(req, at(bob2))
					default:
						tx.Respond(best)
					}
				}, first)
			}}).run(officeProxy)
			alice, one, two := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, bob1, ua.Config{}), newPhone(f, bob2, ua.Config{})
			f.Note("Alice calls Bob, who does not answer.")
			call := alice.place(flow.Bob.AOR)
			one.invited().ring()
			talk(f, call, two.invited(), "Bob")
		},
	})
}

// The proxy looks for Bob at four phones, one after the other.
func TestFlow5359FindMe(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5359, Section: "2.12", Title: "Find-Me",
		Cast: []flow.Actor{flow.Alice, officeProxy, bob1, bob2, bob3, bob4},
		Show: forwardingFields,
		Flow: `
			F1  INVITE Alice -> Proxy
			F2  INVITE Proxy -> B1
			F3  100    Proxy -> Alice
			F4  180    B1 -> Proxy
			F5  180    Proxy -> Alice
			F6  CANCEL Proxy -> B1
			F10 INVITE Proxy -> B2
			F7  200    B1 -> Proxy
			F8  487    B1 -> Proxy
			F11 480    B2 -> Proxy
			F9  ACK    Proxy -> B1
			F12 ACK    Proxy -> B2
			F13 INVITE Proxy -> B3
			F14 486    B3 -> Proxy
			F15 ACK    Proxy -> B3
			F16 INVITE Proxy -> B4
			F17 180    B4 -> Proxy
			F18 180    Proxy -> Alice
			F19 200    B4 -> Proxy
			F20 200    Proxy -> Alice
			F21 ACK    Alice -> Proxy
			F22 ACK    Proxy -> B4
			F23 BYE    B4 -> Proxy
			F24 BYE    Proxy -> Alice
			F25 200    Alice -> Proxy
			F26 200    Proxy -> B4`,
		Play: func(f *flow.Flow) {
			(&server{f: f, recordRoute: true, forward: func(tx *proxy.Server, req *sip.Request) {
				trying(tx, req)
				var targets []proxy.Target
				for i, phone := range []flow.Actor{bob1, bob2, bob3, bob4} {
					target := at(phone)
					target.Q, target.Wait = 1-float64(i)/10, 20*time.Second
					targets = append(targets, target)
				}
				tx.Forward(req, targets...)
			}}).run(officeProxy)
			alice := newPhone(f, flow.Alice, ua.Config{})
			var phones []*phone
			for _, who := range []flow.Actor{bob1, bob2, bob3, bob4} {
				phones = append(phones, newPhone(f, who, ua.Config{}))
			}
			f.Note("Alice calls Bob.")
			call := alice.place(flow.Bob.AOR)
			phones[0].invited().ring()
			phones[1].invited().reject(sip.StatusTemporarilyUnavailable)
			phones[2].invited().reject(sip.StatusBusyHere)
			in := phones[3].invited()
			in.ring()
			ours, theirs := pickUp(call, in, "Bob")
			f.Note("Bob hangs up.")
			hangup(f, theirs, ours)
		},
	})
}

// Bob lets nobody call who does not come by the proxy. That finds out that it is Alice,
// whom he does not want to hear, and has an announcement for her. A phone of package ua
// follows no redirection, so hers is one of package dialog. In the titles of the RFC F10
// and F11 go to and come from Proxy 1, in its ladder and its messages they do not.
func TestFlow5359ScreenIncoming(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5359, Section: "2.13", Title: "Call Management (Incoming Call Screening)",
		Cast: []flow.Actor{flow.Alice, withoutDomain, flow.Bob, announcements},
		Show: append([]string{"Contact", "Route"}, screeningFields...),
		Flow: `
			F1  INVITE Alice -> Bob
			F2  305    Bob -> Alice
			F3  ACK    Alice -> Bob
			F4  INVITE Alice -> Proxy 1
			F5  407    Proxy 1 -> Alice
			F6  ACK    Alice -> Proxy 1
			F7  INVITE Alice -> Proxy 1
			F8  403    Proxy 1 -> Alice
			F9  ACK    Alice -> Proxy 1
			F10 INVITE Alice -> Announcement Server
			F11 200    Announcement Server -> Alice
			F12 ACK    Alice -> Announcement Server
			F13 BYE    Announcement Server -> Alice
			F14 200    Alice -> Announcement Server`,
		Differs: map[string]string{
			"F6 Route":               ackRoute,
			"F7 Route":               "the RFC has forgotten that of F4",
			"F9 Proxy-Authorization": ackPassword,
			"F9 Route":               ackRoute,
		},
		Play: func(f *flow.Flow) {
			screen := func(tx *proxy.Server, _ *sip.Request) {
				tx.Reply(sip.StatusForbidden, sip.ReasonPhrase("Screening Failure (Terminating)"),
					sip.Field{Name: "Error-Info", Value: "<sip:screen-fail-term-ann@ms.biloxi.example.com>"})
			}
			(&server{f: f, guard: passwords(f, "biloxi.example.com").ForProxy(), forward: screen, elsewhere: screen}).run(withoutDomain)
			newDialogs(f, flow.Bob, &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
				in.Reject(sip.StatusUseProxy, sip.Contact{URI: mustURI("sip:ss1.example.com;lr")})
			}})
			server := newPhone(f, announcements, ua.Config{})
			alice := newDialogs(f, flow.Alice, &dialog.Config{Auth: digest.NewClient(digest.Credentials{Username: "alice", Password: "secret"})})

			f.Note("Alice calls Bob.")
			req := request(sip.INVITE, flow.Bob.AOR, sip.From{URI: mustURI(flow.Alice.AOR), Params: ";tag=alice"},
				sip.CallID("2.13@atlanta.example.com"), describe("192.0.2.101", 1, "audio 49170 RTP/AVP 0"))
			_, resp, err := alice.Invite(f.Context(), req, nil)
			if err != nil || resp.Status() != sip.StatusUseProxy {
				f.Fatalf("Invite() = %v, %v, want 305", resp, err)
			}
			by, err := sip.Get[sip.Contact](resp)
			if err != nil {
				f.Fatal(err)
			}
			_, resp, err = alice.Invite(f.Context(), req.With(sip.Route{URI: by.URI}, sip.CSeq{Seq: 2, Method: sip.INVITE}), nil)
			if err != nil || resp.Status() != sip.StatusForbidden {
				f.Fatalf("Invite() = %v, %v, want 403", resp, err)
			}
			why, err := sip.Get[sip.ErrorInfo](resp)
			if err != nil {
				f.Fatal(err)
			}
			over := make(chan error, 1)
			go func() { // ends when the announcement does
				call := server.invited().answer()
				f.Pass(5 * time.Second)
				f.Note("The announcement is over.")
				over <- call.Hangup(f.Context())
			}()
			s := establishDialog(f, alice, req.WithURI(why.URI).With(sip.CSeq{Seq: 4, Method: sip.INVITE}), nil)
			if err := <-over; err != nil {
				f.Errorf("Hangup() = %v", err)
			}
			<-s.Done()
		},
	})
}

// Alice may not call Bob. She is told so when it is known that it is her.
func TestFlow5359ScreenOutgoing(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5359, Section: "2.14", Title: "Call Management (Outgoing Call Screening)",
		Cast: []flow.Actor{flow.Alice, screeningProxy, flow.Bob},
		Show: screeningFields,
		Flow: `
			F1 INVITE Alice -> Proxy 1
			F2 407    Proxy 1 -> Alice
			F3 ACK    Alice -> Proxy 1
			F4 INVITE Alice -> Proxy 1
			F5 403    Proxy 1 -> Alice
			F6 ACK    Alice -> Proxy 1`,
		Differs: map[string]string{
			"F6 Proxy-Authorization": ackPassword,
		},
		Play: func(f *flow.Flow) {
			(&server{f: f, guard: passwords(f, "example.com").ForProxy(), forward: func(tx *proxy.Server, _ *sip.Request) {
				tx.Reply(sip.StatusForbidden, sip.ReasonPhrase("Screening Failure (Originating)"),
					sip.Field{Name: "Error-Info", Value: "<sip:screen-fail-orig-ann@announcement.example.com>"})
			}}).run(screeningProxy)
			alice := newPhone(f, flow.Alice, ua.Config{Credentials: aliceAt("example.com")})
			f.Note("Alice calls Bob.")
			alice.place(flow.Bob.AOR).failed(sip.StatusForbidden)
		},
	})
}
