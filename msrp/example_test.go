package msrp_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// A chat as a stream of a call. The network is one in memory; without Network, and with addresses in
// Listen that others reach, it is that of the system.
func Example() {
	n := siptest.NewNetwork(nil)
	ctx := context.Background()
	newPhone := func(name, host string, cfg ua.Config) (*ua.Agent, *msrp.Endpoint) {
		endpoint, err := msrp.New(&msrp.Config{Network: n.Host(host)})
		if err != nil {
			log.Fatal(err)
		}
		cfg.Network, cfg.Listen = n.Host(host), []string{"udp:" + host + ":5060"}
		agent, err := ua.New("sip:"+name+"@"+host, &cfg)
		if err != nil {
			log.Fatal(err)
		}
		return agent, endpoint
	}

	var bobs *msrp.Endpoint
	bob, bobs := newPhone("bob", "192.0.2.2", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
		chat := msrp.NewSession(bobs, nil)
		if _, err := in.Answer(ctx, chat); err != nil {
			return
		}
		for m, err := range chat.Messages(ctx) {
			if err != nil {
				return
			}
			text, _ := io.ReadAll(m)
			chat.SendText(ctx, "You said: "+string(text))
		}
	}})
	defer bobs.Close()
	defer bob.Close()

	alice, endpoint := newPhone("alice", "192.0.2.1", ua.Config{})
	defer endpoint.Close()
	defer alice.Close()
	chat := msrp.NewSession(endpoint, nil)
	call, err := alice.Invite(ctx, "sip:bob@192.0.2.2", &ua.InviteOptions{Streams: []ua.Stream{chat}})
	if err != nil {
		log.Fatal(err)
	}
	if err := chat.SendText(ctx, "Hello, Bob."); err != nil {
		log.Fatal(err)
	}
	for m, err := range chat.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		text, _ := io.ReadAll(m)
		fmt.Printf("%s\n", text)
		break
	}
	call.Hangup(ctx)
	// Output: You said: Hello, Bob.
}

// newPair returns two sessions that have been connected without SIP: each is told the path of the other.
func newPair(ctx context.Context, one, two *msrp.Endpoint) (active, passive *msrp.Session, err error) {
	active, passive = msrp.NewSession(one, nil), msrp.NewSession(two, &msrp.SessionConfig{AcceptTypes: []string{"*"}})
	from, err := active.Path(ctx)
	if err != nil {
		return nil, nil, err
	}
	to, err := passive.Path(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := passive.Connect(ctx, from, false); err != nil {
		return nil, nil, err
	}
	return active, passive, active.Connect(ctx, to, true)
}

// A session without SIP: the two sides learn of each other's paths in another way.
func ExampleSession_Connect() {
	ctx := context.Background()
	endpoint, err := msrp.New(&msrp.Config{Listen: []string{"tcp:127.0.0.1:0"}})
	if err != nil {
		log.Fatal(err)
	}
	defer endpoint.Close()
	one, two, err := newPair(ctx, endpoint, endpoint)
	if err != nil {
		log.Fatal(err)
	}
	go one.SendText(ctx, "Is this thing on?")
	for m, err := range two.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		text, _ := io.ReadAll(m)
		fmt.Printf("%s: %s\n", m.ContentType, text)
		break
	}
	// Output: text/plain;charset=UTF-8: Is this thing on?
}

// Something large is sent as it is read, from a file or, as here, from what makes it up; and it is known
// when the other side has all of it.
func ExampleSession_Send() {
	ctx := context.Background()
	endpoint, err := msrp.New(&msrp.Config{Listen: []string{"tcp:127.0.0.1:0"}})
	if err != nil {
		log.Fatal(err)
	}
	defer endpoint.Close()
	one, two, err := newPair(ctx, endpoint, endpoint)
	if err != nil {
		log.Fatal(err)
	}
	go func() { // ends with the session
		for m, err := range two.Messages(ctx) {
			if err != nil {
				return
			}
			io.Copy(io.Discard, m)
		}
	}()
	size := 0
	err = one.Send(ctx, &msrp.Message{
		ContentType:   "application/octet-stream",
		Body:          io.MultiReader(strings.NewReader("a long "), io.LimitReader(yes{}, 10<<20)),
		SuccessReport: true,
		OnReport:      func(r msrp.Report) { size = int(r.Range.End) },
	})
	fmt.Println(size, err)
	// Output: 10485767 <nil>
}

// yes reads as "yesyesyes...".
type yes struct{}

func (yes) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = "yes"[i%3]
	}
	return len(p), nil
}

// A message is written piece by piece.
func ExampleSession_Create() {
	ctx := context.Background()
	endpoint, err := msrp.New(&msrp.Config{Listen: []string{"tcp:127.0.0.1:0"}})
	if err != nil {
		log.Fatal(err)
	}
	defer endpoint.Close()
	one, two, err := newPair(ctx, endpoint, endpoint)
	if err != nil {
		log.Fatal(err)
	}
	go func() { // ends when the message is written
		w, err := one.Create(ctx, &msrp.Message{ContentType: "text/csv"})
		if err != nil {
			return
		}
		for i := range 3 {
			fmt.Fprintf(w, "%d;%d\n", i, i*i)
		}
		w.Close()
	}()
	for m, err := range two.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		text, _ := io.ReadAll(m)
		fmt.Printf("%s", text)
		break
	}
	// Output:
	// 0;0
	// 1;1
	// 2;4
}
