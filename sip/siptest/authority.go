package siptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// An Authority issues certificates that nobody trusts who does not have its
// Pool. Its methods may be called from any goroutine.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// validity is how long certificates are good for, the authority's own too, on
// both sides of the moment they are made in: a test in a synctest bubble sits
// in the year 2000, and may let weeks pass.
const validity = 10 * 365 * 24 * time.Hour

// NewAuthority returns an authority with a key of its own. What it issues is
// valid around the present, which in a testing/synctest bubble is the bubble's.
func NewAuthority() *Authority {
	template := certificate("siptest authority")
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign
	key := newKey()
	cert := sign(template, template, &key.PublicKey, key)
	return &Authority{cert: cert, key: key}
}

// Certificate returns a certificate, with its key, for a server or a client.
// Names are IP addresses ("192.0.2.1"), URIs ("sip:example.com") or DNS names
// ("proxy.example.com", also "*.example.com"), and stand in it as the
// subjectAltName of their kind. It panics if a name is none of these.
func (a *Authority) Certificate(names ...string) tls.Certificate {
	template := certificate("siptest")
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, name := range names {
		ip, err := netip.ParseAddr(name)
		if err == nil && ip.Zone() == "" {
			template.IPAddresses = append(template.IPAddresses, net.IP(ip.AsSlice()))
		} else if uri, bad := url.Parse(name); err != nil && bad == nil && uri.Scheme != "" && uri.Opaque+uri.Host != "" {
			template.URIs = append(template.URIs, uri)
		} else if isDNSName(strings.TrimPrefix(name, "*.")) {
			template.DNSNames = append(template.DNSNames, name)
		} else {
			panic("siptest: certificate for " + strconv.Quote(name) + ": not a name")
		}
	}
	key := newKey()
	cert := sign(template, a.cert, &key.PublicKey, a.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// isDNSName reports whether a name is one of labels of letters, digits, "-" and
// "_" (RFC 1035 section 2.3.1, and what the field makes of it).
func isDNSName(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return false
		}
	}
	return len(name) <= 253
}

// Pool returns a pool that holds the authority: the RootCAs of a client, the
// ClientCAs of a server.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// certificate returns what all certificates have in common.
func certificate(name string) *x509.Certificate {
	serial := make([]byte, 16)
	rand.Read(serial)
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-validity),
		NotAfter:     now.Add(validity),
	}
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("siptest: " + err.Error())
	}
	return key
}

// sign returns the certificate that template describes.
func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		panic("siptest: certificate: " + err.Error())
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		panic("siptest: certificate: " + err.Error())
	}
	return cert
}
