package transaction

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// The hosts of RFC 5626 section 9. Bob sits behind a NAT, as he well may.
const (
	bobInside  = "192.0.2.2"
	bobOutside = "203.0.113.1"
	configAddr = "192.0.2.5"
	homeAddr   = "192.0.2.10"
	ep1Addr    = "192.0.2.15"
	ep2Addr    = "192.0.2.16"
	callerAddr = "192.0.2.30"

	bobContact  = "<sip:bob@192.0.2.2;transport=tcp>"
	bobInstance = `+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"`
	deviceUser  = "00000000-0000-1000-8000-AABBCCDDEEFF"
)

// tcpNames is a resolver for domains whose SRV records name TCP alone.
type tcpNames map[string][]netip.Addr

func (n tcpNames) Lookup(ctx context.Context, name string, t resolve.Type) (*resolve.Answer, error) {
	host, ok := strings.CutPrefix(name, "_sip._tcp.")
	if t == resolve.TypeSRV && ok && n[host] != nil {
		return &resolve.Answer{SRV: []resolve.SRV{{Port: 5060, Target: host}}, TTL: time.Minute}, nil
	}
	return names(n).Lookup(ctx, name, t)
}

// outboundScene is the network of RFC 5626 section 9.
type outboundScene struct {
	*testing.T
	n    *siptest.Network
	box  *siptest.NAT
	seen int // packets that a figure has been checked for
}

func newOutboundScene(t *testing.T, n *siptest.Network) *outboundScene {
	return &outboundScene{T: t, n: n, box: n.NAT(bobOutside, &siptest.NATConfig{
		Mapping: siptest.AddressAndPortDependent, Filtering: siptest.AddressAndPortDependent,
	})}
}

// listen makes a layer on a host, which knows the domains. With a key of its
// own, an edge proxy knows its tokens again after a crash.
func (s *outboundScene) listen(host *siptest.Host, handler func(*Server, *sip.Request), accepted func(*sip.Request, *sip.Response)) *Layer {
	s.Helper()
	at := netip.AddrPortFrom(host.Addr(), 5060).String()
	quiet := slog.New(slog.DiscardHandler)
	l, err := Listen(&transport.Config{
		Listen: []string{"udp:" + at, "tcp:" + at}, Network: host, Logger: quiet, FlowKey: []byte("key of " + at),
		Resolver: tcpNames{
			"example.com": addrs(ep1Addr, ep2Addr), "ep1.example.com": addrs(ep1Addr), "ep2.example.com": addrs(ep2Addr),
			"a.example": addrs(callerAddr),
		},
	}, &Config{Handler: handler, Accepted: accepted, Merged: true, Logger: quiet})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { l.Close() })
	s.Cleanup(func() { nothingLeft(s, l) })
	return l
}

// edge starts an edge proxy.
func (s *outboundScene) edge(addr, name string) *Layer {
	s.Helper()
	e := &edge{self: s.uri("sip:" + name + ";lr")}
	e.next = func(r *sip.Request) sip.URI {
		if r.Method() == sip.SUBSCRIBE {
			return s.uri("sip:" + configAddr + ";transport=tcp")
		}
		return s.uri("sip:" + homeAddr + ";transport=tcp")
	}
	return s.listen(s.n.Host(addr), e.handle, e.accepted)
}

func (s *outboundScene) uri(text string) sip.URI {
	s.Helper()
	uri, err := sip.ParseURI(text)
	if err != nil {
		s.Fatal(err)
	}
	return uri
}

// step is one arrow of a figure.
type step struct {
	what, from, to string
	message        sip.Message // nil for a keepalive
	at             time.Time
}

func (s step) String() string { return s.what + " " + s.from + " " + s.to }

// news returns what has passed since it was last asked.
func (s *outboundScene) news() (steps []step) {
	s.Helper()
	name := func(a netip.AddrPort) string {
		return map[string]string{bobOutside: "Bob", configAddr: "Config", homeAddr: "Proxy", ep1Addr: "EP1", ep2Addr: "EP2", callerAddr: "Alice"}[a.Addr().String()]
	}
	packets := s.n.Packets()
	defer func() { s.seen = len(packets) }()
	for _, p := range packets[s.seen:] {
		from, to := name(p.From), name(p.To)
		switch string(p.Data) {
		case "":
			continue
		case "\r\n\r\n":
			steps = append(steps, step{"2CRLF", from, to, nil, p.Time})
			continue
		case "\r\n":
			steps = append(steps, step{"CRLF", from, to, nil, p.Time})
			continue
		}
		r := sip.NewReader(bytes.NewReader(p.Data), nil)
		for m, err := r.ReadMessage(); err == nil; m, err = r.ReadMessage() {
			steps = append(steps, step{strings.TrimSuffix(label([]byte(m.String())), " "+string(m.CSeq().Method)), from, to, m, p.Time})
		}
	}
	// What happens at once may be listed in any order.
	slices.SortStableFunc(steps, func(a, b step) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.String(), b.String()))
	})
	return steps
}

