package interop

import (
	"fmt"
	"net"
	"strconv"
	"testing"

	"github.com/goparley/parley/sip/siptest"
)

// TunnelOptions are the options of one end of TLS, which socat makes, and in it
// OpenSSL. Nil will do where the other end checks nothing.
type TunnelOptions struct {
	Authority *siptest.Authority // of its certificate, and of the one it wants to see; nil: an authority of its own, and none
	Name      string             // whom a client asks for and wants to see in the certificate; empty: "sip.test"
	NoCert    bool               // as a client, show no certificate
	AskCert   bool               // as a server, refuse a client that shows no certificate of the authority
}

// startTunnelIn takes TLS connections to the address it returns, and leads each
// to one of TCP to an address.
func startTunnelIn(t testing.TB, host, to string, opts *TunnelOptions) string {
	t.Helper()
	authority, dir := tunnelFiles(t, opts)
	verify := 0
	if authority && opts.AskCert {
		verify = 1
	}
	front := net.JoinHostPort(host, strconv.Itoa(Port(t)))
	startSocat(t, front,
		fmt.Sprintf("OPENSSL-LISTEN:%s,certificate=%s/cert.pem,key=%s/key.pem,cafile=%s/ca.pem,verify=%d", listenAt(front), dir, dir, dir, verify),
		"TCP:"+to)
	return front
}

// startTunnelOut takes TCP connections to the address it returns, and leads
// each to one of TLS to an address.
func startTunnelOut(t testing.TB, host, to string, opts *TunnelOptions) string {
	t.Helper()
	authority, dir := tunnelFiles(t, opts)
	name := "sip.test"
	if opts != nil && opts.Name != "" {
		name = opts.Name
	}
	check := "verify=0"
	if authority {
		check = "verify=1,commonname=" + name
	}
	if opts == nil || !opts.NoCert {
		check += fmt.Sprintf(",certificate=%s/cert.pem,key=%s/key.pem", dir, dir)
	}
	front := net.JoinHostPort(host, strconv.Itoa(Port(t)))
	startSocat(t, front, "TCP-LISTEN:"+listenAt(front),
		fmt.Sprintf("OPENSSL:%s,snihost=%s,cafile=%s/ca.pem,%s", to, name, dir, check))
	return front
}

// tunnelFiles writes certificate files and returns their folder, and whether
// the authority is one that the other end may know.
func tunnelFiles(t testing.TB, opts *TunnelOptions) (known bool, dir string) {
	t.Helper()
	authority := siptest.NewAuthority()
	if opts != nil && opts.Authority != nil {
		authority, known = opts.Authority, true
	}
	dir = t.TempDir()
	writeCertificate(t, dir, authority, authority.Certificate("sip:sip.test", "sip:127.0.0.1", "sip:[::1]", "sip.test", "127.0.0.1", "::1"))
	return known, dir
}

// startSocat leads connections that reach front from one end to the other.
func startSocat(t testing.TB, front, from, to string) {
	t.Helper()
	p := start(t, t.TempDir(), nil, program(t, "socat", "socat"), "-d", "-d", from, to)
	p.ready(t, func() bool { return bound("tcp", front) })
}

// listenAt is how socat is told to listen at an address.
func listenAt(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	family := "pf=ip4,bind=" + host
	if host == "::1" {
		family = "pf=ip6,bind=[::1]"
	}
	return port + ",fork,reuseaddr," + family
}
