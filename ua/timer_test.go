package ua_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// requests returns the requests of a method that a host has sent.
func requests(t *testing.T, n *siptest.Network, host string, method sip.Method) (reqs []*sip.Request) {
	t.Helper()
	for _, p := range n.Packets() {
		m, err := sip.Parse(string(p.Data))
		if err != nil {
			t.Fatal(err)
		}
		if req, ok := m.(*sip.Request); ok && req.Method() == method && p.From.Addr().String() == host {
			reqs = append(reqs, req)
		}
	}
	return reqs
}

// Two agents with nothing set refresh their call with UPDATE every fifteen minutes; the streams
// do not notice. When one vanishes the other gives the call up: soon, if it is the one who
// refreshes, and else when that has not come in time.
func TestSessionTimer(t *testing.T) {
	for _, vanishes := range []string{"nobody", "Alice", "Bob"} {
		t.Run(vanishes, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPairOf(t, ua.Config{}, ua.Config{})
				start := time.Now()
				time.Sleep(100 * time.Minute)
				if got := len(requests(t, p.n, "192.0.2.1", sip.UPDATE)); got != 6 {
					t.Errorf("Alice has sent %d UPDATEs in 100 minutes, want 6", got)
				}
				p.ours.check(t, "Alice", "", false)
				p.theirs.check(t, "Bob", "", false)
				if vanishes == "nobody" {
					p.b.Hangup(t.Context())
					return
				}
				p.n.Cut(p.n.Host("192.0.2.1"), p.n.Host("192.0.2.2"))
				left, want, after := p.a, dialog.ErrLost, 105*time.Minute+32*time.Second
				if vanishes == "Alice" {
					left, want, after = p.b, dialog.ErrNotRefreshed, 120*time.Minute-32*time.Second
				}
				<-left.Done()
				took := time.Since(start)
				if !errors.Is(left.Err(), want) || errors.Is(left.Err(), ua.ErrHungUp) != (want == dialog.ErrLost) || took < after || took > after+2*time.Second {
					t.Errorf("the call ended with %v after %v, want %v after %v", left.Err(), took, want, after)
				}
				p.n.Mend(p.n.Host("192.0.2.1"), p.n.Host("192.0.2.2"))
			})
		})
	}
}

// A peer without UPDATE is refreshed with INVITE: the very description as before, o= too, and
// no stream notices (RFC 4028 section 7.4). A stream that has changed tells so.
func TestRefreshByInvite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Record: true})
		newCaller(t, n, "192.0.2.2", &dialog.Config{
			SessionTimer: &dialog.SessionTimer{},
			OnInvite: func(_ context.Context, in *dialog.Invitation) {
				in.Accept(sip.Allow{sip.INVITE, sip.ACK, sip.BYE, sip.CANCEL}, describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
			},
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{SessionTimer: 2 * time.Minute})
		s := newStream(t)
		call, err := alice.Invite(t.Context(), bobURI, streams(s))
		if err != nil {
			t.Fatal(err)
		}
		s.told()
		time.Sleep(10*time.Minute + time.Second)
		invites := requests(t, n, "192.0.2.1", sip.INVITE)
		if len(invites) != 11 {
			t.Errorf("Alice has sent %d INVITEs, want 11", len(invites))
		}
		for _, invite := range invites {
			if invite.Body() != invites[0].Body() {
				t.Errorf("the refresh says %s, want %s", invite.Body(), invites[0].Body())
			}
		}
		s.check(t, "Alice", "", false)
		call.Hangup(t.Context())
	})
}

