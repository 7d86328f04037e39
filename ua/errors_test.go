package ua_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// names is a resolver that knows no name.
type names struct{}

func (names) Lookup(_ context.Context, host string, _ resolve.Type) (*resolve.Answer, error) {
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// What goes wrong, by its error: a type to test for, and one line that says
// what was being done, to whom, and why it failed.
func TestErrors(t *testing.T) {
	is := func(target error) func(error) bool {
		return func(err error) bool { return errors.Is(err, target) }
	}
	for _, test := range []struct {
		name string
		do   func(ctx context.Context, n *siptest.Network, a *ua.Agent) error
		is   func(error) bool
		text string
	}{
		{"unknown host", invite("sip:bob@nowhere.example"), func(err error) bool {
			var dns *net.DNSError
			return errors.As(err, &dns) && dns.IsNotFound
		}, "invite sip:bob@nowhere.example: resolve sip:nowhere.example: lookup nowhere.example: no such host"},
		{"connection refused", invite("sip:bob@192.0.2.3;transport=tcp"), is(syscall.ECONNREFUSED), ""},
		{"no route", invite("sip:bob@[2001:db8::1]"), func(err error) bool {
			var op *net.OpError
			return errors.As(err, &op)
		}, ""},
		{"nobody there", invite("sip:bob@192.0.2.99"), is(transaction.ErrTimeout),
			"invite sip:bob@192.0.2.99: INVITE to 192.0.2.99:5060: transaction: timed out"},
		{"context", func(ctx context.Context, n *siptest.Network, a *ua.Agent) error {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			return invite("sip:bob@192.0.2.99")(ctx, n, a)
		}, is(context.DeadlineExceeded), "invite sip:bob@192.0.2.99: context deadline exceeded"},
		{"refused", invite("sip:busy@192.0.2.2"), is(sip.StatusBusyHere), "invite sip:busy@192.0.2.2: 486 Busy Here"},
		{"no codec in common", invite("sip:video@192.0.2.2"), is(sip.StatusNotAcceptableHere), "invite sip:video@192.0.2.2: 488 Not Acceptable Here"},
		{"no password", invite("sip:secret@192.0.2.2"), is(digest.ErrNoCredentials), "invite sip:secret@192.0.2.2: 407 Proxy Authentication Required: no password is set"},
		{"not a URI", invite("bob"), nil, "invite bob: sip: expected a scheme and ':' (byte 0)"},
		{"other scheme", invite("mailto:bob@b.example"), nil, "invite mailto:bob@b.example: scheme is mailto and neither sip nor sips"},
		{"register", func(ctx context.Context, _ *siptest.Network, a *ua.Agent) error {
			_, err := a.Register(ctx, &ua.RegisterOptions{Registrar: "sip:192.0.2.2"})
			return err
		}, is(sip.StatusMethodNotAllowed), "register sip:alice@a.example: 405 Method Not Allowed"},
		{"register, nobody there", func(ctx context.Context, _ *siptest.Network, a *ua.Agent) error {
			_, err := a.Register(ctx, &ua.RegisterOptions{Registrar: "sip:192.0.2.99"})
			return err
		}, is(transaction.ErrTimeout), ""},
		{"message", func(ctx context.Context, _ *siptest.Network, a *ua.Agent) error {
			return a.Message(ctx, bobURI, "text/plain", "x")
		}, is(sip.StatusMethodNotAllowed), "message sip:bob@192.0.2.2: 405 Method Not Allowed"},
		{"options, nobody there", func(ctx context.Context, _ *siptest.Network, a *ua.Agent) error {
			_, err := a.Options(ctx, "sip:192.0.2.99")
			return err
		}, is(transaction.ErrTimeout), ""},
		{"port in use", func(_ context.Context, n *siptest.Network, _ *ua.Agent) error {
			_, err := ua.New("sip:x@y", &ua.Config{Network: n.Host("192.0.2.2"), Listen: []string{"udp:192.0.2.2:5060"}})
			return err
		}, is(syscall.EADDRINUSE), ""},
		{"not an address of record", func(context.Context, *siptest.Network, *ua.Agent) error {
			_, err := ua.New("tel:+1", nil)
			return err
		}, nil, `ua: address of record "tel:+1": scheme is tel and neither sip nor sips`},
		{"proxy", func(context.Context, *siptest.Network, *ua.Agent) error {
			_, err := ua.New("sip:a@b", &ua.Config{Proxy: "proxy.example"})
			return err
		}, nil, ""},
		{"Notifier of refer", func(context.Context, *siptest.Network, *ua.Agent) error {
			_, err := ua.New("sip:a@b", &ua.Config{Notifiers: []*ua.Notifier{ua.NewNotifier(&referrals{}, nil)}})
			return err
		}, nil, "ua: configuration of sip:a@b: notifiers: ua: a subscription to refer begins with a REFER"},
		{"two Notifiers", func(context.Context, *siptest.Network, *ua.Agent) error {
			_, err := ua.New("sip:a@b", &ua.Config{Notifiers: []*ua.Notifier{ua.NewNotifier(&mood{}, nil), ua.NewNotifier(&mood{}, nil)}})
			return err
		}, nil, "ua: configuration of sip:a@b: notifiers: there are two of mood"},
		{"nil Notifier", func(context.Context, *siptest.Network, *ua.Agent) error {
			_, err := ua.New("sip:a@b", &ua.Config{Notifiers: []*ua.Notifier{nil}})
			return err
		}, nil, "ua: configuration of sip:a@b: notifiers: one is nil"},
		{"Info Package without a func", func(context.Context, *siptest.Network, *ua.Agent) error {
			_, err := ua.New("sip:a@b", &ua.Config{InfoPackages: map[string]func(context.Context, ua.Info) error{"foo": nil}})
			return err
		}, nil, `ua: configuration of sip:a@b: "foo" in InfoPackages: there is no func for it`},
		{"instance", func(context.Context, *siptest.Network, *ua.Agent) error {
			_, err := ua.New("sip:a@b", &ua.Config{Instance: "urn:uuid:1\r\n"})
			return err
		}, nil, `ua: configuration of sip:a@b: instance "urn:uuid:1\r\n" is no URN`},
		{"STUN server", func(context.Context, *siptest.Network, *ua.Agent) error {
			_, err := ua.New("sip:a@b", &ua.Config{STUN: "a b\r\n"})
			return err
		}, nil, `ua: configuration of sip:a@b: STUN server "a b\r\n" is neither a host nor host:port`},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				newCaller(t, n, "192.0.2.2", &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
					switch in.Request().URI().User {
					case "busy":
						in.Reject(sip.StatusBusyHere)
					case "video":
						in.Reject(sip.StatusNotAcceptableHere)
					case "secret":
						in.Reject(sip.StatusProxyAuthRequired, sip.Field{Name: "Proxy-Authenticate", Value: `Digest realm="x", nonce="y"`})
					}
				}})
				n.Host("192.0.2.3") // nobody listens there
				a := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Resolver: names{}})
				err := test.do(t.Context(), n, a)
				if err == nil || test.is != nil && !test.is(err) {
					t.Fatalf("error %v is not of its kind", err)
				}
				if test.text != "" && err.Error() != test.text {
					t.Errorf("error %q, want %q", err, test.text)
				}
				if strings.Contains(err.Error(), "\n") {
					t.Errorf("error %q is more than a line", err)
				}
			})
		})
	}
}

