package ua

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
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

	// Listen names the sockets, such as "udp:0.0.0.0:5060", "tcp:[::1]:0" or
	// "tls::5061". None means UDP and TCP on a free port of every address.
	Listen []string
	// TLS is for connections to TLS and WebSocket servers, and for listeners.
	// nil trusts the authorities that the system trusts. See transport.Config.
	TLS *tls.Config
	// WebSocketPath is the path that is asked of WebSocket servers, such as
	// "/sip"; "" means "/".
	WebSocketPath string
	// WebSocketHeader is sent to WebSocket servers with the handshake: Origin,
	// Cookie, Authorization. It goes to every one that a request leads to,
	// whosever that is. nil means none.
	WebSocketHeader http.Header
	// Instance is the URN by which registrars know this agent again, such as
	// "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", the same whenever the
	// program runs (RFC 5626 section 4.1). "" means a new one each time.
	Instance string
	// STUN names a server that is asked for our public address before the
	// first request, such as "stun.example.com"; "" asks none. It is of use
	// where peers are called without a registrar in between.
	STUN string
	// Advertise is the host that peers reach us by if it is not the bound
	// address; "" means the address that leads to the peer.
	Advertise string
	// Proxy is the URI of a proxy that every request goes to first, such as
	// "sip:proxy.example.com;transport=tcp"; "" sends to where the request
	// says.
	Proxy string

	// OnInvite is called for each call that comes in, whichever user it is for, in a goroutine of its
	// own. ctx ends if the caller gives up, when the agent is closed, and when
	// OnInvite returns. A call that it leaves without an answer gets 480; one
	// that it has answered goes on. A panic is logged and costs that call
	// alone. nil refuses every call with 405; OPTIONS is answered with 200
	// nevertheless, and an Allow without INVITE, because the agent is there.
	OnInvite func(ctx context.Context, in *Invitation)
	// OnMessage is called for each MESSAGE (RFC 3428), in a goroutine of its
	// own. nil as its error accepts the message; a sip.Status refuses it with
	// that code, another error with 500. A nil func refuses every message with
	// 405.
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

	messages queue // by target

	asking chan struct{} // full while the STUN server is asked; guards asked
	asked  bool

	mu     sync.Mutex
	closed chan struct{} // nil until Shutdown begins, closed when it is done
	calls  map[*dialog.Session]*Call
	regs   map[*Registration]struct{}
	tasks  sync.WaitGroup // goroutines that set calls up
}

// New makes an agent for an address of record, such as
// "sip:alice@example.com", and binds its sockets. cfg may be nil.
//
// A port that is taken is a *net.OpError that wraps syscall.EADDRINUSE.
func New(aor string, cfg *Config) (*Agent, error) {
	uri, err := parseURI(aor)
	if err != nil {
		return nil, fmt.Errorf("ua: address of record %q: %w", aor, err)
	}
	uri.Headers, uri.Password = "", "" // never sent
	a := &Agent{aor: uri, calls: map[*dialog.Session]*Call{}, regs: map[*Registration]struct{}{}, asking: make(chan struct{}, 1)}
	if cfg != nil {
		a.cfg = *cfg
	}
	if a.cfg.Proxy != "" {
		if a.proxy, err = parseURI(a.cfg.Proxy); err != nil {
			return nil, fmt.Errorf("ua: proxy %q: %w", a.cfg.Proxy, err)
		}
		a.proxy.Params = a.proxy.Params.With("lr", "")
	}
	if err := a.requestTo(sip.OPTIONS, uri, sip.To{URI: uri}, "x", "x", 1).Err(); err != nil {
		return nil, fmt.Errorf("ua: configuration of %s: %w", aor, err)
	}
	if a.cfg.Instance == "" {
		a.cfg.Instance = newInstance()
	}
	if len(a.cfg.Listen) == 0 {
		a.cfg.Listen = []string{"udp::0", "tcp::0"}
	}
	if a.log = a.cfg.Logger; a.log == nil {
		a.log = slog.Default()
	}
	dc := &dialog.Config{
		OnInvite:    a.invited,
		OnRequest:   a.request,
		OnEnd:       a.callEnded,
		Transaction: transaction.Config{Timers: a.cfg.Timers},
	}
	if a.cfg.Password != "" {
		user := a.cfg.User
		if user == "" {
			user = uri.Username()
		}
		dc.Auth = digest.NewClient(digest.Credentials{Username: user, Password: a.cfg.Password})
	}
	a.ctx, a.end = context.WithCancel(context.Background())
	a.l, err = dialog.Listen(&transport.Config{
		Listen:          a.cfg.Listen,
		Advertise:       a.cfg.Advertise,
		Resolver:        a.cfg.Resolver,
		TLS:             a.cfg.TLS,
		WebSocketPath:   a.cfg.WebSocketPath,
		WebSocketHeader: a.cfg.WebSocketHeader,
		Network:         a.cfg.Network,
		Trace:           a.cfg.Trace,
		Logger:          a.cfg.Logger,
	}, dc)
	if err != nil {
		a.end()
		return nil, fmt.Errorf("ua: %s: %w", aor, err)
	}
	return a, nil
}

