package transport

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"time"
)

// clientTLS returns the configuration for a connection to a server of host,
// which is the host of the next hop's URI, from that of the program, which may
// be nil. The server has to prove that it is host; a ServerName of the program
// stands in for host, as crypto/tls has it.
//
// The rules are those of RFC 5922 for TLS, and those of HTTPS for WSS, which
// RFC 7118 section 9.1 sets apart: a wildcard stands for one label there, and
// what counts are DNS names and addresses alone (RFC 9110 section 4.3.4).
//
// Nothing is verified if the program has set InsecureSkipVerify. Its own
// callbacks are asked last, as crypto/tls does, and get the verified chains.
//
// Sessions are resumed if the program sets ClientSessionCache. A resumed
// connection is verified again, so that a cache may be shared by all hosts.
func clientTLS(base *tls.Config, kind, host string) *tls.Config {
	cfg := modern(base)
	if kind == viaWSS {
		cfg.ServerName = cmp.Or(cfg.ServerName, host)
		return cfg // crypto/tls knows these rules
	}
	if cfg.ServerName == "" {
		// The server_name extension carries names only (RFC 6066 section 3);
		// crypto/tls leaves numbers out.
		cfg.ServerName = domainName(host)
	} else {
		host = cfg.ServerName
	}
	if cfg.InsecureSkipVerify {
		return cfg
	}
	cfg.InsecureSkipVerify = true // the rules of HTTPS; those of SIP follow
	verifyPeer(cfg, func(cs tls.ConnectionState) ([][]*x509.Certificate, error) {
		return verifyServer(cs, host, cfg.RootCAs, clock(cfg))
	})
	return cfg
}

// serverTLS returns the configuration for a listener from that of the program.
// Whether clients are asked for certificates is the program's to say; those
// that it wants verified are verified as RFC 5922 section 7.4 has it. Where it
// says nothing, those of TLS are asked: other servers prove who they are (RFC
// 5923 section 9.2), and who has no certificate is as welcome. Browsers are not
// asked.
//
// All of this also goes for what the program's GetConfigForClient chooses,
// which is noted on the socket for clientIdentities.
func serverTLS(base *tls.Config, kind string) *tls.Config {
	cfg := modern(base)
	if kind == viaTLS && cfg.ClientAuth == tls.NoClientCert {
		cfg.ClientAuth = tls.RequestClientCert
	}
	asked := cfg.ClientAuth
	switch asked {
	case tls.VerifyClientCertIfGiven:
		cfg.ClientAuth = tls.RequestClientCert
	case tls.RequireAndVerifyClientCert:
		cfg.ClientAuth = tls.RequireAnyClientCert
	}
	if cfg.ClientAuth != asked {
		verifyPeer(cfg, func(cs tls.ConnectionState) ([][]*x509.Certificate, error) {
			if len(cs.PeerCertificates) == 0 {
				return nil, nil // crypto/tls has refused it if it must have one
			}
			return verifyClient(cs, cfg.ClientCAs, clock(cfg))
		})
	}
	if choose := cfg.GetConfigForClient; choose != nil {
		cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(hello)
			if chosen == nil || err != nil {
				return nil, err
			}
			if sock, ours := hello.Conn.(*socket); ours {
				sock.chosen = chosen
			}
			return serverTLS(chosen, kind), nil
		}
	}
	return cfg
}

// modern returns a copy of a configuration for TLS 1.2 or later: those before
// must not be used (RFC 8996).
func modern(base *tls.Config) *tls.Config {
	cfg := &tls.Config{}
	if base != nil {
		cfg = base.Clone()
	}
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	return cfg
}

func clock(cfg *tls.Config) time.Time {
	if cfg.Time != nil {
		return cfg.Time()
	}
	return time.Now()
}

// verifyPeer has a configuration verify the peer by a check of ours, and then by
// the callbacks of the program. Unlike VerifyPeerCertificate, VerifyConnection
// is called for resumed connections too.
func verifyPeer(cfg *tls.Config, check func(tls.ConnectionState) ([][]*x509.Certificate, error)) {
	certificate, connection := cfg.VerifyPeerCertificate, cfg.VerifyConnection
	cfg.VerifyPeerCertificate = nil
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		chains, err := check(cs)
		if err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
		}
		cs.VerifiedChains = chains
		if certificate != nil && !cs.DidResume {
			raw := make([][]byte, len(cs.PeerCertificates))
			for i, cert := range cs.PeerCertificates {
				raw[i] = cert.Raw
			}
			if err := certificate(raw, chains); err != nil {
				return err
			}
		}
		if connection != nil {
			return connection(cs)
		}
		return nil
	}
}

// verifyServer returns the chains by which the server at the far end is one of
// host's. A wrong name is an *IdentityError, what else is wrong an error of
// crypto/x509. No roots are those of the system.
func verifyServer(cs tls.ConnectionState, host string, roots *x509.CertPool, now time.Time) ([][]*x509.Certificate, error) {
	chains, err := verifyChains(cs, roots, now, x509.ExtKeyUsageServerAuth)
	if err != nil {
		return nil, err
	}
	if leaf := cs.PeerCertificates[0]; !matches(leaf, host) {
		return nil, &IdentityError{Host: host, Names: identities(leaf)}
	}
	return chains, nil
}

