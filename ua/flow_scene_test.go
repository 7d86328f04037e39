package ua_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/proxy"
	"github.com/goparley/parley/transaction/registrar"
	"github.com/goparley/parley/ua"
)

// phone is a user agent in a story, with a person who uses it.
type phone struct {
	*ua.Agent
	f        *flow.Flow
	who      flow.Actor
	rings    chan *invited
	referred chan *ua.Call // calls that it placed because it was asked to by REFER
}

// newPhone makes the phone of one of the cast.
func newPhone(f *flow.Flow, who flow.Actor, cfg ua.Config) *phone {
	f.Helper()
	p := &phone{f: f, who: who, rings: make(chan *invited, 10), referred: make(chan *ua.Call, 10)}
	tc := f.Transport(who)
	cfg.Network, cfg.Advertise, cfg.Resolver, cfg.Trace, cfg.Logger = tc.Network, tc.Advertise, tc.Resolver, tc.Trace, tc.Logger
	if cfg.Listen == nil {
		cfg.Listen = tc.Listen
	} else { // other transports than UDP
		cfg.Network = f.Host(who)
	}
	if cfg.Display == "" {
		cfg.Display = who.Name
	}
	if cfg.OnInvite == nil {
		// It runs until the caller gives up, or the story is over.
		cfg.OnInvite = func(ctx context.Context, in *ua.Invitation) {
			p.rings <- &invited{Invitation: in, f: f, ctx: ctx}
			<-ctx.Done()
		}
	}
	if cfg.OnRefer == nil {
		cfg.OnRefer = func(ctx context.Context, r *ua.Referral) {
			call, err := r.Invite(ctx, streams(newFlowStream(f)))
			if err != nil {
				f.Errorf("Invite() of a Referral = %v", err)
				return
			}
			p.referred <- call
		}
	}
	var err error
	if p.Agent, err = ua.New(who.AOR, &cfg); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { p.Close() })
	return p
}

// register registers, before the story begins.
func (p *phone) register() {
	p.f.Helper()
	if _, err := p.Register(p.f.Context(), nil); err != nil {
		p.f.Fatal(err)
	}
}

// invited waits for a call.
func (p *phone) invited() *invited {
	p.f.Helper()
	select {
	case in := <-p.rings:
		return in
	case <-time.After(patience):
		p.f.Fatal("nobody calls")
		return nil
	}
}

// patience is how long somebody waits for what has to come.
const patience = 10 * time.Minute

// invited is a call that rings, or does not yet.
type invited struct {
	*ua.Invitation
	f     *flow.Flow
	ctx   context.Context // of OnInvite
	early *fakeStream     // of progress; nil: there was none
}

func (in *invited) ring() {
	in.f.Helper()
	if err := in.Ring(in.f.Context()); err != nil {
		in.f.Errorf("Ring() = %v", err)
	}
}

// progress says so by a 183 with early media, and returns its stream.
func (in *invited) progress() *fakeStream {
	in.f.Helper()
	in.early = newFlowStream(in.f)
	if err := in.Progress(in.f.Context(), in.early); err != nil {
		in.f.Errorf("Progress() = %v", err)
	}
	return in.early
}

// answer answers with a stream, which is that of progress if there was one.
func (in *invited) answer() *ua.Call {
	in.f.Helper()
	var own []ua.Stream
	if in.early == nil {
		own = streams(newFlowStream(in.f)).Streams
	}
	call, err := in.Answer(in.f.Context(), own...)
	if err != nil {
		in.f.Fatalf("Answer() = %v", err)
	}
	return call
}

func (in *invited) reject(status sip.Status, edits ...sip.Edit) {
	in.f.Helper()
	if err := in.Reject(in.f.Context(), status, edits...); err != nil {
		in.f.Errorf("Reject() = %v", err)
	}
}

// givenUp waits until the caller gives up, and returns why the call is over.
func (in *invited) givenUp() error {
	<-in.ctx.Done()
	return context.Cause(in.ctx)
}

// placed is a call that is being placed.
type placed struct {
	t      *testing.T
	call   *ua.Call
	err    error
	done   chan struct{}
	cancel context.CancelFunc
}

// place places a call, and returns at once.
func (p *phone) place(target string) *placed {
	return p.placeWith(target, nil)
}

// placeWith is place with options, which get a stream.
func (p *phone) placeWith(target string, opts *ua.InviteOptions) *placed {
	if opts == nil {
		opts = &ua.InviteOptions{}
	}
	opts.Streams = append(opts.Streams, newFlowStream(p.f))
	ctx, cancel := context.WithCancel(p.f.Context())
	c := &placed{t: p.f.T, done: make(chan struct{}), cancel: cancel}
	go func() { // ends when the call is answered, refused or given up
		defer close(c.done)
		c.call, c.err = p.Invite(ctx, target, opts)
	}()
	return c
}

