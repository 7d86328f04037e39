package transaction_test

import (
	"context"
	"fmt"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// A server that answers OPTIONS with what it can do, and every call with busy.
// The layer does the rest: retransmissions, the ACK of the refusal, CANCEL.
func ExampleListen() {
	layer, err := transaction.Listen(
		&transport.Config{Listen: []string{"udp:127.0.0.1:0", "tcp:127.0.0.1:0"}},
		&transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) {
			switch req.Method() {
			case sip.ACK: // wants no answer
			case sip.OPTIONS:
				tx.Reply(sip.StatusOK, sip.Allow{sip.OPTIONS, sip.INVITE})
			case sip.INVITE:
				tx.Reply(sip.StatusBusyHere)
			default:
				tx.Reply(sip.StatusMethodNotAllowed, sip.Allow{sip.OPTIONS, sip.INVITE})
			}
		}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer layer.Close()

	ask := newRequest(sip.OPTIONS, "sip:"+layer.Endpoint().Addr("udp").String())
	resp, err := layer.Do(context.Background(), ask)
	if err != nil {
		fmt.Println(err)
		return
	}
	allow, _ := sip.Get[sip.Allow](resp)
	fmt.Println(resp.Status().Error(), allow)
	// Output: 200 OK [OPTIONS INVITE]
}

// A call that rings for too long is cancelled by ending its context. The loop
// goes on to the final response.
func ExampleLayer_Responses() {
	network := siptest.NewNetwork(nil)
	open := func(host string, cfg *transaction.Config) *transaction.Layer {
		layer, err := transaction.Listen(&transport.Config{
			Listen:  []string{"udp:" + host + ":5060"},
			Network: network.Host(host),
		}, cfg)
		if err != nil {
			panic(err)
		}
		return layer
	}
	bob := open("192.0.2.2", &transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) {
		tx.Reply(sip.StatusRinging)
		<-tx.Context().Done() // nobody picks up
		fmt.Println("bob:", context.Cause(tx.Context()))
		tx.Reply(sip.StatusRequestTerminated)
	}})
	defer bob.Close()
	alice := open("192.0.2.1", nil)
	defer alice.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for resp, err := range alice.Responses(ctx, newRequest(sip.INVITE, "sip:bob@192.0.2.2")) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("alice:", resp.Status().Error())
		if resp.Status() == sip.StatusRinging {
			cancel() // the user has had enough
		}
	}
	// Output:
	// alice: 180 Ringing
	// bob: transaction: cancelled by the peer
	// alice: 487 Request Terminated
}

// newRequest makes a request outside of a dialog (RFC 3261 section 8.1.1).
func newRequest(method sip.Method, to string) *sip.Request {
	uri, err := sip.ParseURI(to)
	if err != nil {
		panic(err)
	}
	return sip.NewRequest(method, uri,
		sip.MaxForwards(70),
		sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: "a.example"}, Params: ";tag=88sja8x"},
		sip.To{URI: uri},
		sip.CallID("843817637684230"),
		sip.CSeq{Seq: 1, Method: method})
}