// referrals would be the event package of what becomes of a REFER.
type referrals struct{ mood }

func (*referrals) Name() string { return "refer" }

// invite places a call.
func invite(target string) func(context.Context, *siptest.Network, *ua.Agent) error {
	return func(ctx context.Context, _ *siptest.Network, a *ua.Agent) error {
		_, err := a.Invite(ctx, target, nil)
		return err
	}
}

// What cannot stand in a message is refused where it was given, and the error
// says what was being done.
func TestUnwritable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		for _, cfg := range []ua.Config{{UserAgent: "a\r\nb"}, {Display: "a\nb"}, {Advertise: "a\r\nb"}, {Advertise: "a b"}} {
			cfg.Network, cfg.Listen = n.Host("192.0.2.1"), []string{"udp:192.0.2.1:0"}
			a, err := ua.New("sip:alice@a.example", &cfg)
			if err == nil {
				a.Close()
				t.Errorf("New with %+v has no error", cfg)
			} else if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("an error of several lines: %v", err)
			}
		}
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		for what, err := range map[string]error{
			"message sip:bob@192.0.2.2: ": alice.Message(t.Context(), "sip:bob@192.0.2.2", "text/pl\r\nain", "hi"),
			"invite sip:bob@192.0.2.2: ": func() error {
				_, err := alice.Invite(t.Context(), "sip:bob@192.0.2.2", &ua.InviteOptions{Streams: []ua.Stream{nil}})
				return err
			}(),
		} {
			if err == nil || !strings.HasPrefix(err.Error(), what) {
				t.Errorf("got %v, want an error that begins with %q", err, what)
			}
		}
	})
}
