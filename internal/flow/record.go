package flow

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/goparley/parley/sip"
)

// A message is one message on its way.
type message struct {
	at       time.Time
	from, to string // names
	stream   bool
	lost     bool
	msg      sip.Message
	method   sip.Method // of the request, or of what is answered
	what     string     // "INVITE" or "180"
	text     string

	label string   // "F1"
	first *message // that this one repeats; nil: none
}

func (f *Flow) message(m sip.Message, at time.Time, from, to netip.Addr, stream, lost bool) *message {
	out := &message{at: at, from: f.name(from), to: f.name(to), stream: stream, lost: lost, msg: m, method: m.CSeq().Method, text: m.String()}
	switch m := m.(type) {
	case *sip.Request:
		out.method = m.Method()
		out.what = string(m.Method())
	case *sip.Response:
		out.what = fmt.Sprintf("%03d", int(m.Status()))
	}
	return out
}

func (m *message) isRequest() bool { return m.what == string(m.method) }

// isFinal reports whether it is a final response.
func (m *message) isFinal() bool { return !m.isRequest() && m.what[0] != '1' }

// isSuccess reports whether it is a 2xx.
func (m *message) isSuccess() bool { return !m.isRequest() && m.what[0] == '2' }

// record returns what was sent since the transcript began.
func (f *Flow) record() []*message {
	f.mu.Lock()
	began := f.began
	f.mu.Unlock()
	messages := f.between(began, time.Now())
	first := map[[3]string]*message{}
	for _, m := range messages {
		key := [3]string{m.from, m.to, m.text}
		if m.first = first[key]; m.first == nil {
			first[key] = m
		}
	}
	return messages
}

// between returns what was sent in a time, in an order that is always the same:
// that of time, and for what is sent at once, by whom, to whom, and what.
func (f *Flow) between(from, to time.Time) (messages []*message) {
	for _, p := range f.Net.Packets() {
		if p.Network != "udp" {
			continue // in streams
		}
		if m, err := sip.Parse(string(p.Data)); err == nil { // else keepalive or media
			messages = append(messages, f.message(m, p.Time, p.From.Addr(), p.To.Addr(), false, p.Lost))
		}
	}
	f.mu.Lock()
	messages = append(messages, f.streams...)
	f.mu.Unlock()
	messages = slices.DeleteFunc(messages, func(m *message) bool { return m.at.Before(from) || m.at.After(to) })
	slices.SortStableFunc(messages, func(a, b *message) int {
		return cmp.Or(a.at.Compare(b.at), f.column(a.from)-f.column(b.from), f.column(a.to)-f.column(b.to),
			a.rank()-b.rank(), strings.Compare(a.what, b.what))
	})
	return messages
}

// rank orders what one sends to another at the same time: first the answer to
// what came, then what comes of it.
func (m *message) rank() int {
	switch {
	case m.isRequest() && m.method == sip.ACK:
		return 0
	case !m.isRequest() && m.method != sip.INVITE:
		return 1
	case !m.isRequest():
		return 2
	}
	return 3
}

// column returns where the lifeline of a name is, past all others for one that is
// not of the cast.
func (f *Flow) column(name string) int {
	if i := slices.Index(f.columns, name); i >= 0 {
		return i
	}
	return len(f.columns)
}
