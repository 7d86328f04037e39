package ua_test

import (
	"context"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction/proxy"
	"github.com/goparley/parley/ua"
)

// callFields are what shows who is called by which way.
var callFields = []string{"Via", "Record-Route", "Route", "From", "To", "Call-ID", "CSeq", "Contact", "SDP"}

// Alice calls Bob, without a proxy.
func TestFlow3665Direct(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3665, Section: "3.1", Title: "Successful Session Establishment",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: callFields,
		Flow: `
			F1 INVITE Alice -> Bob
			F2 180    Bob -> Alice
			F3 200    Bob -> Alice
			F4 ACK    Alice -> Bob
			F5 BYE    Bob -> Alice
			F6 200    Alice -> Bob`,
		Play: func(f *flow.Flow) {
			alice, bob := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, flow.Bob, ua.Config{})
			f.Note("Alice calls Bob.")
			call := alice.place(flow.Bob.AOR)
			in := bob.invited()
			in.ring()
			f.Pass(2 * time.Second)
			f.Note("Bob answers.")
			theirs, ours := in.answer(), call.answered()
			f.Pass(10 * time.Second)
			f.Note("Bob hangs up.")
			hangup(f, theirs, ours)
		},
	})
}

// Proxy 1 is the outbound proxy of Alice, and asks for a password. Both proxies
// stay on the way.
func TestFlow3665TwoProxies(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3665, Section: "3.2", Title: "Session Establishment Through Two Proxies",
		Cast: []flow.Actor{flow.Alice, flow.Proxy1, flow.Proxy2, flow.Bob},
		Show: append(callFields, "Proxy-Authenticate", "Proxy-Authorization"),
		Flow: `
			F1  INVITE Alice -> Proxy 1
			F2  407    Proxy 1 -> Alice
			F3  ACK    Alice -> Proxy 1
			F4  INVITE Alice -> Proxy 1
			F5  INVITE Proxy 1 -> Proxy 2
			F6  100    Proxy 1 -> Alice
			F7  INVITE Proxy 2 -> Bob
			F8  100    Proxy 2 -> Proxy 1
			F9  180    Bob -> Proxy 2
			F10 180    Proxy 2 -> Proxy 1
			F11 180    Proxy 1 -> Alice
			F12 200    Bob -> Proxy 2
			F13 200    Proxy 2 -> Proxy 1
			F14 200    Proxy 1 -> Alice
			F15 ACK    Alice -> Proxy 1
			F16 ACK    Proxy 1 -> Proxy 2
			F17 ACK    Proxy 2 -> Bob
			F18 BYE    Bob -> Proxy 2
			F19 BYE    Proxy 2 -> Proxy 1
			F20 BYE    Proxy 1 -> Alice
			F21 200    Alice -> Proxy 1
			F22 200    Proxy 1 -> Proxy 2
			F23 200    Proxy 2 -> Bob`,
		Differs: map[string]string{
			"Record-Route":            byFlow,
			"F3 Route":                ackRoute,
			"F15 Proxy-Authorization": okPassword,
			"F15 Route":               byFlow,
			"F16 Route":               byFlow,
			"F18 Route":               byFlow,
		},
		Play: func(f *flow.Flow) {
			(&server{f: f, recordRoute: true, users: passwords(f, "atlanta.example.com")}).run(flow.Proxy1)
			(&server{f: f, recordRoute: true}).run(flow.Proxy2)
			alice := newPhone(f, flow.Alice, ua.Config{Proxy: "sip:ss1.atlanta.example.com", Password: "secret"})
			bob := newPhone(f, flow.Bob, ua.Config{})
			bob.register()
			f.Begin()
			ours, theirs := establish(alice, bob)
			f.Note("Bob hangs up.")
			hangup(f, theirs, ours)
		},
	})
}

