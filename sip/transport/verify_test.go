package transport

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// dialed returns what a client makes of a server's certificate.
func dialed(t *testing.T, cert tls.Certificate, roots *x509.CertPool, host string) error {
	t.Helper()
	server := serverTLS(&tls.Config{Certificates: []tls.Certificate{cert}}, viaTLS)
	_, err, _ := handshake(t, clientTLS(&tls.Config{RootCAs: roots}, viaTLS, host), server)
	return err
}

// A client talks to those servers that are who they should be (RFC 5922
// section 7.3).
func TestServerVerified(t *testing.T) {
	uri := &url.URL{Scheme: "sip", Opaque: "example.com"}
	constrained := func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example.com"} }
	for _, c := range []struct {
		story     string
		authority func(*x509.Certificate) // of the one between; nil: none
		leaf      func(*x509.Certificate)
		host      string
		want      string // in the error; empty: none
	}{
		{"its DNS name", nil, forDNS("example.com"), "example.com", ""},
		{"its sip URI", nil, func(c *x509.Certificate) { c.URIs = []*url.URL{uri} }, "example.com", ""},
		{"its number", nil, func(c *x509.Certificate) { c.IPAddresses = []net.IP{{192, 0, 2, 1}} }, "192.0.2.1", ""},
		{"its common name alone", nil, func(c *x509.Certificate) { c.Subject.CommonName = "example.com" }, "example.com", ""},
		{"mixed case and a trailing dot", nil, forDNS("Example.com"), "eXample.com.", ""},
		{"through an authority between", func(*x509.Certificate) {}, forDNS("example.com"), "example.com", ""},

		{"another name", nil, forDNS("example.net"), "example.com", "certificate is for example.net, not for example.com"},
		{"a wildcard", nil, forDNS("*.example.com"), "sip.example.com", "not for sip.example.com"},
		{"a DNS name beside a sip URI", nil, func(c *x509.Certificate) {
			c.URIs, c.DNSNames = []*url.URL{uri}, []string{"example.net"}
		}, "example.net", "not for example.net"},
		{"NUL", nil, forDNS("example.com\x00.example.net"), "example.com", "not for example.com"},
		{"expired", nil, func(c *x509.Certificate) {
			c.DNSNames, c.NotAfter = []string{"example.com"}, time.Now().Add(-time.Minute)
		}, "example.com", "expired"},
		{"not yet valid", nil, func(c *x509.Certificate) {
			c.DNSNames, c.NotBefore = []string{"example.com"}, time.Now().Add(time.Minute)
		}, "example.com", "not yet valid"},

		{"for servers", nil, withUsage(x509.ExtKeyUsageServerAuth), "example.com", ""},
		{"for anything", nil, withUsage(x509.ExtKeyUsageAny), "example.com", ""},
		{"for SIP", nil, func(c *x509.Certificate) {
			c.DNSNames, c.UnknownExtKeyUsage = []string{"example.com"}, []asn1.ObjectIdentifier{oidSIPDomain}
		}, "example.com", ""},
		{"for clients", nil, withUsage(x509.ExtKeyUsageClientAuth), "example.com", "incompatible key usage"},
		{"for mail", nil, withUsage(x509.ExtKeyUsageEmailProtection), "example.com", "incompatible key usage"},
		{"for something else", nil, func(c *x509.Certificate) {
			c.DNSNames, c.UnknownExtKeyUsage = []string{"example.com"}, []asn1.ObjectIdentifier{{1, 2, 3}}
		}, "example.com", "incompatible key usage"},
		{"for servers, from an authority for clients", withUsage(x509.ExtKeyUsageClientAuth), withUsage(x509.ExtKeyUsageServerAuth), "example.com", "incompatible key usage"},
		{"for both, from an authority for servers", withUsage(x509.ExtKeyUsageServerAuth), withUsage(x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth), "example.com", ""},

		{"within constraints", constrained, forDNS("sip.example.com"), "sip.example.com", ""},
		{"outside of constraints", constrained, forDNS("example.net"), "example.net", "not permitted"},
		{"a common name under constraints", constrained, func(c *x509.Certificate) { c.Subject.CommonName = "example.net" }, "example.net", "not authorized to sign for this name"},
		{"a sip URI under constraints", constrained, func(c *x509.Certificate) { c.URIs = []*url.URL{uri} }, "example.com", "cannot be matched against constraints"},
	} {
		root := newMint(t)
		issuer := root
		if c.authority != nil {
			issuer = root.under(t, c.authority)
		}
		err := dialed(t, issuer.leaf(t, c.leaf), root.pool(), c.host)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.story, err, c.want)
		}
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); err != nil && !ok {
			t.Errorf("%s: %T, want a *tls.CertificateVerificationError", c.story, err)
		}
	}
}

