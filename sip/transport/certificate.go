package transport

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"
)

// Certificate is a certificate with its key that can be replaced while it is in
// use, as those of public authorities have to be every few weeks. Its methods
// fit tls.Config, and may be called from any goroutine:
//
//	cert, err := transport.LoadCertificate("example.com.pem", "example.com.key")
//	cfg := &tls.Config{
//		GetCertificate:       cert.GetCertificate,       // as a server
//		GetClientCertificate: cert.GetClientCertificate, // as a client
//	}
//
// Connections that are open keep what they were opened with. A server of
// several domains has a Certificate for each, and a GetCertificate of its own
// that picks one by the ServerName of the client.
type Certificate struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
}

// LoadCertificate reads a certificate and its key from PEM files. Certificates
// of authorities that lead to a root follow it in certFile. The name that it
// has to bear is that of the domain (RFC 5922 section 6): as a DNS name it is
// good for TLS and WSS, as a sip URI for TLS alone.
func LoadCertificate(certFile, keyFile string) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile}
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Reload reads the files again, for the connections to come. If they are not
// there or do not belong together, as may happen while they are written, the
// Certificate stays what it was.
func (c *Certificate) Reload() error {
	cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("transport: load certificate %s: %w", c.certFile, err)
	}
	c.current.Store(&cert)
	return nil
}

// GetCertificate returns the certificate for any client. It is made for
// tls.Config.GetCertificate.
func (c *Certificate) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

// GetClientCertificate returns the certificate for a server that asks for one,
// or an empty one if the server says that it would not take it. It is made for
// tls.Config.GetClientCertificate.
func (c *Certificate) GetClientCertificate(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	cert := c.current.Load()
	if request.SupportsCertificate(cert) != nil {
		return &tls.Certificate{}, nil
	}
	return cert, nil
}
