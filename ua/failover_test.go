package ua_test

import (
	"crypto/tls"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

const twoServers = `
	_sip._tcp.example.com.  SRV 1 0 5060 a.example.com.
	_sip._tcp.example.com.  SRV 2 0 5060 b.example.com.
	_sips._tcp.example.com. SRV 1 0 5061 a.example.com.
	_sips._tcp.example.com. SRV 2 0 5061 b.example.com.
	_sip._ws.example.com.   SRV 1 0 80   a.example.com.
	_sip._ws.example.com.   SRV 2 0 80   b.example.com.
	_sips._ws.example.com.  SRV 1 0 443  a.example.com.
	_sips._ws.example.com.  SRV 2 0 443  b.example.com.
	a.example.com. A 192.0.2.1
	b.example.com. A 192.0.2.2
`

// The first of two servers is down, or goes down later: the agent registers with
// the other one, whatever the transport, and names the connection to that in its
// Contact.
func TestRegistersWithTheServerThatIsThere(t *testing.T) {
	for _, transportName := range []string{"tcp", "tls", "ws", "wss"} {
		t.Run(transportName, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 5 * time.Millisecond})
				authority := siptest.NewAuthority()
				dns, err := siptest.NewDNS(twoServers)
				if err != nil {
					t.Fatal(err)
				}
				defer dns.Close()
				if err := dns.Listen(n.Host("192.0.2.53")); err != nil {
					t.Fatal(err)
				}
				var mu sync.Mutex
				came := map[string]int{} // the REGISTERs, by server
				serve := func(ip string) *transaction.Layer {
					l, err := transaction.Listen(&transport.Config{
						Network: n.Host(ip),
						Listen:  []string{"tcp:" + ip + ":5060", "tls:" + ip + ":5061", "ws:" + ip + ":80", "wss:" + ip + ":443"},
						TLS:     &tls.Config{Certificates: []tls.Certificate{authority.Certificate("example.com")}},
					}, &transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) {
						mu.Lock()
						came[ip]++
						mu.Unlock()
						contact, err := sip.Get[sip.Contact](req)
						if from := tx.Flow().RemoteAddr().Port(); transportName != "tcp" && contact.URI.Port != int(from) {
							t.Errorf("%s came from port %d with Contact %v, %v", req.Method(), from, contact, err)
						}
						tx.Reply(sip.StatusOK, contact.WithExpires(600))
					}})
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { l.Close() })
					return l
				}
				serve("192.0.2.2")
				local := n.Host("192.0.2.9")
				alice, err := ua.New("sip:alice@example.com", &ua.Config{
					Network: local, Listen: []string{"udp:192.0.2.9:5060", "tcp:192.0.2.9:5060"},
					Proxy: "sip:example.com;transport=" + transportName, TLS: &tls.Config{RootCAs: authority.Pool()},
					Resolver: &resolve.DNS{Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")}, Dialer: local},
					Logger:   quiet,
				})
				if err != nil {
					t.Fatal(err)
				}
				defer alice.Close()
				if _, err := alice.Register(t.Context(), nil); err != nil {
					t.Fatalf("the first server is down: %v", err)
				}
				// It comes up, and the other one goes down.
				serve("192.0.2.1")
				time.Sleep(2 * time.Minute)
				n.Host("192.0.2.2").Down()
				n.Host("192.0.2.2").Reset()
				time.Sleep(2 * time.Minute)
				mu.Lock()
				defer mu.Unlock()
				if came["192.0.2.1"] == 0 || came["192.0.2.2"] != 1 {
					t.Errorf("REGISTERs %v, want one at the second server, and then one at the first", came)
				}
			})
		})
	}
}
