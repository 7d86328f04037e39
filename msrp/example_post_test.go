package msrp_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sip/siptest"
)

// A server that says of each message what its sender is told, and passes what it likes on to
// everybody: the body is encoded once.
func ExampleSession_Post() {
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
	here := endpoint("192.0.2.1")
	defer here.Close()

	var all []*msrp.Session
	join := func(ip string) *msrp.Session {
		ours := msrp.NewSession(here, &msrp.SessionConfig{
			OnMessage: func(m *msrp.Incoming, body []byte) frame.Status {
				if strings.Contains(string(body), "spam") {
					return frame.StatusForbidden
				}
				p, err := msrp.NewPost(m.ContentType, body)
				if err != nil {
					return frame.StatusBadRequest
				}
				for _, s := range all {
					s.Post(p) // waits for nobody; who is too slow does not get it
				}
				return frame.StatusOK
			},
		})
		theirs := msrp.NewSession(endpoint(ip), nil)
		path, err := theirs.Path(ctx)
		check(err)
		check(ours.Connect(ctx, path, false))
		path, err = ours.Path(ctx)
		check(err)
		check(theirs.Connect(ctx, path, true))
		check(ours.Connected(ctx))
		all = append(all, ours)
		return theirs
	}
	alice, bob := join("192.0.2.2"), join("192.0.2.3")
	fmt.Println(alice.SendText(ctx, "buy spam"))
	check(alice.SendText(ctx, "hello"))
	for _, s := range []*msrp.Session{alice, bob} {
		for m, err := range s.Messages(ctx) {
			check(err)
			text, err := io.ReadAll(m)
			check(err)
			fmt.Println(string(text))
			break
		}
	}
	// Output:
	// msrp: 403 Forbidden
	// hello
	// hello
}
