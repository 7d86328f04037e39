package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
)

// A program that refuses a client by its hello has refused it, whatever it
// returns beside the error.
func TestGetConfigForClientRefuses(t *testing.T) {
	m := newMint(t)
	no := errors.New("not from there")
	cfg := &tls.Config{Certificates: []tls.Certificate{m.leaf(t, forDNS("example.com"))}}
	for name, chosen := range map[string]*tls.Config{"no configuration": nil, "a configuration": cfg} {
		server := cfg.Clone()
		server.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return chosen, no }
		_, clientErr, err := handshake(t, clientTLS(&tls.Config{RootCAs: m.pool()}, viaTLS, "example.com"), serverTLS(server, viaTLS))
		if !errors.Is(err, no) || clientErr == nil {
			t.Errorf("refused with %s: server %v, client %v, want %v and an alert", name, err, clientErr, no)
		}
	}
}

// VerifyPeerCertificate is called where a certificate is shown: not when a
// session is resumed, as crypto/tls has it. VerifyConnection is, on both sides.
func TestCallbacksOfAResumedSession(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		m := newMint(t)
		type calls struct{ certificate, connection int }
		var client, server calls
		counting := func(n *calls) *tls.Config {
			return &tls.Config{
				MaxVersion:   version,
				Certificates: []tls.Certificate{m.leaf(t, forDNS("example.com"))},
				VerifyPeerCertificate: func([][]byte, [][]*x509.Certificate) error {
					n.certificate++
					return nil
				},
				VerifyConnection: func(tls.ConnectionState) error {
					n.connection++
					return nil
				},
			}
		}
		near, far := counting(&client), counting(&server)
		near.RootCAs, near.ClientSessionCache = m.pool(), tls.NewLRUClientSessionCache(8)
		far.ClientCAs, far.ClientAuth = m.pool(), tls.RequireAndVerifyClientCert
		answering := serverTLS(far, viaTLS)
		for i := range 3 {
			cs, err, _ := handshake(t, clientTLS(near, viaTLS, "example.com"), answering)
			if err != nil || cs.DidResume != (i > 0) {
				t.Fatalf("%s, handshake %d: resumed = %v, %v", tls.VersionName(version), i+1, cs.DidResume, err)
			}
		}
		for side, got := range map[string]calls{"client": client, "server": server} {
			if want := (calls{certificate: 1, connection: 3}); got != want {
				t.Errorf("%s of %s: %+v, want %+v", side, tls.VersionName(version), got, want)
			}
		}
	}
}
