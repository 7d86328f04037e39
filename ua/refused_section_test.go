package ua_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// choosy refuses the first section that it is asked for, in words, and has no use for others.
type choosy struct {
	*fakeStream
	asked, refused int
}

func (c *choosy) Answer(_ context.Context, remote *sdp.Media) (*sdp.Media, error) {
	if c.asked++; c.asked > 1 {
		return nil, nil
	}
	return &sdp.Media{Formats: remote.Formats, Attributes: []sdp.Attribute{{Name: "why", Value: "not-now"}}}, nil
}

func (c *choosy) Refused() { c.refused++ }

// A stream that refuses a section in words is the last that is asked for it, and what it says goes into the
// answer. It has no section then. The one whose section it was is told, at the other side.
func TestSectionRefusedInWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Record: true})
		his, other := &choosy{fakeStream: newStream(t)}, newStream(t)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			if _, err := in.Answer(ctx, his, other); err != nil {
				t.Error(err)
			}
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		one, two := &choosy{fakeStream: newStream(t)}, newStream(t)
		call, err := alice.Invite(t.Context(), bobURI, &ua.InviteOptions{Streams: []ua.Stream{one, two}})
		if err != nil {
			t.Fatal(err)
		}
		one.check(t, "the one that is refused", "", false)
		two.check(t, "the other", "sendrecv 192.0.2.2:4000", false)
		other.check(t, "Bob's other", "sendrecv 192.0.2.1:4000", false)
		if one.refused != 1 || his.asked != 2 {
			t.Errorf("told %d times of the refusal, and Bob asked %d times, want 1 and 2", one.refused, his.asked)
		}
		said := false
		for _, p := range n.Packets() {
			said = said || strings.Contains(string(p.Data), "m=audio 0 RTP/AVP 0\r\na=why:not-now\r\n")
		}
		if !said {
			t.Error("no answer has the words of the refusal")
		}
		call.Hangup(t.Context())
	})
}

// A call in which every section is refused in words is refused.
func TestEverySectionRefusedInWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		answered := make(chan error, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			_, err := in.Answer(ctx, &choosy{fakeStream: newStream(t)})
			answered <- err
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		if _, err := alice.Invite(t.Context(), bobURI, streams(newStream(t))); err == nil {
			t.Error("Bob has answered")
		}
		if err := <-answered; !errors.Is(err, ua.ErrNoStream) {
			t.Errorf("Answer: %v, want ErrNoStream", err)
		}
	})
}
