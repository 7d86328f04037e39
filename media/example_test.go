package media_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/goparley/parley/media"
	"github.com/goparley/parley/sdp"
)

// call connects two streams as a user agent does for a call: one offers, the
// other answers, both put it in force.
func call(ctx context.Context, caller, callee *media.Audio) error {
	offer, err := caller.Offer(ctx)
	if err != nil {
		return err
	}
	answer, err := callee.Answer(ctx, offer)
	if err != nil {
		return err
	}
	if answer == nil {
		return fmt.Errorf("the callee refuses")
	}
	if err := callee.Update(ctx, answer, offer); err != nil {
		return err
	}
	return caller.Update(ctx, offer, answer)
}

// Alice plays a tone for Bob, who has an answering machine.
func ExampleNewAudio() {
	ctx := context.Background()
	here := netip.MustParseAddr("127.0.0.1")

	var heard media.Recorder
	alice := media.NewAudio(&media.AudioConfig{Play: media.Tone(440), Address: here})
	defer alice.Close()
	bob := media.NewAudio(&media.AudioConfig{Record: &heard, Address: here})
	defer bob.Close()
	if err := call(ctx, alice, bob); err != nil {
		log.Fatal(err)
	}

	for heard.Clip().Duration() < time.Second/2 {
		<-time.After(20 * time.Millisecond)
	}
	clip := heard.Clip()[1000:] // from when the tone has begun
	fmt.Println("heard 440 Hz:", media.ToneLevel(clip, 440) > 0.9)
	fmt.Println("heard 880 Hz:", media.ToneLevel(clip, 880) > 0.9)
	// Output:
	// heard 440 Hz: true
	// heard 880 Hz: false
}

// A caller types his PIN, and the callee reads it digit by digit.
func ExampleAudio_Digits() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	here := netip.MustParseAddr("127.0.0.1")
	caller := media.NewAudio(&media.AudioConfig{Address: here})
	defer caller.Close()
	callee := media.NewAudio(&media.AudioConfig{Address: here})
	defer callee.Close()
	if err := call(ctx, caller, callee); err != nil {
		log.Fatal(err)
	}

	go caller.SendDigits(ctx, "42#") // ends when they are sent

	pin := ""
	for digit, err := range callee.Digits(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		if digit == '#' {
			break
		}
		pin += string(digit)
	}
	fmt.Println(pin)
	// Output: 42
}

// Record a call, and play what was recorded to the next caller.
func ExampleCreateWAV() {
	dir, err := os.MkdirTemp("", "calls")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "call.wav")

	record, err := media.CreateWAV(name)
	if err != nil {
		log.Fatal(err)
	}
	audio := media.NewAudio(&media.AudioConfig{Record: record, Direction: sdp.RecvOnly})
	// ... the call ...
	audio.Close()
	if err := record.Close(); err != nil {
		log.Fatal(err)
	}

	greeting, err := media.OpenWAV(name)
	if err != nil {
		log.Fatal(err)
	}
	next := media.NewAudio(&media.AudioConfig{Play: greeting.Loop()})
	defer next.Close()
	fmt.Println(greeting.Duration())
	// Output: 0s
}
