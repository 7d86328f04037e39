package ua_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// newServer knows alice, whose password is "secret"; for broken it fails.
func newServer(t *testing.T, cfg digest.ServerConfig) *digest.Server {
	t.Helper()
	cfg.Realm = "bob"
	cfg.Password = func(_ context.Context, user string) (string, error) {
		switch user {
		case "alice":
			return "secret", nil
		case "broken":
			return "", io.ErrUnexpectedEOF
		}
		return "", digest.ErrUnknownUser
	}
	s, err := digest.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// strangers has INVITE and MESSAGE challenged.
func strangers(s *digest.Server) func(*sip.Request) *digest.Server {
	return func(req *sip.Request) *digest.Server {
		if m := req.Method(); m == sip.INVITE || m == sip.MESSAGE {
			return s
		}
		return nil
	}
}

// Bob answers who has his password, and learns who it is; whoever has not does not
// make his phone ring, nor is a message shown. OPTIONS is not asked about.
func TestAuthenticateStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		var mu sync.Mutex
		var heard, sent []string
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@192.0.2.2", ua.Config{
			Authenticate: strangers(newServer(t, digest.ServerConfig{Nonces: 100, Integrity: true})),
			OnInvite: func(ctx context.Context, in *ua.Invitation) {
				heard = append(heard, fmt.Sprintf("call of %s, says %s", in.User(), in.From().URI.User))
				in.Ring(ctx)
				answerWith(calls, newStream(t))(ctx, in)
			},
			OnMessage: func(_ context.Context, m ua.Message) error {
				heard = append(heard, fmt.Sprintf("message of %s: %s", m.User, m.Body))
				return nil
			},
			Trace: &transport.Trace{Sent: func(m transport.TraceMessage) {
				if resp, ok := m.Message.(*sip.Response); ok {
					mu.Lock()
					defer mu.Unlock()
					sent = append(sent, fmt.Sprintf("%d %s", resp.Status(), resp.CSeq().Method))
				}
			}},
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:anna@a.example", ua.Config{
			Credentials: []digest.Credentials{{Username: "alice", Password: "secret", Realm: "bob"}},
		})
		mallory := newAgent(t, n, "192.0.2.3", "sip:alice@a.example", ua.Config{
			Credentials: []digest.Credentials{{Username: "alice", Password: "guess", Realm: "bob"}},
		})
		nobody := newAgent(t, n, "192.0.2.4", "sip:alice@a.example", ua.Config{})
		for _, a := range []*ua.Agent{mallory, nobody} {
			if _, err := a.Invite(t.Context(), bobURI, nil); !errors.Is(err, sip.StatusUnauthorized) || !errors.Is(err, ua.ErrPassword) {
				t.Errorf("Invite() = %v, want 401 and ErrPassword", err)
			}
			if err := a.Message(t.Context(), bobURI, "text/plain", "spam"); !errors.Is(err, sip.StatusUnauthorized) {
				t.Errorf("Message() = %v, want 401", err)
			}
			if _, err := a.Options(t.Context(), bobURI); err != nil {
				t.Errorf("Options() = %v", err)
			}
		}
		synctest.Wait()
		if i := slices.IndexFunc(sent, func(s string) bool { return !strings.HasPrefix(s, "401") && s != "200 OPTIONS" }); i >= 0 {
			t.Errorf("a stranger got %s", sent[i])
		}
		if err := alice.Message(t.Context(), bobURI, "text/plain", "hello"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		sent = nil
		call, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
		if err != nil {
			t.Fatal(err)
		}
		// What is part of the call is not asked about again, nor is the ACK.
		b := <-calls
		for name, f := range map[string]func(context.Context) error{"hold": call.Hold, "resume": call.Resume, "hold of bob": b.Hold} {
			if err := f(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := call.Hangup(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if want := []string{"message of alice: hello", "call of alice, says anna"}; !slices.Equal(heard, want) {
			t.Errorf("Bob heard %q, want %q", heard, want)
		}
		if got := strings.Count(strings.Join(sent, ","), "401"); got > 1 {
			t.Errorf("%d challenges in the call, want one at most: %q", got, sent)
		}
	})
}

// A call that was let in is cancelled: CANCEL is not challenged (RFC 3261 section
// 22.1), and neither is the ACK.
func TestAuthenticateCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		server := newServer(t, digest.ServerConfig{})
		asked := map[sip.Method]int{}
		ended := make(chan error, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@192.0.2.2", ua.Config{
			Authenticate: func(req *sip.Request) *digest.Server {
				asked[req.Method()]++
				return server
			},
			OnInvite: func(ctx context.Context, in *ua.Invitation) {
				in.Ring(ctx)
				<-ctx.Done()
				ended <- context.Cause(ctx)
			},
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{
			Credentials: []digest.Credentials{{Username: "alice", Password: "secret", Realm: "bob"}},
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := alice.Invite(ctx, bobURI, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Invite() = %v", err)
		}
		if err := <-ended; !errors.Is(err, transaction.ErrCancelled) {
			t.Errorf("the call ended by %v, want a CANCEL", err)
		}
		synctest.Wait()
		if len(asked) != 1 || asked[sip.INVITE] != 2 {
			t.Errorf("asked about %v, want two INVITEs", asked)
		}
	})
}

