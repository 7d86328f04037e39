package ua_test

import (
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction/proxy"
	"github.com/goparley/parley/ua"
)

// The proxies of RFC 4028 section 13.
var (
	firstTimerProxy  = flow.Actor{Name: "Proxy P1", Host: "p1.atlanta.example.com", Addr: "192.0.2.111", Domains: []string{"atlanta.example.com"}}
	secondTimerProxy = flow.Actor{Name: "Proxy P2", Host: "p2.biloxi.example.com", Addr: "192.0.2.222", Domains: []string{"biloxi.example.com"}}
)

// noShorter refuses calls whose session interval is too short for a proxy (RFC 4028
// section 8.1), and has the others forwarded.
func noShorter(least sip.MinSE, forward func(*proxy.Server, *sip.Request)) func(*proxy.Server, *sip.Request) {
	return func(tx *proxy.Server, req *sip.Request) {
		if se, err := sip.Get[sip.SessionExpires](req); err == nil && se.Seconds < uint32(least) {
			tx.Reply(sip.StatusSessionIntervalTooSmall, least)
			return
		}
		forward(tx, req)
	}
}

// Two proxies want a longer session interval than Alice, and than each other. (Hers are
// not the 50 s of the RFC, which itself allows no less than 90.) She
// refreshes the session once, and then no more: Bob ends it when it is about to
// expire.
func TestFlow4028(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 4028, Section: "13", Title: "Example Call Flow",
		Cast: []flow.Actor{flow.Alice, firstTimerProxy, secondTimerProxy, flow.Bob},
		Show: []string{"CSeq", "Session-Expires", "Min-SE", "Require", "Route", "SDP"},
		Flow: `
			F1  INVITE Alice -> Proxy P1
			F2  422    Proxy P1 -> Alice
			F3  ACK    Alice -> Proxy P1
			F4  INVITE Alice -> Proxy P1
			F5  INVITE Proxy P1 -> Proxy P2
			F6  422    Proxy P2 -> Proxy P1
			F7  ACK    Proxy P1 -> Proxy P2
			F8  422    Proxy P1 -> Alice
			F9  ACK    Alice -> Proxy P1
			F10 INVITE Alice -> Proxy P1
			F11 INVITE Proxy P1 -> Proxy P2
			F12 INVITE Proxy P2 -> Bob
			F13 200    Bob -> Proxy P2
			F14 200    Proxy P2 -> Proxy P1
			F15 200    Proxy P1 -> Alice
			F16 ACK    Alice -> Proxy P1
			F17 ACK    Proxy P1 -> Bob
			F18 UPDATE Alice -> Proxy P1
			F19 UPDATE Proxy P1 -> Bob
			F20 200    Bob -> Proxy P1
			F21 200    Proxy P1 -> Alice
			F22 BYE    Bob -> Proxy P1
			-   F23 BYE Proxy P1 -> Alice // the connection is gone, and there is nobody who takes another one
			+   100    Proxy P1 -> Bob // RFC 4320 section 4.1
			-   F24 408 Proxy P1 -> Bob // a proxy sends no 408 to what is no INVITE (RFC 4320 section 4.2)
			+   500    Proxy P1 -> Bob // but may say that it could not reach her`,
		Lossless: true, // over TCP, where no BYE is sent again and again to a phone that is gone
		Play: func(f *flow.Flow) {
			(&server{f: f, recordRoute: true, elsewhere: noShorter(3600, (*proxy.Server).Relay)}).run(firstTimerProxy, "tcp")
			(&server{f: f, forward: noShorter(4000, func(tx *proxy.Server, req *sip.Request) { tx.Forward(req, at(flow.Bob)) })}).run(secondTimerProxy, "tcp")
			alice := newPhone(f, flow.Alice, ua.Config{
				SessionTimer: 50 * time.Second, Proxy: "sip:p1.atlanta.example.com", Listen: f.Transport(flow.Alice, "tcp").Listen,
			})
			bob := newPhone(f, flow.Bob, ua.Config{Listen: f.Transport(flow.Bob, "tcp").Listen})
			f.Note("Alice calls Bob, whose phone answers by itself.")
			ours, theirs := connect(alice, bob)
			f.Pass(2000 * time.Second)
			f.Pass(10 * time.Second)
			f.Note("Alice's phone crashes.")
			f.Host(flow.Alice).Down()
			<-theirs.Done()
			if err := theirs.Err(); !errors.Is(err, dialog.ErrNotRefreshed) {
				f.Errorf("Bob's call ends with %v, want ErrNotRefreshed", err)
			}
			<-ours.Done()
		},
	})
}
