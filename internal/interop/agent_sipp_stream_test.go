package interop_test

import (
	"context"
	"crypto/tls"
	"sync"
	"testing"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// Calls over TCP and TLS in both directions, over one connection for all and
// over one for each. Both sides of TLS want to see a certificate of the other.
func TestStreamCallsWithSIPp(t *testing.T) {
	interop.Need(t)
	const rate = 50
	authority := siptest.NewAuthority()
	keys := newKeyLog(t)
	secure := &tls.Config{
		RootCAs: authority.Pool(), Certificates: []tls.Certificate{authority.Certificate("sip.test")},
		ClientCAs: authority.Pool(), ClientAuth: tls.RequireAndVerifyClientCert, KeyLogWriter: keys,
	}
	tunnel := &interop.TunnelOptions{Authority: authority, AskCert: true}
	opts := &interop.JudgeOptions{KeyLog: []string{keys.Name()}}
	var mu sync.Mutex // guards opts
	atTLS := func(addr string) {
		mu.Lock()
		defer mu.Unlock()
		opts.TLS = append(opts.TLS, addr)
	}
	capture := interop.StartCapture(t)
	t.Run("calls", func(t *testing.T) {
		for _, c := range []struct {
			transport string
			perCall   bool
			calls     int
		}{{"tcp", false, 100}, {"tcp", true, 100}, {"tls", false, 30}, {"tls", true, 30}} {
			name := c.transport
			if c.perCall {
				name += " per call"
			}
			t.Run("we call "+name, func(t *testing.T) {
				t.Parallel()
				script := interop.StartSIPp(t, "uas", &interop.SIPpOptions{Transport: c.transport, Calls: c.calls, TLS: tunnel})
				if c.transport == "tls" {
					atTLS(script.Addr)
				}
				newCaller := func() *ua.Agent {
					return newAgent(t, "sip:alice@127.0.0.1", &ua.Config{TLS: secure, Listen: []string{"udp:127.0.0.1:0"}})
				}
				alice := newCaller()
				for range c.calls {
					if c.perCall {
						alice = newCaller()
					}
					call, err := alice.Invite(t.Context(), "sip:sipp@"+script.Addr+";transport="+c.transport, nil)
					if err != nil {
						t.Error(err)
						break
					}
					if err := call.Hangup(t.Context()); err != nil {
						t.Error(err)
					}
					if c.perCall {
						alice.Close()
					}
				}
				wantCalls(t, script, c.calls)
			})
			t.Run("we are called "+name, func(t *testing.T) {
				t.Parallel()
				bob := newAgent(t, "sip:bob@127.0.0.1", &ua.Config{
					TLS: secure, Listen: []string{c.transport + ":127.0.0.1:0"},
					OnInvite: func(ctx context.Context, in *ua.Invitation) {
						if err := pickUp(ctx, in); err != nil {
							t.Error(err)
						}
					},
				})
				addr := bob.Addr(c.transport).String()
				if c.transport == "tls" {
					atTLS(addr)
				}
				script := interop.StartSIPp(t, "uac", &interop.SIPpOptions{
					Target: addr, Transport: c.transport, PerCall: c.perCall, Calls: c.calls, Rate: rate, TLS: tunnel,
				})
				wantCalls(t, script, c.calls)
			})
		}
	})
	v := judge(t, capture, opts)
	// INVITE 180 200 ACK BYE 200; some packets hold two of them.
	if v.SIP < 2*260*5 || v.TLS < 4*30*5 {
		t.Errorf("in the capture %v, want 5 for each of 520 calls, 120 of them over TLS", v)
	}
}
