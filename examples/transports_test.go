package examples_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goparley/parley/media"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// server is the example proxy on every transport.
type server struct {
	*process
	uris     map[string]string // of the proxy, by transport
	wss      string            // address
	trust    *tls.Config       // of clients that trust it
	certFile string
	keyFile  string
	ca       *siptest.Authority
}

// startServer starts the proxy on an address, such as "127.0.0.1".
func startServer(t *testing.T, host string, users ...string) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{
		ca: siptest.NewAuthority(), uris: map[string]string{},
		certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem"),
	}
	s.trust = &tls.Config{RootCAs: s.ca.Pool()}
	s.certify(t, host)
	var listen []string
	for _, transport := range []string{"udp", "tcp", "tls", "ws", "wss"} {
		address := freePortOf(t, host)
		listen = append(listen, transport+":"+address)
		s.uris[transport] = "sip:" + address + ";transport=" + transport
		if transport == "tls" {
			s.uris["sips"] = "sips:" + address
		}
		s.wss = address
	}
	args := append([]string{"-listen", strings.Join(listen, ","), "-cert", s.certFile, "-key", s.keyFile}, users...)
	s.process = start(t, build(t, "proxy"), args...)
	s.says("serving")
	return s
}

// certify writes a new certificate for the address of the proxy.
func (s *server) certify(t *testing.T, host string) {
	t.Helper()
	cert := s.ca.Certificate(host)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		s.certFile: {Type: "CERTIFICATE", Bytes: cert.Certificate[0]},
		s.keyFile:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Register works over TLS and secure WebSocket, with a server whose certificate
// is one that the system trusts, and says so if it is not. The proxy takes a new
// certificate while it runs.
func TestRegisterSecurely(t *testing.T) {
	t.Parallel()
	s := startServer(t, "127.0.0.1", "alice:wonder")
	register := build(t, "register")
	trusting := func(certFile, transport string) *process {
		return startWith(t, "SSL_CERT_FILE="+certFile, register, "-password", "wonder", "-proxy", s.uris[transport], "sip:alice@example.com")
	}
	registers := func(certFile string) {
		t.Helper()
		for _, transport := range []string{"tls", "wss"} {
			alice := trusting(certFile, transport)
			alice.says("registered")
			alice.interrupt()
		}
	}
	old := filepath.Join(t.TempDir(), "old.pem")
	text, err := os.ReadFile(s.certFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(old, text, 0o600); err != nil {
		t.Fatal(err)
	}
	registers(old)

	s.certify(t, "127.0.0.1")
	registers(old) // until the proxy is told
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.says("certificate read again")
	refused := trusting(old, "tls")
	refused.says("certificate signed by unknown authority")
	refused.fails()
	registers(s.certFile)
	s.interrupt()
}

// Calls between clients on all transports. The one that is called hangs up, and
// then the one that calls, so that requests go through the proxy within the call
// in both directions. None of the clients listens on TCP or what runs on it:
// they are reached by the flow of their REGISTER alone.
func TestCallAcrossTransports(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, host, "alice:wonder", "bob:builder")
			for _, ways := range [][2]string{{"udp", "tls"}, {"tls", "udp"}, {"ws", "tcp"}, {"tcp", "ws"}, {"ws", "tls"}, {"tls", "tls"}, {"udp", "wss"}, {"wss", "tls"}, {"wss", "wss"}, {"sips", "sips"}} {
				t.Run(ways[0]+" to "+ways[1], func(t *testing.T) { callAcross(t, s, ways[0], ways[1]) })
			}
			s.interrupt()
		})
	}
}

func callAcross(t *testing.T, s *server, from, to string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	scheme := "sip"
	if from == "sips" {
		scheme = "sips"
	}
	hung := make(chan error, 1)
	agent := func(user, password, transport string, onInvite func(context.Context, *ua.Invitation)) *ua.Agent {
		cfg := &ua.Config{Password: password, Proxy: s.uris[transport], TLS: s.trust, OnInvite: onInvite}
		host, _, _ := strings.Cut(strings.TrimPrefix(s.uris["udp"], "sip:"), ";")
		cfg.Listen = []string{"udp:" + host[:strings.LastIndex(host, ":")] + ":0"} // to have media on loopback
		a, err := ua.New(scheme+":"+user+"@example.com", cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close() })
		if _, err := a.Register(ctx, nil); err != nil {
			t.Fatal(err)
		}
		return a
	}
	calls := 0
	agent("bob", "builder", to, func(ctx context.Context, in *ua.Invitation) {
		calls++
		call, err := in.Answer(ctx, media.NewAudio(nil))
		if err == nil && calls == 1 {
			err = call.Hangup(context.WithoutCancel(ctx))
		} else if err == nil {
			<-call.Done()
		}
		hung <- err
	})
	alice := agent("alice", "wonder", from, nil)
	for _, bobHangsUp := range []bool{true, false} {
		call, err := alice.Invite(ctx, scheme+":bob@example.com", &ua.InviteOptions{Streams: []ua.Stream{media.NewAudio(nil)}})
		if err != nil {
			t.Fatal(err)
		}
		if !bobHangsUp {
			if err := call.Hangup(ctx); err != nil {
				t.Errorf("Alice's Hangup: %v", err)
			}
		}
		select {
		case err := <-hung:
			if err != nil {
				t.Errorf("Bob's call: %v", err)
			}
		case <-ctx.Done():
			t.Fatal("Bob's call goes on")
		}
		if !bobHangsUp {
			continue
		}
		select {
		case <-call.Done():
			if err := call.Err(); !errors.Is(err, ua.ErrHungUp) {
				t.Errorf("Alice's call ended with %v, want ErrHungUp", err)
			}
		case <-ctx.Done():
			t.Fatal("Alice's call goes on")
		}
	}
}
