package transaction_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// A server that passes requests on marks them, and finds the mark again when one of
// them comes back: Bob has forwarded his calls to himself. Package proxy does so
// for its handlers.
func ExampleWithBranch() {
	network := siptest.NewNetwork(nil)
	const mark = "been-here" // better: a keyed hash of what decides on the way (RFC 5393 section 4.2.1)
	server, err := transaction.Listen(
		&transport.Config{Listen: []string{"udp:192.0.2.3:5060"}, Network: network.Host("192.0.2.3")},
		&transaction.Config{Merged: true, Handler: func(tx *transaction.Server, req *sip.Request) {
			for via, err := range sip.All[sip.Via](req) {
				if err == nil && strings.HasSuffix(via.Branch(), "."+mark) {
					fmt.Println("a loop, at hop", 71-req.MaxForwards())
					tx.Reply(sip.StatusLoopDetected)
					return
				}
			}
			ctx := transaction.WithBranch(tx.Context(), mark)
			resp, err := tx.Layer().Do(ctx, req.With(sip.MaxForwards(req.MaxForwards()-1)))
			if err != nil {
				tx.Reply(sip.StatusServiceUnavailable)
				return
			}
			tx.Respond(resp.With(sip.Pop("Via")))
		}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	alice, err := transaction.Listen(&transport.Config{Listen: []string{"udp:192.0.2.1:5060"}, Network: network.Host("192.0.2.1")}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer alice.Close()

	resp, err := alice.Do(context.Background(), newRequest(sip.MESSAGE, "sip:bob@192.0.2.3"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.Status())
	// Output:
	// a loop, at hop 2
	// 482 Loop Detected
}

// A program ends while a request of its is on its way, and sends it again when it is
// started anew, with the same branch: Bob takes it for what it is, and has one
// request to see to. Both ends have the same name for it in their logs.
func ExampleWithBranchSeed() {
	network := siptest.NewNetwork(nil)
	begun, rung := make(chan string, 2), make(chan struct{})
	bob, err := transaction.Listen(
		&transport.Config{Listen: []string{"udp:192.0.2.2:5060"}, Network: network.Host("192.0.2.2")},
		&transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) {
			begun <- tx.ID()
			<-rung
			tx.Reply(sip.StatusOK)
		}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bob.Close()

	message := newRequest(sip.MESSAGE, "sip:bob@192.0.2.2")
	seed := hmac.New(sha256.New, []byte("a secret that outlives the program"))
	fmt.Fprint(seed, message.CallID(), message.CSeq())
	ctx := transaction.WithBranchSeed(context.Background(), string(seed.Sum(nil)))
	var ids []string
	ctx = transaction.WithSent(ctx, func(_ transport.Flow, r *sip.Request) { ids = append(ids, transaction.ID(r)) })
	start := func() *transaction.Layer {
		alice, err := transaction.Listen(&transport.Config{Listen: []string{"udp:192.0.2.1:5060"}, Network: network.Host("192.0.2.1")}, nil)
		if err != nil {
			panic(err)
		}
		return alice
	}

	alice := start()
	alice.Start(ctx, message, func(*sip.Response, error) {}) // transport.ErrClosed
	ids = append(ids, <-begun)
	alice.Close()

	alice = start()
	defer alice.Close()
	answered := make(chan *sip.Response)
	alice.Start(ctx, message, func(resp *sip.Response, _ error) { answered <- resp })
	close(rung)
	fmt.Println((<-answered).Status())
	fmt.Println("to alice, to bob, to alice again:", ids[0] == ids[1], ids[1] == ids[2])
	fmt.Println("requests that bob has seen beside it:", len(begun))
	// Output:
	// 200 OK
	// to alice, to bob, to alice again: true true
	// requests that bob has seen beside it: 0
}
