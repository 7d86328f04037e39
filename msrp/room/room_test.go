package room_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/room"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/simple/cpim"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

const uri = "sip:chat@example.com"

// A house is a network in memory with a room in it.
type house struct {
	t     *testing.T
	n     *siptest.Network
	r     *room.Room
	host  *siptest.Host
	hosts int
	peers int
}

// inHouse runs a test in fake time.
func inHouse(t *testing.T, cfg *room.Config, f func(t *testing.T, h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &house{t: t, n: siptest.NewNetwork(nil)}
		h.host = h.n.Host("192.0.2.1")
		r, err := room.New(h.endpoint(h.host), uri, cfg)
		if err != nil {
			t.Fatal(err)
		}
		h.r = r
		t.Cleanup(func() { r.Close() })
		f(t, h)
	})
}

func (h *house) endpoint(host *siptest.Host) *msrp.Endpoint {
	h.t.Helper()
	e, err := msrp.New(&msrp.Config{Network: host, Listen: []string{"tcp:" + host.Addr().String() + ":2855"}})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { e.Close() })
	return e
}

// A guest is a chat that has joined.
type guest struct {
	*msrp.Session
	t    *testing.T
	p    *room.Participant
	uri  string
	host *siptest.Host
	own  *sdp.Media // what it has offered

	mu   sync.Mutex
	got  []string // what came: "alice@example.com> hello"
	deaf bool
}

// A wish is what a guest says in its offer.
type wish struct {
	types, wrapped string // "": message/cpim, and "*"
	chatroom       string // "-": not said; "" is private-messages
	maxSize        int64
	display        string
	aliases        []sip.URI
	deaf           bool // it reads nothing
}

// join has somebody come in, and fails the test if they may not.
func (h *house) join(who string, w wish) *guest {
	h.t.Helper()
	g, err := h.try(who, w)
	if err != nil {
		h.t.Fatal(err)
	}
	synctest.Wait()
	return g
}

// errRefused is where the room refuses the section.
var errRefused = errors.New("refused")

func (h *house) try(who string, w wish) (*guest, error) {
	h.hosts++
	host := h.n.Host(fmt.Sprintf("192.0.2.%d", 10+h.hosts))
	from := addr(who)
	from.Display = w.display
	p, err := h.r.Join(from, w.aliases...)
	if err != nil {
		return nil, err
	}
	g := &guest{t: h.t, p: p, uri: who, host: host, deaf: w.deaf}
	g.Session = msrp.NewSession(h.endpoint(host), &msrp.SessionConfig{
		AcceptTypes:        strings.Fields(or(w.types, "message/cpim")),
		AcceptWrappedTypes: strings.Fields(or(w.wrapped, "*")), MaxSize: w.maxSize,
	})
	if w.wrapped == "-" {
		g.Session = msrp.NewSession(h.endpoint(h.n.Host(fmt.Sprintf("192.0.2.%d", 100+h.hosts))), &msrp.SessionConfig{AcceptTypes: strings.Fields(or(w.types, "message/cpim"))})
	}
	if g.own, err = g.Offer(h.t.Context()); err != nil {
		return nil, err
	}
	if w.chatroom != "-" {
		g.own.Attributes = append(g.own.Attributes, sdp.Attribute{Name: "chatroom", Value: or(w.chatroom, "private-messages")})
	}
	if err := g.agree(); err != nil {
		p.Close()
		return nil, err
	}
	if !w.deaf {
		go g.listen() // ends with the session
	}
	return g, nil
}

// agree gives the offer to the room, and has both connect.
func (g *guest) agree() error {
	answer, err := g.p.Answer(g.t.Context(), g.own)
	if err == nil && answer == nil {
		err = errRefused
	}
	if err == nil {
		err = g.p.Update(g.t.Context(), answer, g.own)
	}
	if err == nil {
		err = g.Update(g.t.Context(), g.own, answer)
	}
	return err
}

func (g *guest) listen() {
	for m, err := range g.Messages(context.Background()) {
		if err != nil {
			return
		}
		text, err := io.ReadAll(m)
		if err != nil {
			continue
		}
		env, err := cpim.Parse(text)
		if err != nil {
			g.t.Errorf("%s got %q: %v", g.uri, text, err)
			continue
		}
		g.mu.Lock()
		g.got = append(g.got, strings.TrimPrefix(env.From.URI, "sip:")+"> "+string(env.Content))
		g.mu.Unlock()
	}
}

// heard returns what has come since it was asked last.
func (g *guest) heard() []string {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	got := g.got
	g.got = nil
	return got
}

// hears fails the test if something else has come.
func (g *guest) hears(want ...string) {
	g.t.Helper()
	if got := g.heard(); !slices.Equal(got, want) {
		g.t.Errorf("%s heard %q, want %q", g.uri, got, want)
	}
}

// says sends a text to everybody.
func (g *guest) says(text string) error { return g.sends(envelope(g.uri, text, uri)) }

// tells sends a text to somebody.
func (g *guest) tells(to, text string) error { return g.sends(envelope(g.uri, text, to)) }

func (g *guest) sends(body string) error {
	return g.Send(g.t.Context(), &msrp.Message{ContentType: cpim.ContentType, Body: strings.NewReader(body)})
}

func envelope(from, text string, to ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "From: <%s>\r\n", from)
	for _, to := range to {
		fmt.Fprintf(&b, "To: <%s>\r\n", to)
	}
	fmt.Fprintf(&b, "DateTime: 2026-01-02T15:02:31Z\r\n\r\nContent-Type: text/plain\r\n\r\n%s", text)
	return b.String()
}

func addr(uri string) sip.Address {
	u, err := sip.ParseURI(uri)
	if err != nil {
		panic(err)
	}
	return sip.Address{URI: u}
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

const (
	alice = "sip:alice@example.com"
	bob   = "sip:bob@example.com"
	carol = "sip:carol@example.com"
)
