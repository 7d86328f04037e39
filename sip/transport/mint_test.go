package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/sip/siptest"
)

// mint makes the certificates that no authority in its right mind issues; the
// proper ones come from siptest.Authority.
type mint struct {
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
	between [][]byte // the certificates between its leaves and the root
}

var minted atomic.Int64 // names and serial numbers are unique

func newMint(t *testing.T) *mint {
	t.Helper()
	m := &mint{}
	root := m.sign(t, func(c *x509.Certificate) { asAuthority(c) })
	m.cert, m.key = root.Leaf, root.PrivateKey.(*ecdsa.PrivateKey)
	return m
}

// under returns a lesser authority, which change makes what it is.
func (m *mint) under(t *testing.T, change func(*x509.Certificate)) *mint {
	t.Helper()
	c := m.sign(t, func(c *x509.Certificate) {
		asAuthority(c)
		c.ExtKeyUsage = nil
		change(c)
	})
	return &mint{c.Leaf, c.PrivateKey.(*ecdsa.PrivateKey), append([][]byte{c.Certificate[0]}, m.between...)}
}

func asAuthority(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid = true, true
	c.KeyUsage = x509.KeyUsageCertSign
}

func (m *mint) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(m.cert)
	return pool
}

// leaf returns a certificate for nobody and everything, as change makes it.
func (m *mint) leaf(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	c := m.sign(t, change)
	c.Certificate = append(c.Certificate, m.between...)
	return c
}

func (m *mint) sign(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial := minted.Add(1)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: fmt.Sprint("mint ", serial)},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	change(template)
	parent, with := m.cert, m.key
	if parent == nil {
		parent, with = template, key // self-signed
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, with)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: cert}
}

func forDNS(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

func withUsage(usages ...x509.ExtKeyUsage) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.DNSNames = []string{"example.com"}
		c.ExtKeyUsage = usages
	}
}

// handshake has a client and a server shake hands and exchange one byte each.
// It returns what the server knows of the connection, and what went wrong for
// either.
func handshake(t *testing.T, client, server *tls.Config) (cs tls.ConnectionState, clientErr, serverErr error) {
	t.Helper()
	n := siptest.NewNetwork(nil)
	ln, err := n.Host("192.0.2.2").Listen(t.Context(), "tcp", "192.0.2.2:5061")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	near, err := n.Host("192.0.2.1").DialContext(t.Context(), "tcp", "192.0.2.2:5061")
	if err != nil {
		t.Fatal(err)
	}
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c, s := tls.Client(near, client), tls.Server(far, server)
	talk := func(c *tls.Conn) error {
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Write([]byte{1}); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, 1))
		return err
	}
	done := make(chan error)
	go func() { done <- talk(s) }() // ends with the connection
	clientErr = talk(c)
	serverErr = <-done
	return s.ConnectionState(), clientErr, serverErr
}
