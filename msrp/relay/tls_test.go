package relay_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/relay"
)

// A client that has nothing but the suite of RFC 4976 section 9.2 is let in where the program says so.
func TestCipherSuiteOfRFC4976(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, on := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{example}}
			der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
			if err != nil {
				t.Fatal(err)
			}
			cfg := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
			if on {
				cfg.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_128_CBC_SHA}
			}
			w := newWorld(t)
			w.relay(example, relay.Config{Listen: []string{"tls::2855"}, TLS: cfg})
			nc, err := w.host("alice").DialContext(context.Background(), "tcp", example+":2855")
			if err != nil {
				t.Fatal(err)
			}
			client := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}})
			if err := client.HandshakeContext(context.Background()); (err == nil) != on {
				t.Errorf("turned on: %v; handshake: %v", on, err)
			}
			if !on {
				nc.Close()
				return
			}
			if path := w.raw("alice", client).auth("alice", "msrps://"+example+";tcp"); !strings.HasPrefix(path, "msrps://") {
				t.Errorf("Use-Path is %q", path)
			}
		})
	}
}