// A certificate that nobody vouches for, and one that somebody else does.
func TestServerUnknown(t *testing.T) {
	self := (&mint{}).sign(t, forDNS("example.com"))
	other := newMint(t).leaf(t, forDNS("example.com"))
	for name, cert := range map[string]tls.Certificate{"self-signed": self, "another authority's": other} {
		err := dialed(t, cert, newMint(t).pool(), "example.com")
		if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
			t.Errorf("%s: %v, want an x509.UnknownAuthorityError", name, err)
		}
	}
}

// A wrong name is for programs to see, and the server learns of it by an alert.
func TestServerWrongName(t *testing.T) {
	m := newMint(t)
	server := serverTLS(&tls.Config{Certificates: []tls.Certificate{m.leaf(t, forDNS("sip.example.com"))}}, viaTLS)
	_, err, serverErr := handshake(t, clientTLS(&tls.Config{RootCAs: m.pool()}, viaTLS, "example.com"), server)
	wrong, ok := errors.AsType[*IdentityError](err)
	if !ok || wrong.Host != "example.com" || len(wrong.Names) != 1 || wrong.Names[0] != "sip.example.com" {
		t.Errorf("client: %v, want an *IdentityError for example.com", err)
	}
	if serverErr == nil || !strings.Contains(serverErr.Error(), "bad certificate") {
		t.Errorf("server: %v, want an alert", serverErr)
	}
}

// The server sees the name that the client asks for, and none for a number
// (RFC 6066 section 3).
func TestServerName(t *testing.T) {
	m := newMint(t)
	for host, want := range map[string]string{
		"Example.com.": "example.com",
		"192.0.2.1":    "",
		"2001:db8::1":  "",
		"[::1]":        "",
	} {
		seen := "not asked"
		server := serverTLS(&tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			seen = hello.ServerName
			cert := m.leaf(t, func(c *x509.Certificate) {
				c.DNSNames = []string{"example.com"}
				c.IPAddresses = []net.IP{{192, 0, 2, 1}, net.ParseIP("2001:db8::1"), net.IPv6loopback}
			})
			return &cert, nil
		}}, viaTLS)
		if _, err, _ := handshake(t, clientTLS(&tls.Config{RootCAs: m.pool()}, viaTLS, host), server); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		if seen != want {
			t.Errorf("server name for %s = %q, want %q", host, seen, want)
		}
	}
}

// A program that reaches its proxy by number can say whose certificate it
// expects.
func TestServerNameOfProgram(t *testing.T) {
	m := newMint(t)
	server := serverTLS(&tls.Config{Certificates: []tls.Certificate{m.leaf(t, forDNS("proxy.example.com"))}}, viaTLS)
	client := &tls.Config{RootCAs: m.pool(), ServerName: "proxy.example.com"}
	if _, err, _ := handshake(t, clientTLS(client, viaTLS, "192.0.2.1"), server); err != nil {
		t.Errorf("handshake: %v", err)
	}
}

// TLS 1.1 is refused by both sides, whatever the program has set (RFC 8996).
func TestOldTLS(t *testing.T) {
	m := newMint(t)
	cert := m.leaf(t, forDNS("example.com"))
	old := &tls.Config{
		RootCAs: m.pool(), Certificates: []tls.Certificate{cert}, ServerName: "example.com",
		MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
	}
	low := &tls.Config{RootCAs: m.pool(), Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10}
	byHello := &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return low, nil }}

	if _, err, _ := handshake(t, clientTLS(low, viaTLS, "example.com"), old); err == nil {
		t.Error("a client has spoken TLS 1.1")
	}
	for name, server := range map[string]*tls.Config{"set": low, "set for this client": byHello} {
		if _, _, err := handshake(t, old, serverTLS(server, viaTLS)); err == nil {
			t.Errorf("a server has spoken TLS 1.1, with a lower minimum %s", name)
		}
	}
	new12 := &tls.Config{RootCAs: m.pool(), MaxVersion: tls.VersionTLS12}
	cs, err, _ := handshake(t, clientTLS(new12, viaTLS, "example.com"), serverTLS(low, viaTLS))
	if err != nil || cs.Version != tls.VersionTLS12 {
		t.Errorf("TLS 1.2: %v, %v", tls.VersionName(cs.Version), err)
	}
	if low.MinVersion != tls.VersionTLS10 {
		t.Error("the configuration of the program has changed")
	}
}

