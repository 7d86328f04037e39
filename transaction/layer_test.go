package transaction

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// listen makes a layer on a host of the in-memory network.
func listen(t *testing.T, host *siptest.Host, cfg *Config) *Layer {
	t.Helper()
	l, err := Listen(&transport.Config{
		Listen:  []string{"udp:" + netip.AddrPortFrom(host.Addr(), 5060).String(), "tcp:" + netip.AddrPortFrom(host.Addr(), 5060).String()},
		Network: host,
	}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func request(method sip.Method, uri string) *sip.Request {
	u, err := sip.ParseURI(uri)
	if err != nil {
		panic(err)
	}
	return sip.NewRequest(method, u,
		sip.MaxForwards(70),
		sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: "a.example"}, Params: ";tag=1"},
		sip.To{URI: u},
		sip.CallID("call-1"),
		sip.CSeq{Seq: 1, Method: method})
}

// An INVITE that rings is cancelled when its context ends: the handler's
// context ends, the CANCEL gets 200, and the INVITE 487.
func TestContextIsCancel(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
				var cause error
				listen(t, n.Host("192.0.2.2"), &Config{Handler: func(tx *Server, req *sip.Request) {
					tx.Reply(sip.StatusRinging)
					<-tx.Context().Done()
					cause = context.Cause(tx.Context())
				}})
				alice := listen(t, n.Host("192.0.2.1"), nil)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				var got []sip.Status
				for resp, err := range alice.Responses(ctx, request(sip.INVITE, "sip:bob@192.0.2.2;transport="+transport)) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, resp.Status())
				}
				if len(got) != 2 || got[0] != 180 || got[1] != 487 {
					t.Errorf("responses %v, want 180 and 487", got)
				}
				if !errors.Is(cause, ErrCancelled) {
					t.Errorf("the handler's context ended with %v", cause)
				}
			})
		})
	}
}
