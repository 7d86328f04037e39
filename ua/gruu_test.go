package ua_test

import (
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// A registrar gives a public GRUU and, with each 2xx, a new temporary one (RFC 5627
// section 4.2). Requests to either reach the agent. They end with the registration.
func TestGRUUs(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		alice := s.alice(ua.Config{Instance: "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"})
		reg, err := alice.Register(t.Context(), &ua.RegisterOptions{Expires: 10 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if req := s.took(homeAddr, sip.REGISTER)[0].req; !strings.Contains(req.String(), "gruu\r\n") {
			t.Errorf("no gruu in Supported:\n%s", req)
		}
		public, ok := reg.PublicGRUU()
		if want := "sip:alice@192.0.2.10;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"; !ok || public.String() != want {
			t.Errorf("PublicGRUU() = %s, %v, want %s", public, ok, want)
		}
		temporary, ok := reg.TemporaryGRUU()
		if !ok || strings.Contains(temporary.String(), "alice") {
			t.Errorf("TemporaryGRUU() = %s, %v, want one that does not say whose it is", temporary, ok)
		}
		time.Sleep(10 * time.Minute)
		later, ok := reg.TemporaryGRUU()
		if !ok || later.Equal(temporary) {
			t.Errorf("TemporaryGRUU() = %s, %v after a refresh, want a new one", later, ok)
		}
		for _, uri := range []sip.URI{public, temporary, later} {
			if _, err := newOutsider(s).options(uri); err != nil {
				t.Errorf("OPTIONS %s: %v", uri, err)
			}
		}
		reg.Close()
		if uri, ok := reg.PublicGRUU(); ok {
			t.Errorf("PublicGRUU() = %s of a registration that is closed", uri)
		}
	})
}

// Temporary GRUUs end with the binding: the refresh is to be over 32 s before its
// end, or at half of a short life (RFC 5627 section 4.2).
func TestRefreshWithTemporaryGRUU(t *testing.T) {
	for life, latest := range map[time.Duration]time.Duration{
		100 * time.Second: 68 * time.Second,
		60 * time.Second:  30 * time.Second,
	} {
		onSite(t, nil, func(t *testing.T, s *site) {
			if _, err := s.alice(ua.Config{}).Register(t.Context(), &ua.RegisterOptions{Expires: life}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(latest + time.Second)
			if n := len(s.took(homeAddr, sip.REGISTER)); n != 2 {
				t.Errorf("%d REGISTERs after %v of %v, want 2", n, latest, life)
			}
		})
	}
}

// outsider is somebody who asks users by OPTIONS.
type outsider struct {
	s *site
	l *transaction.Layer
}

func newOutsider(s *site) *outsider {
	s.Helper()
	host := s.n.Host("192.0.2.99")
	l, err := transaction.Listen(&transport.Config{Network: host, Listen: []string{"udp:192.0.2.99:0"}, Logger: quiet}, nil)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { l.Close() })
	return &outsider{s, l}
}

// options asks what stands behind a URI of the site.
func (x *outsider) options(uri sip.URI) (*sip.Response, error) {
	resp, err := x.l.Do(x.s.Context(), request(sip.OPTIONS, uri.String()))
	if err == nil && resp.Status() != sip.StatusOK {
		err = resp.Status()
	}
	return resp, err
}

// What stands in the Contact of calls: the address itself; with ob where flows are
// kept and the request is ours (RFC 5626 section 4.3); a GRUU where there is one, a
// temporary one for who wants to be anonymous (RFC 5627 section 4.4).
func TestContactOfCalls(t *testing.T) {
	own := sip.Contact{URI: sip.URI{Scheme: "sip", User: "alice", Host: "192.0.2.1", Port: 5060}}
	secure := own
	secure.URI.Scheme = "sips"
	const gruu = "sip:alice@192.0.2.10;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
	for name, test := range map[string]struct {
		register         *ua.RegisterOptions // nil: it does not
		own              sip.Contact
		request, private bool
		want             string
	}{
		"not registered":                {nil, own, true, false, "sip:alice@192.0.2.1:5060"},
		"registered":                    {&ua.RegisterOptions{GRUU: true}, own, true, false, gruu},
		"an answer":                     {&ua.RegisterOptions{GRUU: true}, own, false, false, gruu},
		"anonymous":                     {&ua.RegisterOptions{GRUU: true}, own, true, true, "temporary"},
		"sips, and the GRUU is sip":     {&ua.RegisterOptions{GRUU: true}, secure, true, false, "sips:alice@192.0.2.1:5060;ob"},
		"without GRUUs":                 {&ua.RegisterOptions{}, own, true, false, "sip:alice@192.0.2.1:5060;ob"},
		"without GRUUs, an answer":      {&ua.RegisterOptions{}, own, false, false, "sip:alice@192.0.2.1:5060"},
		"without GRUUs, anonymous":      {&ua.RegisterOptions{}, own, true, true, "sip:192.0.2.1:5060;ob"},
		"not registered, but anonymous": {nil, own, false, true, "sip:192.0.2.1:5060"},
	} {
		t.Run(name, func(t *testing.T) {
			onSite(t, nil, func(t *testing.T, s *site) {
				alice := s.alice(ua.Config{Instance: "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"})
				want := test.want
				var reg *ua.Registration
				if test.register != nil {
					var err error
					if reg, err = alice.Register(t.Context(), test.register); err != nil {
						t.Fatal(err)
					}
				}
				if want == "temporary" {
					uri, _ := reg.TemporaryGRUU()
					want = uri.String()
				}
				if got := alice.Contact(test.own, test.request, test.private).URI.String(); got != want {
					t.Errorf("Contact %s, want %s", got, want)
				}
			})
		})
	}
}

// A notifier is reached by its GRUU (RFC 6665 section 4.5.1), but for a watcher that is to
// have a sips URI, which a sip GRUU is not (RFC 3261 section 12.1.1).
func TestContactOfNotifier(t *testing.T) {
	secure := contactAt("192.0.2.99")
	secure.URI.Scheme = "sips"
	proxy := func(scheme string) sip.RecordRoute {
		return sip.RecordRoute{URI: sip.URI{Scheme: scheme, Host: "192.0.2.99", Params: ";lr"}}
	}
	const gruu = "sip:alice@192.0.2.10;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
	for name, test := range map[string]struct {
		edits []sip.Edit
		want  string
	}{
		"sip":                            {[]sip.Edit{contactAt("192.0.2.99")}, gruu},
		"sips Contact":                   {[]sip.Edit{secure}, "sips:alice@192.0.2.1:5060"},
		"sips Contact, sip Record-Route": {[]sip.Edit{secure, proxy("sip")}, gruu},
		"sips Record-Route":              {[]sip.Edit{contactAt("192.0.2.99"), proxy("sips")}, "sips:alice@192.0.2.1:5060"},
	} {
		t.Run(name, func(t *testing.T) {
			onSite(t, nil, func(t *testing.T, s *site) {
				alice := s.alice(ua.Config{
					Instance:  "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
					Notifiers: []*ua.Notifier{ua.NewNotifier(&mood{types: []string{"text/plain"}}, nil)},
				})
				if _, err := alice.Register(t.Context(), &ua.RegisterOptions{GRUU: true}); err != nil {
					t.Fatal(err)
				}
				watcher := newPeer(t, s.n, "192.0.2.99", func(tx *transaction.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) })
				subscribe := request(sip.SUBSCRIBE, "sip:alice@192.0.2.1", append(test.edits, sip.Event{Package: "mood"},
					sip.To{URI: sip.URI{Scheme: "sip", User: "alice", Host: homeAddr}})...)
				resp, err := watcher.Do(t.Context(), subscribe)
				if err != nil {
					t.Fatal(err)
				}
				if c, _ := sip.Get[sip.Contact](resp); resp.Status() != sip.StatusOK || c.URI.String() != test.want {
					t.Errorf("%v with Contact %s, want 200 with %s", resp.Status(), c.URI, test.want)
				}
			})
		})
	}
}
