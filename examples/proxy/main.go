// Proxy is a registrar and a record-routing stateful proxy for one domain. Its
// users are named on the command line. They register, and call, with a
// password; strangers can call them. A call to a user goes to where they
// registered last.
//
//	go run ./examples/proxy -domain example.com alice:secret bob:secret
package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"log"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

func main() {
	domain := flag.String("domain", "example.com", "the domain that is served")
	listen := flag.String("listen", "127.0.0.1:5060", "address for UDP and TCP")
	flag.Parse()
	passwords := map[string]string{}
	for _, arg := range flag.Args() {
		user, password, _ := strings.Cut(arg, ":")
		passwords[user] = password
	}
	if err := run(*domain, *listen, passwords); err != nil {
		log.Fatal(err)
	}
}

func run(domain, listen string, passwords map[string]string) error {
	users := digest.ServerConfig{Realm: domain, Password: func(_ context.Context, user string) (string, error) {
		if password, ok := passwords[user]; ok {
			return password, nil
		}
		return "", digest.ErrUnknownUser
	}}
	p := &proxy{domain: domain, secret: []byte(rand.Text()), bindings: map[string][]binding{}}
	var err error
	if p.registrar, err = digest.NewServer(users); err != nil {
		return err
	}
	users.Proxy = true // 407 in place of 401
	if p.guard, err = digest.NewServer(users); err != nil {
		return err
	}
	layer, err := transaction.Listen(
		&transport.Config{Listen: []string{"udp:" + listen, "tcp:" + listen}},
		&transaction.Config{
			Handler:  p.handle,
			Accepted: p.accepted,
			Merged:   true,
			Timers:   transaction.Timers{C: 200 * time.Second}, // who rings for longer without a word is given up
		})
	if err != nil {
		return err
	}
	defer layer.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	log.Print("serving ", domain, " on ", listen)
	<-ctx.Done()
	return nil
}

type proxy struct {
	domain    string
	secret    []byte         // what the tokens in our Record-Route are made with
	registrar *digest.Server // asks for the password of a REGISTER
	guard     *digest.Server // asks our users for theirs when they call

	mu       sync.Mutex
	bindings map[string][]binding // by user, the latest last

	invites sync.Map // of the *transaction.Server that each forwarded INVITE came by
}

// binding is where a user can be reached.
type binding struct {
	contact sip.URI
	until   time.Time
}

func (p *proxy) handle(tx *transaction.Server, req *sip.Request) {
	require, badRequire := sip.Get[sip.ProxyRequire](req)
	_, badRoute := sip.Get[sip.Route](req)
	switch {
	case req.Method() == sip.REGISTER && p.serves(req.URI()):
		p.register(tx, req)
	case req.MaxForwards() == 0:
		tx.Reply(sip.StatusTooManyHops)
	case badRequire != nil && !errors.Is(badRequire, sip.ErrMissing):
		tx.Refuse(badRequire)
	case len(require) > 0: // RFC 3261 section 16.3 step 5
		tx.Reply(sip.StatusBadExtension, sip.Unsupported(require))
	case badRoute != nil && !errors.Is(badRoute, sip.ErrMissing):
		tx.Refuse(badRoute)
	case req.To().Tag() != "":
		p.within(tx, req)
	case req.Method() != sip.ACK: // which is for our own refusals
		p.begin(tx, req)
	}
}

// serves reports whether a URI is of our domain.
func (p *proxy) serves(uri sip.URI) bool {
	return strings.EqualFold(strings.TrimSuffix(uri.Host, "."), p.domain)
}

// begin takes a request outside of a call to where its user is.
func (p *proxy) begin(tx *transaction.Server, req *sip.Request) {
	if p.serves(req.From().URI) && !p.admits(tx, req) {
		return
	}
	if !p.serves(req.URI()) { // no relay to other domains
		tx.Reply(sip.StatusForbidden)
		return
	}
	p.mu.Lock()
	bindings := current(p.bindings[req.URI().Username()])
	p.mu.Unlock()
	if len(bindings) == 0 {
		tx.Reply(sip.StatusTemporarilyUnavailable)
		return
	}
	self, err := tx.Layer().Endpoint().Contact(tx.Context(), resolve.Target{
		Transport: tx.Flow().Transport(), Addr: tx.Flow().RemoteAddr(),
	})
	if err != nil {
		tx.Reply(sip.StatusServerInternalError)
		return
	}
	self.User, self.Params = p.token(req), self.Params.With("lr", "")
	out := req.WithURI(bindings[len(bindings)-1].contact).With(sip.Del("Route"))
	if req.Method() == sip.INVITE {
		out = out.With(sip.Push(sip.RecordRoute{URI: self}))
	}
	p.forward(tx, out)
}