// answered waits until the call is.
func (c *placed) answered() *ua.Call {
	c.t.Helper()
	c.wait()
	if c.err != nil {
		c.t.Fatalf("Invite() = %v", c.err)
	}
	return c.call
}

func (c *placed) wait() {
	c.t.Helper()
	select {
	case <-c.done:
	case <-time.After(patience):
		c.t.Fatal("the call is neither answered nor refused")
	}
}

// failed waits until the call has failed, which must be for this reason.
func (c *placed) failed(want error) {
	c.t.Helper()
	c.wait()
	if !errors.Is(c.err, want) {
		c.t.Errorf("Invite() = %v, want %v", c.err, want)
	}
}

// newFlowStream makes a stream that is to be closed when the story is over.
func newFlowStream(f *flow.Flow) *fakeStream {
	f.Helper()
	s := newStream(f.T)
	f.Cleanup(func() { // before the agents are closed
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.closed {
			f.Error("a stream is left open")
		}
	})
	return s
}

// server is a registrar and a proxy for the users of its domains, who register
// without a password.
type server struct {
	f        *flow.Flow
	location *registrar.Registrar

	recordRoute bool
	// users are those of its domains who have to give a password to call; guard
	// asks whoever calls; nil: none.
	users, guard *digest.Server
	// forward does what is to be done with requests for users of the domains;
	// nil: they go where location knows them.
	forward func(tx *proxy.Server, req *sip.Request)
	// elsewhere is the same for what goes elsewhere; nil: it is passed on.
	elsewhere func(tx *proxy.Server, req *sip.Request)
}

