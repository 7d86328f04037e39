package ua_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// A program on Bob's computer has his telephone call Carol.
func ExampleAgent_Refer() {
	pc, err := ua.New("sip:bob@example.com", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer pc.Close()
	err = pc.Refer(context.Background(), "sip:desk@example.com", "sip:carol@example.com", &ua.TransferOptions{
		OnProgress: func(status sip.Status) { fmt.Println("the telephone hears", status) },
	})
	if errors.Is(err, sip.StatusBusyHere) {
		fmt.Println("Carol is busy")
	}
}

// Bob's call is parked: a server takes his place in it, until somebody takes the call from
// there.
func ExampleCall_ReferTo() {
	bob, err := ua.New("sip:bob@example.com", &ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {}})
	if err != nil {
		log.Fatal(err)
	}
	defer bob.Close()
	park := func(ctx context.Context, call *ua.Call) error {
		if err := call.Hold(ctx); err != nil {
			return err
		}
		return bob.Refer(ctx, "sip:park@example.com", call.ReferTo().String(), nil)
	}
	_ = park // when he presses the key
}
