package registrar

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/proxy"
	"github.com/goparley/parley/ua"
)

const (
	storeAddr = "192.0.2.9:7000"
	nodeA     = "192.0.2.11"
	nodeB     = "192.0.2.12"
)

// A query is what a node asks of the store, and its answer: a line of JSON each,
// over a connection for each question.
type query struct {
	Op       string        `json:"op,omitempty"`
	Key      string        `json:"key,omitempty"`
	Revision uint64        `json:"revision,omitempty"`
	Value    []byte        `json:"value,omitempty"`
	TTL      time.Duration `json:"ttl,omitempty"`
	Fault    string        `json:"fault,omitempty"`
}

// serveStore is a machine with a Store that nodes share. It ends with the test.
func serveStore(t *testing.T, n *siptest.Network) {
	t.Helper()
	at := netip.MustParseAddrPort(storeAddr)
	ln, err := n.Host(at.Addr().String()).Listen(t.Context(), "tcp", storeAddr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	memory := NewMemory(nil)
	go func() { // ends when ln is closed
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go answerQuery(t.Context(), c, memory) // ends with its answer, or with the test
		}
	}()
}

func answerQuery(ctx context.Context, c net.Conn, memory *Memory) {
	defer c.Close()
	var q query
	if json.NewDecoder(c).Decode(&q) != nil {
		return
	}
	var a query
	var err error
	switch q.Op {
	case "get":
		a.Value, a.Revision, err = memory.Get(ctx, q.Key)
	case "set":
		err = memory.CompareAndSet(ctx, q.Key, q.Revision, q.Value, q.TTL)
	case "watch":
		for value := range memory.Watch(ctx, q.Key) {
			if json.NewEncoder(c).Encode(query{Value: value}) != nil {
				return
			}
		}
		return
	}
	if err != nil {
		a.Fault = err.Error()
	}
	json.NewEncoder(c).Encode(a)
}

// remoteStore is a Store that asks that machine.
type remoteStore struct{ host *siptest.Host }

func (r remoteStore) ask(ctx context.Context, q query) (*json.Decoder, func(), error) {
	c, err := r.host.DialContext(ctx, "tcp", storeAddr)
	if err != nil {
		return nil, nil, fmt.Errorf("remote store: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	if err := json.NewEncoder(c).Encode(q); err != nil {
		c.Close()
		return nil, nil, fmt.Errorf("remote store: %w", err)
	}
	return json.NewDecoder(c), func() { stop(); c.Close() }, nil
}

func (r remoteStore) once(ctx context.Context, q query) (a query, err error) {
	answers, done, err := r.ask(ctx, q)
	if err != nil {
		return a, err
	}
	defer done()
	if err = answers.Decode(&a); err != nil {
		return a, fmt.Errorf("remote store: %w", err)
	}
	switch a.Fault {
	case "":
	case ErrConflict.Error():
		err = ErrConflict
	default:
		err = errors.New(a.Fault)
	}
	return a, err
}

func (r remoteStore) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	a, err := r.once(ctx, query{Op: "get", Key: key})
	return a.Value, a.Revision, err
}

func (r remoteStore) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte, ttl time.Duration) error {
	_, err := r.once(ctx, query{Op: "set", Key: key, Revision: revision, Value: value, TTL: ttl})
	return err
}

func (r remoteStore) Watch(ctx context.Context, key string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		answers, done, err := r.ask(ctx, query{Op: "watch", Key: key})
		if err != nil {
			yield(nil, err)
			return
		}
		defer done()
		for {
			var a query
			err := answers.Decode(&a)
			if err != nil && ctx.Err() != nil {
				err = ctx.Err() // which has closed the connection
			}
			if !yield(a.Value, err) || err != nil {
				return
			}
		}
	}
}

// node is a proxy and registrar of example.com that has nothing of its own but
// its connections.
type node struct {
	*proxy.Proxy
	location *Registrar

	mu   sync.Mutex
	seen []string // requests, and the Path of our own that they came by
}

