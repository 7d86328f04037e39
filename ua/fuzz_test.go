package ua_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// stranger is who talks to the agent in FuzzAgent: each four bytes of the input are a step.
type stranger struct {
	t    *testing.T
	conn net.PacketConn
	n    int // of messages, for branches and tags

	mu       sync.Mutex
	requests []*sip.Request         // of the agent, to be answered
	dialogs  []sip.Message          // of the agent: what has made a dialog, or a response in one
	got      []string               // all of it, as text
	sent     []string               // what was sent, as text
	tainted  map[string]bool        // branches of what was sent once more, and was not the same
	finals   map[string]finalAnswer // by branch and method
}

type finalAnswer struct {
	text string
	at   time.Time
}

const (
	strangerAddr = "192.0.2.66"
	agentAddr    = "192.0.2.1"
	maxKept      = 64

	// thirdAddr is somebody whom the stranger leads the agent to, and who is not to see
	// credentials: the stranger has the place of its own proxy.
	thirdAddr = "192.0.2.67"
)

var (
	fuzzMethods = []sip.Method{sip.INVITE, sip.OPTIONS, sip.MESSAGE, sip.SUBSCRIBE, sip.NOTIFY, sip.REFER,
		sip.PUBLISH, sip.INFO, sip.UPDATE, sip.PRACK, sip.BYE, sip.ACK, sip.REGISTER, "FOO"}
	fuzzStatuses = []sip.Status{100, 180, 183, 199, 200, 202, 299, 300, 302, 380, 400, 401, 403, 404, 405, 407, 408,
		412, 415, 420, 422, 423, 439, 480, 481, 482, 486, 487, 488, 489, 491, 500, 501, 503, 504, 600, 603, 699, 305}
	fuzzWaits = []time.Duration{0, time.Millisecond, 50 * time.Millisecond, 500 * time.Millisecond, time.Second,
		4 * time.Second, 33 * time.Second, 20 * time.Minute}
	fuzzSDP = []string{
		"v=0\r\no=- 1 1 IN IP4 192.0.2.66\r\ns=-\r\nc=IN IP4 192.0.2.66\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n",
		"v=0\r\no=- 1 2 IN IP4 192.0.2.66\r\ns=-\r\nc=IN IP4 192.0.2.66\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\na=sendonly\r\n",
		"v=0\r\no=- 1 3 IN IP4 192.0.2.66\r\ns=-\r\nc=IN IP4 192.0.2.66\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\nm=video 6000 RTP/AVP 96\r\n",
		"v=0\r\n",
		"nonsense",
	}
	// fuzzHeaders are lines that a step adds. %d is the dialog that it names.
	fuzzHeaders = []string{
		"", "Supported: 100rel, timer, replaces\r\n", "Require: 100rel\r\n", "Require: foo\r\n",
		"Session-Expires: 90;refresher=uac\r\nSupported: timer\r\n", "Session-Expires: 1\r\nSupported: timer\r\n",
		"Event: presence\r\nExpires: 0\r\n", "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n",
		"Event: presence\r\nSubscription-State: active;expires=60\r\n", "Event: refer\r\n",
		"Refer-To: <sip:x@192.0.2.66?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc&Via=x&Route=%3Csip:y%3E>\r\n",
		"Refer-To: <sip:x@192.0.2.66>\r\nRefer-Sub: false\r\n", "Expires: 1\r\n", "Replaces: %s\r\n", "Join: %s\r\n",
		"Record-Route: <sip:192.0.2.66;lr>\r\n", "Record-Route: <sip:192.0.2.66>\r\n", "Retry-After: 1\r\n", "Min-SE: 3600\r\n",
		"Min-Expires: 7200\r\n", "RSeq: 1\r\nRequire: 100rel\r\n", "RSeq: 2\r\nRequire: 100rel\r\n", "RAck: 1 1 INVITE\r\n",
		"SIP-ETag: x\r\nExpires: 5\r\n", "WWW-Authenticate: Digest realm=\"a.example\", nonce=\"1\", qop=\"auth\"\r\n",
		"Proxy-Authenticate: Digest realm=\"evil\", nonce=\"2\", stale=true\r\n", "Subscription-State: active\r\n", "Target-Dialog: %s\r\n",
		"Info-Package: x\r\n", "Recv-Info: x\r\n", "Supported: 100rel\r\nRequire: 100rel\r\n",
	}
)

