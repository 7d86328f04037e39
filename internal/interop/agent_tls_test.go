package interop_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/ua"
)

// An agent does not talk to a server that cannot prove that it is sip.test, and
// says what is wrong. It shows a certificate of its own to one that asks.
func TestCertificates(t *testing.T) {
	interop.Need(t)
	authority, stranger := siptest.NewAuthority(), siptest.NewAuthority()
	open := interop.StartKamailio(t, &interop.KamailioOptions{Authority: authority})
	strict := interop.StartKamailio(t, &interop.KamailioOptions{Authority: authority, ClientCert: true})
	keys := newKeyLog(t)
	trust := func(a *siptest.Authority, own ...tls.Certificate) *tls.Config {
		return &tls.Config{RootCAs: a.Pool(), Certificates: own, KeyLogWriter: keys}
	}
	other := trust(authority)
	other.ServerName = "other.test"
	capture := interop.StartCapture(t)
	t.Run("servers", func(t *testing.T) {
		for name, c := range map[string]struct {
			server *interop.Kamailio
			cfg    *tls.Config
			wrong  func(error) bool // nil: nothing
		}{
			"all is right":               {open, trust(authority), nil},
			"unknown authority":          {open, trust(stranger), is[x509.UnknownAuthorityError]},
			"another name":               {open, other, isIdentity},
			"our certificate":            {strict, trust(authority, authority.Certificate("sip:client.test")), nil},
			"no certificate of ours":     {strict, trust(authority), is[*net.OpError]}, // an alert, or a reset behind it
			"our certificate is unknown": {strict, trust(authority, stranger.Certificate("sip:client.test")), is[*net.OpError]},
		} {
			for _, via := range []string{"tls", "wss"} {
				t.Run(name+" "+via, func(t *testing.T) {
					t.Parallel()
					alice := newClient(t, c.server, via, "127.0.0.1", "alice", &ua.Config{TLS: c.cfg})
					began := time.Now()
					_, err := alice.Options(t.Context(), "sip:sip.test")
					switch {
					case c.wrong == nil && err != nil:
						t.Error(err)
					case c.wrong != nil && (err == nil || !c.wrong(err)):
						t.Errorf("error %v, want another", err)
					}
					if took := time.Since(began); took > 5*time.Second {
						t.Errorf("it took %v", took)
					}
				})
			}
		}
	})
	judge(t, capture, secured(keys, open, strict))
}

// isIdentity reports whether a certificate is for another name, by the rules of
// SIP or, over WSS, of HTTPS.
func isIdentity(err error) bool {
	return is[*transport.IdentityError](err) || is[x509.HostnameError](err)
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
