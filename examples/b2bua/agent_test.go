package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/ua"
)

// line is audio that only says where it goes.
type line struct{ now string }

func (l *line) Offer(context.Context) (*sdp.Media, error) {
	m := &sdp.Media{Type: "audio", Port: 4000, Proto: "RTP/AVP"}
	m.SetRTP([]sdp.Format{{PayloadType: 0, Name: "PCMU", ClockRate: 8000}})
	return m, nil
}

func (l *line) Answer(ctx context.Context, _ *sdp.Media) (*sdp.Media, error) { return l.Offer(ctx) }

func (l *line) Update(_ context.Context, local, remote *sdp.Media) error {
	l.now = fmt.Sprintf("%s %s", local.Direction, remote.Address)
	return nil
}

func (l *line) Close() error { return nil }

// Two agents talk through the bridge: the media goes from one to the other, and each
// can hold the other and hang up.
func TestAgents(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		var ours, theirs line
		agent := func(addr string, cfg ua.Config) *ua.Agent {
			sockets := w.sockets(addr)
			cfg.Network, cfg.Listen = sockets.Network, sockets.Listen
			a, err := ua.New("sip:"+names[addr]+"@"+addr, &cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { a.Close() })
			return a
		}
		calls := make(chan *ua.Call, 1)
		agent(bobAddr, ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			in.Ring(ctx)
			call, err := in.Answer(ctx, &theirs)
			if err != nil {
				t.Error(err)
				return
			}
			calls <- call
		}})
		alice := agent(aliceAddr, ua.Config{})
		for _, last := range []string{"alice", "bob"} {
			a, err := alice.Invite(t.Context(), "sip:bob@"+bridgeAddr, &ua.InviteOptions{Streams: []ua.Stream{&ours}})
			if err != nil {
				t.Fatal(err)
			}
			b := <-calls
			for _, step := range []struct {
				name         string
				do           func(context.Context) error
				ours, theirs string
			}{
				{"the call", func(context.Context) error { return nil }, "sendrecv", "sendrecv"},
				{"Alice holds", a.Hold, "sendonly", "recvonly"},
				{"Bob holds", b.Hold, "inactive", "inactive"},
				{"Alice resumes", a.Resume, "recvonly", "sendonly"},
				{"Bob resumes", b.Resume, "sendrecv", "sendrecv"},
			} {
				if err := step.do(t.Context()); err != nil {
					t.Errorf("%s: %v", step.name, err)
				}
				w.so()
				synctest.Wait()
				if want := step.ours + " " + bobAddr; ours.now != want {
					t.Errorf("%s: Alice has %s, want %s", step.name, ours.now, want)
				}
				if want := step.theirs + " " + aliceAddr; theirs.now != want {
					t.Errorf("%s: Bob has %s, want %s", step.name, theirs.now, want)
				}
			}
			one, other := a, b
			if last == "bob" {
				one, other = b, a
			}
			if err := one.Hangup(t.Context()); err != nil {
				t.Error(err)
			}
			<-other.Done()
			if !errors.Is(other.Err(), ua.ErrHungUp) {
				t.Errorf("%s hangs up, and the other call ended with %v", last, other.Err())
			}
		}
	})
}
