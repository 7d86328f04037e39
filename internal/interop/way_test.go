package interop_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/media"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// A way is how an agent and a peer reach each other: by a proxy at which both are
// registered and that stays between them, or by nothing but their addresses.
type way struct {
	proxy *interop.Kamailio // nil: directly
}

// bothWays runs a test directly and through Kamailio, at the same time.
func bothWays(t *testing.T, test func(t *testing.T, w way)) {
	t.Helper()
	for name, w := range map[string]way{"directly": {}, "by Kamailio": {proxy: interop.StartKamailio(t, &interop.KamailioOptions{Ordered: true})}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, w)
		})
	}
}

var users atomic.Int32

// user returns a name that nobody else has.
func (w way) user() string { return fmt.Sprintf("u%d", users.Add(1)) }

// agent makes an agent, and returns the URI at which it is reached. Its password is its
// user's name and "pw". cfg may be nil.
func (w way) agent(t *testing.T, cfg *ua.Config) (*ua.Agent, string) {
	t.Helper()
	if cfg == nil {
		cfg = &ua.Config{}
	}
	// What it does in a goroutine of its own is over before the test is.
	var busy sync.WaitGroup
	t.Cleanup(busy.Wait)
	if invited := cfg.OnInvite; invited != nil {
		cfg.OnInvite = func(ctx context.Context, in *ua.Invitation) {
			busy.Add(1)
			defer busy.Done()
			invited(ctx, in)
		}
	}
	if referred := cfg.OnRefer; referred != nil {
		cfg.OnRefer = func(ctx context.Context, r *ua.Referral) {
			busy.Add(1)
			defer busy.Done()
			referred(ctx, r)
		}
	}
	user := w.user()
	cfg.Password = user + "pw"
	if w.proxy == nil {
		a := newAgent(t, "sip:"+user+"@127.0.0.1", cfg)
		return a, fmt.Sprintf("sip:%s@%v", user, a.Addr("udp"))
	}
	cfg.Proxy = "sip:" + w.proxy.Addr
	a := newAgent(t, "sip:"+user+"@sip.test", cfg)
	if _, err := a.Register(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return a, "sip:" + user + "@sip.test"
}

// linphone starts a Linphone with a user of its own.
func (w way) linphone(t *testing.T, opts *interop.LinphoneOptions) *interop.Linphone {
	t.Helper()
	opts.User, opts.Proxy = w.user(), w.registrar()
	return interop.StartLinphone(t, opts)
}

// registrar returns where a telephone registers, "" for nowhere.
func (w way) registrar() string {
	if w.proxy == nil {
		return ""
	}
	return w.proxy.Addr
}

// called runs a script that is called, and returns the URI to call. opts may be nil.
func (w way) called(t *testing.T, scenario string, opts *interop.SIPpOptions) (*interop.SIPp, string) {
	t.Helper()
	script := w.script(t, scenario, opts)
	uri := "sip:sipp@" + script.Addr
	if opts != nil && opts.Transport != "" {
		uri += ";transport=" + opts.Transport
	}
	if w.proxy != nil {
		user := w.user()
		interop.Register(t, "127.0.0.1:0", w.proxy.Addr, user, "<"+uri+">")
		uri = "sip:" + user + "@sip.test"
	}
	return script, uri
}

// calls runs a script that calls a URI of one of our agents. opts may be nil.
func (w way) calls(t *testing.T, uri, scenario string, opts *interop.SIPpOptions) *interop.SIPp {
	t.Helper()
	if opts == nil {
		opts = &interop.SIPpOptions{}
	}
	to, err := sip.ParseURI(uri)
	if err != nil {
		t.Fatal(err)
	}
	opts.User, opts.Target = to.User, to.HostPort()
	if w.proxy != nil {
		opts.Target, opts.Domain = w.proxy.Addr, "sip.test"
	}
	return w.script(t, scenario, opts)
}

func (w way) script(t *testing.T, scenario string, opts *interop.SIPpOptions) *interop.SIPp {
	t.Helper()
	if opts == nil {
		opts = &interop.SIPpOptions{}
	}
	if opts.Timeout == 0 {
		opts.Timeout = 20 * time.Second
	}
	return interop.StartSIPp(t, scenario, opts)
}

// within returns a context that ends in time for the test to say what it waited for.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, stop := context.WithTimeout(t.Context(), d)
	t.Cleanup(stop)
	return ctx
}

// A watched stream tells which way its media goes, each time that is agreed on.
type watched struct {
	*media.Audio
	heard  *media.Recorder
	agreed chan sdp.Direction
}

func newWatched() watched {
	heard := new(media.Recorder)
	return watched{media.NewAudio(&media.AudioConfig{
		Play: media.Tone(440), Record: heard,
		Latch: media.LatchAny, // Linphone that is not registered describes another address of the machine than it uses
	}), heard, make(chan sdp.Direction, 64)}
}

func (w watched) Update(ctx context.Context, local, remote *sdp.Media) error {
	err := w.Audio.Update(ctx, local, remote)
	w.agreed <- local.Direction
	return err
}

// want waits until media goes that way.
func (w watched) want(t *testing.T, want sdp.Direction) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case got := <-w.agreed:
			if got == want {
				return
			}
		case <-timeout:
			t.Errorf("the stream is not %v after 10 s", want)
			return
		}
	}
}