// serverIdentities returns what the server of a connection to host has proved to
// be, when the connection was made with clientTLS: its SIP identities, and over
// WSS the one host that it was verified for.
func serverIdentities(cs tls.ConnectionState, base *tls.Config, kind, host string) []string {
	switch {
	case base != nil && base.InsecureSkipVerify:
		return nil
	case kind == viaTLS:
		return identities(cs.PeerCertificates[0])
	}
	if base != nil {
		host = cmp.Or(base.ServerName, host)
	}
	if host = domainName(host); host == "" {
		return nil
	}
	return []string{host}
}

// verifyClient returns the chains by which the client at the far end has the
// identities of its certificate. Which ones are welcome is for others to say
// (RFC 5922 section 7.4).
//
// A domain has one certificate for both directions, and public authorities
// issue certificates for servers alone. So a client may show one of those.
func verifyClient(cs tls.ConnectionState, roots *x509.CertPool, now time.Time) ([][]*x509.Certificate, error) {
	return verifyChains(cs, roots, now, x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth)
}

// clientIdentities returns the SIP identities that the client of a connection
// has proved to own, under the configuration of the program, which is the one
// that it has chosen for this client if it does so: none without a certificate,
// or with one that does not verify. Requests to these domains may take the
// connection (RFC 5923 sections 8.2 and 9.2).
//
// It verifies once more, as a handshake does not tell whether it has verified,
// and a certificate that was good then may have expired.
func clientIdentities(cs tls.ConnectionState, base *tls.Config) []string {
	cfg := base
	if cfg == nil {
		cfg = &tls.Config{}
	}
	if _, err := verifyClient(cs, cfg.ClientCAs, clock(cfg)); err != nil {
		return nil
	}
	return identities(cs.PeerCertificates[0])
}

var errNoCertificate = errors.New("transport: peer shows no certificate")

// verifyChains returns the chains from the certificate of the peer to a root
// that are good for one of the usages, or for SIP. There is at least one if the
// error is nil.
func verifyChains(cs tls.ConnectionState, roots *x509.CertPool, now time.Time, usages ...x509.ExtKeyUsage) ([][]*x509.Certificate, error) {
	if len(cs.PeerCertificates) == 0 {
		return nil, errNoCertificate
	}
	leaf := cs.PeerCertificates[0]
	opts := x509.VerifyOptions{
		Roots:         roots,
		Intermediates: x509.NewCertPool(),
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, // usable looks at them
	}
	for _, cert := range cs.PeerCertificates[1:] {
		opts.Intermediates.AddCert(cert)
	}
	chains, err := leaf.Verify(opts)
	if err != nil {
		return nil, err
	}
	chains = slices.DeleteFunc(chains, func(chain []*x509.Certificate) bool { return !usable(chain, usages) })
	if len(chains) == 0 {
		return nil, x509.CertificateInvalidError{Cert: leaf, Reason: x509.IncompatibleUsage}
	}
	chains = slices.DeleteFunc(chains, func(chain []*x509.Certificate) bool { return !bounded(chain) })
	if len(chains) == 0 {
		return nil, x509.CertificateInvalidError{Cert: leaf, Reason: x509.CANotAuthorizedForThisName}
	}
	return chains, nil
}

// oidSIPDomain is id-kp-sipDomain (RFC 5924 section 3.1).
var oidSIPDomain = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 20}

// usable reports whether every certificate of a chain allows one and the same
// usage, be it SIP or one of those listed. A certificate that lists none allows
// all.
//
// RFC 5924 section 4 would have certificates refused that list the usages of
// TLS and not that of SIP. That RFC is an experiment that no public authority
// takes part in: all of their certificates would be refused.
func usable(chain []*x509.Certificate, usages []x509.ExtKeyUsage) bool {
	every := func(allows func(*x509.Certificate) bool) bool {
		return !slices.ContainsFunc(chain, func(cert *x509.Certificate) bool {
			unlimited := len(cert.ExtKeyUsage) == 0 && len(cert.UnknownExtKeyUsage) == 0
			return !unlimited && !slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny) && !allows(cert)
		})
	}
	for _, usage := range usages {
		if every(func(cert *x509.Certificate) bool { return slices.Contains(cert.ExtKeyUsage, usage) }) {
			return true
		}
	}
	return every(func(cert *x509.Certificate) bool {
		return slices.ContainsFunc(cert.UnknownExtKeyUsage, oidSIPDomain.Equal)
	})
}

// bounded reports whether the identities of a chain's leaf lie within what its
// authorities may issue. Name constraints speak of DNS names and addresses:
// they say nothing of a common name, and of the host in a sip URI, which to
// RFC 5280 has none, only by chance. So these do not count under an authority
// with constraints.
func bounded(chain []*x509.Certificate) bool {
	leaf := chain[0]
	if hasExtension(leaf, oidSubjectAltName) && !slices.ContainsFunc(leaf.URIs, isSIP) {
		return true
	}
	return !slices.ContainsFunc(chain[1:], func(cert *x509.Certificate) bool {
		return hasExtension(cert, oidNameConstraints)
	})
}
