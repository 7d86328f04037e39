package ua_test

import (
	"context"
	"fmt"
	"log"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// weather is an event package: the weather at a place.
type weather struct {
	reports chan string // full: the newest
}

func (*weather) Name() string    { return "weather" }
func (*weather) Types() []string { return []string{"text/plain"} }

func (*weather) Authorize(_ context.Context, w *ua.Watcher, _ *sip.Request) error {
	if w.Resource().User != "lisbon" {
		return sip.StatusNotFound
	}
	return nil // everybody may know
}

func (p *weather) State(context.Context, *ua.Watcher) (sip.Body, error) {
	report := <-p.reports
	p.reports <- report
	return sip.Body{Type: "text/plain", Content: report}, nil
}

// A service that tells of the weather, and somebody who watches it. The network is
// in memory.
func ExamplePackage() {
	check := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	n := siptest.NewNetwork(nil)
	now := &weather{reports: make(chan string, 1)}
	now.reports <- "rain"
	notifier := ua.NewNotifier(now, &ua.NotifierOptions{MinInterval: -1})
	service, err := ua.New("sip:weather@example.com", &ua.Config{
		Network:   n.Host("192.0.2.2"),
		Listen:    []string{"udp:192.0.2.2:5060"},
		Notifiers: []*ua.Notifier{notifier},
	})
	check(err)
	defer service.Close()
	alice, err := ua.New("sip:alice@example.com", &ua.Config{
		Network: n.Host("192.0.2.1"),
		Listen:  []string{"udp:192.0.2.1:5060"},
		Proxy:   "sip:192.0.2.2",
	})
	check(err)
	defer alice.Close()

	ctx := context.Background()
	sub, err := alice.Subscribe(ctx, "sip:lisbon@example.com", "weather", nil) // refreshed until closed
	check(err)
	for notify, err := range sub.Notifies(ctx) {
		check(err)
		fmt.Println(notify.Body.Content)
		if notify.Body.Content == "sun" {
			break
		}
		<-now.reports
		now.reports <- "sun"
		notifier.Changed(sip.URI{Scheme: "sip", User: "lisbon", Host: "example.com"})
	}
	check(sub.Close())
	// Output:
	// rain
	// sun
}
