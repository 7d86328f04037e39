// Proxy is a registrar and a record-routing stateful proxy for one domain. Its
// users are named on the command line; everyone registers by digest, and a call
// to a user goes to where they registered last.
//
//	go run ./examples/proxy -domain example.com alice:secret bob:secret
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
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
	users := digest.ServerConfig{Realm: *domain, Password: func(_ context.Context, user string) (string, error) {
		if password, ok := passwords[user]; ok {
			return password, nil
		}
		return "", digest.ErrUnknownUser
	}}
	registrar, err := digest.NewServer(users)
	if err != nil {
		log.Fatal(err)
	}
	users.Proxy = true // 407 in place of 401
	guard, err := digest.NewServer(users)
	if err != nil {
		log.Fatal(err)
	}
	p := &proxy{domain: *domain, registrar: registrar, guard: guard, bindings: map[string]binding{}}
	layer, err := transaction.Listen(
		&transport.Config{Listen: []string{"udp:" + *listen, "tcp:" + *listen}},
		&transaction.Config{Handler: p.handle, Merged: true})
	if err != nil {
		log.Fatal(err)
	}
	defer layer.Close()
	log.Print("serving ", *domain, " on ", *listen)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	<-ctx.Done()
}

type proxy struct {
	domain    string
	registrar *digest.Server // asks for the password of a REGISTER
	guard     *digest.Server // asks our users for theirs when they call

	mu       sync.Mutex
	bindings map[string]binding // by user
}

// binding is where a user registered last.
type binding struct {
	contact sip.URI
	until   time.Time
}

func (p *proxy) handle(tx *transaction.Server, req *sip.Request) {
	if req.Method() == sip.REGISTER {
		p.register(tx, req)
	} else {
		p.forward(tx, req)
	}
}

// register keeps where a user is (RFC 3261 section 10.3).
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
	contact, err := sip.Get[sip.Contact](req)
	if err != nil {
		tx.Reply(sip.StatusBadRequest)
		return
	}
	expires, ok := contact.Expires()
	if header, err := sip.Get[sip.Expires](req); err == nil && !ok {
		expires = uint32(header)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if contact.Star || expires == 0 {
		delete(p.bindings, user)
		tx.Reply(sip.StatusOK)
		return
	}
	expires = min(expires, 3600)
	p.bindings[user] = binding{contact.URI, time.Now().Add(time.Duration(expires) * time.Second)}
	tx.Reply(sip.StatusOK, sip.Contact{URI: contact.URI}, sip.Expires(expires))
}

// forward passes a request on and its responses back (RFC 3261 section 16).
func (p *proxy) forward(tx *transaction.Server, req *sip.Request) {
	if req.MaxForwards() == 0 {
		tx.Reply(sip.StatusTooManyHops)
		return
	}
	self, err := tx.Layer().Endpoint().Contact(tx.Context(), resolve.Target{
		Transport: tx.Flow().Transport(), Addr: tx.Flow().RemoteAddr(),
	})
	if err != nil {
		tx.Reply(sip.StatusServerInternalError)
		return
	}
	self.Params = self.Params.With("lr", "")

	out := req.With(sip.MaxForwards(req.MaxForwards() - 1))
	route, err := sip.Get[sip.Route](req)
	if err == nil && route.URI.Host == self.Host && route.URI.Port == self.Port {
		out = out.With(sip.Pop("Route")) // ours, of the Record-Route below or a preset one
	}
	uri := req.URI()
	if req.To().Tag() == "" && req.Method() != sip.ACK { // the beginning of something
		if req.From().URI.Host == p.domain {
			if _, err := p.guard.Verify(tx.Context(), req); err != nil {
				tx.Respond(p.guard.Reply(req, err))
				return
			}
		} else if uri.Host != p.domain {
			tx.Reply(sip.StatusForbidden) // from outside to outside: no relay for strangers
			return
		}
	}
	if uri.Host == p.domain {
		p.mu.Lock()
		b, ok := p.bindings[uri.Username()]
		p.mu.Unlock()
		if !ok || time.Now().After(b.until) {
			tx.Reply(sip.StatusTemporarilyUnavailable) // no effect for an ACK
			return
		}
		out = out.WithURI(b.contact)
	}
	if req.Method() == sip.INVITE {
		out = out.With(sip.Push(sip.RecordRoute{URI: self}))
	}
	if req.Method() == sip.ACK { // for a 2xx, so part of no transaction
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
