package ua_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
)

// domain is the registrar and record-routing proxy of a.example, at
// 192.0.2.100. Everybody's password is "secret".
type domain struct {
	t         *testing.T
	layer     *transaction.Layer
	registrar *digest.Server
	guard     *digest.Server // asks callers

	mu       sync.Mutex
	register []register           // what was asked of the registrar
	bindings map[string][]binding // by user
	most     uint32               // seconds that a binding lives at most
	least    uint32               // seconds that one must ask for
	raise    uint32               // what that is after the first 423
	refuse   sip.Status           // every REGISTER; 0: none
	requests map[sip.Method]int   // that were forwarded
}

type register struct {
	at      time.Time
	callID  string
	seq     uint32
	expires uint32
	stale   bool // answered with a stale nonce
	status  sip.Status
}

type binding struct {
	contact sip.URI
	until   time.Time
}

const proxyURI = "sip:192.0.2.100"

func newDomain(t *testing.T, n *siptest.Network) *domain {
	t.Helper()
	d := &domain{t: t, bindings: map[string][]binding{}, most: 3600, requests: map[sip.Method]int{}}
	cfg := digest.ServerConfig{Realm: "a.example", Password: func(context.Context, string) (string, error) { return "secret", nil }}
	var err error
	if d.registrar, err = digest.NewServer(cfg); err != nil {
		t.Fatal(err)
	}
	cfg.Proxy = true
	if d.guard, err = digest.NewServer(cfg); err != nil {
		t.Fatal(err)
	}
	d.layer = newPeer(t, n, "192.0.2.100", d.handle)
	return d
}

func (d *domain) handle(tx *transaction.Server, req *sip.Request) {
	if req.Method() != sip.REGISTER {
		d.forward(tx, req)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	asked, _ := sip.Get[sip.Expires](req)
	r := register{at: time.Now(), callID: req.CallID(), seq: req.CSeq().Seq, expires: uint32(asked)}
	resp := d.answer(tx.Context(), req, &r)
	r.status = resp.Status()
	d.register = append(d.register, r)
	tx.Respond(resp)
}

// answer is RFC 3261 section 10.3.
func (d *domain) answer(ctx context.Context, req *sip.Request, r *register) *sip.Response {
	switch {
	case d.refuse != 0 && d.least > 0:
		return req.Reply(d.refuse, sip.MinExpires(d.least))
	case d.refuse != 0:
		return req.Reply(d.refuse)
	}
	user, err := d.registrar.Verify(ctx, req)
	if err != nil {
		r.stale = err == digest.ErrStale
		return d.registrar.Reply(req, err)
	}
	contact, err := sip.Get[sip.Contact](req)
	if err != nil {
		d.t.Errorf("REGISTER without Contact: %v", err)
		return req.Reply(sip.StatusBadRequest)
	}
	if r.expires > 0 && r.expires < d.least {
		least := d.least
		d.least = max(least, d.raise)
		return req.Reply(sip.StatusIntervalTooBrief, sip.MinExpires(least))
	}
	kept := []binding{}
	for _, b := range d.bindings[user] {
		if !b.contact.Equal(contact.URI) {
			kept = append(kept, b)
		}
	}
	if r.expires > 0 {
		life := min(r.expires, d.most)
		kept = append(kept, binding{contact.URI, time.Now().Add(time.Duration(life) * time.Second)})
	}
	d.bindings[user] = kept
	edits := []sip.Edit{sip.Expires(99999)} // misleads those who do not read their Contact
	for _, b := range kept {
		left := max(0, time.Until(b.until)/time.Second)
		edits = append(edits, sip.Add(sip.Contact{URI: b.contact}.WithExpires(uint32(left))))
	}
	return req.Reply(sip.StatusOK, edits...)
}

// asked returns what was asked of the registrar so far, and forgets it.
func (d *domain) asked() []register {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.register
	d.register = nil
	return r
}

// set changes something of the domain.
func (d *domain) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// forward is RFC 3261 section 16, with a challenge for callers of ours.
func (d *domain) forward(tx *transaction.Server, req *sip.Request) {
	method, uri := req.Method(), req.URI()
	out := req.With(sip.MaxForwards(req.MaxForwards() - 1))
	if route, err := sip.Get[sip.Route](req); err == nil && route.URI.Host == "192.0.2.100" {
		out = out.With(sip.Pop("Route"))
	}
	if req.To().Tag() == "" && method != sip.ACK && method != sip.CANCEL {
		if _, err := d.guard.Verify(tx.Context(), req); err != nil {
			tx.Respond(d.guard.Reply(req, err))
			return
		}
	}
	if uri.Host == "a.example" {
		d.mu.Lock()
		bindings := d.bindings[uri.Username()]
		d.mu.Unlock()
		if len(bindings) == 0 || time.Now().After(bindings[0].until) {
			tx.Reply(sip.StatusTemporarilyUnavailable)
			return
		}
		out = out.WithURI(bindings[0].contact)
	}
	if method == sip.INVITE {
		out = out.With(sip.Push(sip.RecordRoute{URI: sip.URI{Scheme: "sip", Host: "192.0.2.100", Params: ";lr"}}))
	}
	d.mu.Lock()
	d.requests[method]++
	d.mu.Unlock()
	if method == sip.ACK {
		tx.Layer().Send(tx.Context(), out)
		return
	}
	for resp, err := range tx.Layer().Responses(tx.Context(), out) { // a CANCEL ends the context
		if err != nil {
			tx.Reply(sip.StatusRequestTimeout)
			return
		}
		tx.Respond(resp.With(sip.Pop("Via")))
	}
}
