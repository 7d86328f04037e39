package msrp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"
)

// An identity is what an endpoint shows in TLS.
type identity struct {
	server, client *tls.Config
	fingerprint    string // of the certificate, as descriptions have it; "" if there is one for each name
}

// own returns the identity of the endpoint, which is made when it is first needed.
func (e *Endpoint) own() (*identity, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.identity != nil {
		return e.identity, nil
	}
	cfg := e.cfg.TLS
	if cfg == nil {
		cfg = &tls.Config{}
	}
	cfg = cfg.Clone()
	if cfg.MinVersion == 0 {
		cfg.MinVersion = tls.VersionTLS12
	}
	id := &identity{}
	if e.anonymous() {
		cert, err := selfSigned()
		if err != nil {
			return nil, err
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	if len(cfg.Certificates) > 0 {
		id.fingerprint = fingerprintOf(cfg.Certificates[0].Certificate[0])
	}
	id.client = cfg.Clone()
	if cfg.ClientAuth == tls.NoClientCert {
		// Which session a client is for, and so which fingerprint it must have, its first SEND
		// tells (RFC 4975 section 14.4).
		cfg.ClientAuth = tls.RequestClientCert
	}
	id.server, e.identity = cfg, id
	return id, nil
}

// anonymous reports whether our certificate is known by its fingerprint alone, which the relay of a peer does not look
// at.
func (e *Endpoint) anonymous() bool {
	cfg := e.cfg.TLS
	return cfg == nil || len(cfg.Certificates) == 0 && cfg.GetCertificate == nil
}

// selfSigned makes a certificate that says nothing of who we are.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "msrp"},
		NotBefore:    now.Add(-24 * time.Hour),
		NotAfter:     now.Add(365 * 24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