// passwords checks that of everybody, "secret", for a domain.
func passwords(f *flow.Flow, realm string) *digest.Server {
	f.Helper()
	s, err := digest.NewServer(digest.ServerConfig{
		Realm: realm, Nonces: 100, Algorithms: []digest.Algorithm{digest.MD5},
		Password: func(context.Context, string) (string, error) { return "secret", nil },
	})
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// aliceAt is what Alice has for a domain that is not her own.
func aliceAt(realm string) []digest.Credentials {
	return []digest.Credentials{{Username: "alice", Password: "secret", Realm: realm}}
}

// run runs the server as one of the cast.
func (s *server) run(who flow.Actor, transports ...string) {
	s.f.Helper()
	s.runOn(s.f.Transport(who, transports...), who)
}

func (s *server) runOn(tc *transport.Config, who flow.Actor) {
	s.f.Helper()
	var err error
	s.location, err = registrar.New(&registrar.Config{Domains: who.Domains, Users: s.users, Logger: quiet})
	if err != nil {
		s.f.Fatal(err)
	}
	p, err := proxy.Listen(tc, &proxy.Config{Domains: who.Domains, RecordRoute: s.recordRoute, Handler: s.handle})
	if err != nil {
		s.f.Fatal(err)
	}
	s.f.Cleanup(func() { p.Close() })
}

func (s *server) handle(tx *proxy.Server, req *sip.Request) {
	switch {
	case tx.Local() && req.Method() == sip.REGISTER:
		s.location.Register(tx.Server, req)
		return
	case s.users != nil:
		if req, _ = s.location.Authenticate(tx, req); req == nil {
			return // it has been asked
		}
	case s.guard != nil:
		if req.Method() == sip.INVITE && !tx.Routed() {
			if _, err := s.guard.Verify(tx.Context(), req); err != nil {
				tx.Respond(s.guard.Reply(req, err))
				return
			}
		}
		req = s.guard.Consume(req) // of the ACK, too
	}
	switch {
	case tx.Local() && s.forward != nil:
		s.forward(tx, req)
	case tx.Local():
		trying(tx, req)
		s.location.Forward(tx, req)
	case s.elsewhere != nil:
		s.elsewhere(tx, req)
	default:
		trying(tx, req)
		tx.Relay(req)
	}
}

// trying says that an INVITE is being forwarded, as the proxies of RFC 3665 do.
// Left to itself, the transaction says so when nothing else has come in 200 ms (RFC
// 3261 section 17.2.1).
func trying(tx *proxy.Server, req *sip.Request) {
	if req.Method() == sip.INVITE && req.To().Tag() == "" {
		tx.Reply(sip.StatusTrying)
	}
}

// at is where one of the cast can be reached.
func at(who flow.Actor) proxy.Target {
	return proxy.Target{URI: sip.URI{Scheme: "sip", User: mustURI(who.AOR).User, Host: who.Addr}}
}

// locate forwards to whichever of these has the user of the Request-URI: to phones that
// have not registered by a flow, for which a proxy has to be on the way twice.
func locate(cast ...flow.Actor) func(tx *proxy.Server, req *sip.Request) {
	return func(tx *proxy.Server, req *sip.Request) {
		trying(tx, req)
		for _, who := range cast {
			if mustURI(who.AOR).User == req.URI().User {
				tx.Forward(req, at(who))
				return
			}
		}
		tx.Reply(sip.StatusNotFound)
	}
}

// newDialogs runs one of the cast by package dialog, for what a phone does not do.
func newDialogs(f *flow.Flow, who flow.Actor, cfg *dialog.Config, transports ...string) *dialog.Layer {
	f.Helper()
	l, err := dialog.Listen(f.Transport(who, transports...), cfg)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
	return l
}

// registerDialogs registers such a one.
func registerDialogs(f *flow.Flow, l *dialog.Layer, registrar string, who flow.Actor) {
	f.Helper()
	aor := mustURI(who.AOR)
	req := request(sip.REGISTER, registrar, sip.From{URI: aor, Params: ";tag=1"}, sip.To{URI: aor},
		sip.Contact{URI: sip.URI{Scheme: "sip", User: aor.User, Host: who.Addr}})
	if resp, err := l.Do(f.Context(), req); err != nil || resp.Status() != sip.StatusOK {
		f.Fatalf("REGISTER: %v, %v", resp, err)
	}
}

func mustURI(text string) sip.URI {
	uri, err := sip.ParseURI(text)
	if err != nil {
		panic(err)
	}
	return uri
}

// What is different from RFC 3665 in several of its flows.
const (
	byFlow      = "Bob is reached by the flow that he has registered by (RFC 5626 section 5.3), so his proxy has an entry for each side (RFC 5658)"
	ackRoute    = "the ACK of a refusal has the Route of its INVITE (RFC 3261 section 17.1.1.3), which the RFC has forgotten"
	ackPassword = "the ACK of a refusal has no credentials (RFC 3261 section 17.1.1.3)"
	okPassword  = "the ACK of a 2xx has the credentials of its INVITE (RFC 3261 section 22.1), as it has in section 3.3"
	noPassword  = "nobody asks for a password here"
	cancelTag   = "all responses but a 100 have a tag (RFC 3261 section 8.2.6.2)"
)

// Further actors of RFC 3665.
var (
	// secondProxy serves the domain of Alice as well, after Proxy 1.
	secondProxy = flow.Actor{Name: "Proxy 2", Host: "ss2.biloxi.example.com", Addr: "192.0.2.222",
		Domains: []string{"biloxi.example.com", "atlanta.example.com"}}
	redirectServer = flow.Actor{Name: "Redirect Server", Host: "ss2.biloxi.example.com", Addr: "192.0.2.222",
		Domains: []string{"biloxi.example.com"}}
	bobInChicago = flow.Actor{Name: "Bob", AOR: "sip:bob@chicago.example.com", Host: "client.chicago.example.com", Addr: "192.0.2.100"}
	bobMoved     = flow.Actor{Name: "Bob", AOR: "sip:bob@biloxi.example.com", Host: "client.chicago.example.com", Addr: "192.0.2.100"}
)

// newGateway runs an ALG: it forwards as a proxy does, and has the media come to
// itself (RFC 3665 section 3.5).
func newGateway(f *flow.Flow, who flow.Actor) {
	f.Helper()
	self := sip.URI{Scheme: "sip", Host: who.Host, Params: ";lr"}
	var invites sync.Map // what was forwarded → its *transaction.Server
	respond := func(tx *transaction.Server, resp *sip.Response) {
		tx.Respond(through(who, resp.With(sip.Pop("Via"))))
	}
	l, err := transaction.Listen(f.Transport(who), &transaction.Config{
		Logger: quiet,
		Handler: func(tx *transaction.Server, req *sip.Request) {
			out := through(who, req.With(sip.MaxForwards(req.MaxForwards()-1), sip.Pop("Route")))
			switch req.Method() {
			case sip.ACK:
				tx.Layer().Send(tx.Context(), out)
				return
			case sip.INVITE:
				tx.Reply(sip.StatusTrying)
				out = out.With(sip.Push(sip.RecordRoute{URI: self}))
				invites.Store(out, tx)
			}
			for resp, err := range tx.Layer().Responses(tx.Context(), out) {
				if err != nil {
					tx.Reply(sip.StatusRequestTimeout)
					return
				}
				respond(tx, resp)
			}
		},
		Accepted: func(invite *sip.Request, resp *sip.Response) { // a 2xx once more
			if tx, ok := invites.Load(invite); ok {
				respond(tx.(*transaction.Server), resp)
			}
		},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
}

// through makes of a message one whose media goes by an ALG.
func through[M interface {
	sip.Message
	With(...sip.Edit) M
}](who flow.Actor, m M) M {
	body, err := sip.FindBody(m, "application/sdp", "")
	if err != nil {
		return m
	}
	var text strings.Builder
	for line := range strings.Lines(body.Content) {
		switch {
		case strings.HasPrefix(line, "c="):
			line = "c=IN IP4 " + who.Addr + "\r\n"
		case strings.HasPrefix(line, "m=audio "):
			line = "m=audio 2000 " + strings.SplitN(line, " ", 3)[2]
		}
		text.WriteString(line)
	}
	return m.With(sip.Body{Type: "application/sdp", Content: text.String()})
}
