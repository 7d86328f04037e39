package ua

import (
	"cmp"
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
	"sync/atomic"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/goroutine"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// Config holds the options of an Agent. The zero value will do for an agent
// that calls without a password.
type Config struct {
	// Password answers digest challenges (RFC 3261 section 22) of our own servers:
	// requests go to them first that have a Route, which is not that of a 305, or are
	// for the domain of the agent's URI, for the host of Proxy or for a registrar; within a call, those
	// whose route begins there, by name or by an address that such a request went
	// to. The port does not count: who else has one on such a host is trusted, too.
	// Nobody else gets to see a digest of it, whichever realm they name: the
	// error of the request wraps digest.ErrUnexpectedRealm then. "" has none.
	Password string
	// User is the name that goes with the password; "" means the user of the
	// agent's URI.
	User string
	// Realm is the realm that the password is for. "" means the domain of the agent's
	// URI, in its spelling or in lower case, and what a registrar names in the challenge
	// of a REGISTER. It is to be named
	// where a proxy asks in another name and there is no registrar: whoever is called
	// can ask, too, and in any name.
	Realm string
	// Credentials are for further realms, each of which has to be named: those of
	// gateways and of other domains. Where a request goes to our own servers first, they
	// are used as Password is. Elsewhere whoever is at the URI that the program itself has
	// named, or is on the way, gets to see a digest if they name the realm, outside of a
	// dialog; and within one that came of that, if its first request had credentials for that
	// realm. Where a redirection leads, the Invite of a Referral and a Transfer to the peer's
	// GRUU there is none, nor in a dialog that the peer has begun. For a realm that is here,
	// Password is not used.
	Credentials []digest.Credentials
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
	// WebSocketHeader is sent to our own WebSocket servers, those that Password is for,
	// with the handshake: Origin, Cookie, Authorization. If the agent's URI, Proxy or a
	// registrar is a sips URI or says "transport=wss", it goes over WSS alone. nil
	// means none.
	WebSocketHeader http.Header
	// Instance is the URN by which registrars know this agent again, such as
	// "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", the same whenever the
	// program runs (RFC 5626 section 4.1). "" means a new one each time.
	Instance string
	// STUN names a server that is asked for our public address before the first
	// request with a Contact, such as "stun.example.com", and again after
	// NetworkChanged; "" asks none. It has 3 seconds, and if it does not answer is left
	// alone for 30. It is of use where peers are called without a registrar in between.
	STUN string
	// Advertise is the host that peers reach us by if it is not the bound
	// address; "" means the address that leads to the peer.
	Advertise string
	// Proxy is the URI of a proxy that every request goes to first, such as
	// "sip:proxy.example.com;transport=tcp"; "" sends to where the request
	// says. See also RegisterOptions.Proxies, and its Service-Route, which
	// follows.
	Proxy string
	// Features are what the agent says of itself to registrars, and to who asks
	// it by OPTIONS (RFC 3840): `;audio;automata;+sip.message`. ";methods"
	// without a value becomes the methods that it serves. "" says nothing.
	Features sip.Params
	// Sections are what the agent could carry, for who asks it by OPTIONS (RFC 3261 section
	// 11.2, RFC 3264 section 9): m= sections of which the port is 0. nil describes nothing.
	Sections []*sdp.Media

	// WatchNetwork is how often the agent looks whether another address of this
	// machine leads to where it is registered, which is NetworkChanged then. 0 is
	// never: the program knows itself, or does not care.
	WatchNetwork time.Duration

	// OnInvite is called for each call that comes in, whichever user it is for, in a
	// goroutine of its own. ctx ends if the caller gives up, when the agent is closed, and
	// when OnInvite returns and no Answer is under way; if the caller says why, that is a
	// sip.Reason in its cause. A call that it leaves without an answer gets 480; one that
	// it has answered goes on. A panic is logged and costs that call alone. nil refuses
	// every call with 405; OPTIONS is answered with 200 nevertheless, and an Allow without
	// INVITE, because the agent is there.
	OnInvite func(ctx context.Context, in *Invitation)
	// OnMessage is called for each MESSAGE (RFC 3428), in a goroutine of its
	// own. nil as its error accepts the message; a sip.Status refuses it with
	// that code, another error with 500. A nil func refuses every message with
	// 405.
	OnMessage func(ctx context.Context, m Message) error
	// InfoPackages are the Info Packages that calls take INFO of (RFC 6086), such as
	// "trickle-ice", by the names that peers are told: each with the func that is
	// called for it, in a goroutine of its own, and one after the other in one call.
	// nil as its error accepts the INFO; a sip.Status refuses it with that code,
	// another error with 500. The func of "" gets those without a package, as for the
	// digits of Info.Digit. An empty map takes none, and says that the agent knows of
	// packages: an INFO of one gets 469, and a peer may tell which it takes itself. nil does
	// not know of them: INFO gets 405, and who is called does not tell, as section 5.2.3 has it.
	InfoPackages map[string]func(ctx context.Context, info Info) error

	// Methods are further methods that the agent serves, in calls and outside of
	// them, such as those of an extension: each with the func that is called for its
	// requests, in a goroutine of its own, and answers them. A panic is logged and
	// costs that request alone. It has none of those that the agent serves itself:
	// INVITE, ACK, BYE, CANCEL, PRACK, UPDATE, OPTIONS, and those that another field
	// has served, as OnMessage has MESSAGE. nil has none: others are refused with 405.
	Methods map[sip.Method]func(ctx context.Context, r *Request)

	// Supported are further extensions that peers are told of, and may require, because
	// the program knows what to do about them: sip.OptionAnswerMode if it asks
	// Invitation.AnswerMode, sip.OptionUUI if it reads the User-to-User of calls. nil
	// has those of the agent alone.
	Supported []string
	// Compositor takes the state that is published in PUBLISH requests outside of
	// dialogs (RFC 3903). nil refuses them with 405.
	Compositor *Compositor

	// OnStream is called for each section that the peer of a call adds to it, and
	// returns the stream that takes it, which is closed with the call, or if it does not;
	// nil, or one that the call has already, refuses. It holds up the offers and answers of that call. nil refuses all.
	//
	// ctx ends with the call, or when the peer gives up. What it waits for holds the peer
	// up: it is not to change the call or hang it up, but from another goroutine.
	OnStream func(ctx context.Context, call *Call, remote *sdp.Media) Stream
	// Join says that OnInvite knows what to do with a call that is to join another one
	// (RFC 3911, Invitation.Joins). false refuses such calls with 488.
	Join bool
	// SessionTimer is how long a call may go without a refresh before it is given up,
	// in whole seconds, for peers that know session timers (RFC 4028); half of it is
	// how often it is refreshed. 0 means 30 minutes; less than 90 seconds is taken for
	// 90, the least that section 4 has; a negative one means that no timer is asked for
	// or granted.
	SessionTimer time.Duration
	// OnRefer is called for each REFER (RFC 3515), within a call or outside of one, in a
	// goroutine of its own: somebody wants this agent to call somebody else. One that
	// Referral.Call is nil for may be a stranger's, and calls cost money. nil
	// refuses every REFER with 405.
	OnRefer func(ctx context.Context, r *Referral)

	// Notifiers let others watch what we know, each by an event package of its own
	// (RFC 6665), other than "refer". None means that SUBSCRIBE gets 405.
	Notifiers []*Notifier

	// Authenticate is asked about each request outside of a dialog, but CANCEL,
	// before anything else is done about it: OPTIONS, INVITE, MESSAGE, any method.
	// The server that it returns challenges who does not prove to be a user of it;
	// Invitation.User, Message.User, Watcher.User and so on say who has. nil lets the request in, as a
	// nil func does with every one. Who may call is then for OnInvite to decide.
	//
	// Requests within a dialog, a call or a subscription, are not challenged: what tells
	// it from others is known only to those who could read credentials as well. Their
	// User is who has proved to have begun the dialog, "" if nobody has, or the agent
	// itself began it, and From is that of then. PUBLISH is refused there.
	//
	// Credentials for the agent's own address of record are good, too: that is what a
	// caller has signed whose request has come by a registrar or a proxy, which put our
	// Contact into its place. For others see digest.ServerConfig.AcceptURI.
	//
	// Authenticate is called from many goroutines, and should not block; what the server
	// asks may.
	Authenticate func(req *sip.Request) *digest.Server

	// Trusts reports whether a request that came by a flow is from a proxy of ours,
	// whose word is taken for who is calling (RFC 3325): Asserted then tells it. It
	// must not block. nil takes the word of who has proved by a certificate, over TLS,
	// to be the domain of the agent's URI or the host of Proxy. Over UDP anybody can
	// pretend to be a proxy: where that cannot happen, in a network of one's own, the
	// RemoteAddr of the flow may do.
	Trusts func(f transport.Flow) bool

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
	aor     sip.URI
	cfg     Config
	proxy   sip.URI  // zero: none
	keys    *keys    // nil: no passwords
	servers *servers // that get to see secrets; nil: there are none
	l       *dialog.Layer
	log     *slog.Logger

	ctx context.Context // ended by Shutdown; what is still ringing ends with it
	end context.CancelFunc

	parting context.Context // of what watchers are told, the last NOTIFY too; ended when Shutdown is done
	part    context.CancelFunc

	messages   queue[string] // by target
	publishing queue[string] // likewise
	infos      queue[*Call]
	refers     queue[*Call]
	changes    queue[*Call]
	subs       subscriptions
	senders    senders

	moves atomic.Int32 // of the network

	asking   chan struct{} // full while the STUN server is asked; guards what follows
	asked    int32         // after how many moves it was
	found    bool          // our public address, then
	askAgain time.Time     // not before this, if not

	ended bygones

	mu     sync.Mutex
	closed chan struct{} // nil until Shutdown begins, closed when it is done
	calls  map[*Call]struct{}
	regs   []*Registration // in the order in which they came
	pubs   map[*Publication]struct{}

	watching *time.Timer // for the next look at the network; nil: there is none

	referrals []*Referral           // whose senders are told how they get on
	transfers map[*Call][]*transfer // whose outcome is waited for

	tasks sync.WaitGroup // goroutines that set calls up, and others that Shutdown waits for
}

// New makes an agent for an address of record, such as
// "sip:alice@example.com", and binds its sockets. cfg may be nil. With ";transport=tcp" in it the
// registrar is reached by TCP; From and To say who one is without that.
//
// A port that is taken is a *net.OpError that wraps syscall.EADDRINUSE.
func New(aor string, cfg *Config) (*Agent, error) {
	uri, err := parseURI(aor)
	if err != nil {
		return nil, fmt.Errorf("ua: address of record %q: %w", aor, err)
	}
	uri.Headers, uri.Password = "", "" // never sent
	a := &Agent{aor: uri, calls: map[*Call]struct{}{}, transfers: map[*Call][]*transfer{}, asking: make(chan struct{}, 1)}
	if cfg != nil {
		a.cfg = *cfg
		a.cfg.WebSocketHeader = cfg.WebSocketHeader.Clone()
	}
	if a.cfg.Proxy != "" {
		if a.proxy, err = parseProxy(a.cfg.Proxy); err != nil {
			return nil, fmt.Errorf("ua: proxy %q: %w", a.cfg.Proxy, err)
		}
	}
	if err := checkFeatures(a.cfg.Features); err != nil {
		return nil, fmt.Errorf("ua: features %q: %w", a.cfg.Features, err)
	}
	written := a.recvInfo(sip.List(a.preloaded()...), a.allow(false), a.supported())
	if err := a.requestTo(sip.OPTIONS, uri, sip.To{URI: uri}, "x", "x", 1, written...).Err(); err != nil {
		return nil, fmt.Errorf("ua: configuration of %s: %w", aor, err)
	}
	if err := cmp.Or(a.checkMethods(), a.checkNotifiers(), a.checkInfoPackages(), a.checkInstance(), a.checkSTUN()); err != nil {
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
		// Messages wait for it, so who handles them finds the layer.
		Restore:     func(l *dialog.Layer) error { a.l = l; return nil },
		OnInvite:    a.invited,
		OnRequest:   a.request,
		OnEnd:       a.callEnded,
		Transaction: transaction.Config{Timers: a.cfg.Timers},
	}
	if a.cfg.SessionTimer >= 0 {
		dc.SessionTimer = &dialog.SessionTimer{Interval: a.cfg.SessionTimer, Refresh: a.refresh}
	}
	if a.cfg.Password != "" || len(a.cfg.Credentials) > 0 || len(a.cfg.WebSocketHeader) > 0 {
		a.servers = &servers{}
		a.servers.configured(uri)
		a.servers.configured(a.proxy)
	}
	if a.keys, err = newKeys(uri, a.servers, &a.cfg); err != nil {
		return nil, fmt.Errorf("ua: configuration of %s: %w", aor, err)
	}
	if a.keys != nil {
		dc.Auth = a.keys
	}
	a.parting, a.part = context.WithCancel(context.Background())
	a.ctx, a.end = context.WithCancel(a.parting)
	_, err = dialog.Listen(&transport.Config{
		Listen:          a.cfg.Listen,
		Advertise:       a.cfg.Advertise,
		Resolver:        a.cfg.Resolver,
		TLS:             a.cfg.TLS,
		WebSocketPath:   a.cfg.WebSocketPath,
		WebSocketHeader: a.webSocketHeader,
		Network:         a.cfg.Network,
		Trace:           a.cfg.Trace,
		Logger:          a.cfg.Logger,
	}, dc)
	if err != nil {
		a.part()
		return nil, fmt.Errorf("ua: %s: %w", aor, err)
	}
	if a.cfg.WatchNetwork > 0 {
		a.startWatch()
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

// parseProxy reads the URI of a proxy that a Route is to name.
func parseProxy(s string) (sip.URI, error) {
	uri, err := parseURI(s)
	uri.Params = uri.Params.With("lr", "")
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
	route := a.ways()[0].route
	if len(route) > 0 { // to who may understand others
		uri, err = sip.ParseURI(target)
	}
	if err != nil {
		return nil, err
	}
	// Header fields in a URI are not followed; RFC 3261 section 19.1.5 says
	// how unsafe they are.
	uri.Headers = ""
	edits = append([]sip.Edit{sip.List(route...)}, edits...)
	req := a.preferring(a.requestTo(method, uri, sip.To{URI: uri}, rand.Text(), rand.Text(), 1, edits...))
	if first, err := sip.Get[sip.Route](req); err == nil {
		a.servers.routed(first)
	}
	return req, req.Err()
}

func (a *Agent) requestTo(method sip.Method, uri sip.URI, to sip.To, tag, callID string, seq uint32, edits ...sip.Edit) *sip.Request {
	from := sip.From{Display: a.cfg.Display, URI: a.aor, Params: sip.Params(";tag=" + tag)}
	// The parameters of RFC 3261 table 1 that From and To may not have.
	for _, p := range []string{"transport", "maddr", "ttl", "lr", "method"} {
		from.URI.Params, to.URI.Params = from.URI.Params.Without(p), to.URI.Params.Without(p)
	}
	all := []sip.Edit{sip.MaxForwards(70), from, to, sip.CallID(callID), sip.CSeq{Seq: seq, Method: method}}
	if a.cfg.UserAgent != "" {
		all = append(all, sip.UserAgent(a.cfg.UserAgent))
	}
	req := sip.NewRequest(method, uri, append(all, edits...)...)
	if from = req.From(); from.Tag() == "" { // another one, by the edits
		req = req.With(from.WithTag(tag))
	}
	return req
}

// whileOpen returns a context that ends with the agent, too.
func (a *Agent) whileOpen(ctx context.Context) (context.Context, func()) {
	b := &both{one: a.servers.watch(ctx), other: a.ctx, reason: ErrClosed}
	return b, b.end
}

// background runs f in a goroutine that Shutdown waits for. It reports false,
// and does not run it, if Shutdown has begun.
func (a *Agent) background(f func()) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed != nil {
		return false
	}
	a.tasks.Go(func() {
		goroutine.Grow()
		f()
	})
	return true
}

func (a *Agent) isClosed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closed != nil
}

// do sends a request for whom the program has named, and turns a refusal into an error.
func (a *Agent) do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	var resp *sip.Response
	err := ErrClosed
	if !a.isClosed() {
		a.keys.address(req)
		err = a.along(ctx, req, func(ctx context.Context, req *sip.Request) (err error) {
			resp, err = a.l.Do(a.servers.watch(ctx), req)
			return a.result(resp, err)
		})
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

// Close hangs up, ends the subscriptions, removes the registrations and what is
// published, and closes the sockets. It gives that no more than 2 seconds; Shutdown
// takes a time of your choice.
func (a *Agent) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err := a.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}
