// Answer registers, rings for a moment, answers every call, plays a tone, and
// prints the digits that the caller dials.
//
//	go run ./examples/answer -password secret sip:bob@example.com
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
	"github.com/goparley/parley/ua"
)

func main() {
	password := flag.String("password", "", "password; none does not register")
	proxy := flag.String("proxy", "", "URI of an outbound proxy, such as sip:127.0.0.1:5060 or sip:example.com;transport=tls")
	listen := flag.String("listen", "udp:0.0.0.0:5060", "where to listen")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: answer [flags] sip:user@domain")
	}
	err := run(flag.Arg(0), &ua.Config{
		Password: *password,
		Proxy:    *proxy,
		Listen:   []string{*listen},
		OnInvite: answer,
	})
	if err != nil {
		log.Fatal(err)
	}
}

func run(aor string, cfg *ua.Config) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	bob, err := ua.New(aor, cfg)
	if err != nil {
		return err
	}
	defer bob.Close()
	if cfg.Password != "" {
		if _, err := bob.Register(ctx, nil); err != nil {
			return err
		}
	}
	fmt.Println("waiting for calls")
	<-ctx.Done()
	return nil
}

// answer runs in a goroutine of its own. ctx ends if the caller gives up.
func answer(ctx context.Context, in *ua.Invitation) {
	fmt.Println("call from", in.From())
	if err := in.Ring(ctx); err != nil {
		return
	}
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return
	}
	audio := media.NewAudio(&media.AudioConfig{Play: media.Tone(600)})
	call, err := in.Answer(ctx, audio)
	if err != nil {
		fmt.Println(err) // cancelled, or no ACK came
		return
	}
	for digit, err := range audio.Digits(ctx) { // until the call is over
		if err == nil {
			fmt.Printf("digit %c\n", digit)
		}
	}
	<-call.Done()
	fmt.Println("call is over")
}