func newNode(t *testing.T, n *siptest.Network, addr string, flowKey []byte) *node {
	t.Helper()
	host := n.Host(addr)
	users, err := digest.NewServer(digest.ServerConfig{
		Realm: "example.com", Secret: []byte("that the nodes share"), Nonces: 1000,
		Password: func(context.Context, string) (string, error) { return "secret", nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	x := &node{location: must(New(&Config{
		Domains: []string{"example.com"}, Store: remoteStore{host}, Users: users, GRUUKey: []byte("that they share, too"), Logger: quiet,
	}))}
	x.Proxy, err = proxy.Listen(&transport.Config{
		Listen: []string{"udp:" + addr + ":5060", "tcp:" + addr + ":5060"}, Network: host, Resolver: names{}, Logger: quiet, FlowKey: flowKey,
	}, &proxy.Config{Domains: []string{"example.com"}, RecordRoute: true, Handler: x.handle})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

func (x *node) handle(tx *proxy.Server, req *sip.Request) {
	x.mu.Lock()
	x.seen = append(x.seen, fmt.Sprintf("%s local=%v routed=%v", req.Method(), tx.Local(), tx.Routed()))
	x.mu.Unlock()
	switch {
	case tx.Local() && req.Method() == sip.REGISTER:
		x.location.Register(tx.Server, req)
	case tx.Local():
		targets, err := x.location.Lookup(tx.Context(), req.URI())
		switch {
		case errors.Is(err, ErrNotFound):
			tx.Reply(sip.StatusNotFound)
		case err != nil:
			tx.Reply(sip.StatusServerInternalError)
		default:
			tx.Forward(req, targets...)
		}
	case tx.Routed():
		tx.Relay(req)
	default:
		tx.Reply(sip.StatusForbidden)
	}
}

// news returns the requests that came since it was last asked.
func (x *node) news() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	defer func() { x.seen = nil }()
	return x.seen
}

// silence is a stream that carries nothing.
type silence struct{}

func (silence) Offer(context.Context) (*sdp.Media, error) {
	return &sdp.Media{Type: "audio", Port: 9, Proto: "RTP/AVP", Formats: []string{"0"}}, nil
}

func (s silence) Answer(ctx context.Context, _ *sdp.Media) (*sdp.Media, error) { return s.Offer(ctx) }

func (silence) Update(_ context.Context, _, _ *sdp.Media) error { return nil }

func (silence) Close() error { return nil }

// agent is a user agent that answers every call.
func agent(t *testing.T, host *siptest.Host, user, at string, listens ...string) *ua.Agent {
	t.Helper()
	a, err := ua.New("sip:"+user+"@example.com", &ua.Config{
		Password: "secret", Proxy: at, Network: host, Listen: listens, Resolver: names{}, Logger: quiet,
		OnInvite: func(ctx context.Context, in *ua.Invitation) {
			if _, err := in.Answer(ctx, silence{}); err != nil {
				t.Errorf("%s cannot answer: %v", user, err)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	if _, err := a.Register(t.Context(), nil); err != nil {
		t.Fatalf("%s: %v", user, err)
	}
	return a
}

// call places a call, and ends it.
func call(t *testing.T, from *ua.Agent, to string) {
	t.Helper()
	c, err := from.Invite(t.Context(), to, &ua.InviteOptions{Streams: []ua.Stream{silence{}}})
	if err != nil {
		t.Errorf("call to %s: %v", to, err)
		return
	}
	time.Sleep(time.Second)
	if err := c.Hangup(t.Context()); err != nil {
		t.Errorf("end of the call to %s: %v", to, err)
	}
}

// eachKey runs a story with nodes that have a FlowKey each, and with one for all,
// by which they know the dialogs of each other.
func eachKey(t *testing.T, f func(t *testing.T, flowKey []byte)) {
	t.Run("keys of their own", func(t *testing.T) { synctest.Test(t, func(t *testing.T) { f(t, nil) }) })
	t.Run("one key", func(t *testing.T) { synctest.Test(t, func(t *testing.T) { f(t, []byte("that the nodes share")) }) })
}

// Two nodes with one Store. Alice is connected to node A, from behind a NAT, and
// Bob listens on UDP and has registered at node B. Each calls the other, by the
// node that each knows: B sends what is for Alice to A, by the Path that A has
// put into her binding, and A has her connection.
func TestTwoNodes(t *testing.T) {
	eachKey(t, func(t *testing.T, flowKey []byte) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		serveStore(t, n)
		a, b := newNode(t, n, nodeA, flowKey), newNode(t, n, nodeB, flowKey)
		box := n.NAT("203.0.113.1", &siptest.NATConfig{Filtering: siptest.AddressAndPortDependent})
		alice := agent(t, box.Host("10.0.0.2"), "alice", "sip:"+nodeA+";transport=tcp", "udp:10.0.0.2:5060")
		bob := agent(t, n.Host("192.0.2.2"), "bob", "sip:"+nodeB, "udp:192.0.2.2:5060", "tcp:192.0.2.2:5060")

		target := expectOneTarget(t, b.location, aliceAOR)
		if len(target.Route) != 1 || target.Route[0].URI.Host != nodeA {
			t.Fatalf("Alice's Route is %v, want node A", target.Route)
		}
		want := transport.ErrToken
		if flowKey != nil {
			want = transport.ErrElsewhere
		}
		if _, err := b.Layer().Endpoint().FlowOf(target.Route[0].URI.User); !errors.Is(err, want) {
			t.Errorf("the token of node A is %v to node B, want %v", err, want)
		}
		a.news()
		b.news()
		call(t, bob, aliceAOR)
		if got, want := fmt.Sprint(b.news()), "[INVITE local=true routed=false ACK local=false routed=true BYE local=false routed=true]"; got != want {
			t.Errorf("at node B: %s\nwant       %s", got, want)
		}
		if got, want := fmt.Sprint(a.news()), "[INVITE local=false routed=true ACK local=false routed=true BYE local=false routed=true]"; got != want {
			t.Errorf("at node A: %s\nwant       %s", got, want)
		}
		call(t, alice, "sip:bob@example.com")
	})
}

// A phone has a flow to each of two nodes, and the latest, to node A, is gone. A
// knows at once. B finds out by trying, with 430 from A, and takes its own flow
// (RFC 5626 section 7).
func TestNextFlowAtAnotherNode(t *testing.T) {
	eachKey(t, func(t *testing.T, flowKey []byte) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		serveStore(t, n)
		a, b := newNode(t, n, nodeA, flowKey), newNode(t, n, nodeB, flowKey)
		bob := agent(t, n.Host("192.0.2.2"), "bob", "sip:"+nodeB, "udp:192.0.2.2:5060")

		// A phone with a flow to each node (RFC 5626 section 3.3).
		flows := map[string]*phone{}
		for i, at := range []string{nodeB, nodeA} { // the one to node A is the latest
			p := newFlow(t, n.Host(fmt.Sprintf("192.0.2.3%d", i)))
			p.uri, p.callID = "sip:example.com", at
			p.withPassword(contact(fmt.Sprintf("<sip:alice@192.0.2.3%d;transport=tcp;ob>;reg-id=%d;%s", i, i+1, instanceOne)),
				knows("outbound", "path"), sip.Route{URI: uri(t, "sip:"+at+";transport=tcp;lr")})
			flows[at] = p
			time.Sleep(time.Second)
		}
		expectTargets(t, b.location, aliceAOR, "sip:alice@192.0.2.31;transport=tcp;ob", "sip:alice@192.0.2.30;transport=tcp;ob")
		call(t, bob, aliceAOR)

		// The connection to node A ends: A has 430 for B, which takes its own.
		flows[nodeA].layer.Close()
		time.Sleep(time.Second)
		expectTargets(t, a.location, aliceAOR, "sip:alice@192.0.2.30;transport=tcp;ob")
		a.news()
		call(t, bob, aliceAOR)
		if got := fmt.Sprint(a.news()); got != "[INVITE local=false routed=true]" {
			t.Errorf("at node A: %s, want the INVITE that gets 430", got)
		}
	})
}

// newFlow is a phone that is reached by its connections, and answers calls.
func newFlow(t *testing.T, host *siptest.Host) *phone {
	t.Helper()
	return &phone{t: t, layer: listen(t, host, answerCalls), to: aliceAOR}
}

// answerCalls answers as a user agent that says nothing of media.
func answerCalls(tx *transaction.Server, req *sip.Request) {
	if req.Method() == sip.ACK {
		return
	}
	self := sip.URI{Scheme: "sip", User: "alice", Host: tx.Flow().LocalAddr().Addr().String(), Params: ";transport=tcp;ob"}
	answer := []sip.Edit{sip.Contact{URI: self}}
	if req.Method() == sip.INVITE { // with what was offered
		answer = append(answer, sip.Body{Type: "application/sdp", Content: req.Body()})
	}
	tx.Reply(sip.StatusOK, answer...)
}

// withPassword registers with the password that is asked for.
func (p *phone) withPassword(contacts []string, edits ...sip.Edit) {
	p.t.Helper()
	client := digest.NewClient(digest.Credentials{Username: cmp.Or(p.user, "alice"), Password: "secret"})
	challenge := p.register(401, contacts, edits...)
	again, err := client.Authorize(p.request(contacts, edits...), challenge)
	if err != nil {
		p.t.Fatal(err)
	}
	if ok := p.ask(again); ok.Status() != sip.StatusOK {
		p.t.Fatalf("REGISTER got %v, want 200", ok.Status())
	}
}

func expectOneTarget(t *testing.T, location *Registrar, of string) proxy.Target {
	t.Helper()
	targets, err := location.Lookup(t.Context(), uri(t, of))
	if err != nil || len(targets) != 1 {
		t.Fatalf("Lookup(%s) = %v, %v, want one", of, targets, err)
	}
	return targets[0]
}
