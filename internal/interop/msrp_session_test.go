package interop_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
)

// transports are those by which a relay is reached.
var transports = []string{"tcp", "tls", "ws", "wss"}

var relays = map[string]func(testing.TB, *interop.RelayOptions) *interop.Relay{
	"kamailio": interop.StartKamailioRelay, "ours": interop.StartRelay,
}

// byEachRelay runs a test with Kamailio as the relay, and with ours in its place. What is sent is captured, and
// tshark finds nothing wrong with it, in TLS too where what clients have for keys is written to keys. least is
// how many messages of MSRP there are.
func byEachRelay(t *testing.T, least int, test func(t *testing.T, relay *interop.Relay, keys *os.File)) {
	t.Helper()
	interop.Need(t)
	for name, start := range relays {
		t.Run(name, func(t *testing.T) {
			relay, keys := start(t, nil), newKeyLog(t)
			capture := interop.StartCapture(t)
			test(t, relay, keys)
			judgeRelays(t, capture, least, keys, relay)
		})
	}
}

// judgeRelays ends a capture of what is sent by relays, and has tshark judge it.
func judgeRelays(t *testing.T, capture *interop.Capture, least int, keys *os.File, relays ...*interop.Relay) interop.Verdict {
	t.Helper()
	capture.Stop(t)
	opts := &interop.JudgeOptions{KeyLog: []string{keys.Name()}}
	for _, r := range relays {
		opts.MSRP, opts.MSRPS, opts.WSS = append(opts.MSRP, r.At("tcp")), append(opts.MSRPS, r.At("tls")), append(opts.WSS, r.At("wss"))
		if r.KeyLog != "" {
			opts.KeyLog = append(opts.KeyLog, r.KeyLog)
		}
	}
	v := interop.Judge(t, capture.Path, opts)
	for _, e := range v.Errors {
		t.Error(e)
	}
	if v.MSRP < least {
		t.Errorf("tshark: %v, want at least %d messages of MSRP", v, least)
	}
	t.Logf("tshark: %v", v)
	return v
}

// A relayed is an endpoint of ours behind a relay, and counts its connections.
type relayed struct {
	*msrp.Endpoint
	dials *atomic.Int32
}

// dialer is the network of the system, and counts.
type dialer struct {
	net.Dialer
	net.ListenConfig
	dials atomic.Int32
}

func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d.dials.Add(1)
	return d.Dialer.DialContext(ctx, network, address)
}

// newRelayed makes an endpoint that is reached by a relay.
func newRelayed(t *testing.T, relay *interop.Relay, transport, user string, keys io.Writer) *relayed {
	t.Helper()
	return newRelayedBy(t, relay, keys, msrp.Relay{URI: relay.URI(transport), Username: user, Password: user + "pw"})
}

// newRelayedBy makes an endpoint that is reached by relays whose certificates are of the authority of one.
func newRelayedBy(t *testing.T, relay *interop.Relay, keys io.Writer, by ...msrp.Relay) *relayed {
	t.Helper()
	d := &dialer{}
	e, err := msrp.New(&msrp.Config{Relays: by, Network: d, TLS: &tls.Config{RootCAs: relay.Authority.Pool(), KeyLogWriter: keys}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return &relayed{e, &d.dials}
}

// An end is a session of ours, and what comes to it.
type end struct {
	*msrp.Session
	began chan struct{} // a message
	came  chan arrival
}

type arrival struct {
	text string
	err  error
}

func newEnd(t *testing.T, c *relayed, cfg *msrp.SessionConfig) *end {
	s := &end{msrp.NewSession(c.Endpoint, cfg), make(chan struct{}, 100), make(chan arrival, 100)}
	t.Cleanup(func() { s.Close() })
	s.listen(t)
	return s
}

// listen takes what comes, until the session is lost or the test is over.
func (s *end) listen(t *testing.T) {
	go func() { // ends with the session, or when it is lost
		for m, err := range s.Messages(t.Context()) {
			var text []byte
			s.began <- struct{}{}
			if err == nil {
				text, err = io.ReadAll(m)
			}
			s.came <- arrival{string(text), err}
		}
	}()
}

// expect waits for what comes.
func (s *end) expect(t *testing.T, text string, err error) {
	t.Helper()
	select {
	case a := <-s.came:
		if a.text != text && err == nil || !errors.Is(a.err, err) {
			t.Errorf("%d bytes came, %.80q, %v, want %d, %.80q, %v", len(a.text), a.text, a.err, len(text), text, err)
		}
	case <-time.After(msrpWait):
		t.Errorf("nothing came after %v, want %.80q, %v", msrpWait, text, err)
	}
}

// begun waits for a message to begin.
func (s *end) begun(t *testing.T) {
	t.Helper()
	select {
	case <-s.began:
	case <-time.After(msrpWait):
		t.Errorf("no message began after %v", msrpWait)
	}
}

// agree has two sessions describe themselves to each other, as an INVITE and its answer do.
func agree(t *testing.T, one, other *msrp.Session) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), msrpWait)
	defer cancel()
	offer, err := one.Offer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := other.Answer(ctx, offer)
	if err != nil || answer == nil {
		t.Fatalf("Answer() = %v, %v", answer, err)
	}
	if err := other.Update(ctx, answer, offer); err != nil {
		t.Fatal(err)
	}
	if err := one.Update(ctx, offer, answer); err != nil {
		t.Fatal(err)
	}
}

