package ua

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// Config holds the options of an Agent. The zero value will do for an agent
// that calls without a password.
type Config struct {
	// Password answers digest challenges; "" has none.
	Password string
	// User is the name that goes with the password; "" means the user of the
	// agent's URI.
	User string
	// Display is the name that callees see; "" shows none.
	Display string

	// Listen names the sockets, such as "udp:0.0.0.0:5060" or "tcp:[::1]:0".
	// None means UDP and TCP on a free port of every address.
	Listen []string
	// Advertise is the host that peers reach us by if it is not the bound
	// address; "" means the address that leads to the peer.
	Advertise string
	// Proxy is the URI of a proxy that every request goes to first, such as
	// "sip:proxy.example.com;transport=tcp"; "" sends to where the request
	// says.
	Proxy string

	// OnInvite is called for each call that comes in, in a goroutine of its
	// own. ctx ends if the caller gives up, and when OnInvite returns. A call
	// that it does not answer gets 480. nil refuses every call with 405.
	OnInvite func(ctx context.Context, in *Invitation)
	// OnMessage is called for each MESSAGE outside of a call (RFC 3428), in a
	// goroutine of its own. nil as its error accepts the message; a sip.Status
	// refuses it with that code, another error with 500. A nil func refuses
	// every message with 405.
	OnMessage func(ctx context.Context, m Message) error

	// UserAgent names the program in requests; "" leaves it unnamed.
	UserAgent string

	Network  transport.Network  // nil: the operating system's
	Resolver resolve.Resolver   // nil: the system's
	Timers   transaction.Timers // zero: those of RFC 3261
	Trace    *transport.Trace   // nil: none
	Logger   *slog.Logger       // nil: slog.Default
}

// Agent is a user agent with one address of record.
type Agent struct {
	aor   sip.URI
	cfg   Config
	proxy sip.URI // zero: none
	l     *dialog.Layer
	log   *slog.Logger

	ctx context.Context // ended by Shutdown; what is still ringing ends with it
	end context.CancelFunc

	mu     sync.Mutex
	closed bool
	calls  map[*dialog.Session]*Call
	regs   map[*Registration]struct{}
}

// New makes an agent for an address of record, such as
// "sip:alice@example.com", and binds its sockets. cfg may be nil.
//
// A port that is taken is a *net.OpError that wraps syscall.EADDRINUSE.
func New(aor string, cfg *Config) (*Agent, error) {
	uri, err := sip.ParseURI(aor)
	if err == nil && uri.Scheme != "sip" {
		err = resolve.ErrTransport
	}
	if err != nil {
		return nil, fmt.Errorf("ua: address of record %q: %w", aor, err)
	}
	a := &Agent{aor: uri, calls: map[*dialog.Session]*Call{}, regs: map[*Registration]struct{}{}}
	a.ctx, a.end = context.WithCancel(context.Background())
	if cfg != nil {
		a.cfg = *cfg
	}
	if a.cfg.Proxy != "" {
		if a.proxy, err = sip.ParseURI(a.cfg.Proxy); err != nil {
			return nil, fmt.Errorf("ua: proxy %q: %w", a.cfg.Proxy, err)
		}
		a.proxy.Params = a.proxy.Params.With("lr", "")
	}
	if len(a.cfg.Listen) == 0 {
		a.cfg.Listen = []string{"udp:0.0.0.0:0", "tcp:0.0.0.0:0"}
	}
	if a.log = a.cfg.Logger; a.log == nil {
		a.log = slog.Default()
	}
	dc := &dialog.Config{
		OnRequest: a.request,
		OnEnd:     a.callEnded,
		Transaction: transaction.Config{
			Resolver: a.cfg.Resolver,
			Timers:   a.cfg.Timers,
		},
	}
	if a.cfg.OnInvite != nil {
		dc.OnInvite = a.invited
	}
	if a.cfg.Password != "" {
		user := a.cfg.User
		if user == "" {
			user = uri.Username()
		}
		dc.Auth = digest.NewClient(digest.Credentials{Username: user, Password: a.cfg.Password})
	}
	a.l, err = dialog.Listen(&transport.Config{
		Listen:    a.cfg.Listen,
		Advertise: a.cfg.Advertise,
		Network:   a.cfg.Network,
		Trace:     a.cfg.Trace,
		Logger:    a.cfg.Logger,
	}, dc)
	if err != nil {
		return nil, fmt.Errorf("ua: %s: %w", aor, err)
	}
	return a, nil
}

// Addr returns the address that is bound for a transport, "udp" or "tcp". It
// is not valid if there is none.
func (a *Agent) Addr(transport string) netip.AddrPort {
	return a.l.Transactions().Endpoint().Addr(transport)
}

// Options asks what a peer or a server can do, or whether it is there (RFC
// 3261 section 11). A refusal is a *StatusError.
func (a *Agent) Options(ctx context.Context, target string) (*sip.Response, error) {
	req, err := a.newRequest(sip.OPTIONS, target, sip.Field{Name: "Accept", Value: "application/sdp"})
	if err != nil {
		return nil, err
	}
	return a.do(ctx, req)
}

