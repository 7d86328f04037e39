package registrar

import (
	"context"
	"fmt"
	"slices"
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

// startOf starts the proxy of a test with the calls of the run before, if there are any.
func startOf(t testing.TB, n *siptest.Network, handler func(*proxy.Server, *sip.Request), kept [][]byte) *proxy.Proxy {
	t.Helper()
	p, err := proxy.Listen(&transport.Config{
		Listen: []string{"udp:" + proxyAddr + ":5060"}, Network: n.Host(proxyAddr), Logger: quiet, FlowKey: []byte("a key of both runs"),
	}, &proxy.Config{Domains: []string{"example.com"}, RecordRoute: true, Handler: handler, Transaction: &transaction.Config{
		Logger: quiet, Restore: func(l *transaction.Layer) error {
			for _, data := range kept {
				if _, err := l.Restore(data, nil); err != nil {
					return err
				}
			}
			return nil
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// stop closes it, and returns the calls that it had.
func stop(p *proxy.Proxy) (kept [][]byte) {
	p.Close()
	for tx := range p.Layer().Servers() {
		if data, err := tx.Snapshot(); err == nil {
			kept = append(kept, data)
		}
	}
	return kept
}

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
					return startOf(t, n, func(tx *proxy.Server, req *sip.Request) {
						if req, _ := location.Authenticate(tx, req); req != nil {
							tx.Forward(req, proxy.Target{URI: uri(t, "sip:bob@"+phoneAddr)})
						}
					}, kept)
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
				kept := stop(p)
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

// What goes on after a restart has the user that it had: a number that nobody has is
// nobody's, and what had come back to the proxy as nobody's does not come to be the
// caller's.
func TestUserAfterRestart(t *testing.T) {
	for _, test := range []struct{ name, from, to, want string }{
		{"number of nobody", "tel:+12015550199", "sip:dave@example.com", `[""]`},
		{"number of a user", "tel:+12015550123", "sip:dave@example.com", `["+12015550123"]`},
		{"spiral", aliceAOR, "sip:bob@example.com", `["" "alice"]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
				users := make(chan string, 10)
				start := func(kept [][]byte) *proxy.Proxy {
					location := must(New(&Config{
						Domains: []string{"example.com"}, Users: secrets(t), Logger: quiet,
						Exists:     func(_ context.Context, aor sip.URI) (bool, error) { return aor.User == "+12015550123", nil },
						ThirdParty: func(user string, _ sip.URI) bool { return user == "alice" },
					}))
					return startOf(t, n, func(tx *proxy.Server, req *sip.Request) {
						req, user := location.Authenticate(tx, req)
						if req == nil {
							return
						}
						users <- user
						to := "sip:carol@" + abroad // who sends it back
						if req.URI().User == "dave" {
							to = "sip:dave@" + phoneAddr
						}
						tx.Forward(req, proxy.Target{URI: uri(t, to)})
					}, kept)
				}
				p := start(nil)
				dave := listen(t, n.Host(phoneAddr), func(tx *transaction.Server, req *sip.Request) {
					tx.Reply(sip.StatusRinging)
					<-tx.Context().Done()
				})
				other := must(proxy.Listen(
					&transport.Config{Listen: []string{"udp:" + abroad + ":5060"}, Network: n.Host(abroad), Logger: quiet},
					&proxy.Config{Handler: func(tx *proxy.Server, req *sip.Request) {
						tx.Forward(req, proxy.Target{URI: uri(t, "sip:dave@example.com"), Route: []sip.Route{{URI: uri(t, "sip:"+proxyAddr+";lr")}}})
					}}))
				alice := listen(t, n.Host("192.0.2.30"), nil)
				ctx, hangUp := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() { // ends with the call
					defer close(done)
					invite := from(t, sip.INVITE, test.from).WithURI(uri(t, test.to))
					resp, err := alice.Do(ctx, invite)
					if err != nil || resp.Status() != sip.StatusProxyAuthRequired {
						return
					}
					invite = must(digest.NewClient(digest.Credentials{Username: "alice", Password: "secret"}).Authorize(invite, resp))
					alice.Do(ctx, invite.With(sip.CSeq{Seq: 2, Method: sip.INVITE}))
				}()
				time.Sleep(3 * time.Second)
				kept := stop(p)
				for len(users) > 0 {
					<-users
				}
				p = start(kept)
				time.Sleep(time.Second)
				var got []string
				for len(users) > 0 {
					got = append(got, <-users)
				}
				slices.Sort(got)
				if got := fmt.Sprintf("%q", got); got != test.want {
					t.Errorf("the users are %s, want %s", got, test.want)
				}
				hangUp()
				<-done
				for _, l := range []*transaction.Layer{alice, dave, other.Layer(), p.Layer()} {
					l.Close()
				}
				other.Close()
				p.Close()
			})
		})
	}
}

// The caller hangs up, and the proxy is started anew before the CANCEL has come to the
// phone. It is looked up once more, by a Store that heeds contexts, and stops to ring.
func TestRestartOfACancelledCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		cancelled := make(chan struct{})
		bob := listen(t, n.Host(phoneAddr), func(tx *transaction.Server, req *sip.Request) {
			tx.Reply(sip.StatusRinging)
			<-tx.Context().Done()
			close(cancelled)
		})
		location := must(New(&Config{Domains: []string{"example.com"}, Logger: quiet,
			Exists: func(ctx context.Context, _ sip.URI) (bool, error) { return true, ctx.Err() }}))
		start := func(kept [][]byte) *proxy.Proxy {
			return startOf(t, n, func(tx *proxy.Server, req *sip.Request) {
				if req.Method() == sip.REGISTER {
					location.Register(tx.Server, req)
				} else {
					location.Forward(tx, req)
				}
			}, kept)
		}
		p := start(nil)
		binding := from(t, sip.REGISTER, "sip:bob@example.com").WithURI(uri(t, "sip:example.com")).With(
			sip.CallID("bob"), sip.Contact{URI: uri(t, "sip:bob@"+phoneAddr)})
		if resp, err := bob.Do(t.Context(), binding); err != nil || !resp.Status().Success() {
			t.Fatalf("REGISTER: %v, %v", resp, err)
		}
		alice := listen(t, n.Host("192.0.2.30"), nil)
		ctx, hangUp := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { // ends with the call
			defer close(done)
			alice.Do(ctx, from(t, sip.INVITE, aliceAOR))
		}()
		time.Sleep(time.Second)
		n.Cut(n.Host(proxyAddr), n.Host(phoneAddr))
		hangUp()
		time.Sleep(100 * time.Millisecond)
		kept := stop(p)
		n.Mend(n.Host(proxyAddr), n.Host(phoneAddr))
		p = start(kept)
		select {
		case <-cancelled:
		case <-time.After(time.Minute):
			t.Error("the phone rings on")
		}
		<-done
		for _, l := range []*transaction.Layer{alice, bob, p.Layer()} {
			l.Close()
		}
		p.Close()
	})
}
