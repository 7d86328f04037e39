package ua_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// newAgent makes an agent on a host of its own.
func newAgent(t *testing.T, n *siptest.Network, addr, aor string, cfg ua.Config) *ua.Agent {
	t.Helper()
	host := n.Host(addr)
	cfg.Network, cfg.Listen = host, listen(host)
	if cfg.Logger == nil {
		cfg.Logger = quiet
	}
	a, err := ua.New(aor, &cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func listen(host *siptest.Host) []string {
	local := netip.AddrPortFrom(host.Addr(), 5060).String()
	return []string{"udp:" + local, "tcp:" + local}
}

// newPeer makes a machine whose every response is scripted.
func newPeer(t *testing.T, n *siptest.Network, addr string, handle func(*transaction.Server, *sip.Request)) *transaction.Layer {
	t.Helper()
	host := n.Host(addr)
	l, err := transaction.Listen(&transport.Config{Network: host, Listen: listen(host), Logger: quiet},
		&transaction.Config{Handler: handle, Merged: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// newCaller makes a machine that keeps dialogs, but writes its own
// descriptions.
func newCaller(t *testing.T, n *siptest.Network, addr string, cfg *dialog.Config) *dialog.Layer {
	t.Helper()
	host := n.Host(addr)
	l, err := dialog.Listen(&transport.Config{Network: host, Listen: listen(host), Logger: quiet}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// request makes a request of a stranger.
func request(method sip.Method, target string, edits ...sip.Edit) *sip.Request {
	uri, err := sip.ParseURI(target)
	if err != nil {
		panic(err)
	}
	to := uri
	if to.Scheme != "sip" {
		to = sip.URI{Scheme: "sip", Host: "b.example"}
	}
	stranger := sip.URI{Scheme: "sip", User: "x", Host: "192.0.2.9"}
	all := []sip.Edit{
		sip.MaxForwards(70), sip.From{URI: stranger, Params: ";tag=x"}, sip.To{URI: to},
		sip.CallID(fmt.Sprintf("%s-%p", method, &edits)), sip.CSeq{Seq: 1, Method: method},
	}
	return sip.NewRequest(method, uri, append(all, edits...)...)
}

// describe writes the description of one side, with a section for each m= line.
func describe(host string, version int, sections ...string) sip.Body {
	text := fmt.Sprintf("v=0\r\no=- 1 %d IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n", version, host, host)
	for _, s := range sections {
		text += "m=" + strings.ReplaceAll(s, "|", "\r\n") + "\r\n"
	}
	return sip.Body{Type: "application/sdp", Content: text}
}

// multipart makes a body of parts.
func multipart(t *testing.T, subtype string, parts ...*sip.Part) sip.Body {
	t.Helper()
	body, err := sip.Multipart("multipart/"+subtype, parts...)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// picture is a part that an agent has no use for.
func picture(params sip.Params) *sip.Part {
	return sip.NewPart(sip.Body{Type: "image/png", Content: "x"}, sip.ContentDisposition{Type: "icon", Params: params})
}

// fakeStream is audio that sends nothing and watches that the agent keeps the
// contract of Stream.
type fakeStream struct {
	t *testing.T

	// Hooks, called while the method runs; nil: none.
	onOffer, onAnswer, onUpdate, onClose func(context.Context) error
	codec                                sdp.Format // zero: PCMU

	mu        sync.Mutex
	in        string // the method that runs
	described bool
	closed    bool
	updates   []string
	remote    *sdp.Media // of the last Update
}

func newStream(t *testing.T) *fakeStream { return &fakeStream{t: t} }

func (s *fakeStream) enter(method string, hook func(context.Context) error, ctx context.Context) error {
	s.mu.Lock()
	if s.in != "" {
		s.t.Errorf("%s called while %s runs", method, s.in)
	}
	if s.closed {
		s.t.Errorf("%s called after Close", method)
	}
	s.in = method
	s.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(ctx)
}

func (s *fakeStream) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in = ""
}

func (s *fakeStream) media() *sdp.Media {
	s.described = true
	m := &sdp.Media{Type: "audio", Port: 4000, Proto: "RTP/AVP"}
	if s.codec.Name == "" {
		s.codec = sdp.Format{PayloadType: 0, Name: "PCMU", ClockRate: 8000}
	}
	m.SetRTP([]sdp.Format{s.codec})
	return m
}

func (s *fakeStream) Offer(ctx context.Context) (*sdp.Media, error) {
	defer s.leave()
	if err := s.enter("Offer", s.onOffer, ctx); err != nil {
		return nil, err
	}
	return s.media(), nil
}

func (s *fakeStream) Answer(ctx context.Context, remote *sdp.Media) (*sdp.Media, error) {
	defer s.leave()
	if err := s.enter("Answer", s.onAnswer, ctx); err != nil {
		return nil, err
	}
	own := s.media()
	if remote.Type != "audio" || len(sdp.AnswerFormats(remote.RTP(), own.RTP())) == 0 {
		return nil, nil
	}
	return own, nil
}

func (s *fakeStream) Update(ctx context.Context, local, remote *sdp.Media) error {
	defer s.leave()
	if !s.described {
		s.t.Error("Update called before Offer or Answer")
	}
	s.mu.Lock()
	s.updates = append(s.updates, fmt.Sprintf("%s %s:%d", local.Direction, remote.Address, remote.Port))
	s.remote = remote
	s.mu.Unlock()
	return s.enter("Update", s.onUpdate, ctx)
}

func (s *fakeStream) Close() error {
	err := s.enter("Close", nil, nil)
	s.mu.Lock()
	s.in, s.closed = "", true
	s.mu.Unlock()
	if s.onClose != nil {
		return s.onClose(nil)
	}
	return err
}

// told returns what Update was told so far, and forgets it.
func (s *fakeStream) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := strings.Join(s.updates, ", ")
	s.updates = nil
	return told
}

// check reports a stream that was not told what it should, or is open or closed
// when it should not.
func (s *fakeStream) check(t *testing.T, who, told string, closed bool) {
	t.Helper()
	if got := s.told(); got != told {
		t.Errorf("%s: the stream was told %q, want %q", who, got, told)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed != closed {
		t.Errorf("%s: the stream is closed: %v, want %v", who, s.closed, closed)
	}
}

// streams makes the list that Invite wants.
func streams(s ...*fakeStream) *ua.InviteOptions {
	opts := &ua.InviteOptions{}
	for _, s := range s {
		opts.Streams = append(opts.Streams, s)
	}
	return opts
}

// answerWith returns an OnInvite that answers with a stream and hands over the
// call, or nil.
func answerWith(calls chan<- *ua.Call, s *fakeStream) func(context.Context, *ua.Invitation) {
	return func(ctx context.Context, in *ua.Invitation) {
		call, err := in.Answer(ctx, s)
		if err != nil {
			s.t.Logf("Answer: %v", err)
		}
		calls <- call
	}
}

func contains(s, part string) bool { return strings.Contains(s, part) }

// contactAt is a Contact at a host.
func contactAt(host string) sip.Contact {
	return sip.Contact{URI: sip.URI{Scheme: "sip", User: "x", Host: host}}
}
