package interop_test

import (
	"crypto/rand"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// pidf is alice's presence.
func pidf(basic string) sip.Body {
	return sip.Body{Type: "application/pidf+xml", Content: `<?xml version="1.0"?>` +
		`<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@sip.test">` +
		`<tuple id="t1"><status><basic>` + basic + `</basic></status></tuple></presence>`}
}

// wantPublished waits until a compositor has one state of alice, with that
// body, and returns its entity-tag.
func wantPublished(t *testing.T, esc *interop.Kamailio, body sip.Body) string {
	t.Helper()
	var have []interop.Presentity
	if !interop.Eventually(5*time.Second, func() bool {
		have = esc.Published(t)
		return len(have) == 1 && have[0].User == "alice" && have[0].Event == "presence" && have[0].Body == body.Content
	}) {
		t.Fatalf("published: %+v, want one state of alice with %s", have, body.Content)
	}
	return have[0].ETag
}

// wantNothing waits until a compositor has no state of anybody: Kamailio answers
// before it has put it out of its table.
func wantNothing(t *testing.T, esc *interop.Kamailio) {
	t.Helper()
	var have []interop.Presentity
	if !interop.Eventually(5*time.Second, func() bool {
		have = esc.Published(t)
		return len(have) == 0
	}) {
		t.Errorf("published: %+v, want nothing any more", have)
	}
}

// We publish at Kamailio, which asks for a password: a state is there, is
// replaced, refreshed in time with a new entity-tag each time, and gone when it is
// closed.
func TestPublishWithKamailio(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		for _, transport := range []string{"udp", "tcp"} {
			t.Run(transport, func(t *testing.T) {
				t.Parallel()
				esc := interop.StartPresence(t)
				alice := newAgent(t, "sip:alice@sip.test", &ua.Config{
					Password: "alicepw", Proxy: "sip:" + esc.Addr + ";transport=" + transport,
				})
				pub, err := alice.Publish(t.Context(), "presence", pidf("open"), &ua.PublishOptions{
					Expires: 3 * time.Second, OnError: func(err error) { t.Error(err) },
				})
				if err != nil {
					t.Fatal(err)
				}
				wantPublished(t, esc, pidf("open"))
				if err := pub.Update(t.Context(), pidf("closed")); err != nil {
					t.Fatal(err)
				}
				etag := wantPublished(t, esc, pidf("closed"))
				for range 2 {
					was := etag
					if !interop.Eventually(5*time.Second, func() bool {
						etag = wantPublished(t, esc, pidf("closed"))
						return etag != was
					}) {
						t.Error("no refresh of a state of 3 s after 5 s")
					}
				}
				if err := pub.Close(); err != nil {
					t.Error(err)
				}
				wantNothing(t, esc)
			})
		}
	})
}

// What Kamailio refuses, and what we make of that. Where it does not know an
// entity-tag any more the state is published anew, and there is nothing to close.
func TestKamailioRefusesToPublish(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		esc := interop.StartPresence(t)
		alice := newAgent(t, "sip:alice@sip.test", &ua.Config{Password: "alicepw", Proxy: "sip:" + esc.Addr})
		_, err := alice.Publish(t.Context(), "chess", pidf("open"), nil)
		wantError(t, err, sip.StatusBadEvent)
		guess := newAgent(t, "sip:alice@sip.test", &ua.Config{Password: "guess", Proxy: "sip:" + esc.Addr})
		_, err = guess.Publish(t.Context(), "presence", pidf("open"), nil)
		wantError(t, err, ua.ErrPassword)

		pub, err := alice.Publish(t.Context(), "presence", pidf("open"), nil)
		if err != nil {
			t.Fatal(err)
		}
		unpublish(t, esc.Addr, wantPublished(t, esc, pidf("open")))
		wantNothing(t, esc)
		if err := pub.Update(t.Context(), pidf("closed")); err != nil {
			t.Error(err)
		}
		unpublish(t, esc.Addr, wantPublished(t, esc, pidf("closed")))
		if err := pub.Close(); err != nil {
			t.Error(err)
		}
	})
}