// FuzzAgent feeds a running agent sequences of requests and responses, its own ones and
// mutations of them, while it calls, answers, registers, publishes and transfers. It may not
// panic, answer a request twice, or keep anything when all is over.
func FuzzAgent(f *testing.F) {
	for _, seed := range [][]byte{
		{0, 0, 0, 0x10, 5, 3, 0, 0, 1, 11, 0, 1, 1, 10, 0, 2},                               // called, ACK, BYE
		{6, 0, 0, 0, 2, 1, 0, 0x00, 2, 4, 0, 0x10, 5, 4, 0, 0, 6, 6, 0, 0, 2, 4, 1, 0},      // calls, is answered, hangs up
		{6, 0, 0, 0, 2, 2, 0, 0x14, 1, 9, 0, 0x16, 2, 4, 0, 0x10, 2, 4, 1, 0, 5, 4, 0, 0},   // with early media and PRACK
		{6, 1, 0, 0, 2, 15, 0, 0x18, 2, 4, 1, 0, 5, 7, 0, 0, 2, 4, 2, 0},                    // registers by password
		{6, 2, 0, 0, 2, 4, 0, 0x17, 5, 6, 0, 0, 2, 17, 1, 0},                                // publishes
		{0, 0, 0, 0x10, 1, 11, 0, 1, 1, 5, 0, 0x0a, 5, 4, 0, 0, 2, 4, 0, 0x10, 1, 10, 0, 3}, // is referred
		{6, 9, 0, 0, 2, 4, 0, 0x0c, 1, 4, 0, 8, 5, 6, 0, 0},                                 // watches
		{0, 3, 0, 6, 0, 3, 1, 8, 5, 6, 0, 0},                                                // is watched
		{6, 0, 0, 0, 2, 8, 0, 0, 2, 24, 1, 0, 2, 30, 0, 0},                                  // is redirected
		{0, 0, 0, 0x10, 1, 11, 0, 1, 1, 0, 0, 2, 1, 8, 0, 3, 5, 6, 0, 0},                    // is changed
		{0, 0, 0, 0x10, 1, 11, 0, 1, 0, 0, 1, 0x0d, 3, 0, 20, 7, 4, 0, 30, 1},               // is replaced, and hears itself
		{0, 0, 1, 0x1e, 1, 9, 0, 0x16, 5, 4, 0, 0, 1, 11, 0, 1, 1, 0, 16, 0x30},             // has early media, and another stream
		{0, 0, 0, 0x10, 1, 11, 0, 1, 1, 7, 0, 0x1c, 1, 13, 1, 0, 0, 13, 0, 0},               // is told things
		{0, 3, 1, 6, 5, 6, 0, 0, 0, 2, 2, 0, 3, 0, 0, 0, 0, 0, 2, 0x10},                     // is watched later, and asks for passwords
		{6, 0, 0, 0, 2, 15, 0, 0x18, 2, 4, 0, 0x90, 5, 4, 0, 0, 6, 4, 0, 0, 6, 6, 0, 0},     // calls by password, and the callee is elsewhere
		{6, 0, 0, 0, 2, 15, 0, 0x18, 2, 4, 0, 0xaf, 5, 4, 0, 0, 6, 4, 0, 0, 6, 6, 0, 0},     // likewise, by a route
		{6, 1, 0, 0, 2, 11, 0, 0x18, 2, 4, 0, 0, 6, 0, 0, 0, 2, 8, 0, 0x80},                 // is redirected elsewhere
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, steps []byte) {
		if len(steps) > 240 {
			return // longer than it need be
		}
		synctest.Test(t, func(t *testing.T) { fuzzAgent(t, steps) })
	})
}

