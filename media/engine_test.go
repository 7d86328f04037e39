package media

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sdp"
)

// A side is one user agent: a stream and the engine that describes it.
type side struct {
	audio  *Audio
	engine *sdp.Engine
}

// offers makes an offer, lets the other answer, and puts it in force.
func (s side) offers(t *testing.T, other side) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	m, err := s.audio.Offer(ctx)
	check(err)
	offer, err := s.engine.Offer([]*sdp.Media{m})
	check(err)
	offered, err := other.engine.ReceiveOffer(offer)
	check(err)
	m, err = other.audio.Answer(ctx, offered[0])
	check(err)
	answer, pairs, err := other.engine.Answer([]*sdp.Media{m})
	check(err)
	check(other.audio.Update(ctx, pairs[0].Local, pairs[0].Remote))
	pairs, err = s.engine.ReceiveAnswer(answer)
	check(err)
	check(s.audio.Update(ctx, pairs[0].Local, pairs[0].Remote))
}

// A whole call in SDP: Alice calls, Bob puts her on hold, she refreshes the
// session without ending the hold, and he takes her back.
func TestCallInSDP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		alice := side{NewAudio(&AudioConfig{Network: w.host("192.0.2.1")}), sdp.NewEngine(nil)}
		bob := side{NewAudio(&AudioConfig{Network: w.host("192.0.2.2")}), sdp.NewEngine(nil)}
		talking := func(want bool) {
			t.Helper()
			pass(100 * time.Millisecond)
			before := alice.audio.Stats().PacketsSent
			pass(time.Second)
			if got := alice.audio.Stats().PacketsSent > before; got != want {
				t.Errorf("alice is talking: %v, want %v", got, want)
			}
		}
		alice.offers(t, bob)
		talking(true)
		bob.audio.SetDirection(sdp.SendOnly)
		bob.offers(t, alice)
		talking(false)
		alice.offers(t, bob)
		talking(false)
		bob.audio.SetDirection(sdp.SendRecv)
		bob.offers(t, alice)
		talking(true)
		alice.engine.Hold(sdp.Inactive)
		alice.offers(t, bob)
		talking(false)
		closed(t, alice.audio, bob.audio)
	})
}

// The peer first has PCMU as 101, where we have telephone-event, and then as
// 0. We can hold it all the same: our events find a number that never meant
// anything else.
func TestHoldAfterNumbersChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		alice := side{NewAudio(&AudioConfig{Network: w.host("192.0.2.1")}), sdp.NewEngine(nil)}
		for version, formats := range [][]sdp.Format{
			{format(101, "PCMU")},
			{format(0, "PCMU")},
			{format(0, "PCMU"), format(96, "PCMA"), format(97, eventName)},
			{format(96, "PCMA")},
		} {
			peer := sdp.Session{Origin: sdp.Origin{SessionID: 1, Version: uint64(version), Address: "192.0.2.2"},
				Media: []*sdp.Media{section("192.0.2.2", 4000, formats...)}}
			offer, err := peer.AppendText(nil)
			if err != nil {
				t.Fatal(err)
			}
			offered, err := alice.engine.ReceiveOffer(string(offer))
			if err != nil {
				t.Fatal(err)
			}
			m, err := alice.audio.Answer(t.Context(), offered[0])
			if err != nil {
				t.Fatal(err)
			}
			_, pairs, err := alice.engine.Answer([]*sdp.Media{m})
			if err != nil {
				t.Fatal(err)
			}
			agreeOn(t, alice.audio, pairs[0].Local, pairs[0].Remote)

			alice.audio.SetDirection(sdp.SendOnly)
			if m, err = alice.audio.Offer(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := alice.engine.Offer([]*sdp.Media{m}); err != nil {
				t.Errorf("a hold after the peer's offer %d: %v", version, err)
			}
			alice.engine.Rollback()
		}
		closed(t, alice.audio)
	})
}