// parseURI reads a URI that requests can be sent for.
func parseURI(s string) (sip.URI, error) {
	uri, err := sip.ParseURI(s)
	if err == nil && uri.Scheme != "sip" && uri.Scheme != "sips" {
		err = fmt.Errorf("scheme is %s and neither sip nor sips", uri.Scheme)
	}
	return uri, err
}

// Addr returns the address that is bound for a transport: "udp", "tcp", "tls",
// "ws" or "wss". It is not valid if there is none.
func (a *Agent) Addr(transport string) netip.AddrPort {
	return a.l.Transactions().Endpoint().Addr(transport)
}

// Options asks what a peer or a server can do, or whether it is there (RFC
// 3261 section 11). A refusal is a *StatusError.
func (a *Agent) Options(ctx context.Context, target string) (*sip.Response, error) {
	req, err := a.newRequest(sip.OPTIONS, target, accept)
	if err != nil {
		return nil, fmt.Errorf("options %s: %w", target, err)
	}
	return a.do(ctx, req)
}

// newRequest makes a request outside of a dialog (RFC 3261 section 8.1.1).
func (a *Agent) newRequest(method sip.Method, target string, edits ...sip.Edit) (*sip.Request, error) {
	uri, err := parseURI(target)
	if a.proxy.Host != "" { // which may understand others
		uri, err = sip.ParseURI(target)
	}
	if err != nil {
		return nil, err
	}
	// Header fields in a URI are not followed; RFC 3261 section 19.1.5 says
	// how unsafe they are.
	uri.Headers = ""
	req := a.requestTo(method, uri, sip.To{URI: uri}, rand.Text(), rand.Text(), 1, edits...)
	return req, req.Err()
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

// background runs f in a goroutine that Shutdown waits for. It reports false,
// and does not run it, if Shutdown has begun.
func (a *Agent) background(f func()) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed != nil {
		return false
	}
	a.tasks.Go(f)
	return true
}

func (a *Agent) isClosed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closed != nil
}

// do sends a request and turns a refusal into an error.
func (a *Agent) do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	var resp *sip.Response
	err := ErrClosed
	if !a.isClosed() {
		resp, err = a.l.Do(ctx, req)
		err = a.result(resp, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", strings.ToLower(string(req.Method())), req.URI(), err)
	}
	return resp, nil
}

// result says what came of a request.
func (a *Agent) result(resp *sip.Response, err error) error {
	switch {
	case resp != nil && (resp.Status() == sip.StatusUnauthorized || resp.Status() == sip.StatusProxyAuthRequired):
		return a.challenged(resp, err)
	case errors.Is(err, transport.ErrClosed):
		return ErrClosed
	case err != nil:
		return err
	case !resp.Status().Success():
		return refusal(resp)
	}
	return nil
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

// Shutdown takes no new calls (503 with Retry-After), gives up those that ring,
// hangs up, removes the registrations, waits until all that is done and closes
// the sockets. When ctx ends first the rest is cut off, and the error is that
// of ctx. Later calls wait for the first.
func (a *Agent) Shutdown(ctx context.Context) error {
	a.mu.Lock()
	if closed := a.closed; closed != nil {
		a.mu.Unlock()
		select {
		case <-closed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	a.closed = make(chan struct{})
	defer close(a.closed)
	var wg sync.WaitGroup
	for _, c := range a.calls {
		wg.Go(func() { c.Hangup(ctx) }) // ends with the transaction of the BYE, or ctx
	}
	for r := range a.regs {
		wg.Go(func() { r.close(ctx) }) // likewise
	}
	a.mu.Unlock()
	a.end()
	ended := make(chan struct{})
	go func() { // ends with what the agent does, or soon after ctx: closing cuts that off
		wg.Wait()
		a.tasks.Wait()
		close(ended)
	}()
	var err error
	select {
	case <-ended:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if closeErr := a.l.Shutdown(ctx); err == nil {
		err = closeErr
	}
	return err
}
