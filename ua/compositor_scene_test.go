package ua_test

import (
	"crypto/rand"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

const (
	serverAddr = "192.0.2.100"
	aliceURI   = "sip:alice@a.example"
)

// newESC makes an agent that holds what is published.
func newESC(t *testing.T, n *siptest.Network, cfg *ua.CompositorConfig, trace *transport.Trace) *ua.Compositor {
	esc := ua.NewCompositor(cfg)
	newAgent(t, n, serverAddr, "sip:presence@a.example", ua.Config{Compositor: esc, Trace: trace})
	return esc
}

// bodies returns what is published of alice, in the order of the changes.
func bodies(esc *ua.Compositor, event string) (all []string) {
	for _, s := range esc.States(uri(aliceURI), event) {
		all = append(all, s.Body.Content)
	}
	return all
}

func uri(s string) sip.URI {
	u, err := sip.ParseURI(s)
	if err != nil {
		panic(err)
	}
	return u
}

// pidf is a body of presence.
func pidf(content string) sip.Body {
	return sip.Body{Type: "application/pidf+xml", Content: content}
}

// device publishes what the test writes, as alice.
type device struct {
	t *testing.T
	l *transaction.Layer
}

func newDevice(t *testing.T, n *siptest.Network) device {
	return device{t, newPeer(t, n, "192.0.2.9", nil)}
}

// fromDevice is what every PUBLISH of a device has; what the test says comes
// after it.
func fromDevice(edits ...sip.Edit) *sip.Request {
	return request(sip.PUBLISH, aliceURI, append([]sip.Edit{
		sip.Route{URI: sip.URI{Scheme: "sip", Host: serverAddr, Params: ";lr"}},
		sip.From{URI: uri(aliceURI), Params: ";tag=d"}, sip.CallID(rand.Text()), presence, sip.Expires(600),
	}, edits...)...)
}

var presence = sip.Event{Package: "presence"}

func (d device) publish(edits ...sip.Edit) *sip.Response {
	d.t.Helper()
	return d.do(fromDevice(edits...))
}

func (d device) do(req *sip.Request) *sip.Response {
	d.t.Helper()
	resp, err := d.l.Do(d.t.Context(), req)
	if err != nil {
		d.t.Fatal(err)
	}
	return resp
}

// accepted checks for a 200 and returns its entity-tag.
func (d device) accepted(resp *sip.Response, seconds sip.Expires) sip.SIPIfMatch {
	d.t.Helper()
	etag, err := sip.Get[sip.SIPETag](resp)
	if resp.Status() != sip.StatusOK || err != nil {
		d.t.Fatalf("PUBLISH got %v, and an entity-tag %v, want 200", resp.Status(), err)
	}
	if got, err := sip.Get[sip.Expires](resp); err != nil || got != seconds {
		d.t.Errorf("Expires: %d, %v, want %d", got, err, seconds)
	}
	return sip.SIPIfMatch(etag)
}

func (d device) refused(resp *sip.Response, want sip.Status) {
	d.t.Helper()
	if resp.Status() != want {
		d.t.Errorf("PUBLISH got %v, want %v", resp.Status(), want)
	}
}

// notices collects what OnChange is told.
type notices struct {
	mu  sync.Mutex
	all []string
}

func (n *notices) change(aor sip.URI, event string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, event+" of "+aor.String())
}

// take returns how often OnChange was called for alice's presence, and forgets
// it.
func (n *notices) take(t *testing.T) int {
	t.Helper()
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.all {
		if want := "presence of " + aliceURI; s != want {
			t.Errorf("OnChange was told of %s, want %s", s, want)
		}
	}
	defer func() { n.all = nil }()
	return len(n.all)
}

func (n *notices) want(t *testing.T, what string, want int) {
	t.Helper()
	if got := n.take(t); got != want {
		t.Errorf("%s: %d notices, want %d", what, got, want)
	}
}
