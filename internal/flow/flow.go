package flow

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// delay is what a packet takes from one host to another.
const delay = 10 * time.Millisecond

// rest is how long nothing more happens before the transcript begins, and when
// the story is over: longer than a transaction lives.
const rest = 40 * time.Second

// A Flow is a story that is being played: a network in fake time, with everybody
// of the cast on it. It is also the *testing.T of the run.
type Flow struct {
	*testing.T
	Net *siptest.Network

	story   Story
	columns []string // the names of the cast
	lossy   bool
	ca      func() *siptest.Authority

	mu      sync.Mutex
	began   time.Time
	ended   time.Time  // zero: not yet
	streams []*message // what went over connections
	notes   []note
}

// A note is what somebody does.
type note struct {
	at   time.Time
	text string
}

// newFlow makes the network of a story: a perfect one for seed 0, and one that loses,
// doubles and delays datagrams, and has them overtake each other, for any other seed.
func newFlow(t *testing.T, s Story, seed uint64) *Flow {
	c := &siptest.NetworkConfig{Seed: seed, Delay: delay, Record: true, Queue: 1 << 12}
	if seed > 0 {
		share := s.loss()
		c.Duplicate, c.Reorder, c.Jitter = share, share, delay
	}
	f := &Flow{T: t, Net: siptest.NewNetwork(c), story: s, lossy: seed > 0, began: time.Now(), ca: sync.OnceValue(siptest.NewAuthority)}
	if f.lossy {
		f.Net.SetFilter(lossy(seed, s.loss()))
	}
	for _, a := range s.Cast {
		if !slices.Contains(f.columns, a.Name) {
			f.columns = append(f.columns, a.Name)
		}
	}
	// The last of the cleanups: everybody is closed by then.
	t.Cleanup(func() {
		for _, m := range f.between(f.ended, time.Now()) {
			if m.method == sip.BYE && !f.ended.IsZero() {
				t.Errorf("%s had a call left, which closing ended", m.from)
			}
		}
	})
	return f
}

// longest is how long a story may take, in fake time.
const longest = 12 * time.Hour

// play runs the story, and returns what was sent. Who waits in it for what does not come
// would wait for ever, for fake time goes on as long as somebody registers; that is a
// panic, since nothing else ends a goroutine that waits.
func (f *Flow) play() []*message {
	watch := time.AfterFunc(longest, func() {
		panic("flow: the story has not ended after 12 hours\n" + f.numbered(f.record()))
	})
	f.story.Play(f)
	watch.Stop()
	f.Pass(rest)
	messages := f.record()
	f.mu.Lock()
	f.ended = time.Now()
	f.mu.Unlock()
	return messages
}

// Lossy reports whether this is a run on a network that loses datagrams.
func (f *Flow) Lossy() bool { return f.lossy }

// Begin begins the transcript, and time. What was sent before, such as registrations
// that the RFC takes for granted, is not in it.
func (f *Flow) Begin() {
	f.Pass(rest)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.began, f.notes = time.Now(), nil
}

// Pass lets time go by, and what is to happen by then.
func (f *Flow) Pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Note writes into the transcript what somebody is about to do.
func (f *Flow) Note(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notes = append(f.notes, note{time.Now(), text})
}

// Host returns the machine of one of the cast.
func (f *Flow) Host(a Actor) *siptest.Host { return f.Net.Host(a.Addr) }

// Authority returns the one that everybody trusts over TLS.
func (f *Flow) Authority() *siptest.Authority { return f.ca() }

// Transport returns the configuration of one of the cast: on its host, at the standard
// ports of the transports named, with the DNS of the cast; none means UDP. It also
// records what goes over connections. TLS is for the caller to set.
func (f *Flow) Transport(a Actor, transports ...string) *transport.Config {
	if transports == nil {
		transports = []string{"udp"}
	}
	tc := &transport.Config{
		Network:  network(f.Host(a), transports),
		Resolver: names(f.story.Cast),
		MaxUDP:   8000, // how large messages are is not what the flows are about
		FlowKey:  []byte("0123456789abcdef0123456789abcdef"),
		Trace:    f.trace(),
		Logger:   slog.New(slog.DiscardHandler),
	}
	if a.AOR == "" {
		tc.Advertise = a.Host // servers have names, and phones addresses
	}
	for _, tr := range transports {
		port := map[string]uint16{"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}[tr]
		tc.Listen = append(tc.Listen, tr+":"+netip.AddrPortFrom(netip.MustParseAddr(a.Addr), port).String())
	}
	return tc
}

// network returns a host as its programs see it. One that is to speak UDP alone makes no
// connections, or a request that is too large for UDP would wait until it is refused one:
// each header field more could change the times of a transcript.
func network(h *siptest.Host, transports []string) transport.Network {
	if slices.Equal(transports, []string{"udp"}) {
		return datagrams{h}
	}
	return h
}

// datagrams is a host that makes no connections.
type datagrams struct{ *siptest.Host }

// DialContext is that of a transport.Network.
func (d datagrams) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if strings.HasPrefix(network, "tcp") {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	return d.Host.DialContext(ctx, network, address)
}

// trace returns what records the streams of an endpoint, which may be enciphered.
// Datagrams are recorded by the network, which knows what is lost.
func (f *Flow) trace() *transport.Trace {
	return &transport.Trace{Sent: func(m transport.TraceMessage) {
		if m.Transport == "UDP" {
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.streams = append(f.streams, f.message(m.Message, m.Time, m.Local.Addr(), m.Remote.Addr(), true, false))
	}}
}

// name returns the column of an address.
func (f *Flow) name(a netip.Addr) string {
	i := slices.IndexFunc(f.story.Cast, func(c Actor) bool { return c.Addr == a.Unmap().String() })
	if i < 0 {
		return a.String()
	}
	return f.story.Cast[i].Name
}