// connect has two sessions know each other's paths alone.
func connect(t *testing.T, one, other *msrp.Session) {
	t.Helper()
	from, to := path(t, one), path(t, other)
	if err := other.Connect(t.Context(), from, false); err != nil {
		t.Fatal(err)
	}
	if err := one.Connect(t.Context(), to, true); err != nil {
		t.Fatal(err)
	}
}

func path(t *testing.T, s *msrp.Session) frame.Path {
	t.Helper()
	p, err := s.Path(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// introduce has two sessions describe themselves to each other. What is offered with TLS is not answered without, so
// they know each other's paths alone then.
func introduce(t *testing.T, one, other *msrp.Session) {
	t.Helper()
	if path(t, one)[0].Secure && !path(t, other)[0].Secure {
		connect(t, one, other)
	} else {
		agree(t, one, other)
	}
}

// send sends a message, and checks what becomes of it.
func send(t *testing.T, s *end, m *msrp.Message, want error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), msrpWait)
	defer cancel()
	if err := s.Send(ctx, m); !errors.Is(err, want) {
		t.Errorf("Send() = %v, want %v", err, want)
	}
}

// converse has two sessions send each other a text, and a report on it.
func converse(t *testing.T, one, other *end) {
	t.Helper()
	send(t, one, &msrp.Message{Body: strings.NewReader("there"), SuccessReport: true}, nil)
	other.expect(t, "there", nil)
	send(t, other, &msrp.Message{Body: strings.NewReader("and back"), SuccessReport: true}, nil)
	one.expect(t, "and back", nil)
}

// noise is so many bytes of all kinds.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

// Two sessions of ours by way of a relay that both have a URI of.
func TestMSRPSessions(t *testing.T) {
	byEachRelay(t, 16*messagesOfPair, func(t *testing.T, relay *interop.Relay, keys *os.File) {
		for _, from := range transports {
			for _, to := range transports {
				t.Run(from+" to "+to, func(t *testing.T) {
					exchangeAll(t, newRelayed(t, relay, from, "alice", keys), newRelayed(t, relay, to, "bob", keys))
				})
			}
		}
		for name, story := range map[string]func(*testing.T, *interop.Relay, *os.File){
			"a type that is not taken": refuseType,
			"an aborted message":       abort,
			"many on a connection":     shareConnection,
			"a wrong password":         guessPassword,
			"a wish for a time":        wishForTime,
			"a restart":                restart,
		} {
			t.Run(name, func(t *testing.T) { story(t, relay, keys) })
		}
	})
}

// messagesOfPair is how many messages exchangeAll makes at least: AUTH twice, of both, with the answers, an empty SEND,
// the texts, and 200 KB in chunks of 8 KB each way. Each SEND has an answer, and goes on; a report goes on.
const (
	sizeOfMany     = 200_000
	messagesOfPair = 8 + 4 + 2*(4+2) + 2*(4*((sizeOfMany+8191)/8192)+2)
)

// exchangeAll has sessions of two endpoints send each other a text, and 200 KB in chunks, with reports.
func exchangeAll(t *testing.T, one, other *relayed) {
	t.Helper()
	alice, bob := newEnd(t, one, nil), newEnd(t, other, &msrp.SessionConfig{AcceptTypes: []string{"*"}})
	introduce(t, alice.Session, bob.Session)
	converse(t, alice, bob)
	octets := noise(sizeOfMany)
	send(t, alice, &msrp.Message{ContentType: "application/octet-stream", Body: bytes.NewReader(octets), SuccessReport: true}, nil)
	bob.expect(t, string(octets), nil)
	text := strings.Repeat("0123456789\r\n-------\r\n", sizeOfMany/21)
	send(t, bob, &msrp.Message{Body: strings.NewReader(text), SuccessReport: true}, nil)
	alice.expect(t, text, nil)
}

