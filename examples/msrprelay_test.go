package examples_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// The relay makes a certificate and prints it; who trusts that gets an answer by TLS.
func TestMSRPRelay(t *testing.T) {
	t.Parallel()
	address := freePort(t)
	p := start(t, build(t, "msrprelay"), "-listen", "tls:"+address, "alice:secret")
	p.says("serving example.com")
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(p.output())) {
		t.Fatal("the relay has printed no certificate")
	}
	client, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	io.WriteString(client, "MSRP 49fh AUTH\r\nTo-Path: msrps://localhost;tcp\r\nFrom-Path: msrps://192.0.2.1:9/98cjs;tcp\r\n-------49fh$\r\n")
	answer := make([]byte, len("MSRP 49fh 401"))
	if _, err := io.ReadFull(client, answer); err != nil || !strings.HasSuffix(string(answer), "401") {
		t.Errorf("answer is %q, %v, want 401", answer, err)
	}
	p.interrupt()
}

// Passwords do not go without TLS, so a socket for WebSockets without it serves nobody.
func TestMSRPRelayWithoutTLS(t *testing.T) {
	program := build(t, "msrprelay")
	out, err := exec.Command(program, "-listen", "ws:127.0.0.1:0", "alice:secret").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "wss") {
		t.Errorf("-listen ws: %v, %q, want an error that says what to do", err, out)
	}
	p := start(t, program, "-listen", "ws:127.0.0.1:0", "-plain", "alice:secret")
	p.says("serving example.com")
	p.interrupt()
}

// A mistake on the command line ends it, and it says which one. Without users there is nobody to serve.
func TestMSRPRelayRefuses(t *testing.T) {
	t.Parallel()
	program := build(t, "msrprelay")
	for want, args := range map[string][]string{
		"usage":                       nil,
		`"alice" is no user:password`: {"alice"},
		"MaxChunk":                    {"-maxchunk", "-5", "alice:secret"},
		`"1.2.3.4:5"`:                 {"-host", "1.2.3.4:5", "alice:secret"},
	} {
		p := start(t, program, append([]string{"-listen", "tls:127.0.0.1:0"}, args...)...)
		p.says(want)
		p.fails()
	}
}
