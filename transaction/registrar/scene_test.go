package registrar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/proxy"
)

const (
	registrarAddr = "192.0.2.10"
	phoneAddr     = "192.0.2.1"
	aliceAOR      = "sip:alice@example.com"

	instanceOne = `+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"`
	instanceTwo = `+sip.instance="<urn:uuid:00000000-0000-1000-8000-aabbccddeeff>"`
)

// story runs f in fake time on a network where a packet takes 10 ms.
func story(t *testing.T, cfg *Config, f func(t *testing.T, s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if cfg != nil && cfg.Users != nil {
			cfg.Users = secrets(t) // of the time in here
		}
		f(t, newScene(t, siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond}), cfg))
	})
}

// scene is a registrar for example.com and a phone.
type scene struct {
	testing.TB
	n        *siptest.Network
	location *Registrar
	server   *transaction.Layer
	phone    *phone
}

func newScene(t testing.TB, n *siptest.Network, cfg *Config) *scene {
	t.Helper()
	if cfg == nil {
		cfg = &Config{}
	}
	if cfg.Domains == nil {
		cfg.Domains = []string{"example.com"}
	}
	if cfg.Logger == nil {
		cfg.Logger = quiet
	}
	s := &scene{TB: t, n: n, location: must(New(cfg))}
	s.server = listen(t, n.Host(registrarAddr), func(tx *transaction.Server, req *sip.Request) { s.location.Register(tx, req) })
	s.phone = newPhone(t, n.Host(phoneAddr))
	return s
}

// must is for what cannot fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var quiet = slog.New(slog.DiscardHandler)

func listen(t testing.TB, host *siptest.Host, handler func(*transaction.Server, *sip.Request)) *transaction.Layer {
	t.Helper()
	at := netip.AddrPortFrom(host.Addr(), 5060).String()
	l, err := transaction.Listen(&transport.Config{
		Listen: []string{"udp:" + at, "tcp:" + at}, Network: host, Resolver: names{}, Logger: quiet,
	}, &transaction.Config{Handler: handler, Merged: true, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// names knows that example.com is the registrar, and sip.example.net a proxy.
type names struct{}

func (names) Lookup(_ context.Context, name string, t resolve.Type) (*resolve.Answer, error) {
	a := &resolve.Answer{TTL: time.Minute}
	if t == resolve.TypeA && name == "example.com" {
		a.Addrs = []netip.Addr{netip.MustParseAddr(registrarAddr)}
	}
	if t == resolve.TypeA && name == "sip.example.net" {
		a.Addrs = []netip.Addr{netip.MustParseAddr(proxyAddr)}
	}
	return a, nil
}

// phone is a client that says what it is told to say.
type phone struct {
	t      testing.TB
	layer  *transaction.Layer
	uri    string // where REGISTERs go
	to     string
	user   string // whose password it has; "" means alice
	callID string
	seq    uint32
}

func newPhone(t testing.TB, host *siptest.Host) *phone {
	return &phone{t: t, layer: listen(t, host, nil), uri: "sip:example.com", to: aliceAOR, callID: "1@phone"}
}

// request makes the next REGISTER, with these Contacts.
func (p *phone) request(contacts []string, edits ...sip.Edit) *sip.Request {
	p.t.Helper()
	p.seq++
	all := []sip.Edit{
		sip.MaxForwards(70), sip.From{URI: uri(p.t, aliceAOR), Params: ";tag=1"}, sip.To{URI: uri(p.t, p.to)},
		sip.CallID(p.callID), sip.CSeq{Seq: p.seq, Method: sip.REGISTER},
	}
	for _, c := range contacts {
		all = append(all, sip.Add(sip.Field{Name: "Contact", Value: c}))
	}
	r := sip.NewRequest(sip.REGISTER, uri(p.t, p.uri), append(all, edits...)...)
	if r.Err() != nil {
		p.t.Fatal(r.Err())
	}
	return r
}

// ask sends a request and returns its final response.
func (p *phone) ask(r *sip.Request) *sip.Response {
	p.t.Helper()
	resp, err := p.layer.Do(p.t.Context(), r)
	if resp == nil {
		p.t.Fatalf("no response: %v", err)
	}
	return resp
}

// register sends a REGISTER that must get this status.
func (p *phone) register(want sip.Status, contacts []string, edits ...sip.Edit) *sip.Response {
	p.t.Helper()
	resp := p.ask(p.request(contacts, edits...))
	if resp.Status() != want {
		p.t.Fatalf("REGISTER %q got %v, want %v", contacts, resp.Status(), want)
	}
	return resp
}

// contact is one Contact.
func contact(values ...string) []string { return values }

// knows is a Supported header field.
func knows(options ...string) sip.Edit { return sip.Supported(options) }

// expectContacts checks the Contacts of a response, in any order.
func expectContacts(t testing.TB, resp *sip.Response, want ...string) {
	t.Helper()
	var got []string
	for c, err := range sip.All[sip.Contact](resp) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(c.AppendValue(nil)))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("Contact: %s\nwant     %s", strings.Join(got, "\n         "), strings.Join(want, "\n         "))
	}
}

// expectTargets checks what a URI leads to, in order.
func (s *scene) expectTargets(of string, want ...string) []proxy.Target {
	s.Helper()
	return expectTargets(s, s.location, of, want...)
}

func expectTargets(t testing.TB, location *Registrar, of string, want ...string) []proxy.Target {
	t.Helper()
	targets, err := location.Lookup(t.Context(), uri(t, of))
	if err != nil {
		t.Errorf("Lookup(%s): %v", of, err)
	}
	var got []string
	for _, target := range targets {
		got = append(got, target.URI.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("Lookup(%s) = %q, want %q", of, got, want)
	}
	return targets
}

// expectNone checks that a URI is not found.
func (s *scene) expectNone(of string) {
	s.Helper()
	if targets, err := s.location.Lookup(s.Context(), uri(s, of)); !errors.Is(err, ErrNotFound) {
		s.Errorf("Lookup(%s) = %v, %v, want ErrNotFound", of, targets, err)
	}
}

func uri(t testing.TB, text string) sip.URI {
	t.Helper()
	u, err := sip.ParseURI(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func header(m sip.Message, name string) string {
	value, _ := m.Value(name)
	return value
}

func expectHeader(t testing.TB, m sip.Message, name, want string) {
	t.Helper()
	if got := header(m, name); got != want {
		t.Errorf("%s: %s, want %q", name, got, want)
	}
}

// numbered is a Contact of its own.
func numbered(i int) string { return fmt.Sprintf("<sip:alice@192.0.2.1:%d>", 6000+i) }
