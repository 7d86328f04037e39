// B2bua answers each call by one of its own to the next hop, and passes on what the two sides say to each other:
// descriptions, hold, transfers, digits, PRACK, UPDATE, session timers. Media goes from one to the other.
//
//	go run ./examples/b2bua -listen udp:192.0.2.1:5060,tcp:192.0.2.1:5060 sip:192.0.2.7
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"flag"
	"log"
	"os/signal"
	"strings"
	"syscall"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// bridge is a Layer whose dialogs come in pairs, of a leg to each side.
type bridge struct {
	*dialog.Layer
	hop sip.URI // where calls go: to the user who was called, unless it has one
}

func main() {
	listen := flag.String("listen", "udp:127.0.0.1:5060,tcp:127.0.0.1:5060", "sockets, of udp and tcp")
	flag.Parse()
	hop, err := sip.ParseURI(flag.Arg(0))
	if err != nil {
		log.Fatal("usage: b2bua [-listen sockets] sip:host:port: ", err)
	}
	b, err := start(&transport.Config{Listen: strings.Split(*listen, ",")}, hop)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	log.Print("serving on ", *listen)
	<-ctx.Done()
	stop() // a second signal ends it at once
	for leg := range b.Dialogs() {
		leg.Session().Bye(ctx) // which has ended: it is Shutdown that waits for the answer
	}
	b.Shutdown(context.Background())
}

func start(sockets *transport.Config, hop sip.URI) (*bridge, error) {
	b := &bridge{hop: hop}
	_, err := dialog.Listen(sockets, &dialog.Config{OnInvite: b.invited, OnRequest: b.requested, OnEnd: b.ended,
		Restore: func(l *dialog.Layer) error { b.Layer = l; return nil }}) // before anything comes
	return b, err
}

// invited passes on an INVITE that begins a call, or changes it, and the answers.
func (b *bridge) invited(ctx context.Context, in *dialog.Invitation) {
	switch other := in.Session().Other(); {
	case !in.Re():
		callee, resp, err := b.Invite(ctx, b.outside(in.Request()), func(s *dialog.Session, resp *sip.Response) { in.Relay(s, resp, nil) })
		in.Relay(callee, resp, err)
	case other == nil: // it was not restored
		in.Reject(sip.StatusCallDoesNotExist)
	default:
		resp, err := other.Session().Invite(ctx, func(resp *sip.Response) { in.Relay(other.Session(), resp, nil) }, b.Relayed(in.Request())...)
		in.Relay(other.Session(), resp, err)
	}
}

// requested passes on any other request, and the answer.
func (b *bridge) requested(tx *dialog.Server, req *sip.Request) {
	switch leg, method := tx.Dialog(), req.Method(); {
	case leg == nil && (method == sip.MESSAGE || method == sip.OPTIONS):
		tx.Relay(b.Do(tx.Context(), b.outside(req)))
	case leg == nil:
		tx.Reply(sip.StatusMethodNotAllowed, sip.Allow{sip.INVITE, sip.ACK, sip.CANCEL, sip.BYE, sip.MESSAGE, sip.OPTIONS})
	default:
		if other := leg.Other(); other != nil {
			tx.Relay(other.Do(tx.Context(), method, b.Relayed(req)...))
			return
		} // the caller talks to another branch of a fork
		tx.Reply(sip.StatusServerInternalError, sip.RetryAfter{Seconds: 1})
	}
}

// ended ends the other leg when one is over, however that came, and says why.
func (b *bridge) ended(leg *dialog.Session) {
	if other := leg.Other(); other != nil {
		go other.Session().Bye(context.Background(), leg.Farewell()...) // ends with the answer
	}
}

// outside makes a request outside of a dialog of one that came so.
func (b *bridge) outside(req *sip.Request) *sip.Request {
	hop := b.hop
	hop.User = cmp.Or(hop.User, req.URI().User)
	return sip.NewRequest(req.Method(), hop, append(b.Relayed(req), req.From().WithTag(rand.Text()), req.To(),
		sip.CallID(rand.Text()), sip.CSeq{Seq: 1, Method: req.Method()})...)
}
