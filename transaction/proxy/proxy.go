package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goparley/parley/internal/hostname"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// Config holds the options of a Proxy.
type Config struct {
	// Handler decides on each new request: it answers, or forwards, or does
	// both. By then the request is valid (RFC 3261 section 16.3) and no loop, which
	// a service that returns it as it came makes of it (see the package), and our own
	// entries are off its Route (section 16.4). Where it runs, in which order and
	// within which bounds, tells transaction.Config.Handler. What it forwards goes
	// on when it has returned, until there is an answer: a final one of its own
	// cancels all branches. nil relays what is within a dialog that we are on the
	// path of, and refuses the rest with 403.
	Handler func(tx *Server, req *sip.Request)

	// Domains are the domains whose users are ours to find. The addresses of our
	// sockets and the name that is advertised always are; those of a wildcard
	// are the ones that the machine has when the Proxy begins. What a STUN server
	// has found is not among them. One that is no host, a name or an address without a
	// port, is an error of Listen.
	Domains []string

	// RecordRoute keeps us on the path of the dialogs that go by us (RFC 3261
	// section 16.6 step 4). Without it, that is done where it must be: for a user
	// agent behind a flow of RFC 5626, and at the border between sips and sip.
	RecordRoute bool

	// Path puts us on the Path of the REGISTERs that we forward (RFC 3327
	// section 5.2), by the side that the registrar is on, and with the flow to a
	// client that has no other way in (RFC 5626 section 5.1).
	Path bool

	// Recurse has the Contacts of a 3xx tried here instead of by the caller (RFC
	// 3261 section 16.7 step 4), 20 at most for one request.
	Recurse bool

	// Supported are the option tags that a Proxy-Require may have; another one
	// gets 420.
	Supported []string

	// MaxBreadth is how many branches a request may have at once, here and
	// further on together (RFC 5393 section 5.3.3); 0 means 60. A request that
	// allows for fewer, by its Max-Breadth, has fewer. One that comes back to us,
	// changed on its way so that it is no loop, begins five times as many branches
	// in all, and one more each second; what is too much counts as 482.
	MaxBreadth int

	// Stateless says which requests are forwarded without a transaction, and
	// where (RFC 3261 section 16.11): for the zero Target along the Route or to
	// the Request-URI. What it says may depend on the message, and on what does
	// not change, alone: a retransmission has to go the same way, and so has the
	// CANCEL and the ACK of an INVITE. It is called from the goroutine that reads
	// the socket, with requests that are valid and free of our Route entries, and
	// must not block. nil means none.
	//
	// Between UDP and a connection, a request is forwarded to that target with a
	// transaction all the same, for somebody has to send again what is lost
	// (section 16.1), and Stateless is asked once more for it, on the goroutine
	// of the handler. From a connection to a name that DNS has to be asked for,
	// too, unless it comes with a transport. And so are requests that have to wait
	// for DNS or a connection while 512 others do, or 64 for the same host or from
	// the same source: then limits are those of transactions.
	Stateless func(req *sip.Request, in Arrival) (to Target, ok bool)

	// Transaction holds timers, limits and the Logger. Timer C is 200 seconds if
	// it is zero. Handler, Accepted, Stateless and Merged are set by the Proxy.
	// nil will do.
	Transaction *transaction.Config
}

// Proxy is a proxy core on a transaction layer.
type Proxy struct {
	cfg     Config
	tc      transport.Config
	log     *slog.Logger
	layer   *transaction.Layer
	ending  atomic.Bool // by Shutdown
	bonds   key         // of what ties our Route entries to requests
	posted  posted
	spirals spirals
	vouched vouched

	known sync.Once
	self  *self
	none  string // the token of no flow
	key   marker // of branches
}