// A message of a type that its receiver does not take. What a description tells is refused here; what is
// refused there comes back as a REPORT from our relay, and not at all from Kamailio, which has answered 200 already.
func refuseType(t *testing.T, relay *interop.Relay, keys *os.File) {
	alice, bob := newEnd(t, newRelayed(t, relay, "tcp", "alice", keys), nil), newEnd(t, newRelayed(t, relay, "tls", "bob", keys), nil)
	agree(t, alice.Session, bob.Session)
	html := func() *msrp.Message {
		return &msrp.Message{ContentType: "text/html", Body: strings.NewReader("<p>"), SuccessReport: true}
	}
	send(t, alice, html(), frame.StatusUnsupportedType)
	converse(t, alice, bob)

	// Without a description nobody knows what the other one takes.
	alice, bob = newEnd(t, newRelayed(t, relay, "tcp", "alice", keys), nil), newEnd(t, newRelayed(t, relay, "tls", "bob", keys), nil)
	connect(t, alice.Session, bob.Session)
	if relay.Own() {
		send(t, alice, html(), frame.StatusUnsupportedType)
	} else {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		wantError(t, alice.Send(ctx, html()), context.DeadlineExceeded)
	}
	converse(t, alice, bob)
}

// A message that its sender gives up is one that its receiver gives up, and there are others after it.
func abort(t *testing.T, relay *interop.Relay, keys *os.File) {
	for _, transport := range transports {
		alice, bob := newEnd(t, newRelayed(t, relay, transport, "alice", keys), nil), newEnd(t, newRelayed(t, relay, "tls", "bob", keys), nil)
		agree(t, alice.Session, bob.Session)
		body, rest := io.Pipe()
		broken := errors.New("no more of it")
		var sent sync.WaitGroup
		sent.Go(func() { send(t, alice, &msrp.Message{Body: body, Size: 100_000}, broken) })
		if _, err := rest.Write(make([]byte, 20_000)); err != nil {
			t.Fatal(err)
		}
		bob.begun(t)
		rest.CloseWithError(broken)
		sent.Wait()
		bob.expect(t, "", msrp.ErrAborted)
		converse(t, alice, bob)
	}
}

// The sessions of two endpoints, each on one connection, do not get into each other's way.
func shareConnection(t *testing.T, relay *interop.Relay, keys *os.File) {
	const pairs = 30
	one, other := newRelayed(t, relay, "tls", "alice", keys), newRelayed(t, relay, "wss", "bob", keys)
	var alices, bobs []*end
	for range pairs {
		alice, bob := newEnd(t, one, nil), newEnd(t, other, nil)
		agree(t, alice.Session, bob.Session)
		alices, bobs = append(alices, alice), append(bobs, bob)
	}
	text := func(i int) string { return strings.Repeat("x", 1000*i) }
	var sent sync.WaitGroup
	for i, alice := range alices {
		sent.Go(func() { send(t, alice, &msrp.Message{Body: strings.NewReader(text(i)), SuccessReport: true}, nil) })
	}
	for i, bob := range bobs {
		bob.expect(t, text(i), nil)
	}
	sent.Wait()
	for i := range pairs {
		converse(t, alices[i], bobs[i])
	}
	if a, b := one.dials.Load(), other.dials.Load(); a != 1 || b != 1 {
		t.Errorf("%d and %d connections, want 1 and 1", a, b)
	}
}

// A wrong password is one on every transport.
func guessPassword(t *testing.T, relay *interop.Relay, keys *os.File) {
	for _, transport := range transports {
		alice := newRelayedBy(t, relay, keys, msrp.Relay{URI: relay.URI(transport), Username: "alice", Password: "a guess"})
		_, err := msrp.NewSession(alice.Endpoint, nil).Offer(t.Context())
		wantError(t, err, frame.StatusUnauthorized)
	}
}

// Who wishes for a time gets 423 from Kamailio, with bytes of its memory for header fields, and asks again
// without one. That is no message of MSRP, so the keys to it are kept from tshark; our relay has keys of its own.
func wishForTime(t *testing.T, relay *interop.Relay, _ *os.File) {
	user := func(transport, user string) *end {
		return newEnd(t, newRelayedBy(t, relay, nil, msrp.Relay{
			URI: relay.URI(transport), Username: user, Password: user + "pw", Expires: 24 * time.Hour,
		}), nil)
	}
	alice, bob := user("tls", "alice"), user("wss", "bob")
	agree(t, alice.Session, bob.Session)
	converse(t, alice, bob)
}

// The relay goes away and comes back: both sessions are lost, and another offer gets them other paths.
func restart(t *testing.T, relay *interop.Relay, keys *os.File) {
	alice, bob := newEnd(t, newRelayed(t, relay, "wss", "alice", keys), nil), newEnd(t, newRelayed(t, relay, "tls", "bob", keys), nil)
	agree(t, alice.Session, bob.Session)
	converse(t, alice, bob)
	relay.Restart(t)
	alice.expect(t, "", msrp.ErrLost)
	bob.expect(t, "", msrp.ErrLost)
	send(t, alice, &msrp.Message{Body: strings.NewReader("anybody there?")}, msrp.ErrLost)
	agree(t, bob.Session, alice.Session)
	alice.listen(t)
	bob.listen(t)
	converse(t, alice, bob)
}