// Any method is challenged before it is looked at, or not at all (RFC 3261 section
// 8.2). The program fails, the caller makes no sense, and somebody sends again what
// they have overheard.
func TestAuthenticateAnyMethod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		server := newServer(t, digest.ServerConfig{Nonces: 10, NonceLifetime: time.Minute})
		newAgent(t, n, "192.0.2.2", "sip:bob@192.0.2.2", ua.Config{
			Authenticate: func(*sip.Request) *digest.Server { return server },
			OnInvite:     func(context.Context, *ua.Invitation) { t.Error("it rings") },
		})
		peer := newPeer(t, n, "192.0.2.9", nil)
		seq := uint32(0)
		do := func(req *sip.Request) *sip.Response {
			t.Helper()
			seq++
			resp, err := peer.Do(t.Context(), req.With(sip.CSeq{Seq: seq, Method: req.Method()}))
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		want := func(what string, resp *sip.Response, status sip.Status) {
			t.Helper()
			if got := resp.Status(); got != status {
				t.Errorf("%s: %v, want %v", what, got, status)
			}
		}
		alice := digest.NewClient(digest.Credentials{Username: "alice", Password: "secret"})
		for _, method := range []sip.Method{sip.INVITE, sip.OPTIONS, sip.SUBSCRIBE, "CHESS"} {
			resp := do(request(method, bobURI, contactAt("192.0.2.9")))
			want(string(method), resp, sip.StatusUnauthorized)
			if _, err := sip.Get[sip.WWWAuthenticate](resp); err != nil {
				t.Errorf("%s: no challenge: %v", method, err)
			}
		}
		chess := request("CHESS", bobURI)
		challenged := do(chess)
		login, err := alice.Authorize(chess, challenged)
		if err != nil {
			t.Fatal(err)
		}
		want("CHESS with credentials", do(login), sip.StatusMethodNotAllowed)
		replayed := do(login)
		want("the same again", replayed, sip.StatusUnauthorized)
		stale := func(resp *sip.Response) bool {
			h, _ := sip.Get[sip.WWWAuthenticate](resp)
			d, _ := sip.Challenge(h).Digest()
			return d.Stale
		}
		if !stale(replayed) {
			t.Error("a replay is not told that its nonce is stale")
		}
		if login, err = alice.Authorize(login, replayed); err != nil {
			t.Fatal(err)
		}
		want("CHESS with a new nonce", do(login), sip.StatusMethodNotAllowed)
		time.Sleep(2 * time.Minute)
		if old := do(alice.Prepare(chess)); old.Status() != sip.StatusUnauthorized || !stale(old) {
			t.Errorf("a nonce of two minutes: %v, want 401 and stale", old.Status())
		}
		broken, err := digest.NewClient(digest.Credentials{Username: "broken", Password: "x"}).Authorize(chess, do(chess))
		if err != nil {
			t.Fatal(err)
		}
		want("a server that fails", do(broken), sip.StatusServerInternalError)
		bad := chess.With(sip.Field{Name: "Authorization", Value: `Digest realm="bob", username="alice", nonce="x"`})
		want("no response", do(bad), sip.StatusBadRequest)
		if invite := do(request(sip.INVITE, bobURI, contactAt("192.0.2.9"), sip.Field{Name: "Authorization", Value: `Digest realm="bob", username="a", nonce="x"`})); invite.Status() != sip.StatusBadRequest ||
			!contains(invite.ReasonPhrase(), "Authorization") {
			t.Errorf("INVITE: %v %s, want 400 that names the field", invite.Status(), invite.ReasonPhrase())
		}
	})
}