// within takes a request within a call along its route, whose first entry is
// our Record-Route. Our users may send anywhere, with their password; strangers
// only to where one of our users is.
func (p *proxy) within(tx *transaction.Server, req *sip.Request) {
	route, err := sip.Get[sip.Route](req)
	ours := err == nil && hmac.Equal([]byte(route.URI.User), []byte(p.token(req)))
	out := req.With(sip.Pop("Route"))
	switch {
	case req.Method() == sip.ACK: // never answered
		if ours {
			p.forward(tx, out)
		}
	case !ours:
		tx.Reply(sip.StatusCallDoesNotExist)
	case p.serves(req.From().URI):
		if p.admits(tx, req) {
			p.forward(tx, out)
		}
	case p.isBound(req.URI()):
		p.forward(tx, out)
	default:
		tx.Reply(sip.StatusForbidden)
	}
}

// token is what our Record-Route in a call carries.
func (p *proxy) token(req *sip.Request) string {
	mac := hmac.New(sha256.New, p.secret)
	mac.Write([]byte(req.CallID()))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// admits asks one of our users for the password.
func (p *proxy) admits(tx *transaction.Server, req *sip.Request) bool {
	user, err := p.guard.Verify(tx.Context(), req)
	switch {
	case err != nil:
		tx.Respond(p.guard.Reply(req, err))
	case user != req.From().URI.Username():
		tx.Reply(sip.StatusForbidden)
	default:
		return true
	}
	return false
}

// isBound reports whether one of our users is at the host of a URI.
func (p *proxy) isBound(uri sip.URI) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, bindings := range p.bindings {
		for _, b := range current(bindings) {
			if strings.EqualFold(b.contact.HostPort(), uri.HostPort()) {
				return true
			}
		}
	}
	return false
}

// forward passes a request on and its responses back (RFC 3261 section 16).
func (p *proxy) forward(tx *transaction.Server, req *sip.Request) {
	out := req.With(sip.MaxForwards(req.MaxForwards() - 1))
	if req.Method() == sip.ACK { // for a 2xx, so part of no transaction
		tx.Layer().Send(tx.Context(), out)
		return
	}
	if req.Method() == sip.INVITE {
		p.invites.Store(out, tx)
		defer time.AfterFunc(time.Minute, func() { p.invites.Delete(out) })
	}
	for resp, err := range tx.Layer().Responses(tx.Context(), out) { // a CANCEL ends the context
		if err != nil {
			tx.Reply(sip.StatusRequestTimeout)
			return
		}
		tx.Respond(resp.With(sip.Pop("Via")))
	}
}

// accepted passes on a 2xx that comes again because its ACK has not come.
func (p *proxy) accepted(invite *sip.Request, resp *sip.Response) {
	if tx, ok := p.invites.Load(invite); ok {
		tx.(*transaction.Server).Respond(resp.With(sip.Pop("Via")))
	}
}

// register adds, refreshes and removes bindings, and lists them (RFC 3261
// section 10.3).
func (p *proxy) register(tx *transaction.Server, req *sip.Request) {
	user, err := p.registrar.Verify(tx.Context(), req)
	if err != nil {
		tx.Respond(p.registrar.Reply(req, err))
		return
	}
	if user != req.To().URI.Username() {
		tx.Reply(sip.StatusForbidden)
		return
	}
	p.mu.Lock()
	bindings, err := merge(current(p.bindings[user]), req)
	if err == nil {
		p.bindings[strings.Clone(user)] = bindings
	}
	p.mu.Unlock()
	if err != nil {
		tx.Refuse(err)
		return
	}
	var list []sip.Contact
	for _, b := range bindings {
		left := max(0, time.Until(b.until).Round(time.Second)/time.Second)
		list = append(list, sip.Contact{URI: b.contact}.WithExpires(uint32(left)))
	}
	tx.Reply(sip.StatusOK, sip.List(list...))
}

// merge returns the bindings as a REGISTER wants them.
func merge(bindings []binding, req *sip.Request) ([]binding, error) {
	standard := uint32(3600)
	if header, err := sip.Get[sip.Expires](req); err == nil {
		standard = uint32(header)
	}
	for contact, err := range sip.All[sip.Contact](req) {
		if err != nil {
			return nil, err
		}
		if contact.Star && standard != 0 {
			return nil, &sip.SyntaxError{Where: "Contact", Msg: "expected Expires: 0 with *", Status: sip.StatusBadRequest}
		}
		expires, ok := contact.Expires()
		if !ok {
			expires = standard
		}
		bindings = slices.DeleteFunc(bindings, func(b binding) bool { return contact.Star || b.contact.Equal(contact.URI) })
		if expires > 0 && len(bindings) < 10 {
			until := time.Now().Add(time.Duration(min(expires, 3600)) * time.Second)
			bindings = append(bindings, binding{contact.URI.Clone(), until})
		}
	}
	return bindings, nil
}

// current returns a copy of those bindings that still hold.
func current(bindings []binding) []binding {
	return slices.DeleteFunc(slices.Clone(bindings), func(b binding) bool { return time.Now().After(b.until) })
}
