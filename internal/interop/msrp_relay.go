package interop

import (
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goparley/parley/msrp/relay"
	"github.com/goparley/parley/sip/siptest"
)

// RelayOptions are the options of StartKamailioRelay and StartRelay. Nil will do.
type RelayOptions struct {
	Domain    string             // of its users: the realm of its challenges, and a name in its certificate; empty: "sip.test"
	Authority *siptest.Authority // of its certificate; nil: an authority of its own
	Unframed  bool               // of Kamailio: send a WebSocket what comes from others without a frame around it, as a script does without msrp_relay_flags
}

// Relay is an MSRP relay (RFC 4976). It has every user that there can be, alice
// with the password "alicepw" and so on, over TCP, TLS, WS and WSS, all at
// 127.0.0.1: Kamailio cannot read the IPv6 address of a client that it has noted.
type Relay struct {
	Domain    string
	Authority *siptest.Authority // of its certificate, which is for Domain and 127.0.0.1
	KeyHash   string             // of its certificate, for a browser
	KeyLog    string             // file with the secrets of its TLS connections; empty: it writes none

	port    int
	restart func(t testing.TB)
}

const relayHost = "127.0.0.1"

var relayTransports = []string{"tcp", "tls", "ws", "wss"}

// StartKamailioRelay starts Kamailio as a relay.
func StartKamailioRelay(t testing.TB, opts *RelayOptions) *Relay {
	t.Helper()
	if opts == nil {
		opts = &RelayOptions{}
	}
	r := opts.relay()
	flags := "1"
	if opts.Unframed {
		flags = "0"
	}
	k := startKamailio(t, "kamailio-msrp", &KamailioOptions{Authority: r.Authority, Hosts: []string{relayHost}, names: []string{r.Domain}},
		"DOMAIN", r.Domain, "FLAGS", flags)
	r.port, r.KeyHash = k.port, k.KeyHash
	r.restart = func(t testing.TB) {
		t.Helper()
		k.p.stop()
		k.start(t)
	}
	return r
}

// StartRelay starts a relay of ours, in the place of Kamailio.
func StartRelay(t testing.TB, opts *RelayOptions) *Relay {
	t.Helper()
	if opts == nil {
		opts = &RelayOptions{}
	}
	r, certificate := opts.own(t)
	keys, err := os.CreateTemp(t.TempDir(), "keys")
	if err != nil {
		t.Fatal(err)
	}
	r.KeyLog = keys.Name()
	cfg := &relay.Config{
		Domain: r.Domain, Host: relayHost, PlainAUTH: true,
		Password: func(_ context.Context, user string) (string, error) { return user + "pw", nil },
		TLS:      &tls.Config{Certificates: []tls.Certificate{certificate}, RootCAs: r.Authority.Pool(), KeyLogWriter: keys},
	}
	for _, transport := range relayTransports {
		cfg.Listen = append(cfg.Listen, transport+":"+r.At(transport))
	}
	var ours *relay.Relay
	start := func(t testing.TB) {
		t.Helper()
		var err error
		if ours, err = relay.New(cfg); err != nil {
			t.Fatal(err)
		}
	}
	start(t)
	r.restart = func(t testing.TB) {
		t.Helper()
		ours.Close()
		start(t)
	}
	t.Cleanup(func() {
		ours.Close()
		keys.Close()
	})
	return r
}

// StartRelayProgram starts examples/msrprelay, for these users alone. It writes no secrets, and does not restart.
func StartRelayProgram(t testing.TB, users ...string) *Relay {
	t.Helper()
	r, certificate := (&RelayOptions{}).own(t)
	dir := t.TempDir()
	writeCertificate(t, dir, r.Authority, certificate)
	var listen []string
	for _, transport := range relayTransports {
		listen = append(listen, transport+":"+r.At(transport))
	}
	args := []string{
		"-listen", strings.Join(listen, ","), "-domain", r.Domain, "-host", relayHost, "-plain",
		"-cert", filepath.Join(dir, "cert.pem"), "-key", filepath.Join(dir, "key.pem"),
	}
	for _, user := range users {
		args = append(args, user+":"+user+"pw")
	}
	StartProgram(t, nil, "msrprelay", args...).Expect(t, "serving "+r.Domain)
	return r
}

// own returns a relay of ours that is to be started, and its certificate.
func (o *RelayOptions) own(t testing.TB) (*Relay, tls.Certificate) {
	t.Helper()
	r := o.relay()
	certificate := r.Authority.Certificate(r.Domain, relayHost)
	r.port, r.KeyHash = Port(t), keyHash(certificate.Leaf)
	return r, certificate
}

func (o *RelayOptions) relay() *Relay {
	r := &Relay{Domain: o.Domain, Authority: o.Authority}
	if r.Domain == "" {
		r.Domain = "sip.test"
	}
	if r.Authority == nil {
		r.Authority = siptest.NewAuthority()
	}
	return r
}

// Own reports whether the relay is one of ours.
func (r *Relay) Own() bool { return r.KeyLog != "" }

// Restart ends the relay, which loses its connections and the URIs that it has given, and starts it again.
func (r *Relay) Restart(t testing.TB) { t.Helper(); r.restart(t) }

// At returns the address and port at which it speaks a transport: "tcp", "tls",
// "ws" or "wss".
func (r *Relay) At(transport string) string { return serverAt(r.port, transport, relayHost) }

// URI returns its URI for a transport, as an AUTH has it in To-Path.
func (r *Relay) URI(transport string) string {
	scheme := "msrp"
	if transport == "tls" || transport == "wss" {
		scheme = "msrps"
	}
	return scheme + "://" + r.At(transport) + ";" + strings.NewReplacer("wss", "ws", "tls", "tcp").Replace(transport)
}
