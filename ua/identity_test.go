package ua_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// An anonymous call says nothing of Alice, from its INVITE to its end (RFC 3323 section
// 4.1), and works as any other.
func TestAnonymous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Record: true})
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: answerWith(calls, newStream(t))})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@wonderland.example", ua.Config{Display: "Alice L.", UserAgent: "Looking-Glass/1"})
		opts := streams(newStream(t))
		opts.Anonymous = true
		call, err := alice.Invite(t.Context(), bobURI, opts)
		if err != nil {
			t.Fatal(err)
		}
		theirs := <-calls
		if got := theirs.Remote(); got.Display != "Anonymous" || got.URI.String() != "sip:anonymous@anonymous.invalid" {
			t.Errorf("Bob is called by %v", got)
		}
		if err := call.Hold(t.Context()); err != nil {
			t.Error(err)
		}
		if err := call.Transfer(t.Context(), carolURI, nil); !errors.Is(err, sip.StatusMethodNotAllowed) {
			t.Errorf("Transfer() = %v, want 405", err)
		}
		if err := theirs.Hangup(t.Context()); err != nil { // Bob finds the way back
			t.Error(err)
		}
		for _, p := range n.Packets() {
			for _, word := range []string{"alice", "Alice", "wonderland", "Looking-Glass"} {
				if contains(string(p.Data), word) {
					t.Errorf("a message says %q:\n%s", word, p.Data)
				}
			}
		}
	})
}

// Bob is called by he does not know whom, and tries to find out: he asks what Alice's phone can
// do, and has it call somebody who would tell him.
func TestAnonymousIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Record: true})
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: answerWith(calls, newStream(t))})
		from := make(chan sip.Address, 1)
		newAgent(t, n, "192.0.2.3", "sip:carol@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			from <- in.From()
			in.Answer(ctx, newStream(t))
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@wonderland.example", ua.Config{
			Display: "Alice L.", UserAgent: "Looking-Glass/1", Features: ";audio",
			OnRefer: func(ctx context.Context, r *ua.Referral) { r.Invite(ctx, streams(newStream(t))) },
		})
		opts := streams(newStream(t))
		opts.Anonymous = true
		if _, err := alice.Invite(t.Context(), bobURI, opts); err != nil {
			t.Fatal(err)
		}
		theirs := <-calls
		resp, err := theirs.Do(t.Context(), sip.OPTIONS)
		if err != nil {
			t.Fatal(err)
		}
		if contact, err := sip.Get[sip.Contact](resp); err != nil || contact.URI.User != "" || !contact.Params.Has("audio") {
			t.Errorf("the OPTIONS got Contact %v, %v, want one without a user", contact, err)
		}
		if err := theirs.Transfer(t.Context(), carolURI, nil); err != nil {
			t.Fatal(err)
		}
		if got := <-from; got.URI.String() != "sip:anonymous@anonymous.invalid" {
			t.Errorf("Carol is called by %v", got)
		}
		for _, p := range n.Packets() {
			for _, word := range []string{"alice", "Alice", "wonderland", "Looking-Glass"} {
				if contains(string(p.Data), word) {
					t.Errorf("a message says %q:\n%s", word, p.Data)
				}
			}
		}
	})
}

// What hides the caller, and what a program may say in its place.
func TestAnonymousHeaders(t *testing.T) {
	for _, test := range []struct {
		name   string
		header []sip.Edit
		want   string
	}{
		{"by default", nil, "id"},
		{"with a privacy service", []sip.Edit{sip.Privacy{"id", "header", "critical"}, sip.ProxyRequire{sip.OptionPrivacy}}, "id;header;critical"},
		{"with one that is not told of the id", []sip.Edit{sip.Privacy{"header"}}, "header;id"},
		{"as the program wants it", []sip.Edit{sip.Privacy{"none"}}, "none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
					if req.Method() != sip.INVITE {
						return
					}
					contact, err := sip.Get[sip.Contact](req)
					if err != nil || contact.URI.User != "" || contact.URI.Host != "192.0.2.1" {
						t.Errorf("Contact is %v, %v", contact, err)
					}
					if got, _ := req.Value("Privacy"); got != test.want {
						t.Errorf("Privacy is %s, want %s", got, test.want)
					}
					if req.From().Tag() == "" {
						t.Error("From has no tag")
					}
					tx.Reply(sip.StatusBusyHere)
				})
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
				if _, err := alice.Invite(t.Context(), bobURI, &ua.InviteOptions{Anonymous: true, Header: test.header}); !errors.Is(err, sip.StatusBusyHere) {
					t.Error(err)
				}
			})
		})
	}
}