// figure checks what has passed since the last one, an arrow a line, and
// returns the messages.
func (s *outboundScene) figure(section, want string) []step {
	s.Helper()
	// Keepalives come at times of their own, and are in no figure.
	steps := slices.DeleteFunc(s.news(), func(is step) bool { return is.message == nil })
	var got []string
	for _, step := range steps {
		got = append(got, step.String())
	}
	var lines []string
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if !slices.Equal(got, lines) {
		s.Fatalf("section %s went\n%s\nwant\n%s", section, strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
	return steps
}

var tokenPattern = regexp.MustCompile(`<sip:[A-Za-z0-9_-]{30,}@`)

// has checks header fields of a message, of which the printed ones are "Name:
// value" with "TOKEN" for a flow token. "Name:" alone is a field that is not
// there.
func (s *outboundScene) has(is step, fields ...string) {
	s.Helper()
	for _, field := range fields {
		name, want, _ := strings.Cut(field, ":")
		var all []string
		for f := range is.message.Fields() {
			if f.Name == name {
				all = append(all, f.Value)
			}
		}
		got := tokenPattern.ReplaceAllString(strings.Join(all, ", "), "<sip:TOKEN@")
		if got != strings.TrimSpace(want) {
			s.Errorf("%s: %s: %q, want %q", is, name, got, strings.TrimSpace(want))
		}
	}
}

// token returns the flow token in the first value of a header field.
func token(m sip.Message, name string) string {
	value, _ := m.Value(name)
	_, rest, _ := strings.Cut(value, "<sip:")
	user, _, _ := strings.Cut(rest, "@")
	return user
}

// within makes a request within the dialog of a response, by the UAC.
func within(method sip.Method, seq uint32, resp *sip.Response) *sip.Request {
	target, _ := sip.Get[sip.Contact](resp)
	routes := recorded(resp)
	slices.Reverse(routes)
	return sip.NewRequest(method, target.URI, sip.MaxForwards(70), resp.From(), resp.To(),
		sip.CallID(resp.CallID()), sip.CSeq{Seq: seq, Method: method}, sip.List(routes...))
}

func recorded(m sip.Message) (routes []sip.Route) {
	for rr, err := range sip.All[sip.RecordRoute](m) {
		if err == nil {
			routes = append(routes, sip.Route(rr))
		}
	}
	return routes
}

// configServer answers a SUBSCRIBE and says in one NOTIFY where the
// configuration is.
func configServer(tx *Server, req *sip.Request) {
	target, _ := sip.Get[sip.Contact](req)
	to := req.To().WithTag("0983")
	tx.Reply(sip.StatusOK, to)
	tx.Layer().Do(tx.Context(), sip.NewRequest(sip.NOTIFY, target.URI, sip.MaxForwards(70), sip.From(to), sip.To(req.From()),
		sip.CallID(req.CallID()), sip.CSeq{Seq: 1, Method: sip.NOTIFY}, sip.List(recorded(req)...),
		sip.Field{Name: "Subscription-State", Value: "terminated;reason=timeout"}, sip.Field{Name: "Event", Value: "ua-profile"}))
}

// answering answers a call at once, and all else with 200.
func answering(contact, tag string) func(*Server, *sip.Request) {
	return func(tx *Server, req *sip.Request) {
		to := req.To()
		if to.Tag() == "" {
			to = to.WithTag(tag)
		}
		if req.Method() != sip.ACK {
			tx.Reply(sip.StatusOK, to, sip.Field{Name: "Contact", Value: contact})
		}
	}
}

// registration is one of the two of Bob, each by an edge proxy of its own.
type registration struct {
	s                 *outboundScene
	l                 *Layer
	edge, callID, tag string
	regID             int

	mu   sync.Mutex
	seq  uint32
	dead []error // what its flows died of
}

// register registers, and keeps the flow alive. When that is dead another one
// takes its place (RFC 5626 sections 4.2.1, 4.4 and 4.5).
func (r *registration) register() error {
	r.seq++
	var flow transport.Flow
	ctx := WithSent(r.s.Context(), func(f transport.Flow, _ *sip.Request) { flow = f })
	bob := sip.Address{Display: "Bob", URI: r.s.uri("sip:bob@example.com")}
	resp, err := r.l.Do(ctx, sip.NewRequest(sip.REGISTER, r.s.uri("sip:example.com"), sip.MaxForwards(70),
		sip.From(bob).WithTag(r.tag), sip.To(bob), sip.CallID(r.callID), sip.CSeq{Seq: r.seq, Method: sip.REGISTER},
		sip.Supported{sip.OptionPath, sip.OptionOutbound}, sip.Route{URI: r.s.uri("sip:" + r.edge + ";lr")},
		sip.Field{Name: "Contact", Value: fmt.Sprintf("%s;reg-id=%d;%s", bobContact, r.regID, bobInstance)}))
	if err != nil {
		return err
	}
	require, _ := sip.Get[sip.Require](resp)
	r.l.Endpoint().KeepAlive(flow, &transport.KeepAlive{
		Answered: slices.Contains(require, sip.OptionOutbound),
		Dead: func(err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.dead = append(r.dead, err)
			go r.recover() // ends when it is registered, or with the story
		},
	})
	return nil
}

func (r *registration) recover() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.s.Context().Err() == nil && r.register() != nil {
		select {
		case <-time.After(30 * time.Second):
		case <-r.s.Context().Done():
		}
	}
}
