package transaction

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

const (
	proxyAddr = "192.0.2.3"
	proxyURI  = "sip:bob@192.0.2.3"
)

// proxy makes a layer that forwards every request to bob, and every response
// back (RFC 3261 section 16). cfg is what else it is to have.
func proxy(t *testing.T, n *siptest.Network, bob string, cfg Config) *Layer {
	t.Helper()
	uri, err := sip.ParseURI(bob)
	if err != nil {
		t.Fatal(err)
	}
	var l *Layer
	cfg.Merged = true
	cfg.Handler = func(tx *Server, req *sip.Request) {
		req = req.WithURI(uri)
		if req.Method() == sip.ACK {
			tx.Layer().Send(tx.Context(), req)
			return
		}
		for resp, err := range tx.Layer().Responses(tx.Context(), req) {
			switch {
			case errors.Is(err, ErrTimeout):
				tx.Reply(sip.StatusRequestTimeout)
			case err == nil:
				tx.Respond(resp.With(sip.Pop("Via")))
			}
		}
	}
	cfg.Accepted = func(_ *sip.Request, resp *sip.Response) {
		go func() { // ends with the sending of one response
			if err := l.Endpoint().Forward(context.Background(), resp.With(sip.Pop("Via"))); err != nil {
				t.Error(err)
			}
		}()
	}
	l = listen(t, n.Host(proxyAddr), &cfg)
	return l
}

// A callee rings and nobody picks up: timer C of the proxy cancels the INVITE
// three minutes after the last ringing, and the 487 goes to the caller (RFC 3261
// section 16.8).
func TestTimerC(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var cause error
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			tx.Reply(sip.StatusRinging)
			<-time.After(2 * time.Minute)
			tx.Reply(sip.StatusSessionProgress)
			<-tx.Context().Done()
			cause = context.Cause(tx.Context())
		}})
		proxy(t, n, bobURI, Config{Timers: Timers{C: 3 * time.Minute}})
		alice := listen(t, n.Host(aliceAddr), nil)
		start := time.Now()
		expect(t, alice, request(sip.INVITE, proxyURI), "180 183 487")
		if took := time.Since(start).Round(time.Second); took != 5*time.Minute {
			t.Errorf("the call ended after %v, want 5m", took)
		}
		if !errors.Is(cause, ErrCancelled) {
			t.Errorf("the callee's context ended with %v, want %v", cause, ErrCancelled)
		}
	})
}

// The callee has gone away while it rang: nothing answers the CANCEL, and the
// caller gets 408. A proxy keeps nothing of it.
func TestTimerCOfSilentCallee(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		proxy(t, n, bobURI, Config{Timers: Timers{C: 3 * time.Minute}})
		alice := listen(t, n.Host(aliceAddr), nil)
		go func() { // ends with the INVITE
			invite := bob.request(sip.INVITE)
			bob.to = net.UDPAddrFromAddrPort(netip.MustParseAddrPort(proxyAddr + ":5060"))
			bob.send(reply(invite, sip.StatusRinging, "b"))
		}()
		start := time.Now()
		expect(t, alice, request(sip.INVITE, proxyURI), "180 408")
		if took := time.Since(start).Round(time.Second); took != 3*time.Minute+32*time.Second {
			t.Errorf("the call ended after %v, want 3m32s", took)
		}
	})
}

// Without timer C a user agent lets the callee ring.
func TestNoTimerC(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			tx.Reply(sip.StatusRinging)
			<-time.After(24 * time.Hour)
			tx.Reply(sip.StatusBusyHere)
		}})
		expect(t, listen(t, n.Host(aliceAddr), nil), request(sip.INVITE, bobURI), "180 486")
	})
}
