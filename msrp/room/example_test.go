package room_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/room"
	"github.com/goparley/parley/simple/cpim"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// Two chats join a room, and one of them says hello. What their calls would bring, offers and
// answers, is done by hand here; the network is in memory.
func Example() {
	check := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	ctx := context.Background()
	n := siptest.NewNetwork(nil)
	endpoint := func(ip string) *msrp.Endpoint {
		e, err := msrp.New(&msrp.Config{Network: n.Host(ip), Listen: []string{"tcp:" + ip + ":2855"}})
		check(err)
		return e
	}
	e := endpoint("192.0.2.1")
	defer e.Close()
	r, err := room.New(e, "sip:gophers@example.com", &room.Config{Subject: "Gophers"})
	check(err)
	defer r.Close()

	join := func(who, ip string) *msrp.Session {
		u, err := sip.ParseURI(who)
		check(err)
		p, err := r.Join(sip.Address{URI: u})
		check(err)
		chat := msrp.NewSession(endpoint(ip), &msrp.SessionConfig{AcceptTypes: []string{cpim.ContentType}, AcceptWrappedTypes: []string{"text/plain"}})
		offer, err := chat.Offer(ctx)
		check(err)
		answer, err := p.Answer(ctx, offer)
		check(err)
		check(p.Update(ctx, answer, offer))
		check(chat.Update(ctx, offer, answer))
		return chat
	}
	bob, alice := join("sip:bob@example.com", "192.0.2.2"), join("sip:alice@example.com", "192.0.2.3")
	for _, u := range r.Roster().Users {
		fmt.Println(u.Entity)
	}
	hello := cpim.Message{
		From: cpim.Address{URI: "sip:alice@example.com"}, To: []cpim.Address{{URI: "sip:gophers@example.com"}},
		ContentType: "text/plain", Content: []byte("Hello guys, how are you today?"),
	}
	text, err := hello.Append(nil)
	check(err)
	check(alice.Send(ctx, &msrp.Message{ContentType: cpim.ContentType, Body: strings.NewReader(string(text))}))
	for m, err := range bob.Messages(ctx) {
		check(err)
		text, err := io.ReadAll(m)
		check(err)
		got, err := cpim.Parse(text)
		check(err)
		fmt.Printf("%s: %s\n", got.From.URI, got.Content)
		if got.From == hello.From {
			break
		}
	}
	// Output:
	// sip:bob@example.com
	// sip:alice@example.com
	// sip:gophers@example.com: This is the chat room sip:gophers@example.com. What you write goes to everybody in it.
	// sip:alice@example.com: Hello guys, how are you today?
}