// A peer that knows no session timers: there is none, and the call goes on for a day.
func TestNoSessionTimer(t *testing.T) {
	for _, off := range []bool{false, true} {
		t.Run(fmt.Sprint("off=", off), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(&siptest.NetworkConfig{Record: true})
				b := newBank(t, n, func(b *bank) { b.say("one", 200, b.audio(5000)) })
				cfg := ua.Config{}
				if off {
					cfg.SessionTimer = -1
				}
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", cfg)
				call, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(24 * time.Hour)
				if got := b.heard(); got != "ACK one" || call.Err() != nil {
					t.Errorf("the phone got %s, and the call has ended with %v", got, call.Err())
				}
				invite := requests(t, n, "192.0.2.1", sip.INVITE)[0]
				_, asks := invite.Value("Session-Expires")
				supported, _ := sip.Get[sip.Supported](invite)
				if asks == off || slices.Contains(supported, sip.OptionTimer) == off {
					t.Errorf("the INVITE asks for a timer: %v, and supports %v", asks, supported)
				}
				call.Hangup(t.Context())
			})
		})
	}
}

// Too short an interval is refused with 422 and asked for again, by either side (RFC 4028
// sections 6 and 7.3): what was offered before is offered again.
func TestIntervalTooSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Record: true})
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: answerWith(calls, newStream(t))})
		carol := newCaller(t, n, "192.0.2.3", &dialog.Config{
			SessionTimer: &dialog.SessionTimer{Min: time.Hour},
			OnInvite: func(_ context.Context, in *dialog.Invitation) {
				in.Accept(describe("192.0.2.3", 1, "audio 5000 RTP/AVP 0"))
			},
		})
		_ = carol
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		s := newStream(t)
		call, err := alice.Invite(t.Context(), carolURI, streams(s))
		if err != nil {
			t.Fatal(err)
		}
		invites := requests(t, n, "192.0.2.1", sip.INVITE)
		if len(invites) != 2 || invites[0].Body() != invites[1].Body() {
			t.Errorf("Alice has sent %d INVITEs", len(invites))
		}
		if se, err := sip.Get[sip.SessionExpires](invites[1]); err != nil || se.Seconds != 3600 {
			t.Errorf("the second INVITE asks for %v, %v, want 3600", se, err)
		}
		s.check(t, "Alice", "sendrecv 192.0.2.3:5000", false)
		call.Hangup(t.Context())

		dave := newCaller(t, n, "192.0.2.4", nil)
		hasty := request(sip.INVITE, bobURI, describe("192.0.2.4", 1, "audio 5000 RTP/AVP 0"), sip.Supported{sip.OptionTimer}, sip.SessionExpires{Seconds: 30})
		_, resp, err := dave.Invite(t.Context(), hasty, nil)
		if min, minErr := sip.Get[sip.MinSE](resp); err != nil || resp.Status() != 422 || minErr != nil || min != 90 {
			t.Errorf("the hasty INVITE got %v, %v, want 422 with 90", resp, err)
		}
	})
}

// A refresh that meets a Hold of the same side waits for it; one that is refused is tried again.
func TestRefreshMeetsHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		reinvites := 0
		newCaller(t, n, "192.0.2.2", &dialog.Config{
			SessionTimer: &dialog.SessionTimer{},
			OnInvite: func(_ context.Context, in *dialog.Invitation) {
				answer := describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0")
				if in.Re() {
					if reinvites++; reinvites == 2 {
						in.Reject(sip.StatusServiceUnavailable)
						return
					}
					if strings.Contains(in.Request().Body(), "a=sendonly") {
						answer = describe("192.0.2.2", 2, "audio 5000 RTP/AVP 0|a=recvonly")
					}
					time.Sleep(10 * time.Second)
				}
				in.Accept(sip.Allow{sip.INVITE, sip.ACK, sip.BYE, sip.CANCEL}, answer)
			},
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{SessionTimer: 2 * time.Minute})
		s := newStream(t)
		call, err := alice.Invite(t.Context(), bobURI, streams(s))
		if err != nil {
			t.Fatal(err)
		}
		s.told()
		time.Sleep(55 * time.Second)
		if err := call.Hold(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Minute)
		s.check(t, "Alice", "sendonly 192.0.2.2:5000", false)
		if call.Err() != nil {
			t.Errorf("the call has ended: %v", call.Err())
		}
		call.Hangup(t.Context())
	})
}
