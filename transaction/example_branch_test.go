package transaction_test

import (
	"context"
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
