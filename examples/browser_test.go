package examples_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/internal/websocket"
	"github.com/goparley/parley/media"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/ua"
)

// browser is what a SIP client in JavaScript has: one WebSocket, and no idea of
// its own address (RFC 7118 appendix B.1).
type browser struct {
	t    *testing.T
	ws   *websocket.Conn
	host string
	auth *digest.Client
	seq  uint32
	gruu string // that it was registered with, "" if it was not
}

// newBrowser connects to a server as alice. host is the name that stands for
// its address.
func newBrowser(t *testing.T, s *server, host string) *browser {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	nc, err := (&tls.Dialer{Config: s.trust}).DialContext(ctx, "tcp", s.wss)
	if err != nil {
		t.Fatal(err)
	}
	ws, err := websocket.Dial(ctx, nc, "wss://"+s.wss+"/", &websocket.Config{
		Subprotocol: "sip",
		Patience:    func(_, _ time.Time) time.Time { return time.Now().Add(10 * time.Second) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.CloseNow() })
	return &browser{t: t, ws: ws, host: host, auth: digest.NewClient(digest.Credentials{Username: "alice", Password: "wonder"})}
}

func (b *browser) write(m sip.Message) {
	b.t.Helper()
	if m.Err() != nil {
		b.t.Fatal(m.Err())
	}
	if err := b.ws.Write(m.String(), time.Now().Add(10*time.Second)); err != nil {
		b.t.Fatal(err)
	}
}

// read returns the next message.
func (b *browser) read() sip.Message {
	b.t.Helper()
	text, err := b.ws.Read()
	if err != nil {
		b.t.Fatal(err)
	}
	m, err := sip.Parse(text)
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

// request returns the next message, which must be a request of that method.
func (b *browser) request(method sip.Method) *sip.Request {
	b.t.Helper()
	m := b.read()
	req, ok := m.(*sip.Request)
	if !ok || req.Method() != method {
		b.t.Fatalf("the browser got\n%s\nwant %s", m, method)
	}
	return req
}

// send writes a request with the Via of a browser, which it returns.
func (b *browser) send(req *sip.Request) sip.Via {
	b.t.Helper()
	via := sip.Via{Transport: "WSS", Host: b.host, Params: sip.Params(";branch=z9hG4bK" + rand.Text())}
	b.write(req.With(sip.Push(via)))
	return via
}

// do sends a request, with the password if it is asked for it, and returns the
// final response.
func (b *browser) do(req *sip.Request) *sip.Response {
	b.t.Helper()
	for via := b.send(req); ; {
		resp, ok := b.read().(*sip.Response)
		switch {
		case !ok:
			b.t.Fatal("the browser got a request, want a response")
		case !resp.Status().Final():
			continue
		case resp.Status() != sip.StatusUnauthorized && resp.Status() != sip.StatusProxyAuthRequired:
			return resp
		}
		// Of several challenges JsSIP keeps the last one, and knows MD5.
		last := ""
		for f := range resp.Fields() {
			if f.Name == "WWW-Authenticate" || f.Name == "Proxy-Authenticate" {
				last = f.Value
			}
		}
		if strings.Contains(last, "algorithm=SHA") {
			b.t.Errorf("the last challenge is %s, want one for MD5", last)
		}
		if req.Method() == sip.INVITE {
			b.write(sip.NewRequest(sip.ACK, req.URI(), via, req.From(), resp.To(), sip.CallID(req.CallID()),
				sip.CSeq{Seq: req.CSeq().Seq, Method: sip.ACK}, sip.MaxForwards(70)))
		}
		var err error
		if req, err = b.auth.Authorize(req, resp); err != nil {
			b.t.Fatal(err)
		}
		b.seq++
		req = req.With(sip.CSeq{Seq: b.seq, Method: req.Method()})
		via = b.send(req)
	}
}

func address(t *testing.T, value string) sip.Address {
	t.Helper()
	a, err := sip.ParseAddress(value)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// newRequest makes a request outside of a dialog (RFC 7118 section 8).
func (b *browser) newRequest(method sip.Method, uri, to string, edits ...sip.Edit) *sip.Request {
	b.seq++
	all := append([]sip.Edit{
		sip.From(address(b.t, "<sip:alice@example.com>;tag="+rand.Text())), sip.To(address(b.t, to)), sip.CallID(rand.Text()),
		sip.CSeq{Seq: b.seq, Method: method}, sip.MaxForwards(70), sip.Supported{sip.OptionPath, sip.OptionOutbound, sip.OptionGRUU},
	}, edits...)
	return sip.NewRequest(method, address(b.t, "<"+uri+">").URI, all...)
}

// register registers as RFC 7118 section 8.1 has it, and returns the response.
func (b *browser) register() *sip.Response {
	b.t.Helper()
	resp := b.do(b.newRequest(sip.REGISTER, "sip:example.com", "<sip:alice@example.com>", sip.Expires(600),
		sip.Field{Name: "Contact", Value: "<sip:alice@" + b.host + `;transport=ws>;reg-id=1;+sip.instance="<urn:uuid:f81-7dec-14a06cf1>"`}))
	if contact, err := sip.Get[sip.Contact](resp); err == nil {
		b.gruu, _ = contact.Params.Get("pub-gruu")
	}
	return resp
}

// A browser registers over WSS with an address that nobody could send to. The
// answer lists it, and says that its flow is what counts.
func TestBrowserRegisters(t *testing.T) {
	t.Parallel()
	s := startServer(t, "127.0.0.1", "alice:wonder")
	for _, host := range []string{"df7jal23ls0d.invalid", "h8u0ykk23ls0.invalid"} { // the page is loaded again
		resp := newBrowser(t, s, host).register()
		if resp.Status() != sip.StatusOK {
			t.Fatalf("got\n%s\nwant 200", resp)
		}
		for _, test := range []struct{ name, want string }{
			{"Require", "outbound"},
			{"Flow-Timer", "120"},
		} {
			if got, _ := resp.Value(test.name); got != test.want {
				t.Errorf("%s: got %q, want %q", test.name, got, test.want)
			}
		}
		contact, err := sip.Get[sip.Contact](resp)
		if instance := "urn:uuid:f81-7dec-14a06cf1"; err != nil || contact.URI.Host != host || contact.RegID() != 1 ||
			!strings.Contains(contact.Instance(), instance) || !strings.Contains(string(contact.Params), `pub-gruu="sip:alice@example.com;gr=`+instance) {
			t.Errorf("Contact: got %v, %v, want the one of the browser, with a GRUU", contact, err)
		}
		if n := strings.Count(resp.String(), ".invalid;transport=ws>"); n != 1 {
			t.Errorf("%d bindings in\n%s\nwant one: the instance and its flow are the same", n, resp)
		}
	}
	s.interrupt()
}

// Calls between a browser and a phone that speaks UDP, in both directions, with
// what RFC 7118 section 8.2 prints of the Record-Route.
func TestBrowserCalls(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s := startServer(t, "127.0.0.1", "alice:wonder", "bob:builder")
	ended := make(chan error, 1)
	bob, err := ua.New("sip:bob@example.com", &ua.Config{
		Password: "builder", Proxy: s.uris["udp"], Listen: []string{"udp:127.0.0.1:0"},
		OnInvite: func(ctx context.Context, in *ua.Invitation) {
			call, err := in.Answer(ctx, media.NewAudio(nil))
			if err == nil {
				err = call.Hangup(context.WithoutCancel(ctx)) // F8
			}
			ended <- err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer bob.Close()
	if _, err := bob.Register(ctx, nil); err != nil {
		t.Fatal(err)
	}
	alice := newBrowser(t, s, "df7jal23ls0d.invalid")
	if resp := alice.register(); resp.Status() != sip.StatusOK {
		t.Fatalf("got\n%s\nwant 200", resp)
	}
	// The browser calls, the phone hangs up: F1 to F11.
	contact := sip.Field{Name: "Contact", Value: "<sip:alice@" + alice.host + ";transport=ws;ob>"}
	ok := alice.do(alice.newRequest(sip.INVITE, "sip:bob@example.com", "<sip:bob@example.com>", contact, session))
	if ok.Status() != sip.StatusOK {
		t.Fatalf("got\n%s\nwant 200", ok)
	}
	routes := routeSet(t, ok)
	slices.Reverse(routes)
	ack := alice.within(ok, routes, sip.ACK, ok.From(), ok.To(), sip.CSeq{Seq: ok.CSeq().Seq, Method: sip.ACK})
	if got := routes[0].URI.String(); !strings.Contains(got, "@"+s.wss+";transport=ws;lr") {
		t.Errorf("the first Route is %s, want the WebSocket of the proxy with a token", got)
	}
	alice.send(ack)
	bye := alice.request(sip.BYE)
	if got, want := bye.URI().String(), "sip:alice@df7jal23ls0d.invalid;transport=ws;ob"; got != want {
		t.Errorf("BYE %s, want %s", got, want)
	}
	alice.write(bye.Reply(sip.StatusOK))
	if err := <-ended; err != nil {
		t.Errorf("the phone hangs up: %v", err)
	}

	// The phone calls, and the page is loaded again: the browser connects anew, and
	// its GRUU leads there. Then the browser hangs up, and the next time the phone
	// does.
	for _, browserHangsUp := range []bool{true, false} {
		answered := make(chan error, 1)
		var call *ua.Call
		go func() { // ends with the 200, or ctx
			var err error
			call, err = bob.Invite(ctx, "sip:alice@example.com", &ua.InviteOptions{Streams: []ua.Stream{media.NewAudio(nil)}})
			answered <- err
		}()
		invite := alice.request(sip.INVITE)
		if got, want := invite.URI().String(), "sip:alice@df7jal23ls0d.invalid;transport=ws"; got != want {
			t.Errorf("INVITE %s, want %s", got, want)
		}
		if got := invite.Via().Transport; got != "WSS" {
			t.Errorf("the Via is for %s, want WSS", got)
		}
		ok := invite.Reply(sip.StatusOK, sip.Field{Name: "Contact", Value: "<" + alice.gruu + ">"}, session)
		alice.write(ok)
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
		alice.request(sip.ACK)
		alice.ws.CloseNow()
		alice.ws = newBrowser(t, s, alice.host).ws
		if resp := alice.register(); resp.Status() != sip.StatusOK {
			t.Fatalf("got\n%s\nwant 200", resp)
		}
		if browserHangsUp {
			bye := alice.within(invite, routeSet(t, invite), sip.BYE, sip.From(ok.To()), sip.To(ok.From()), sip.CSeq{Seq: 1, Method: sip.BYE})
			if resp := alice.do(bye); resp.Status() != sip.StatusOK {
				t.Errorf("got\n%s\nwant 200", resp)
			}
			<-call.Done()
			continue
		}
		go func() { ended <- call.Hangup(ctx) }() // ends with the 200, or ctx
		bye := alice.request(sip.BYE)
		if got, want := bye.URI().String(), "sip:alice@df7jal23ls0d.invalid;transport=ws"; got != want {
			t.Errorf("BYE %s, want %s", got, want)
		}
		alice.write(bye.Reply(sip.StatusOK))
		if err := <-ended; err != nil {
			t.Errorf("the phone hangs up: %v", err)
		}
	}

	// The flow of the first call is gone, and nobody has its Contact.
	lost := alice.within(ok, []sip.Route{routes[1], routes[0]}, sip.BYE, sip.From(ok.To()), sip.To(ok.From()), sip.CSeq{Seq: 9, Method: sip.BYE}).
		WithURI(bye.URI())
	if got := alice.do(lost).Status(); got != sip.StatusFlowFailed {
		t.Errorf("a request for a flow that is gone got %d, want 430", got)
	}
	s.interrupt()
}

// What RFC 5626 section 6 has a registrar look at.
func TestRegistrarAndOutbound(t *testing.T) {
	t.Parallel()
	s := startServer(t, "127.0.0.1", "alice:wonder")
	const instance = `;+sip.instance="<urn:uuid:1>"`
	further := sip.Push(sip.Via{Transport: "TCP", Host: "192.0.2.9", Params: ";branch=z9hG4bK1"})
	for _, test := range []struct {
		name     string
		contacts string
		edits    []sip.Edit
		want     sip.Status
		outbound bool
		bindings int
	}{
		{"a flow", "<sip:a@a.invalid>;reg-id=1" + instance, nil, sip.StatusOK, true, 1},
		{"another flow", "<sip:a@a.invalid>;reg-id=2" + instance, nil, sip.StatusOK, true, 2},
		{"the flow with another address", "<sip:a@b.invalid>;reg-id=2" + instance, nil, sip.StatusOK, true, 2},
		{"two at once", "<sip:a@b.invalid>;reg-id=2" + instance + ", <sip:a@c.invalid>", nil, sip.StatusBadRequest, false, 0},
		{"one for another", "<sip:a@b.invalid>;reg-id=2;expires=0" + instance + ", <sip:a@c.invalid>;reg-id=3" + instance, nil, sip.StatusOK, true, 2},
		{"no instance", "<sip:a@d.invalid>;reg-id=1", nil, sip.StatusOK, false, 3},
		{"not asked for", "<sip:a@e.invalid>;reg-id=1" + instance, []sip.Edit{sip.Del("Supported")}, sip.StatusOK, false, 3},
		{"by a proxy that keeps no flows", "<sip:a@f.invalid>;reg-id=1" + instance, []sip.Edit{further}, sip.StatusFirstHopLacksOutboundSupport, false, 0},
		{"by a proxy", "<sip:a@f.invalid>;reg-id=1" + instance, []sip.Edit{further, sip.Del("Supported")}, sip.StatusOK, false, 4},
		{"all of them for ever", "*", nil, sip.StatusBadRequest, false, 0},
		{"none", "*", []sip.Edit{sip.Expires(0)}, sip.StatusOK, false, 0},
	} {
		b := newBrowser(t, s, "a.invalid")
		defer b.ws.CloseNow()
		all := append([]sip.Edit{sip.Expires(600), sip.Field{Name: "Contact", Value: test.contacts}}, test.edits...)
		resp := b.do(b.newRequest(sip.REGISTER, "sip:example.com", "<sip:alice@example.com>", all...))
		require, _ := resp.Value("Require")
		bindings := 0
		for range sip.All[sip.Contact](resp) {
			bindings++
		}
		if resp.Status() != test.want || (require == "outbound") != test.outbound || bindings != test.bindings {
			t.Errorf("%s: got\n%s\nwant %d, outbound %v, %d bindings", test.name, resp, test.want, test.outbound, test.bindings)
		}
	}
	s.interrupt()
}

// session is an offer and an answer.
var session = sip.Body{Type: "application/sdp",
	Content: "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"}

// within makes a request within a dialog with the peer that sent m.
func (b *browser) within(m sip.Message, routes []sip.Route, method sip.Method, edits ...sip.Edit) *sip.Request {
	b.t.Helper()
	target, err := sip.Get[sip.Contact](m)
	if err != nil {
		b.t.Fatal(err)
	}
	return sip.NewRequest(method, target.URI, append(edits, sip.List(routes...), sip.CallID(m.CallID()), sip.MaxForwards(70))...)
}

// routeSet returns the Record-Route of a message as a Route, which must have our
// two entries.
func routeSet(t *testing.T, m sip.Message) (routes []sip.Route) {
	t.Helper()
	for rr, err := range sip.All[sip.RecordRoute](m) {
		if err != nil {
			t.Fatal(err)
		}
		routes = append(routes, sip.Route(rr))
	}
	if len(routes) != 2 {
		t.Fatalf("%d entries of Record-Route in\n%s\nwant 2", len(routes), m)
	}
	return routes
}