func fuzzAgent(t *testing.T, steps []byte) {
	n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: time.Millisecond})
	s := newStranger(t, n.Host(strangerAddr))
	calls := make(chan *ua.Call, 1000)
	passwords, err := digest.NewServer(digest.ServerConfig{Realm: "a.example", Password: func(context.Context, string) (string, error) {
		return "secret", nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	newThird(t, n)
	aor, proxy := "sip:alice@a.example", "sip:"+strangerAddr
	if len(steps)/4%2 == 1 { // what it is redirected to it calls straight
		aor, proxy = "sip:alice@"+strangerAddr, ""
	}
	a := newAgent(t, n, agentAddr, aor, ua.Config{
		Password: "secret", Proxy: proxy, Compositor: ua.NewCompositor(nil),
		Join:      true,
		Notifiers: []*ua.Notifier{ua.NewNotifier(fuzzPackage{}, nil)},
		OnInvite: func(ctx context.Context, in *ua.Invitation) {
			var all []ua.Stream
			if !strings.HasSuffix(in.Request().CallID(), "1") || in.Progress(ctx, newStream(t)) != nil {
				all = append(all, newStream(t))
			}
			in.Ring(ctx)
			if call, err := in.Answer(ctx, all...); err == nil {
				calls <- call
			}
		},
		OnStream: func(_ context.Context, _ *ua.Call, remote *sdp.Media) ua.Stream {
			if remote.Type != "audio" {
				return nil
			}
			return newStream(t)
		},
		InfoPackages: map[string]func(context.Context, ua.Info) error{
			"":  func(context.Context, ua.Info) error { return nil },
			"x": func(context.Context, ua.Info) error { return sip.StatusForbidden },
		},
		Methods: map[sip.Method]func(context.Context, *ua.Request){
			"FOO": func(_ context.Context, r *ua.Request) {
				if r.Call != nil { // another gets 500
					r.Reply(sip.StatusOK)
				}
			},
		},
		Authenticate: func(req *sip.Request) *digest.Server {
			if req.From().Tag() == "s2" {
				return passwords
			}
			return nil
		},
		OnMessage: func(context.Context, ua.Message) error { return nil },
		OnRefer: func(ctx context.Context, r *ua.Referral) {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			if call, err := r.Invite(ctx, streams(newStream(t))); err == nil {
				calls <- call
			}
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	var doing sync.WaitGroup
	for ; len(steps) >= 4; steps = steps[4:] {
		s.step(steps[0], steps[1], steps[2], steps[3])
		if what := int(steps[1]); steps[0]%7 == 6 {
			doing.Go(func() { do(ctx, t, a, calls, what) }) // ends with ctx at the latest
		}
		time.Sleep(5 * time.Millisecond) // there and back
	}
	cancel()
	// Everything ends: what the agent was doing, and the calls that are up.
	time.Sleep(2 * time.Minute)
	doing.Wait()
	for len(calls) > 0 {
		(<-calls).Hangup(ctx)
	}
	time.Sleep(3 * time.Hour) // subscriptions of the stranger's
	if calls, dialogs, others := a.Left(); calls+dialogs+others > 0 {
		t.Errorf("%d calls, %d dialogs and %d others are left", calls, dialogs, others)
	}
	a.Close()
	s.conn.Close()
}

// newThird makes the host that never sees credentials. It asks for them, in every realm
// that there is, but lets an INVITE that begins a call in.
func newThird(t *testing.T, n *siptest.Network) {
	newPeer(t, n, thirdAddr, func(tx *transaction.Server, req *sip.Request) {
		wantBare(t, req)
		switch nameOf(req) {
		case "ACK":
		case "INVITE":
			tx.Reply(sip.StatusOK, contactAt(thirdAddr), describe(thirdAddr, 1, "audio 5000 RTP/AVP 0"))
		default:
			var edits []sip.Edit
			for _, realm := range []string{"a.example", strangerAddr, "evil"} {
				ask := sip.Field{Name: "Proxy-Authenticate", Value: `Digest realm="` + realm + `", nonce="3", qop="auth", stale=true`}
				edits = append(edits, sip.Add(ask))
			}
			tx.Reply(sip.StatusProxyAuthRequired, edits...)
		}
	})
}

// fuzzPackage lets everybody see a word, and some only later.
type fuzzPackage struct{}

func (fuzzPackage) Name() string    { return "presence" }
func (fuzzPackage) Types() []string { return []string{"text/plain"} }
func (fuzzPackage) Authorize(_ context.Context, w *ua.Watcher, _ *sip.Request) error {
	if strings.Contains(w.From().String(), "tag=s1") { // decided later, or never
		time.AfterFunc(40*time.Second, w.Activate)
		return ua.ErrPending
	}
	return nil
}
func (fuzzPackage) State(context.Context, *ua.Watcher) (sip.Body, error) {
	return sip.Body{Type: "text/plain", Content: "here"}, nil
}

// do has the agent do something.
func do(ctx context.Context, t *testing.T, a *ua.Agent, calls chan *ua.Call, what int) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	const target = "sip:bob@" + strangerAddr
	current := func(use func(*ua.Call)) {
		select {
		case c := <-calls:
			use(c)
			calls <- c
		default:
		}
	}
	switch what % 10 {
	case 0:
		if call, err := a.Invite(ctx, target, streams(newStream(t))); err == nil {
			calls <- call
		}
	case 1:
		if reg, err := a.Register(ctx, &ua.RegisterOptions{OnError: func(error) {}}); err == nil {
			<-ctx.Done()
			reg.Close()
		}
	case 2:
		if pub, err := a.Publish(ctx, "presence", sip.Body{Type: "text/plain", Content: "x"}, &ua.PublishOptions{OnError: func(error) {}}); err == nil {
			pub.Update(ctx, sip.Body{Type: "text/plain", Content: "y"})
			pub.Close()
		}
	case 3:
		a.Message(ctx, target, "text/plain", "hello")
	case 4:
		current(func(c *ua.Call) { c.Hold(ctx) })
	case 5:
		current(func(c *ua.Call) { c.Transfer(ctx, "sip:carol@"+strangerAddr, nil) })
	case 6:
		current(func(c *ua.Call) { c.Hangup(ctx) })
	case 7:
		current(func(c *ua.Call) { c.Add(ctx, newStream(t)) })
	case 9:
		if sub, err := a.Subscribe(ctx, target, "presence", &ua.SubscribeOptions{OnError: func(error) {}}); err == nil {
			for range sub.Notifies(ctx) {
			}
			sub.Close()
		}
	case 8:
		ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		if call, err := a.Invite(ctx, target, streams(newStream(t))); err == nil {
			calls <- call
		}
	}
}

func newStranger(t *testing.T, host *siptest.Host) *stranger {
	conn, err := host.ListenPacket(t.Context(), "udp", ":5060")
	if err != nil {
		t.Fatal(err)
	}
	s := &stranger{t: t, conn: conn, tainted: map[string]bool{}, finals: map[string]finalAnswer{}}
	go s.receive() // ends with conn
	return s
}

// receive notes what the agent sends, and that it does not answer twice.
func (s *stranger) receive() {
	buf := make([]byte, 65535)
	for {
		n, _, err := s.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		text := string(buf[:n])
		m, err := sip.Parse(text)
		if err != nil {
			// But for a keepalive, and the 400 or 505 to what has no From, say, or no good one.
			if strings.TrimSpace(text) != "" && !strings.HasPrefix(text, "SIP/2.0 400 ") && !strings.HasPrefix(text, "SIP/2.0 505 ") {
				s.t.Errorf("the agent sent what is no message: %v\n%q", err, text)
			}
			continue
		}
		s.mu.Lock()
		s.got = kept(s.got, text)
		switch m := m.(type) {
		case *sip.Request:
			if m.Method() != sip.ACK && m.Method() != sip.CANCEL {
				s.requests = kept(s.requests, m)
				s.dialogs = kept(s.dialogs, sip.Message(m))
			}
		case *sip.Response:
			if m.To().Tag() != "" {
				s.dialogs = kept(s.dialogs, sip.Message(m))
			}
			s.answered(m)
		}
		s.mu.Unlock()
	}
}

func kept[T any](list []T, item T) []T {
	if len(list) == maxKept {
		list = slices.Delete(list, 0, 1)
	}
	return append(list, item)
}

// answered checks that a request has one final response, whose retransmissions are the same.
func (s *stranger) answered(resp *sip.Response) {
	branch := resp.Via().Branch()
	if !resp.Status().Final() || branch == "" || s.tainted[branch] { // without one it is a mutation, too
		return
	}
	key := branch + " " + string(resp.CSeq().Method)
	before, known := s.finals[key]
	if known && before.text != resp.String() && time.Since(before.at) < 30*time.Second {
		s.t.Errorf("%s was answered with\n%s\nand then with\n%s", key, before.text, resp)
	}
	if !known {
		s.finals[key] = finalAnswer{resp.String(), time.Now()}
	}
}

func (s *stranger) step(op, a, b, c byte) {
	switch op % 7 {
	case 0:
		s.request(fuzzMethods[int(a)%len(fuzzMethods)], int(b), c)
	case 1:
		s.within(fuzzMethods[int(a)%len(fuzzMethods)], int(b), c)
	case 2:
		s.respond(fuzzStatuses[int(a)%len(fuzzStatuses)], int(b), c)
	case 3:
		s.again(&s.sent, a, b, c)
	case 4:
		s.again(&s.got, a, b, c)
	case 5:
		time.Sleep(fuzzWaits[int(a)%len(fuzzWaits)])
	}
}

func (s *stranger) write(text string) {
	s.mu.Lock()
	s.sent = kept(s.sent, text)
	s.mu.Unlock()
	s.conn.WriteTo([]byte(text), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(agentAddr+":5060")))
}

// astray has a line name the third host in place of the stranger, by a byte of the input.
func astray(line string, c byte) string {
	if c&0x80 == 0 {
		return line
	}
	return strings.ReplaceAll(line, strangerAddr, thirdAddr)
}

// tail returns the end of a message: header lines and a body, by a byte of the input.
func (s *stranger) tail(c byte) string {
	line := astray(fuzzHeaders[int(c&0x1f)%len(fuzzHeaders)], c)
	if strings.Contains(line, "%s") {
		line = fmt.Sprintf(line, s.dialogName(int(c)))
	}
	body := ""
	if n := int(c >> 4 & 7); n > 0 && n <= len(fuzzSDP) {
		body = fuzzSDP[n-1]
		line += "Content-Type: application/sdp\r\n"
	}
	return line + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

// dialogName names a dialog of the agent's as Replaces does.
func (s *stranger) dialogName(i int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.dialogs) == 0 {
		return "a;to-tag=b;from-tag=c"
	}
	m := s.dialogs[i%len(s.dialogs)]
	to, from := m.To().Tag(), m.From().Tag()
	if _, request := m.(*sip.Request); request {
		to, from = from, to
	}
	return fmt.Sprintf("%s;to-tag=%s;from-tag=%s", m.CallID(), to, from)
}

func (s *stranger) head(method sip.Method, uri, from, to, callID string, seq int, c byte) string {
	s.n++
	return fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK-s%d\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\n%s",
		method, uri, strangerAddr, s.n, from, to, callID, seq, method, astray("Contact: <sip:s@"+strangerAddr+">\r\n", c))
}

// request sends one outside of a dialog.
func (s *stranger) request(method sip.Method, b int, c byte) {
	s.write(s.head(method, "sip:alice@a.example", fmt.Sprintf("<sip:s@a.example>;tag=s%d", b%3), "<sip:alice@a.example>",
		fmt.Sprintf("c%d", b%8), 1+b/8, c) + s.tail(c))
}

// within sends one in a dialog that the agent has shown.
func (s *stranger) within(method sip.Method, b int, c byte) {
	s.mu.Lock()
	if len(s.dialogs) == 0 {
		s.mu.Unlock()
		return
	}
	m := s.dialogs[b%len(s.dialogs)]
	s.mu.Unlock()
	from, to := m.From(), sip.From(m.To())
	seq := int(m.CSeq().Seq)
	if _, request := m.(*sip.Request); request {
		from, to = to, from
		seq = 10
		if from.Tag() == "" {
			from = from.WithTag("st")
		}
	}
	if method != sip.ACK {
		seq += 1 + b/16
	}
	s.write(s.head(method, "sip:alice@"+agentAddr, string(from.AppendValue(nil)), string(to.AppendValue(nil)), m.CallID(), seq, c) + s.tail(c))
}

// respond answers a request of the agent.
func (s *stranger) respond(status sip.Status, b int, c byte) {
	s.mu.Lock()
	if len(s.requests) == 0 {
		s.mu.Unlock()
		return
	}
	req := s.requests[len(s.requests)-1-b%len(s.requests)]
	s.mu.Unlock()
	resp := req.Reply(status)
	if to := req.To(); to.Tag() == "" {
		resp = resp.With(to.WithTag(fmt.Sprintf("st%d", b/64)))
	}
	text := resp.String()
	head, _, _ := strings.Cut(text, "Content-Length:")
	s.write(head + astray("Contact: <sip:s@"+strangerAddr+">\r\n", c) + s.tail(c))
}

// again sends a message once more, as it was or with a byte of it changed.
func (s *stranger) again(list *[]string, a, b, c byte) {
	s.mu.Lock()
	n := len(*list)
	if n == 0 {
		s.mu.Unlock()
		return
	}
	text := (*list)[n-1-int(a)%n]
	if c != 0 {
		if m, err := sip.Parse(text); err == nil {
			s.tainted[m.Via().Branch()] = true
		}
		at := int(b) * len(text) / 256
		text = text[:at] + string(rune(c)) + text[at+1:]
		if m, err := sip.Parse(text); err == nil {
			s.tainted[m.Via().Branch()] = true
		}
	}
	s.mu.Unlock()
	s.write(text)
}