// A proxy's server asks by 407, and a body is covered if the caller covers it.
func TestAuthenticateBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		server := newServer(t, digest.ServerConfig{Integrity: true, Proxy: true})
		var bodies []string
		newAgent(t, n, "192.0.2.2", "sip:bob@192.0.2.2", ua.Config{
			Authenticate: func(*sip.Request) *digest.Server { return server },
			OnMessage: func(_ context.Context, m ua.Message) error {
				bodies = append(bodies, m.User+" "+m.Body)
				return nil
			},
		})
		// Somebody on the way takes the better offer out of the challenge, and
		// changes the body.
		tamper := false
		caller := newCaller(t, n, "192.0.2.9", &dialog.Config{Auth: authorizer(func(req *sip.Request, resp *sip.Response) (*sip.Request, error) {
			h, err := sip.Get[sip.ProxyAuthenticate](resp)
			if err != nil {
				t.Errorf("%d has no Proxy-Authenticate: %v", resp.Status(), err)
			}
			h.Params = sip.AuthParams(strings.Replace(string(h.Params), `"auth,auth-int"`, `"auth-int"`, 1))
			out, err := digest.NewClient(digest.Credentials{Username: "alice", Password: "secret"}).Authorize(req, resp.With(sip.Del("Proxy-Authenticate"), h))
			if err == nil && tamper {
				out = out.With(sip.Body{Type: "text/plain", Content: "send 900"})
			}
			return out, err
		})})
		message := func() sip.Status {
			resp, err := caller.Do(t.Context(), request(sip.MESSAGE, bobURI, sip.Body{Type: "text/plain", Content: "send 100"}))
			if resp == nil {
				t.Fatal(err)
			}
			return resp.Status()
		}
		if got := message(); got != sip.StatusOK {
			t.Errorf("MESSAGE got %v", got)
		}
		tamper = true
		if got := message(); got != sip.StatusProxyAuthRequired {
			t.Errorf("MESSAGE with another body got %v, want 407", got)
		}
		synctest.Wait()
		if want := []string{"alice send 100"}; !slices.Equal(bodies, want) {
			t.Errorf("Bob got %q, want %q", bodies, want)
		}
	})
}

// authorizer is a dialog.Authorizer that is asked for challenges alone, once each.
type authorizer func(*sip.Request, *sip.Response) (*sip.Request, error)

func (authorizer) Prepare(req *sip.Request) *sip.Request { return req }

func (f authorizer) Authorize(req *sip.Request, resp *sip.Response) (*sip.Request, error) {
	if _, has := req.Value("Proxy-Authorization"); has {
		return nil, digest.ErrRefused
	}
	return f(req, resp)
}

// Authenticate panics, for a call and for a message: that request gets 500, and the
// agent goes on.
func TestAuthenticatePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newAgent(t, n, "192.0.2.2", "sip:bob@192.0.2.2", ua.Config{
			Authenticate: func(req *sip.Request) *digest.Server {
				if req.Method() != sip.OPTIONS {
					panic("bug")
				}
				return nil
			},
			OnInvite:  func(context.Context, *ua.Invitation) { t.Error("it rings") },
			OnMessage: func(context.Context, ua.Message) error { t.Error("a message is shown"); return nil },
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		if _, err := alice.Invite(t.Context(), bobURI, nil); !errors.Is(err, sip.StatusServerInternalError) {
			t.Errorf("Invite() = %v, want 500", err)
		}
		if err := alice.Message(t.Context(), bobURI, "text/plain", "x"); !errors.Is(err, sip.StatusServerInternalError) {
			t.Errorf("Message() = %v, want 500", err)
		}
		if _, err := alice.Options(t.Context(), bobURI); err != nil {
			t.Errorf("Options() = %v", err)
		}
	})
}