// P-Preferred-Identity goes to a proxy of ours, and to nobody else: not to a callee, and
// not to where a call is redirected (RFC 3325 section 6).
func TestPreferredIdentity(t *testing.T) {
	for _, test := range []struct {
		name   string
		cfg    ua.Config
		target string
		want   string // by INVITE
	}{
		{"to a stranger", ua.Config{}, "sip:bob@192.0.2.2", "-"},
		{"to our own domain", ua.Config{}, "sip:bob@192.0.2.3", "<sip:desk@192.0.2.3>"},
		{"by a proxy", ua.Config{Proxy: "sip:192.0.2.2"}, "sip:bob@b.example", "<sip:desk@192.0.2.3>"},
		{"redirected to a stranger", ua.Config{}, "sip:moved@192.0.2.3", "<sip:desk@192.0.2.3> -"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				got := ""
				for _, addr := range []string{"192.0.2.2", "192.0.2.3"} {
					newPeer(t, n, addr, func(tx *transaction.Server, req *sip.Request) {
						if req.Method() != sip.INVITE {
							return
						}
						id, ok := req.Value("P-Preferred-Identity")
						if !ok {
							id = "-"
						}
						got += " " + id
						if req.URI().User == "moved" {
							tx.Reply(sip.StatusMovedTemporarily, contactAt("192.0.2.2"))
							return
						}
						tx.Reply(sip.StatusBusyHere)
					})
				}
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@192.0.2.3", test.cfg)
				desk := sip.PPreferredIdentity{URI: sip.URI{Scheme: "sip", User: "desk", Host: "192.0.2.3"}}
				if _, err := alice.Invite(t.Context(), test.target, &ua.InviteOptions{Header: []sip.Edit{desk}}); !errors.Is(err, sip.StatusBusyHere) {
					t.Error(err)
				}
				if got != " "+test.want {
					t.Errorf("P-Preferred-Identity is%s, want %s", got, test.want)
				}
			})
		})
	}
}

// The word of a stranger is not taken for who is calling, whatever the request is: that
// of whom the program trusts is.
func TestAssertedIdentity(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			got := make(chan []sip.Address, 3)
			cfg := ua.Config{
				OnInvite: func(ctx context.Context, in *ua.Invitation) {
					got <- in.Asserted()
					in.Reject(ctx, sip.StatusBusyHere)
				},
				OnMessage: func(_ context.Context, m ua.Message) error { got <- m.Asserted; return nil },
				Methods: map[sip.Method]func(context.Context, *ua.Request){
					play: func(_ context.Context, r *ua.Request) { got <- r.Asserted(); r.Reply(sip.StatusOK) },
				},
			}
			if trusted {
				cfg.Trusts = func(f transport.Flow) bool { return f.RemoteAddr().Addr() == netip.MustParseAddr("192.0.2.9") }
			}
			newAgent(t, n, "192.0.2.2", "sip:bob@b.example", cfg)
			proxy := newPeer(t, n, "192.0.2.9", nil)
			who := sip.Field{Name: "P-Asserted-Identity", Value: `"Alice" <sip:alice@a.example>, tel:+1234, sip:x@y`}
			for _, method := range []sip.Method{sip.INVITE, sip.MESSAGE, play} {
				if _, err := proxy.Do(t.Context(), request(method, bobURI, contactAt("192.0.2.9"), who)); err != nil {
					t.Fatal(err)
				}
				want := "[]"
				if trusted {
					want = `["Alice" <sip:alice@a.example> <tel:+1234>]`
				}
				if got := fmt.Sprint(<-got); got != want {
					t.Errorf("%s: asserted %s, want %s", method, got, want)
				}
			}
		})
	}
}

// By default the proxy of our domain is trusted if it has proved to be that, over TLS.
func TestAssertedOverTLS(t *testing.T) {
	for domain, want := range map[string]int{"example.com": 1, "other.example": 0} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			authority := siptest.NewAuthority()
			dns, err := siptest.NewDNS(oneServer)
			if err != nil {
				t.Fatal(err)
			}
			defer dns.Close()
			if err := dns.Listen(n.Host("192.0.2.53")); err != nil {
				t.Fatal(err)
			}
			flows := make(chan transport.Flow, 1)
			proxy, err := transaction.Listen(&transport.Config{
				Network: n.Host("192.0.2.2"), Listen: []string{"tls:192.0.2.2:5061"}, Logger: quiet,
				TLS: &tls.Config{Certificates: []tls.Certificate{authority.Certificate("example.com")}},
			}, &transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) {
				flows <- tx.Flow()
				tx.Reply(sip.StatusOK)
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer proxy.Close()
			got := make(chan int, 1)
			local := n.Host("192.0.2.9")
			alice, err := ua.New("sip:alice@"+domain, &ua.Config{
				Network: local, Listen: []string{"udp:192.0.2.9:5060"}, Logger: quiet, TLS: &tls.Config{RootCAs: authority.Pool()},
				Resolver: &resolve.DNS{Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")}, Dialer: local},
				OnInvite: func(ctx context.Context, in *ua.Invitation) {
					got <- len(in.Asserted())
					in.Reject(ctx, sip.StatusBusyHere)
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer alice.Close()
			if _, err := alice.Options(t.Context(), "sip:example.com;transport=tls"); err != nil {
				t.Fatal(err)
			}
			invite := request(sip.INVITE, "sip:alice@192.0.2.9;transport=tls", contactAt("192.0.2.2"), sip.PAssertedIdentity{URI: sip.URI{Scheme: "sip", User: "bob", Host: "example.com"}})
			if _, err := proxy.Do(transaction.WithFlow(t.Context(), <-flows), invite); err != nil {
				t.Fatal(err)
			}
			if got := <-got; got != want {
				t.Errorf("an agent of %s is told of %d identities by example.com, want %d", domain, got, want)
			}
		})
	}
}

const oneServer = `
_sips._tcp.example.com. 300 IN SRV 1 1 5061 a.example.com.
a.example.com. 300 IN A 192.0.2.2
`