// unpublish removes a state of alice's behind the back of who published it.
func unpublish(t *testing.T, server, etag string) {
	t.Helper()
	l, err := dialog.Listen(&transport.Config{Listen: []string{"udp:127.0.0.1:0"}}, &dialog.Config{
		Auth: digest.NewClient(digest.Credentials{Username: "alice", Password: "alicepw"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := netip.MustParseAddrPort(server)
	alice := sip.URI{Scheme: "sip", User: "alice", Host: "sip.test"}
	resp, err := l.Do(t.Context(), sip.NewRequest(sip.PUBLISH, alice,
		sip.Route{URI: sip.URI{Scheme: "sip", Host: addr.Addr().String(), Port: int(addr.Port()), Params: ";lr"}},
		sip.MaxForwards(70), sip.From{URI: alice, Params: ";tag=x"}, sip.To{URI: alice}, sip.CallID(rand.Text()), sip.CSeq{Seq: 1, Method: sip.PUBLISH},
		sip.Event{Package: "presence"}, sip.SIPIfMatch(etag), sip.Expires(0)))
	if err != nil || !resp.Status().Success() {
		t.Fatalf("remove %s: %v, %v", etag, resp, err)
	}
}

// Telephones publish their presence at a compositor of ours, and refresh it:
// Linphone as often as that wants, baresip as often as it was told to.
func TestTelephonesPublish(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		for user, start := range map[string]func(t *testing.T, proxy string){
			"bob": func(t *testing.T, proxy string) {
				interop.StartBaresip(t, &interop.BaresipOptions{User: "bob", Proxy: proxy, Publish: 3})
			},
			"carol": func(t *testing.T, proxy string) {
				interop.StartLinphone(t, &interop.LinphoneOptions{User: "carol", Proxy: proxy, Publish: true})
			},
		} {
			t.Run(user, func(t *testing.T) {
				t.Parallel()
				esc := ua.NewCompositor(&ua.CompositorConfig{MinExpires: time.Second, MaxExpires: 6 * time.Second})
				server := newAgent(t, "sip:presence@127.0.0.1", &ua.Config{Compositor: esc})
				start(t, registrarAt(t, server.Addr("udp")))
				aor := sip.URI{Scheme: "sip", User: user, Host: "sip.test"}
				var states []ua.EventState
				if !interop.Eventually(10*time.Second, func() bool {
					states = esc.States(aor, "presence")
					return len(states) > 0
				}) {
					t.Fatal("nothing published after 10 s")
				}
				first := states[0]
				if !strings.Contains(first.Body.Content, "<presence") || !strings.Contains(first.Body.Content, "sip:"+user+"@sip.test") {
					t.Errorf("published: %s, want presence of %s", first.Body.Content, user)
				}
				for range 2 {
					was := states[len(states)-1]
					if !interop.Eventually(10*time.Second, func() bool {
						states = esc.States(aor, "presence")
						return len(states) > 0 && states[len(states)-1].ETag != was.ETag
					}) {
						t.Fatalf("no refresh of %+v, but %+v", was, states)
					}
				}
			})
		}
	})
}

// registrarAt makes a proxy that accepts every REGISTER and has PUBLISH and SUBSCRIBE
// go to a presence server. It returns its address.
func registrarAt(t *testing.T, esc netip.AddrPort) string {
	t.Helper()
	route := sip.Route{URI: sip.URI{Scheme: "sip", Host: esc.Addr().String(), Port: int(esc.Port()), Params: ";lr"}}
	l, err := transaction.Listen(&transport.Config{Listen: []string{"udp:127.0.0.1:0"}}, &transaction.Config{
		Handler: func(tx *transaction.Server, req *sip.Request) {
			switch req.Method() {
			case sip.REGISTER:
				contact, _ := sip.Get[sip.Contact](req)
				tx.Reply(sip.StatusOK, contact, sip.Expires(600))
			case sip.PUBLISH, sip.SUBSCRIBE:
				out := req.With(sip.MaxForwards(req.MaxForwards()-1), sip.Del("Route"), route)
				for resp, err := range tx.Layer().Responses(tx.Context(), out) {
					if err != nil {
						t.Errorf("forward %s: %v", req.Method(), err)
						return
					}
					tx.Respond(resp.With(sip.Pop("Via")))
				}
			default:
				tx.Reply(sip.StatusMethodNotAllowed, sip.Allow{sip.REGISTER, sip.PUBLISH, sip.SUBSCRIBE})
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Endpoint().Addr("udp").String()
}