// Mallory has proved to be mallory and no other, and has a dialog with the server by that. What she
// sends within it is hers, whatever its From says: From counts by its tag alone (RFC
// 3261 section 12.2.2). PUBLISH is refused there.
func TestAuthenticateWithinDialog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		server, err := digest.NewServer(digest.ServerConfig{Realm: "bob", Password: digest.Passwords(map[string]string{"alice": "a", "mallory": "m"})})
		if err != nil {
			t.Fatal(err)
		}
		var seen []string
		note := func(method sip.Method, user string, from sip.Address) {
			seen = append(seen, fmt.Sprintf("%s of %s, who says %s", method, user, from.URI.User))
		}
		watched := &mood{authorize: func(w *ua.Watcher, _ *sip.Request) error {
			note(sip.SUBSCRIBE, w.User(), w.From())
			return nil
		}}
		esc := ua.NewCompositor(nil)
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, serverAddr, "sip:presence@a.example", ua.Config{
			Authenticate: func(*sip.Request) *digest.Server { return server },
			Compositor:   esc,
			Notifiers:    []*ua.Notifier{ua.NewNotifier(watched, nil)},
			OnInvite:     answerWith(calls, newStream(t)),
			OnMessage: func(_ context.Context, m ua.Message) error {
				note(sip.MESSAGE, m.User, m.From)
				return nil
			},
			OnRefer: func(_ context.Context, r *ua.Referral) { note(sip.REFER, r.User(), r.From()) },
			Methods: map[sip.Method]func(context.Context, *ua.Request){"CHESS": func(_ context.Context, r *ua.Request) {
				note("CHESS", r.User, sip.Address{})
				r.Reply(sip.StatusOK)
			}},
		})
		mallory := newCaller(t, n, "192.0.2.3", &dialog.Config{
			Auth:      digest.NewClient(digest.Credentials{Username: "mallory", Password: "m", Realm: "bob"}),
			OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) },
		})
		hop := sip.Route{URI: sip.URI{Scheme: "sip", Host: serverAddr, Params: ";lr"}}
		me := sip.From{URI: uri("sip:mallory@a.example"), Params: ";tag=m"}
		// within sends what pretends to be of alice in a dialog.
		within := func(id dialog.ID) {
			t.Helper()
			seen = nil
			for i, ask := range []struct {
				method sip.Method
				edits  []sip.Edit
				want   sip.Status
			}{
				{sip.PUBLISH, []sip.Edit{presence, sip.Expires(600), pidf("<forged/>")}, sip.StatusMethodNotAllowed},
				{sip.SUBSCRIBE, []sip.Edit{sip.Event{Package: "mood", Params: ";id=2"}, sip.Expires(600)}, sip.StatusOK},
				{sip.MESSAGE, []sip.Edit{sip.Body{Type: "text/plain", Content: "hi"}}, sip.StatusOK},
				{sip.REFER, []sip.Edit{sip.ReferTo{URI: uri("sip:premium@b.example")}}, sip.StatusDecline},
				{"CHESS", nil, sip.StatusOK},
			} {
				edits := append([]sip.Edit{hop, contactAt("192.0.2.3"), sip.CallID(id.CallID), sip.CSeq{Seq: uint32(100 + i), Method: ask.method},
					sip.From{URI: uri(aliceURI), Params: sip.Params(";tag=" + id.LocalTag)},
					sip.To{URI: uri("sip:presence@a.example"), Params: sip.Params(";tag=" + id.RemoteTag)}}, ask.edits...)
				resp, err := mallory.Transactions().Do(t.Context(), request(ask.method, aliceURI, edits...))
				if err != nil {
					t.Fatal(err)
				}
				if resp.Status() != ask.want {
					t.Errorf("%s got %v, want %v", ask.method, resp.Status(), ask.want)
				}
				if allow, _ := resp.Value("Allow"); ask.method == sip.PUBLISH && strings.Contains(allow, "PUBLISH") {
					t.Errorf("PUBLISH is refused, and Allow is %s", allow)
				}
			}
			synctest.Wait()
			if got := bodies(esc, "presence"); len(got) > 0 {
				t.Errorf("published: %q", got)
			}
		}
		want := []string{
			"SUBSCRIBE of mallory, who says mallory", "MESSAGE of mallory, who says mallory",
			"REFER of mallory, who says mallory", "CHESS of mallory, who says ",
		}
		resp, err := mallory.Subscribe(t.Context(), request(sip.SUBSCRIBE, "sip:presence@a.example", hop, me, sip.CallID("mine"),
			sip.Event{Package: "mood"}, contactAt("192.0.2.3")), nil)
		if err != nil || resp.Status() != sip.StatusOK {
			t.Fatal(resp, err)
		}
		within(dialog.ID{CallID: "mine", LocalTag: "m", RemoteTag: resp.To().Tag()})
		if !slices.Equal(seen, want) {
			t.Errorf("within a subscription: %q, want %q", seen, want)
		}
		invite := request(sip.INVITE, "sip:presence@a.example", hop, me, sip.CallID("call"), contactAt("192.0.2.3"), describe("192.0.2.3", 1, "audio 5000 RTP/AVP 0"))
		s, resp, err := mallory.Invite(t.Context(), invite, nil)
		if err != nil || s == nil {
			t.Fatal(resp, err)
		}
		if err := s.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
		within(s.ID())
		if !slices.Equal(seen, want) {
			t.Errorf("within a call: %q, want %q", seen, want)
		}
	})
}

