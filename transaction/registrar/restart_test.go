package registrar

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/proxy"
)

// The proxy is started anew while Alice calls Bob, with other keys of nonces or
// with nonces that are too old by now. Her INVITE had been let through: Bob's phone
// rings on, and she is not asked again. Where the password was not found yet she is.
func TestRestartOfACallWithPassword(t *testing.T) {
	for _, test := range []struct {
		name     string
		password time.Duration // that looking it up takes
		rings    bool
		want     sip.Status
	}{
		{"it rings", 0, true, 200},
		{"it is forwarded", 0, false, 200},
		{"it waits for the password", 10 * time.Second, false, 407},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
				bob := listen(t, n.Host(phoneAddr), func(tx *transaction.Server, req *sip.Request) {
					if req.Method() != sip.INVITE {
						return
					}
					if test.rings {
						tx.Reply(sip.StatusRinging)
					}
					select {
					case <-time.After(10 * time.Second):
						tx.Reply(sip.StatusOK, sip.Contact{URI: uri(t, "sip:bob@"+phoneAddr)})
					case <-tx.Context().Done():
						t.Errorf("Bob's phone stops to ring: %v", context.Cause(tx.Context()))
					}
				})
				start := func(kept [][]byte) *proxy.Proxy {
					location := must(New(&Config{Domains: []string{"example.com"}, Logger: quiet, Users: must(digest.NewServer(digest.ServerConfig{
						Realm: "example.com", Nonces: 1000,
						Password: func(ctx context.Context, user string) (string, error) {
							select {
							case <-time.After(test.password):
							case <-ctx.Done():
							}
							return "secret", ctx.Err()
						},
					}))}))
					p, err := proxy.Listen(&transport.Config{
						Listen: []string{"udp:" + proxyAddr + ":5060"}, Network: n.Host(proxyAddr), Logger: quiet, FlowKey: []byte("a key of both runs"),
					}, &proxy.Config{Domains: []string{"example.com"}, RecordRoute: true, Handler: func(tx *proxy.Server, req *sip.Request) {
						if req, _ := location.Authenticate(tx, req); req != nil {
							tx.Forward(req, proxy.Target{URI: uri(t, "sip:bob@"+phoneAddr)})
						}
					}, Transaction: &transaction.Config{Logger: quiet, Restore: func(l *transaction.Layer) error {
						for _, data := range kept {
							if _, err := l.Restore(data, nil); err != nil {
								return err
							}
						}
						return nil
					}}})
					if err != nil {
						t.Fatal(err)
					}
					return p
				}
				p := start(nil)
				alice := listen(t, n.Host("192.0.2.30"), nil)
				invite := from(t, sip.INVITE, aliceAOR)
				resp, err := alice.Do(t.Context(), invite)
				if err != nil {
					t.Fatal(err)
				}
				if invite, err = digest.NewClient(digest.Credentials{Username: "alice", Password: "secret"}).Authorize(invite, resp); err != nil {
					t.Fatal(err)
				}
				done := make(chan *sip.Response, 1)
				go func() { // ends with the call
					resp, err := alice.Do(t.Context(), invite.With(sip.CSeq{Seq: 2, Method: sip.INVITE}))
					if err != nil {
						t.Error(err)
					}
					done <- resp
				}()
				time.Sleep(3 * time.Second)
				p.Close()
				var kept [][]byte
				for tx := range p.Layer().Servers() {
					if data, err := tx.Snapshot(); err == nil {
						kept = append(kept, data)
					}
				}
				p = start(kept)
				if resp := <-done; resp.Status() != test.want {
					t.Errorf("the call ends with %v, want %v", resp.Status(), test.want)
				}
				for _, l := range []*transaction.Layer{alice, bob, p.Layer()} {
					l.Close()
				}
				p.Close()
			})
		})
	}
}