// Listen binds the sockets and runs a Proxy on them. cfg may be nil. FlowKey of
// the transport's config is what our Route entries are signed with, and what
// branches are made of: unless it is set, a Proxy does not know those of an earlier
// run of the program, and does not go on with its requests.
//
// Branches are those of one node, too, for others may have its FlowKey. So Listen,
// Advertise and AdvertisePorts are to be the same in the next run, and where a socket
// is bound to all addresses, those of IPv4 that the machine has when the Proxy begins;
// without any, those of IPv6. Where these change, let Listen name an address.
func Listen(tc *transport.Config, cfg *Config) (*Proxy, error) {
	p := &Proxy{}
	if tc != nil {
		p.tc = *tc
	}
	p.bonds = deriveKey(p.tc.FlowKey, bondParam)
	if cfg != nil {
		p.cfg = *cfg
	}
	for _, host := range p.cfg.Domains {
		if !hostname.IsHost(host) {
			return nil, fmt.Errorf("proxy: %q of Domains is no host", host)
		}
	}
	if p.cfg.Handler == nil {
		p.cfg.Handler = relayDialogs
	}
	if p.cfg.MaxBreadth <= 0 {
		p.cfg.MaxBreadth = 60
	}
	var lc transaction.Config
	if p.cfg.Transaction != nil {
		lc = *p.cfg.Transaction
	}
	if lc.Timers.C == 0 {
		lc.Timers.C = 200 * time.Second
	}
	if lc.Logger == nil {
		lc.Logger = p.tc.Logger
	}
	if lc.Logger == nil {
		lc.Logger = slog.Default()
	}
	p.log = lc.Logger
	lc.Handler = p.handle
	lc.Accepted = nil // a further 2xx comes by its branch
	lc.Merged = true  // RFC 3261 section 16.3
	lc.Stateless = nil
	if p.cfg.Stateless != nil {
		lc.Stateless = p.stateless
	}
	p.posted.init()
	p.spirals.init(p.cfg.MaxBreadth)
	layer, err := transaction.Listen(tc, &lc)
	if err != nil {
		p.posted.end()
		return nil, err
	}
	p.layer = layer
	p.know(layer.Endpoint())
	return p, nil
}

// Layer returns the transaction layer that the Proxy runs on. A handler may be
// called before Listen has returned, and has that of its Server.
func (p *Proxy) Layer() *transaction.Layer { return p.layer }

// Shutdown stops to take new requests, waits for those that are under way, and
// closes the Proxy, as Shutdown of a transaction.Layer does.
func (p *Proxy) Shutdown(ctx context.Context) error {
	p.ending.Store(true)
	err := p.layer.Shutdown(ctx)
	p.posted.end()
	return err
}

// Close ends all that is under way, without a word to the peers, and closes the
// sockets.
func (p *Proxy) Close() error {
	err := p.layer.Close()
	p.posted.end()
	return err
}

// know finds out what we are called. A request may be there before Listen has
// returned.
func (p *Proxy) know(ep *transport.Endpoint) *self {
	p.known.Do(func() {
		p.self = newSelf(ep, &p.tc, p.cfg.Domains, &p.bonds)
		p.none = ep.FlowToken(transport.Flow{})
		p.key = newMarker(deriveKey(p.tc.FlowKey, p.self.branches()))
	})
	return p.self
}

// relayDialogs is the handler of who has none.
func relayDialogs(tx *Server, req *sip.Request) {
	if tx.Routed() {
		tx.Relay(req)
		return
	}
	tx.Reply(sip.StatusForbidden)
}

// handle takes a request from the layer.
func (p *Proxy) handle(tx *transaction.Server, req *sip.Request) {
	ep, flow := tx.Layer().Endpoint(), tx.Flow()
	s := &Server{Server: tx, p: p}
	out, refused := s.admit(p.know(ep), ep, flow, req)
	switch {
	case refused == nil:
		if to, ok := p.between(s, out); ok {
			s.forward(out, []Target{to}, to.URI.Scheme == "")
			return
		}
		p.cfg.Handler(s, out)
	case req.Method() == sip.ACK: // never answered
	case refused.status == 0:
		tx.Refuse(refused.err, refused.edits...)
	default:
		tx.Reply(refused.status, refused.edits...)
	}
}

// refuse says why a request could not even be written as it is to be sent.
func refuse(err error) *refusal {
	var syntax *sip.SyntaxError
	if errors.As(err, &syntax) {
		return &refusal{err: err}
	}
	return &refusal{status: sip.StatusServerInternalError}
}