// Both proxies ask Alice for a password, one after the other. Her third INVITE has
// both, and the ACK as well.
func TestFlow3665TwoPasswords(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3665, Section: "3.3", Title: "Session with Multiple Proxy Authentication",
		Cast: []flow.Actor{flow.Alice, flow.Proxy1, flow.Proxy2, flow.Bob},
		Show: []string{"Proxy-Authenticate", "Proxy-Authorization", "Record-Route", "Route", "CSeq"},
		Flow: `
			F1  INVITE Alice -> Proxy 1
			F2  407    Proxy 1 -> Alice
			F3  ACK    Alice -> Proxy 1
			F4  INVITE Alice -> Proxy 1
			F5  100    Proxy 1 -> Alice
			F6  INVITE Proxy 1 -> Proxy 2
			F7  407    Proxy 2 -> Proxy 1
			F8  ACK    Proxy 1 -> Proxy 2
			F9  407    Proxy 1 -> Alice
			F10 ACK    Alice -> Proxy 1
			F11 INVITE Alice -> Proxy 1
			F12 100    Proxy 1 -> Alice
			F13 INVITE Proxy 1 -> Proxy 2
			F14 100    Proxy 2 -> Proxy 1
			F15 INVITE Proxy 2 -> Bob
			F16 200    Bob -> Proxy 2
			F17 200    Proxy 2 -> Proxy 1
			F18 200    Proxy 1 -> Alice
			F19 ACK    Alice -> Proxy 1
			F20 ACK    Proxy 1 -> Proxy 2
			F21 ACK    Proxy 2 -> Bob
			+   BYE Bob -> Proxy 2 // the RFC tells of it, and does not show it
			+   BYE Proxy 2 -> Proxy 1 // as above
			+   BYE Proxy 1 -> Alice // as above
			+   200 Alice -> Proxy 1 // as above
			+   200 Proxy 1 -> Proxy 2 // as above
			+   200 Proxy 2 -> Bob // as above`,
		Differs: map[string]string{
			"Record-Route":            byFlow,
			"F3 Route":                ackRoute,
			"F10 Proxy-Authorization": ackPassword,
			"F10 Route":               ackRoute,
			"F11 Route":               "the RFC has forgotten that of F4",
			"F19 Route":               byFlow,
			"F20 Route":               byFlow,
			"F20 Contact":             "the RFC does not have it in F19",
			"F21 Contact":             "as F20",
		},
		Play: func(f *flow.Flow) {
			(&server{f: f, recordRoute: true, users: passwords(f, "atlanta.example.com")}).run(flow.Proxy1)
			(&server{f: f, recordRoute: true, guard: passwords(f, "biloxi.example.com").ForProxy()}).run(flow.Proxy2)
			alice := newPhone(f, flow.Alice, ua.Config{
				Proxy: "sip:ss1.atlanta.example.com", Password: "secret", Credentials: aliceAt("biloxi.example.com"),
			})
			bob := newPhone(f, flow.Bob, ua.Config{})
			bob.register()
			f.Begin()
			f.Note("Alice calls Bob, whose phone answers by itself.")
			ours, theirs := connect(alice, bob)
			f.Pass(10 * time.Second)
			f.Note("Bob hangs up.")
			hangup(f, theirs, ours)
		},
	})
}

