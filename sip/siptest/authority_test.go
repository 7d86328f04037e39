package siptest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip/siptest"
)

// A client that trusts the authority shakes hands with a server that it has
// certified, on the network of the package and in its time.
func TestAuthority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := siptest.NewAuthority()
		n := siptest.NewNetwork(nil)
		ln, err := n.Host("192.0.2.2").Listen(t.Context(), "tcp", "192.0.2.2:5061")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		go func() { // ends when ln is closed
			cfg := &tls.Config{Certificates: []tls.Certificate{ca.Certificate("example.com", "192.0.2.2")}}
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				go func() { // ends with the connection
					defer c.Close()
					io.Copy(io.Discard, tls.Server(c, cfg))
				}()
			}
		}()
		dial := func(cfg *tls.Config) error {
			c, err := n.Host("192.0.2.1").DialContext(context.Background(), "tcp", "192.0.2.2:5061")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			return tls.Client(c, cfg).Handshake()
		}
		for _, name := range []string{"example.com", "192.0.2.2"} {
			if err := dial(&tls.Config{RootCAs: ca.Pool(), ServerName: name}); err != nil {
				t.Errorf("handshake with %s: %v", name, err)
			}
		}
		err = dial(&tls.Config{RootCAs: siptest.NewAuthority().Pool(), ServerName: "example.com"})
		if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
			t.Errorf("handshake under another authority: %v, want an x509.UnknownAuthorityError", err)
		}
	})
}

// Names stand in a certificate as what they are.
func TestAuthorityNames(t *testing.T) {
	leaf := siptest.NewAuthority().Certificate("sip:example.com", "proxy.example.com", "*.example.com", "192.0.2.1", "2001:db8::1").Leaf
	if len(leaf.URIs) != 1 || leaf.URIs[0].String() != "sip:example.com" {
		t.Errorf("URIs = %v, want sip:example.com", leaf.URIs)
	}
	if len(leaf.DNSNames) != 2 || leaf.DNSNames[0] != "proxy.example.com" || leaf.DNSNames[1] != "*.example.com" {
		t.Errorf("DNSNames = %v, want proxy.example.com and *.example.com", leaf.DNSNames)
	}
	if len(leaf.IPAddresses) != 2 || !leaf.IPAddresses[0].Equal(net.IPv4(192, 0, 2, 1)) || leaf.IPAddresses[1].String() != "2001:db8::1" {
		t.Errorf("IPAddresses = %v, want 192.0.2.1 and 2001:db8::1", leaf.IPAddresses)
	}
}

// What is no name is a mistake in the test, and is not put into a certificate.
func TestAuthorityNoName(t *testing.T) {
	ca := siptest.NewAuthority()
	for _, name := range []string{
		"", ".", "*", "*.", "-", "a..b", "a.b.", "foo bar", "a.*.b", "b\u00fccher.example", "a/b", "user@example.com", "sip:", "fe80::1%eth0", "[2001:db8::1]",
		strings.Repeat("x", 64), strings.Repeat("x.", 127) + "x",
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a certificate for %q, want a panic", name)
				}
			}()
			ca.Certificate("example.com", name)
		}()
	}
}
