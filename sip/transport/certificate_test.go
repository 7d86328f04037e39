package transport

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// pair is a certificate and its key in files.
type pair struct{ certFile, keyFile string }

func newPair(t *testing.T) pair {
	dir := t.TempDir()
	return pair{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
}

func (p pair) writeCert(t *testing.T, c tls.Certificate) {
	t.Helper()
	var text []byte
	for _, raw := range c.Certificate {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})...)
	}
	if err := os.WriteFile(p.certFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p pair) writeKey(t *testing.T, c tls.Certificate) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A certificate is renewed while its server runs. A reload between the writing
// of one file and of the other changes nothing.
func TestReload(t *testing.T) {
	m := newMint(t)
	old, renewed := m.leaf(t, forDNS("example.com")), m.leaf(t, forDNS("example.com"))
	files := newPair(t)
	files.writeCert(t, old)
	files.writeKey(t, old)
	cert, err := LoadCertificate(files.certFile, files.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	server := serverTLS(&tls.Config{GetCertificate: cert.GetCertificate}, viaTLS)
	shows := func(want tls.Certificate) {
		t.Helper()
		var shown *x509.Certificate
		client := clientTLS(&tls.Config{RootCAs: m.pool(), VerifyConnection: func(cs tls.ConnectionState) error {
			shown = cs.PeerCertificates[0]
			return nil
		}}, viaTLS, "example.com")
		if _, err, _ := handshake(t, client, server); err != nil {
			t.Fatal(err)
		}
		if !shown.Equal(want.Leaf) {
			t.Errorf("certificate %v, want %v", shown.SerialNumber, want.Leaf.SerialNumber)
		}
	}
	shows(old)
	files.writeCert(t, renewed)
	if err := cert.Reload(); err == nil {
		t.Error("Reload took a certificate with the key of another")
	}
	shows(old)
	files.writeKey(t, renewed)
	if err := cert.Reload(); err != nil {
		t.Errorf("Reload = %v", err)
	}
	shows(renewed)
	if err := os.Remove(files.certFile); err != nil {
		t.Fatal(err)
	}
	if err := cert.Reload(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Reload = %v, want fs.ErrNotExist", err)
	}
	shows(renewed)
}

// A client shows its certificate to servers that know its authority.
func TestClientCertificate(t *testing.T) {
	m := newMint(t)
	own := m.leaf(t, forDNS("example.com"))
	files := newPair(t)
	files.writeCert(t, own)
	files.writeKey(t, own)
	cert, err := LoadCertificate(files.certFile, files.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	client := clientTLS(&tls.Config{RootCAs: m.pool(), GetClientCertificate: cert.GetClientCertificate}, viaTLS, "example.com")
	for name, c := range map[string]struct {
		roots *x509.CertPool
		shown int
	}{
		"the authority":     {m.pool(), 1},
		"another authority": {newMint(t).pool(), 0},
	} {
		server := serverTLS(&tls.Config{
			Certificates: []tls.Certificate{own},
			ClientAuth:   tls.VerifyClientCertIfGiven,
			ClientCAs:    c.roots,
		}, viaTLS)
		cs, _, err := handshake(t, client, server)
		if err != nil || len(cs.PeerCertificates) != c.shown {
			t.Errorf("server of %s: %d certificates, %v; want %d", name, len(cs.PeerCertificates), err, c.shown)
		}
	}
}

func TestLoadCertificateFails(t *testing.T) {
	files := newPair(t)
	if c, err := LoadCertificate(files.certFile, files.keyFile); !errors.Is(err, fs.ErrNotExist) || c != nil {
		t.Errorf("LoadCertificate = %v, %v; want fs.ErrNotExist", c, err)
	}
}