// Alice has two outbound proxies by the DNS, of which the first does not answer. After
// 64*T1 she goes to the other one, and stays there.
func TestFlow3665ProxyFailure(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3665, Section: "3.4", Title: "Successful Session with Proxy Failure",
		Cast: []flow.Actor{flow.Alice, flow.Proxy1, secondProxy, flow.Bob},
		Show: []string{"Via", "Route", "Record-Route", "Proxy-Authenticate", "Proxy-Authorization", "CSeq"},
		Flow: `
			F1  INVITE Alice -> Proxy 1
			F2  INVITE Alice -> Proxy 1
			F3  INVITE Alice -> Proxy 1
			F4  INVITE Alice -> Proxy 1
			F5  INVITE Alice -> Proxy 1
			F6  INVITE Alice -> Proxy 1
			F7  INVITE Alice -> Proxy 1
			F8  INVITE Alice -> Proxy 2
			F9  407    Proxy 2 -> Alice
			F10 ACK    Alice -> Proxy 2
			F11 INVITE Alice -> Proxy 2
			F12 INVITE Proxy 2 -> Bob
			F13 100    Proxy 2 -> Alice
			F14 180    Bob -> Proxy 2
			F15 180    Proxy 2 -> Alice
			F16 200    Bob -> Proxy 2
			F17 200    Proxy 2 -> Alice
			F18 ACK    Alice -> Proxy 2
			F19 ACK    Proxy 2 -> Bob
			F20 BYE    Bob -> Proxy 2
			F21 BYE    Proxy 2 -> Alice
			F22 200    Alice -> Proxy 2
			F23 200    Proxy 2 -> Bob`,
		Silent: []string{"Proxy 1"},
		Differs: map[string]string{
			"Record-Route": byFlow,
			"F8 Route":     "the proxy of Alice is configured as a Route, by the name of both",
			"F10 Route":    "as F8",
			"F11 Route":    "as F8",
			"F18 Route":    byFlow,
			"F20 Route":    byFlow,
		},
		Play: func(f *flow.Flow) {
			(&server{f: f, recordRoute: true, guard: passwords(f, "biloxi.example.com").ForProxy()}).run(secondProxy)
			alice := newPhone(f, flow.Alice, ua.Config{Proxy: "sip:atlanta.example.com", Password: "secret", Realm: "biloxi.example.com"})
			bob := newPhone(f, flow.Bob, ua.Config{})
			bob.register()
			f.Begin()
			ours, theirs := establish(alice, bob)
			f.Note("Bob hangs up.")
			hangup(f, theirs, ours)
		},
	})
}

// A gateway on the way has the media go by itself: it changes the descriptions of both
// sides, and stays on the way. Proxy 2 does not.
func TestFlow3665ALG(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3665, Section: "3.5", Title: "Session Through a SIP ALG",
		Cast: []flow.Actor{flow.Alice, flow.ALG, flow.Proxy2, flow.Bob},
		Show: callFields,
		Flow: `
			F1  INVITE Alice -> ALG
			F2  INVITE ALG -> Proxy 2
			F3  100    ALG -> Alice
			F4  INVITE Proxy 2 -> Bob
			F5  100    Proxy 2 -> ALG
			F6  180    Bob -> Proxy 2
			F7  180    Proxy 2 -> ALG
			F8  180    ALG -> Alice
			F9  200    Bob -> Proxy 2
			F10 200    Proxy 2 -> ALG
			F11 200    ALG -> Alice
			F12 ACK    Alice -> ALG
			F13 ACK    ALG -> Bob
			F14 BYE    Alice -> ALG
			F15 BYE    ALG -> Bob
			F16 200    Bob -> ALG
			F17 200    ALG -> Alice`,
		Differs: map[string]string{
			"F1 Proxy-Authorization": noPassword,
			"F2 Proxy-Authorization": noPassword,
		},
		Play: func(f *flow.Flow) {
			newGateway(f, flow.ALG)
			// A phone that has registered by a flow would keep Proxy 2 on the way.
			(&server{f: f, forward: locate(flow.Bob)}).run(flow.Proxy2)
			alice := newPhone(f, flow.Alice, ua.Config{Proxy: "sip:alg1.atlanta.example.com"})
			bob := newPhone(f, flow.Bob, ua.Config{})
			ours, theirs := establish(alice, bob)
			f.Note("Alice hangs up.")
			hangup(f, ours, theirs)
		},
	})
}