// newRequest makes a request outside of a dialog (RFC 3261 section 8.1.1).
func (a *Agent) newRequest(method sip.Method, target string, edits ...sip.Edit) (*sip.Request, error) {
	uri, err := sip.ParseURI(target)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", strings.ToLower(string(method)), target, err)
	}
	to := sip.To{URI: uri}
	// Header fields in a URI are not followed; RFC 3261 section 19.1.5 says
	// how unsafe they are.
	uri.Headers, to.URI.Headers = "", ""
	return a.requestTo(method, uri, to, rand.Text(), rand.Text(), 1, edits...), nil
}

func (a *Agent) requestTo(method sip.Method, uri sip.URI, to sip.To, tag, callID string, seq uint32, edits ...sip.Edit) *sip.Request {
	from := sip.From{Display: a.cfg.Display, URI: a.aor, Params: sip.Params(";tag=" + tag)}
	// The parameters of RFC 3261 table 1 that From and To may not have.
	for _, p := range []string{"transport", "maddr", "ttl", "lr", "method"} {
		from.URI.Params, to.URI.Params = from.URI.Params.Without(p), to.URI.Params.Without(p)
	}
	all := []sip.Edit{sip.MaxForwards(70), from, to, sip.CallID(callID), sip.CSeq{Seq: seq, Method: method}}
	if a.proxy.Host != "" {
		all = append([]sip.Edit{sip.Route{URI: a.proxy}}, all...)
	}
	if a.cfg.UserAgent != "" {
		all = append(all, sip.UserAgent(a.cfg.UserAgent))
	}
	return sip.NewRequest(method, uri, append(all, edits...)...)
}

// whileOpen returns a context that ends with the agent, too.
func (a *Agent) whileOpen(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(a.ctx, func() { cancel(ErrClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// do sends a request and turns a refusal into an error.
func (a *Agent) do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	resp, err := a.l.Do(ctx, req)
	if err := a.result(resp, err); err != nil {
		return nil, fmt.Errorf("%s %s: %w", strings.ToLower(string(req.Method())), req.URI(), err)
	}
	return resp, nil
}

// result says what came of a request.
func (a *Agent) result(resp *sip.Response, err error) error {
	challenged := resp != nil &&
		(resp.Status() == sip.StatusUnauthorized || resp.Status() == sip.StatusProxyAuthRequired)
	switch {
	case challenged:
		if err == nil { // nobody to answer the challenge
			err = digest.ErrNoCredentials
		}
		return fmt.Errorf("%w: %w: %w", ErrPassword, refusal(resp), err)
	case errors.Is(err, transport.ErrClosed):
		return fmt.Errorf("%w: %w", ErrClosed, err)
	case err != nil:
		return err
	case !resp.Status().Success():
		return refusal(resp)
	}
	return nil
}

// request takes a request of a peer that is no INVITE, ACK, BYE or CANCEL.
func (a *Agent) request(tx *transaction.Server, req *sip.Request, s *dialog.Session) {
	if !a.understood(tx, req) {
		return
	}
	switch {
	case req.Method() == sip.OPTIONS:
		// RFC 3261 section 11.2: as an INVITE would be answered.
		tx.Reply(sip.StatusOK, a.allow(), sip.Field{Name: "Accept", Value: "application/sdp"})
	case req.Method() == sip.MESSAGE && a.cfg.OnMessage != nil && s == nil:
		a.message(tx, req)
	default:
		tx.Reply(sip.StatusMethodNotAllowed, a.allow())
	}
}

// understood refuses a request that asks for what we do not have (RFC 3261
// section 8.2.2).
func (a *Agent) understood(tx replier, req *sip.Request) bool {
	if scheme := req.URI().Scheme; scheme != "sip" && scheme != "sips" && scheme != "tel" {
		tx.Reply(sip.StatusUnsupportedURIScheme)
		return false
	}
	require, err := sip.Get[sip.Require](req)
	if err == nil && len(require) > 0 {
		tx.Reply(sip.StatusBadExtension, sip.Unsupported(require))
		return false
	}
	return true
}

type replier interface {
	Reply(sip.Status, ...sip.Edit) error
}

func (a *Agent) allow() sip.Allow {
	methods := sip.Allow{sip.ACK, sip.BYE, sip.CANCEL, sip.OPTIONS}
	if a.cfg.OnInvite != nil {
		methods = append(methods, sip.INVITE)
	}
	if a.cfg.OnMessage != nil {
		methods = append(methods, sip.MESSAGE)
	}
	return methods
}

// closeTime is how long Close lets the goodbyes take.
const closeTime = 2 * time.Second

// Close hangs up, removes the registrations and closes the sockets. It gives
// that no more than 2 seconds; Shutdown takes a time of your choice.
func (a *Agent) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err := a.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// Shutdown takes no new calls (503 with Retry-After), hangs up, removes the
// registrations, waits until all that is done and closes the sockets. When ctx
// ends first the rest is cut off, and the error is that of ctx.
func (a *Agent) Shutdown(ctx context.Context) error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.closed = true
	var wg sync.WaitGroup
	for _, c := range a.calls {
		wg.Go(func() { c.Hangup(ctx) }) // ends with the transaction of the BYE, or ctx
	}
	for r := range a.regs {
		wg.Go(func() { r.close(ctx) }) // likewise
	}
	a.mu.Unlock()
	a.end()
	wg.Wait()
	err := a.l.Transactions().Shutdown(ctx)
	return errors.Join(err, a.l.Close())
}
