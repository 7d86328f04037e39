// Call places a call, plays a tone or a WAV file to whoever answers, and
// records what they say.
//
//	go run ./examples/call -from sip:alice@example.com -password secret sip:bob@example.com
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/goparley/parley/media"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

func main() {
	from := flag.String("from", "sip:anonymous@anonymous.invalid", "who calls")
	password := flag.String("password", "", "password of the caller")
	proxy := flag.String("proxy", "", "URI of an outbound proxy, such as sip:127.0.0.1:5060 or sip:example.com;transport=tls")
	play := flag.String("play", "", "WAV file to play; none plays a tone")
	record := flag.String("record", "", "WAV file to record to")
	length := flag.Duration("for", 10*time.Second, "when to hang up")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: call [flags] sip:user@domain")
	}
	if err := run(*from, *password, *proxy, *play, *record, *length, flag.Arg(0)); err != nil {
		log.Fatal(err)
	}
}

func run(from, password, proxy, play, record string, length time.Duration, target string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	audio := &media.AudioConfig{Play: media.Tone(440)}
	if play != "" {
		clip, err := media.OpenWAV(play)
		if err != nil {
			return err
		}
		audio.Play = clip.Once()
	}
	if record != "" {
		w, err := media.CreateWAV(record)
		if err != nil {
			return err
		}
		defer w.Close()
		audio.Record = w
	}

	alice, err := ua.New(from, &ua.Config{Password: password, Proxy: proxy})
	if err != nil {
		return err
	}
	defer alice.Close()
	call, err := alice.Invite(ctx, target, &ua.InviteOptions{ // an interrupt cancels it
		Streams:       []ua.Stream{media.NewAudio(audio)},
		OnProvisional: func(_ *ua.Call, resp *sip.Response) { fmt.Println(resp.Status().Error()) },
	})
	if err != nil {
		return err
	}
	fmt.Println("answered")
	select {
	case <-call.Done():
		fmt.Println("the other side hung up")
	case <-time.After(length):
	case <-ctx.Done():
	}
	return call.Hangup(context.Background())
}