// A redirect server sends Alice to where Bob is now. She calls without an offer: Bob
// makes one in his 200, and hers is the answer, in the ACK.
func TestFlow3665Redirect(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3665, Section: "3.6", Title: "Session via Redirect and Proxy Servers with SDP in ACK",
		Cast: []flow.Actor{flow.Alice, redirectServer, flow.Proxy3, bobInChicago},
		Show: callFields,
		Flow: `
			F1  INVITE Alice -> Redirect Server
			F2  302    Redirect Server -> Alice
			F3  ACK    Alice -> Redirect Server
			F4  INVITE Alice -> Proxy 3
			F5  INVITE Proxy 3 -> Bob
			F6  100    Proxy 3 -> Alice
			F7  180    Bob -> Proxy 3
			F8  180    Proxy 3 -> Alice
			F9  200    Bob -> Proxy 3
			F10 200    Proxy 3 -> Alice
			F11 ACK    Alice -> Proxy 3
			F12 ACK    Proxy 3 -> Bob
			F13 BYE    Bob -> Proxy 3
			F14 BYE    Proxy 3 -> Alice
			F15 200    Alice -> Proxy 3
			F16 200    Proxy 3 -> Bob`,
		Differs: map[string]string{
			"Record-Route": byFlow,
			"F11 Route":    byFlow,
			"F13 Route":    byFlow,
		},
		Play: func(f *flow.Flow) {
			redirect := sip.Contact{URI: mustURI("sip:bob@chicago.example.com;transport=tcp")}
			(&server{f: f, forward: func(tx *proxy.Server, _ *sip.Request) {
				tx.Reply(sip.StatusMovedTemporarily, redirect)
			}}).run(redirectServer)
			(&server{f: f, recordRoute: true}).run(flow.Proxy3, "tcp")
			alice := newPhone(f, flow.Alice, ua.Config{Listen: f.Transport(flow.Alice, "udp", "tcp").Listen})
			bob := newPhone(f, bobInChicago, ua.Config{Listen: f.Transport(bobInChicago, "tcp").Listen})
			bob.register()
			f.Begin()
			f.Note("Alice calls Bob.")
			call := alice.placeWith(flow.Bob.AOR, &ua.InviteOptions{NoOffer: true})
			in := bob.invited()
			in.ring()
			ours, theirs := pickUp(call, in, "Bob")
			f.Note("Bob hangs up.")
			hangup(f, theirs, ours)
		},
	})
}

// Bob's phone gets another address, and says so by a re-INVITE with a new Contact and a
// new description. It keeps the call by a snapshot of its dialog.
func TestFlow3665Move(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3665, Section: "3.7", Title: "Session with re-INVITE (IP Address Change)",
		Cast: []flow.Actor{flow.Alice, flow.Proxy2, flow.Bob, bobMoved},
		Show: append(callFields, "o="),
		Flow: `
			F1  INVITE Alice -> Proxy 2
			F2  INVITE Proxy 2 -> Bob
			F3  100    Proxy 2 -> Alice
			F4  180    Bob -> Proxy 2
			F5  180    Proxy 2 -> Alice
			F6  200    Bob -> Proxy 2
			F7  200    Proxy 2 -> Alice
			F8  ACK    Alice -> Bob
			F9  INVITE Bob -> Alice
			F10 200    Alice -> Bob
			F11 ACK    Bob -> Alice
			F12 BYE    Alice -> Bob
			F13 200    Bob -> Alice`,
		Play: func(f *flow.Flow) {
			(&server{f: f}).run(flow.Proxy2)
			alice := newPhone(f, flow.Alice, ua.Config{})
			sessions := make(chan *dialog.Session, 1)
			bob := newDialogs(f, flow.Bob, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
				in.Provisional(sip.StatusRinging)
				f.Pass(2 * time.Second)
				f.Note("Bob answers.")
				if _, err := in.Accept(describe("192.0.2.201", 1, "audio 3456 RTP/AVP 0")); err != nil {
					f.Errorf("Accept() = %v", err)
				}
				sessions <- in.Session()
			}})
			registerDialogs(f, bob, "sip:biloxi.example.com", flow.Bob)
			f.Begin()

			f.Note("Alice calls Bob.")
			ours := alice.place(flow.Bob.AOR).answered()
			s := <-sessions
			f.Pass(10 * time.Second)

			f.Note("Bob's phone moves to 192.0.2.100.")
			state, err := s.Snapshot()
			if err != nil {
				f.Fatal(err)
			}
			bob.Close()
			d, err := newDialogs(f, bobMoved, nil).Restore(state)
			if err != nil {
				f.Fatal(err)
			}
			s = d.Session()
			resp, err := s.Invite(f.Context(), nil, describe("192.0.2.100", 2, "audio 47172 RTP/AVP 0"))
			if err != nil || resp.Status() != sip.StatusOK {
				f.Fatalf("Invite() = %v, %v, want 200", resp, err)
			}
			if err := s.Ack(f.Context()); err != nil {
				f.Error(err)
			}
			f.Pass(10 * time.Second)
			f.Note("Alice hangs up.")
			bye(f, ours)
			<-s.Done()
		},
	})
}
