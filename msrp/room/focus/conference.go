package focus

import (
	"context"

	"github.com/goparley/parley/simple/confinfo"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// A conference is the event package (RFC 4575 section 3). The Value of a watcher is the roster that
// it was sent last.
type conference struct{ f *Focus }

func (conference) Name() string    { return "conference" }
func (conference) Types() []string { return []string{confinfo.MediaType} }

// Authorize lets everybody see who is there who may join: who watches is told from others as who calls is.
func (c conference) Authorize(_ context.Context, w *ua.Watcher, _ *sip.Request) error {
	r := c.f.room(w.Resource())
	if r == nil {
		return sip.StatusNotFound
	}
	who, _, err := identify(r, w.From(), w.Asserted(), w.User())
	if err != nil {
		return err
	}
	return r.Admits(who)
}

// State says all at first, and then what has changed (RFC 4575 section 4.4). The versions are those
// of the subscription.
func (c conference) State(_ context.Context, w *ua.Watcher) (sip.Body, error) {
	r := c.f.room(w.Resource())
	if r == nil {
		return sip.Body{}, nil
	}
	now := r.Roster()
	document := now
	if sent, ok := w.Value().(*confinfo.Conference); ok && !w.Full() {
		if d := c.f.difference(sent, now); d != nil {
			document = d
		}
	}
	w.SetValue(now)
	document = new(*document)
	document.Version = w.Version()
	return sip.Body{Type: confinfo.MediaType, Content: string(document.Append(nil))}, nil
}

// difference returns what has changed between two rosters, nil for nothing. Most watchers ask for
// the same one.
func (f *Focus) difference(old, now *confinfo.Conference) *confinfo.Conference {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last.old != old || f.last.now != now {
		f.last = difference{old, now, confinfo.Diff(old, now)}
	}
	return f.last.document
}