// A program that wants no verification gets none, and keeps its own.
func TestInsecureSkipVerify(t *testing.T) {
	pinned := errors.New("not the pinned key")
	cert := (&mint{}).sign(t, forDNS("example.net"))
	server := serverTLS(&tls.Config{Certificates: []tls.Certificate{cert}}, viaTLS)
	open := &tls.Config{InsecureSkipVerify: true}
	if _, err, _ := handshake(t, clientTLS(open, viaTLS, "example.com"), server); err != nil {
		t.Errorf("handshake: %v", err)
	}
	open.VerifyConnection = func(tls.ConnectionState) error { return pinned }
	if _, err, _ := handshake(t, clientTLS(open, viaTLS, "example.com"), server); !errors.Is(err, pinned) {
		t.Errorf("handshake: %v, want %v", err, pinned)
	}
}

// The callbacks of the program come after our verification, with its chains,
// and have the last word.
func TestCallbacks(t *testing.T) {
	m := newMint(t)
	no := errors.New("not today")
	var calls []string
	var refuse string
	cfg := &tls.Config{
		RootCAs: m.pool(),
		VerifyPeerCertificate: func(raw [][]byte, chains [][]*x509.Certificate) error {
			calls = append(calls, "certificate")
			if len(raw) != 1 || len(chains) != 1 || string(raw[0]) != string(chains[0][0].Raw) {
				t.Errorf("%d certificates in %d chains, want 1 in 1", len(raw), len(chains))
			}
			if refuse == "certificate" {
				return no
			}
			return nil
		},
		VerifyConnection: func(cs tls.ConnectionState) error {
			calls = append(calls, "connection")
			if len(cs.VerifiedChains) != 1 || len(cs.VerifiedChains[0]) != 2 {
				t.Errorf("chains = %v, want the certificate and its authority", cs.VerifiedChains)
			}
			if refuse == "connection" {
				return no
			}
			return nil
		},
	}
	server := serverTLS(&tls.Config{Certificates: []tls.Certificate{m.leaf(t, forDNS("example.com"))}}, viaTLS)
	for _, c := range []struct{ host, refuse, calls string }{
		{"example.com", "", "certificate connection"},
		{"example.com", "certificate", "certificate"},
		{"example.com", "connection", "certificate connection"},
		{"example.net", "", ""},
	} {
		calls, refuse = nil, c.refuse
		_, err, _ := handshake(t, clientTLS(cfg, viaTLS, c.host), server)
		if got := strings.Join(calls, " "); got != c.calls {
			t.Errorf("%s, refused by %q: calls %q, want %q", c.host, c.refuse, got, c.calls)
		}
		if c.refuse != "" && !errors.Is(err, no) {
			t.Errorf("refused by %s: %v, want %v", c.refuse, err, no)
		}
	}
}

// A session is resumed only while its certificate is good, and only for hosts
// that it is good for, although it is not shown again.
func TestResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		synctest.Test(t, func(t *testing.T) {
			m := newMint(t)
			far := &tls.Config{
				MaxVersion:   version,
				Certificates: []tls.Certificate{m.leaf(t, forDNS("example.com"))},
			}
			server := serverTLS(far, viaTLS)
			base := &tls.Config{RootCAs: m.pool(), ClientSessionCache: tls.NewLRUClientSessionCache(8)}
			if _, err, _ := handshake(t, clientTLS(base, viaTLS, "example.com"), server); err != nil {
				t.Fatal(err)
			}
			cs, err, _ := handshake(t, clientTLS(base, viaTLS, "example.com"), server)
			if err != nil || !cs.DidResume {
				t.Errorf("resumed: %v, error %v; want a resumed session", cs.DidResume, err)
			}
			// A cache that mixes hosts up must not let one pass for another.
			base.ClientSessionCache = oneSession{base.ClientSessionCache}
			if _, err, _ := handshake(t, clientTLS(base, viaTLS, "example.net"), server); err == nil {
				t.Error("resumed a session of example.com with example.net")
			}
			<-time.After(2 * time.Hour)
			if _, err, _ := handshake(t, clientTLS(base, viaTLS, "example.com"), server); err == nil {
				t.Error("resumed a session whose certificate has expired")
			}
		})
	}
}

// oneSession is a cache that hands out the session of example.com for any host.
type oneSession struct{ tls.ClientSessionCache }

func (c oneSession) Get(string) (*tls.ClientSessionState, bool) {
	return c.ClientSessionCache.Get("example.com")
}