// The server watches mallory, who has no password at all. She publishes nothing in the
// dialog of that, and what else she sends there is of nobody who is known.
func TestAuthenticateWithinOurSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		server := newServer(t, digest.ServerConfig{})
		esc := ua.NewCompositor(nil)
		var seen []string
		pres := newAgent(t, n, serverAddr, "sip:presence@a.example", ua.Config{
			Authenticate: func(*sip.Request) *digest.Server { return server },
			Compositor:   esc,
			OnMessage: func(_ context.Context, m ua.Message) error {
				seen = append(seen, fmt.Sprintf("%q %s", m.User, m.From.URI.User))
				return nil
			},
		})
		mallory := newNotifierPeer(t, n, "192.0.2.2")
		subscribing(t.Context(), pres, "presence", nil)
		d := mallory.accept(mallory.next())
		mallory.notify(d, "presence", "active;expires=3600", "")
		for i, method := range []sip.Method{sip.PUBLISH, sip.MESSAGE} {
			resp, err := mallory.l.Transactions().Do(t.Context(), request(method, aliceURI, sip.Route{URI: sip.URI{Scheme: "sip", Host: serverAddr, Params: ";lr"}},
				sip.From{URI: uri(aliceURI), Params: sip.Params(";tag=" + d.ID().LocalTag)}, sip.To{URI: uri(aliceURI), Params: sip.Params(";tag=" + d.ID().RemoteTag)},
				sip.CallID(d.ID().CallID), sip.CSeq{Seq: uint32(100 + i), Method: method}, presence, sip.Expires(600), pidf("<forged/>")))
			if err != nil {
				t.Fatal(err)
			}
			if want := []sip.Status{sip.StatusMethodNotAllowed, sip.StatusOK}[i]; resp.Status() != want {
				t.Errorf("%s got %v, want %v", method, resp.Status(), want)
			}
		}
		if got := bodies(esc, "presence"); len(got) > 0 {
			t.Errorf("published: %q", got)
		}
		if want := []string{`"" bob`}; !slices.Equal(seen, want) {
			t.Errorf("messages of %q, want %q", seen, want)
		}
	})
}
