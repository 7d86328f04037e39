package proxy_test

import (
	"context"
	"fmt"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/proxy"
)

// When nobody picks up the phone, the mailbox does: the handler waits for what the
// phone says.
func ExampleServer_Fork() {
	network := siptest.NewNetwork(nil)
	phone := proxy.Target{URI: sip.URI{Scheme: "sip", User: "bob", Host: "192.0.2.11"}}
	mailbox := proxy.Target{URI: sip.URI{Scheme: "sip", User: "bob", Host: "192.0.2.12"}}

	p, err := proxy.Listen(
		&transport.Config{Listen: []string{"udp:192.0.2.3:5060"}, Network: network.Host("192.0.2.3")},
		&proxy.Config{Handler: func(tx *proxy.Server, req *sip.Request) {
			best := tx.Fork(req, phone)
			if best != nil && best.Status() == sip.StatusTemporarilyUnavailable {
				best = tx.Fork(req, mailbox)
			}
			if best != nil { // there is no answer yet
				tx.Respond(best)
			}
		}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	answer(network, "192.0.2.11", sip.StatusRinging, sip.StatusTemporarilyUnavailable)
	answer(network, "192.0.2.12", sip.StatusOK)
	call(network)
	// Output:
	// 180 Ringing
	// 200 OK
}

// A proxy of example.com with one user, who has a phone and a mailbox: when nobody
// picks up the phone, the mailbox does.
func ExampleServer_ForkThen() {
	network := siptest.NewNetwork(nil)
	phone := proxy.Target{URI: sip.URI{Scheme: "sip", User: "bob", Host: "192.0.2.11"}}
	mailbox := proxy.Target{URI: sip.URI{Scheme: "sip", User: "bob", Host: "192.0.2.12"}}

	p, err := proxy.Listen(
		&transport.Config{Listen: []string{"udp:192.0.2.3:5060"}, Network: network.Host("192.0.2.3")},
		&proxy.Config{
			Domains:     []string{"example.com"},
			RecordRoute: true,
			Handler: func(tx *proxy.Server, req *sip.Request) {
				switch {
				case tx.Routed(): // within a dialog
					tx.Relay(req)
				case !tx.Local(): // no relay for strangers
					tx.Reply(sip.StatusForbidden)
				default:
					tx.ForkThen(req, func(best *sip.Response) {
						switch {
						case best == nil: // there is an answer
						case best.Status() == sip.StatusTemporarilyUnavailable:
							tx.Forward(req, mailbox)
						default:
							tx.Respond(best)
						}
					}, phone)
				}
			},
		})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	answer(network, "192.0.2.11", sip.StatusRinging, sip.StatusTemporarilyUnavailable)
	answer(network, "192.0.2.12", sip.StatusOK)
	call(network)
	// Output:
	// 180 Ringing
	// 200 OK
}

// answer runs a user agent that answers an INVITE with these.
func answer(network *siptest.Network, host string, statuses ...sip.Status) {
	transaction.Listen(&transport.Config{Listen: []string{"udp:" + host + ":5060"}, Network: network.Host(host)},
		&transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) {
			for i, status := range statuses {
				if i > 0 {
					<-time.After(20 * time.Millisecond)
				}
				tx.Reply(status)
			}
		}})
}

// call has alice call bob, and prints what she hears.
func call(network *siptest.Network) {
	alice, err := transaction.Listen(&transport.Config{Listen: []string{"udp:192.0.2.1:5060"}, Network: network.Host("192.0.2.1")}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer alice.Close()
	bob := sip.URI{Scheme: "sip", User: "bob", Host: "example.com"}
	invite := sip.NewRequest(sip.INVITE, bob, sip.MaxForwards(70), sip.CallID("1"), sip.CSeq{Seq: 1, Method: sip.INVITE},
		sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: "example.org"}, Params: ";tag=1"}, sip.To{URI: bob},
		sip.Route{URI: sip.URI{Scheme: "sip", Host: "192.0.2.3", Params: ";lr"}})
	for resp, err := range alice.Responses(context.Background(), invite) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(int(resp.Status()), resp.ReasonPhrase())
	}
}