// What a server makes of the certificates of its clients (RFC 5922 section 7.4).
func TestClientVerified(t *testing.T) {
	m, stranger := newMint(t), newMint(t)
	own := m.leaf(t, forDNS("example.com"))
	client := func(certs ...tls.Certificate) *tls.Config {
		return clientTLS(&tls.Config{RootCAs: m.pool(), Certificates: certs}, viaTLS, "example.com")
	}
	forServers := m.leaf(t, func(c *x509.Certificate) {
		withUsage(x509.ExtKeyUsageServerAuth)(c)
		c.DNSNames = []string{"example.net"}
	})
	forMail := m.leaf(t, withUsage(x509.ExtKeyUsageEmailProtection))
	expired := m.leaf(t, func(c *x509.Certificate) {
		c.DNSNames, c.NotAfter = []string{"example.net"}, time.Now().Add(-time.Minute)
	})
	// crypto/tls shows no certificate to a server that does not name its
	// authority; an attacker does.
	unasked := client()
	other := stranger.leaf(t, forDNS("example.net"))
	unasked.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &other, nil }

	for _, c := range []struct {
		story  string
		auth   tls.ClientAuthType
		client *tls.Config
		want   string // the identities; "refused" if the handshake fails
	}{
		{"none asked for", tls.NoClientCert, client(forServers), ""},
		{"none shown", tls.VerifyClientCertIfGiven, client(), ""},
		{"none shown, but one is wanted", tls.RequireAndVerifyClientCert, client(), "refused"},
		{"a domain", tls.VerifyClientCertIfGiven, client(forServers), "example.net"},
		{"a domain is wanted", tls.RequireAndVerifyClientCert, client(forServers), "example.net"},
		{"for mail", tls.VerifyClientCertIfGiven, client(forMail), "refused"},
		{"expired", tls.VerifyClientCertIfGiven, client(expired), "refused"},
		{"another authority's", tls.VerifyClientCertIfGiven, unasked, "refused"},
		{"another authority's, and the program does not mind", tls.RequireAnyClientCert, unasked, ""},
	} {
		base := &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: c.auth, ClientCAs: m.pool()}
		cs, _, err := handshake(t, c.client, serverTLS(base, viaWSS))
		got := "refused"
		if err == nil {
			got = strings.Join(clientIdentities(cs, base), " ")
		}
		if got != c.want {
			t.Errorf("%s: %q (%v), want %q", c.story, got, err, c.want)
		}
	}
}

// A configuration that a program picks for one client is no way around.
func TestClientVerifiedByHello(t *testing.T) {
	m := newMint(t)
	cert := m.leaf(t, withUsage(x509.ExtKeyUsageEmailProtection))
	picked := &tls.Config{Certificates: []tls.Certificate{m.leaf(t, forDNS("example.com"))}, ClientCAs: m.pool(), ClientAuth: tls.RequireAndVerifyClientCert}
	server := serverTLS(&tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return picked, nil }}, viaTLS)
	client := clientTLS(&tls.Config{RootCAs: m.pool(), Certificates: []tls.Certificate{cert}}, viaTLS, "example.com")
	if _, _, err := handshake(t, client, server); err == nil || !strings.Contains(err.Error(), "incompatible key usage") {
		t.Errorf("server: %v, want the usage refused", err)
	}
}

// Without a configuration there are the roots of the system, and they know
// nothing of ours.
func TestNoConfig(t *testing.T) {
	server := serverTLS(&tls.Config{Certificates: []tls.Certificate{newMint(t).leaf(t, forDNS("example.com"))}}, viaTLS)
	if _, err, _ := handshake(t, clientTLS(nil, viaTLS, "example.com"), server); err == nil {
		t.Error("a certificate of our own making is good for the system")
	}
	if cs := (tls.ConnectionState{}); clientIdentities(cs, nil) != nil {
		t.Error("identities without a certificate")
	}
	if serverTLS(nil, viaTLS).MinVersion != tls.VersionTLS12 {
		t.Error("a server without a configuration has no minimum")
	}
}

// The clock is the program's, if it has one. A program that has no configuration
// of its own for a client leaves it to that of the listener.
func TestOwnClock(t *testing.T) {
	m := newMint(t)
	server := serverTLS(&tls.Config{
		Certificates:       []tls.Certificate{m.leaf(t, forDNS("example.com"))},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil },
	}, viaTLS)
	for ahead, want := range map[time.Duration]bool{0: true, 2 * time.Hour: false} {
		base := &tls.Config{RootCAs: m.pool(), Time: func() time.Time { return time.Now().Add(ahead) }}
		if _, err, _ := handshake(t, clientTLS(base, viaTLS, "example.com"), server); (err == nil) != want {
			t.Errorf("%v ahead: %v, want success: %v", ahead, err, want)
		}
	}
}
