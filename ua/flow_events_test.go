package ua_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// eventFields are what shows who watches whom, and what they are told.
var eventFields = []string{"From", "To", "Call-ID", "CSeq", "Contact", "Event", "Accept", "Allow-Events", "Expires", "Min-Expires", "Subscription-State", "Replaces", "body", "SDP"}

// A board is an event package whose state is a text. Everybody may watch it, unless may says
// otherwise.
type board struct {
	*ua.Notifier
	name, kind string
	may        func(*ua.Watcher) error

	mu   sync.Mutex
	text func(*ua.Watcher) string
}

// newBoard makes one for Config.Notifiers.
func newBoard(name, kind string) *board {
	b := &board{name: name, kind: kind}
	b.Notifier = ua.NewNotifier(b, &ua.NotifierOptions{MinInterval: -1})
	return b
}

func (b *board) Name() string    { return b.name }
func (b *board) Types() []string { return []string{b.kind} }

func (b *board) Authorize(_ context.Context, w *ua.Watcher, _ *sip.Request) error {
	if b.may != nil {
		return b.may(w)
	}
	return nil
}

func (b *board) State(_ context.Context, w *ua.Watcher) (sip.Body, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.text == nil {
		return sip.Body{}, nil
	}
	return sip.Body{Type: b.kind, Content: b.text(w)}, nil
}

// write changes the state, and tells everybody.
func (b *board) write(text func(*ua.Watcher) string) {
	b.mu.Lock()
	b.text = text
	b.mu.Unlock()
	b.Changed(sip.URI{})
}

// terminate ends the subscriptions of everybody.
func (b *board) terminate(reason string, retryAfter time.Duration) {
	for w := range b.Watchers(sip.URI{}) {
		w.Terminate(reason, retryAfter)
	}
}

// says is a text for everybody.
func says(text string) func(*ua.Watcher) string {
	return func(*ua.Watcher) string { return text }
}

// newCalls is the board of the calls of a phone or a server (RFC 4235).
func newCalls() *board {
	b := newBoard("dialog", "application/dialog-info+xml")
	b.text = func(w *ua.Watcher) string { return dialogInfo(w, dialog.ID{}, "", "terminated") }
	return b
}

// show shows one call.
func (b *board) show(id dialog.ID, direction, state string) {
	b.write(func(w *ua.Watcher) string { return dialogInfo(w, id, direction, state) })
}

// dialogInfo writes of a call as RFC 4235 has it.
func dialogInfo(w *ua.Watcher, id dialog.ID, direction, state string) string {
	version, _ := w.Value().(int)
	w.SetValue(version + 1)
	var s strings.Builder
	fmt.Fprintf(&s, "<?xml version=\"1.0\"?>\r\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"%d\" state=\"full\" entity=\"%s\">\r\n", version, w.Resource())
	if id != (dialog.ID{}) {
		fmt.Fprintf(&s, "<dialog id=\"1\" call-id=\"%s\" local-tag=\"%s\" remote-tag=\"%s\" direction=\"%s\">\r\n<state>%s</state>\r\n</dialog>\r\n",
			id.CallID, id.LocalTag, id.RemoteTag, direction, state)
	}
	s.WriteString("</dialog-info>\r\n")
	return s.String()
}

// readDialog reads what dialogInfo has written: the call as its peer knows it, and its state.
func readDialog(f *flow.Flow, n *ua.Notify) (replaces sip.Replaces, state string) {
	f.Helper()
	var info struct {
		Dialog struct {
			CallID string `xml:"call-id,attr"`
			Local  string `xml:"local-tag,attr"`
			Remote string `xml:"remote-tag,attr"`
			State  string `xml:"state"`
		} `xml:"dialog"`
	}
	if err := xml.Unmarshal([]byte(n.Body.Content), &info); err != nil {
		f.Fatalf("%v in %s", err, n.Body.Content)
	}
	d := info.Dialog
	return sip.Replaces{CallID: sip.CallID(d.CallID), ToTag: d.Remote, FromTag: d.Local}, d.State
}

// heard reads the next NOTIFY.
func heard(f *flow.Flow, s *ua.Subscription) *ua.Notify {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), patience)
	defer cancel()
	for n, err := range s.Notifies(ctx) {
		if err != nil {
			f.Fatalf("Notifies() = %v", err)
		}
		return n
	}
	f.Fatal("Notifies() has ended")
	return nil
}

// watch subscribes.
func (p *phone) watch(target, event string, opts *ua.SubscribeOptions) *ua.Subscription {
	p.f.Helper()
	s, err := p.Subscribe(p.f.Context(), target, event, opts)
	if err != nil {
		p.f.Fatalf("Subscribe() = %v", err)
	}
	return s
}

// unwatch ends a subscription.
func unwatch(f *flow.Flow, s *ua.Subscription) {
	f.Helper()
	if err := s.Close(); err != nil && !(f.Lossy() && errors.Is(err, transaction.ErrTimeout)) {
		f.Errorf("Close() = %v", err)
	}
	f.Pass(time.Second)
}
