package examples_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// fine is an event package that has one thing to say.
type fine struct{}

func (fine) Name() string                                               { return "mood" }
func (fine) Types() []string                                            { return []string{"text/plain"} }
func (fine) Authorize(context.Context, *ua.Watcher, *sip.Request) error { return nil }
func (fine) State(context.Context, *ua.Watcher) (sip.Body, error) {
	return sip.Body{Type: "text/plain", Content: "bob is fine"}, nil
}

// Watch is told at once, and unsubscribes when it is interrupted.
func TestWatch(t *testing.T) {
	events := make(chan string, 9)
	notifier := ua.NewNotifier(fine{}, &ua.NotifierOptions{OnWatcher: func(_ *ua.Watcher, event string) { events <- event }})
	bob, err := ua.New("sip:bob@127.0.0.1", &ua.Config{Listen: []string{"udp:127.0.0.1:0"}, Notifiers: []*ua.Notifier{notifier}})
	if err != nil {
		t.Fatal(err)
	}
	defer bob.Close()
	p := start(t, build(t, "watch"), "-event", "mood", "sip:alice@127.0.0.1", "sip:bob@"+bob.Addr("udp").String())
	p.says("bob is fine")
	p.cmd.Process.Signal(syscall.SIGINT)
	for _, want := range []string{"subscribe", "timeout"} {
		select {
		case got := <-events:
			if got != want {
				t.Errorf("the watcher's event is %q, want %q", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no %s in 10 s", want)
		}
	}
}
