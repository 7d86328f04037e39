package ua_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// said returns what a message says of its sender, one header field after the other.
func said(m sip.Message, names ...string) string {
	var all []string
	for _, name := range names {
		if value, ok := m.Value(name); ok {
			all = append(all, name+": "+value)
		}
	}
	return strings.Join(all, "; ")
}

// What an agent serves it says in each response but a refusal, the same from the first one
// on (RFC 3261 section 20.5): when it rings, reliably or not, has early media, says so again
// after minutes, and answers; and what it says is so, from the first one on, too.
func TestSaidOfACallee(t *testing.T) {
	const serves = "Allow: ACK, BYE, CANCEL, OPTIONS, NOTIFY, INVITE, PRACK, UPDATE, MESSAGE, INFO, SUBSCRIBE; Allow-Events: mood; Recv-Info: foo"
	for _, test := range []struct {
		how   string
		knows sip.Edit
		rings string // the responses but the last
	}{
		{"unreliably", sip.Supported{"x"}, "180 183 183 183"},
		{"media alone reliably", sip.Supported{sip.Option100rel}, "180 183 183"},
		{"reliably", sip.Require{sip.Option100rel}, "180 183 183"},
	} {
		t.Run(test.how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
					InfoPackages: takers(nil, "foo"),
					Notifiers:    []*ua.Notifier{ua.NewNotifier(&mood{}, nil)},
					OnMessage:    func(context.Context, ua.Message) error { return nil },
					OnInvite: func(ctx context.Context, in *ua.Invitation) {
						err := in.Ring(ctx)
						time.Sleep(time.Second)
						err = errors.Join(err, in.Progress(ctx, newStream(t)))
						time.Sleep(170 * time.Second)
						_, failed := in.Answer(ctx)
						if err := errors.Join(err, failed); err != nil {
							t.Error(err)
						}
					},
				})
				alice := newCaller(t, n, "192.0.2.1", nil)
				check := func(resp *sip.Response, err error) {
					t.Helper()
					if err != nil || said(resp, "Allow", "Allow-Events", "Recv-Info") != serves {
						t.Errorf("%v, and\n%s\nwant %s", err, resp, serves)
					}
				}
				var rings []string
				s, resp, err := alice.Invite(t.Context(), request(sip.INVITE, bobURI, describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0"), sip.RecvInfo{}, test.knows),
					func(s *dialog.Session, resp *sip.Response) {
						rings = append(rings, fmt.Sprint(int(resp.Status())))
						check(resp, nil)
						if _, reliable := resp.Value("RSeq"); reliable {
							s.Do(t.Context(), sip.PRACK)
						}
						check(s.Do(t.Context(), sip.UPDATE, sip.RecvInfo{}))
					})
				check(resp, err)
				s.Ack(t.Context())
				check(s.Do(t.Context(), sip.UPDATE, sip.RecvInfo{}))
				if got := strings.Join(rings, " "); got != test.rings {
					t.Errorf("the responses are %s, want %s", got, test.rings)
				}
			})
		})
	}
}

// What a caller says in its INVITE: what others may watch here, too (RFC 6665 section 4.4.4).
func TestSaidOfACaller(t *testing.T) {
	const serves = "ACK, BYE, CANCEL, OPTIONS, NOTIFY, INVITE, PRACK, UPDATE"
	for _, test := range []struct {
		name string
		cfg  ua.Config
		opts ua.InviteOptions
		want string
	}{
		{name: "nothing", want: "Allow: " + serves + "; Supported: 100rel, replaces, timer"},
		{name: "history", opts: ua.InviteOptions{History: true}, want: "Allow: " + serves + "; Supported: 100rel, replaces, timer, histinfo"},
		{name: "packages", cfg: ua.Config{
			Notifiers:    []*ua.Notifier{ua.NewNotifier(&mood{}, nil)},
			Compositor:   ua.NewCompositor(nil),
			InfoPackages: takers(nil, "foo"),
			Supported:    []string{sip.OptionUUI},
		}, want: "Allow: " + serves + ", INFO, SUBSCRIBE; Allow-Events: mood; Supported: 100rel, replaces, timer, uui; Recv-Info: foo"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				got := ""
				newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
					got = said(req, "Allow", "Allow-Events", "Supported", "Recv-Info")
					tx.Reply(sip.StatusBusyHere)
				})
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", test.cfg)
				alice.Invite(t.Context(), bobURI, &test.opts)
				if got != test.want {
					t.Errorf("the INVITE says\n%s, want\n%s", got, test.want)
				}
			})
		})
	}
}

// Who watches is told what else there is to watch.
func TestSaidOfANotifier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{Notifiers: []*ua.Notifier{ua.NewNotifier(&mood{}, nil)}})
		stranger := newPeer(t, n, "192.0.2.9", func(tx *transaction.Server, req *sip.Request) { tx.Reply(sip.StatusOK) })
		subscribe := request(sip.SUBSCRIBE, bobURI, contactAt("192.0.2.9"), sip.Event{Package: "mood"})
		for seq := range uint32(2) {
			resp, err := stranger.Do(t.Context(), subscribe.With(sip.CSeq{Seq: 1 + seq, Method: sip.SUBSCRIBE}))
			if err != nil || resp.Status() != sip.StatusOK || said(resp, "Allow-Events") != "Allow-Events: mood" {
				t.Errorf("%v, and\n%s\nwant Allow-Events", err, resp)
			}
			subscribe = subscribe.With(resp.To())
		}
	})
}
