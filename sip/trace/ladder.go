package trace

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// LadderConfig holds the options of a Ladder.
type LadderConfig struct {
	// Names gives names to addresses, by "192.0.2.1:5060" or, for all ports
	// of a host, "192.0.2.1". Addresses with the same name are one lifeline,
	// and those without one are shown as they are.
	Names map[string]string

	// Max is how many messages are kept; 0 means 1000. When there are more
	// the oldest go.
	Max int
}

// Ladder records a call flow, and shows it as text: a lifeline for each
// address, and for each message an arrow with its time, method or status, and
// CSeq. Arrows of UDP are drawn with "-", those of TCP with "=". SDP marks a
// message with a session description.
//
// Its methods may be called from any goroutine.
type Ladder struct {
	names map[string]string
	max   int

	mu     sync.Mutex
	pairs  pairs
	arrows []arrow   // a ring once there are max of them
	next   int       // where the next one goes in a full ring
	left   int       // how many have gone
	began  time.Time // of the first message ever
}

// arrow is one message in a Ladder. It keeps nothing of the message.
type arrow struct {
	at       time.Time
	from, to netip.AddrPort
	stream   bool
	label    string
}

// NewLadder returns an empty Ladder; cfg may be nil.
func NewLadder(cfg *LadderConfig) *Ladder {
	l := &Ladder{pairs: newPairs(), max: 1000}
	if cfg != nil {
		l.names = cfg.Names
		if cfg.Max > 0 {
			l.max = cfg.Max
		}
	}
	return l
}

// Trace returns what to put into a transport.Config. It is the same recording
// for all endpoints that share it.
func (l *Ladder) Trace() *transport.Trace {
	return &transport.Trace{
		Sent:      func(m transport.TraceMessage) { l.record(m, m.Local, m.Remote, true) },
		Received:  func(m transport.TraceMessage) { l.record(m, m.Remote, m.Local, false) },
		Malformed: func(m transport.TraceMessage) { l.record(m, m.Remote, m.Local, false) },
	}
}

func (l *Ladder) record(m transport.TraceMessage, from, to netip.AddrPort, sent bool) {
	a := arrow{at: m.Time, from: from, to: to, stream: m.Transport != "UDP", label: label(m)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.Err == nil && l.pairs.isSecond(m, sent) {
		return
	}
	if l.began.IsZero() || a.at.Before(l.began) {
		l.began = a.at
	}
	if len(l.arrows) < l.max {
		l.arrows = append(l.arrows, a)
		return
	}
	l.arrows[l.next] = a
	l.next = (l.next + 1) % l.max
	l.left++
}

// label sums a message up: "INVITE (1) SDP", "180 Ringing (1 INVITE)".
func label(m transport.TraceMessage) string {
	var b strings.Builder
	switch msg := m.Message.(type) {
	case *sip.Request:
		fmt.Fprintf(&b, "%s (%d)", plain(string(msg.Method())), msg.CSeq().Seq)
	case *sip.Response:
		fmt.Fprintf(&b, "%d", msg.Status())
		if phrase := plain(msg.ReasonPhrase()); phrase != "" {
			b.WriteString(" " + phrase)
		}
		fmt.Fprintf(&b, " (%d %s)", msg.CSeq().Seq, plain(string(msg.CSeq().Method)))
	default:
		fmt.Fprintf(&b, "malformed (%d bytes)", len(m.Text))
	}
	if m.Message != nil {
		if _, err := sip.FindBody(m.Message, "application/sdp", ""); err == nil {
			b.WriteString(" SDP")
		}
	}
	return b.String()
}

// plain makes what a peer wrote fit for a terminal: short, and in ASCII, whose
// characters are all one column wide.
func plain(s string) string {
	const most = 32
	var b strings.Builder
	for _, r := range s {
		if b.Len() == most {
			b.WriteString("...")
			break
		}
		if r < ' ' || r > '~' {
			r = '?'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// String draws the call flow. It is the same for the same messages in the same
// order; those of different times are put in the order of time.
func (l *Ladder) String() string {
	l.mu.Lock()
	arrows := append(slices.Clone(l.arrows[l.next:]), l.arrows[:l.next]...)
	left, began := l.left, l.began
	l.mu.Unlock()
	slices.SortStableFunc(arrows, func(a, b arrow) int { return a.at.Compare(b.at) })
	var b strings.Builder
	if left > 0 {
		fmt.Fprintf(&b, "(%d earlier messages left out)\n", left)
	}
	l.draw(&b, arrows, began)
	return b.String()
}

// name returns the name of the lifeline of an address.
func (l *Ladder) name(a netip.AddrPort) string {
	if name, ok := l.names[a.String()]; ok {
		return name
	}
	if name, ok := l.names[a.Addr().String()]; ok {
		return name
	}
	return a.String()
}
