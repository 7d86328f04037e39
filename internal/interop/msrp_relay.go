package interop

import (
	"strings"
	"testing"

	"github.com/goparley/parley/sip/siptest"
)

// RelayOptions are the options of StartKamailioRelay. Nil will do.
type RelayOptions struct {
	Domain    string             // of its users: the realm of its challenges, and a name in its certificate; empty: "sip.test"
	Authority *siptest.Authority // of its certificate; nil: an authority of its own
	Unframed  bool               // send a WebSocket what comes from others without a frame around it, as a script does without msrp_relay_flags
}

// Relay is an MSRP relay (RFC 4976). It has every user that there can be, alice
// with the password "alicepw" and so on, over TCP, TLS, WS and WSS, all at
// 127.0.0.1: Kamailio cannot read the IPv6 address of a client that it has noted.
type Relay struct {
	Domain    string
	Authority *siptest.Authority // of its certificate, which is for Domain and 127.0.0.1

	k *Kamailio
}

const relayHost = "127.0.0.1"

// StartKamailioRelay starts Kamailio as a relay.
func StartKamailioRelay(t testing.TB, opts *RelayOptions) *Relay {
	t.Helper()
	if opts == nil {
		opts = &RelayOptions{}
	}
	r := &Relay{Domain: opts.Domain}
	if r.Domain == "" {
		r.Domain = "sip.test"
	}
	flags := "1"
	if opts.Unframed {
		flags = "0"
	}
	r.k = startKamailio(t, "kamailio-msrp", &KamailioOptions{Authority: opts.Authority, Hosts: []string{relayHost}, names: []string{r.Domain}},
		"DOMAIN", r.Domain, "FLAGS", flags)
	r.Authority = r.k.Authority
	return r
}

// At returns the address and port at which it speaks a transport: "tcp", "tls",
// "ws" or "wss".
func (r *Relay) At(transport string) string { return r.k.At(transport, relayHost) }

// URI returns its URI for a transport, as an AUTH has it in To-Path.
func (r *Relay) URI(transport string) string {
	scheme := "msrp"
	if transport == "tls" || transport == "wss" {
		scheme = "msrps"
	}
	return scheme + "://" + r.At(transport) + ";" + strings.NewReplacer("wss", "ws", "tls", "tcp").Replace(transport)
}
