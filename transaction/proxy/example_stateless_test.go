package proxy_test

import (
	"context"
	"fmt"
	"hash/fnv"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/proxy"
)

// A load balancer for example.com that keeps nothing. All requests of a call have
// its Call-ID, and so go to the same of its servers: a retransmission, the CANCEL
// and the ACK as well.
func ExampleConfig_stateless() {
	network := siptest.NewNetwork(nil)
	servers := []string{"192.0.2.11", "192.0.2.12"}
	balancer, err := proxy.Listen(
		&transport.Config{Listen: []string{"udp:192.0.2.3:5060"}, Network: network.Host("192.0.2.3")},
		&proxy.Config{
			Domains: []string{"example.com"},
			Stateless: func(req *sip.Request, in proxy.Arrival) (to proxy.Target, ok bool) {
				if !in.Local {
					return to, false // for Handler, which refuses strangers if it is nil
				}
				h := fnv.New32a()
				h.Write([]byte(req.CallID()))
				server := servers[h.Sum32()%uint32(len(servers))]
				to.Route = []sip.Route{{URI: sip.URI{Scheme: "sip", Host: server, Params: ";lr"}}}
				return to, true
			},
		})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer balancer.Close()

	for _, server := range servers {
		layer, err := transaction.Listen(
			&transport.Config{Listen: []string{"udp:" + server + ":5060"}, Network: network.Host(server)},
			&transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) {
				fmt.Println(server, "has call", req.CallID(), "for", req.URI())
				tx.Reply(sip.StatusBusyHere)
			}})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer layer.Close()
	}

	alice, err := transaction.Listen(&transport.Config{Listen: []string{"udp:192.0.2.1:5060"}, Network: network.Host("192.0.2.1")}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer alice.Close()
	for _, bob := range []string{"example.com", "example.org"} {
		for _, callID := range []sip.CallID{"1", "2"} {
			to := sip.URI{Scheme: "sip", User: "bob", Host: bob}
			resp, err := alice.Do(context.Background(), sip.NewRequest(sip.INVITE, to, sip.MaxForwards(70), callID, sip.CSeq{Seq: 1, Method: sip.INVITE},
				sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: "example.net"}, Params: ";tag=1"}, sip.To{URI: to},
				sip.Route{URI: sip.URI{Scheme: "sip", Host: "192.0.2.3", Params: ";lr"}}))
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Println(resp.Status())
		}
	}
	// Output:
	// 192.0.2.11 has call 1 for sip:bob@example.com
	// 486 Busy Here
	// 192.0.2.12 has call 2 for sip:bob@example.com
	// 486 Busy Here
	// 403 Forbidden
	// 403 Forbidden
}
