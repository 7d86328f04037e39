package interop

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/goparley/parley/sip/siptest"
)

// writeCertificate writes a certificate of the authority as the peers want it:
// cert.pem and key.pem in dir, and the authority's own as ca.pem.
func writeCertificate(t testing.TB, dir string, authority *siptest.Authority, cert tls.Certificate) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	chains, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: authority.Pool()})
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: cert.Leaf.Raw},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: key},
		"ca.pem":   {Type: "CERTIFICATE", Bytes: chains[0][1].Raw},
	} {
		var text bytes.Buffer
		if err := pem.Encode(&text, &block); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// keyHash is how a browser is told which certificate to take unseen: the hash
// of its public key.
func keyHash(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}
