package interop

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/goparley/parley/sip/siptest"
)

// Example is examples/proxy, a server of ours, as a process.
type Example struct {
	Authority *siptest.Authority // of its certificate, which is for sip.test, 127.0.0.1 and ::1
	KeyHash   string             // of its certificate, for a browser

	port int
}

// ExampleOptions are the options of StartExample. Nil will do.
type ExampleOptions struct {
	Recurse bool // try the Contacts of a redirection
	MD5     bool // ask for passwords by MD5 alone
}

// StartExample starts the server for the domain sip.test and these users, each
// with the password that Kamailio has for them. It speaks UDP, TCP, TLS, WS and
// WSS on 127.0.0.1 and ::1.
func StartExample(t testing.TB, opts *ExampleOptions, users ...string) *Example {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "proxy")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/goparley/parley/examples/proxy").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	s := &Example{Authority: siptest.NewAuthority(), port: Port(t)}
	cert := s.Authority.Certificate("sip:sip.test", "sip:127.0.0.1", "sip:[::1]", "sip.test", "127.0.0.1", "::1")
	s.KeyHash = keyHash(cert.Leaf)
	writeCertificate(t, dir, s.Authority, cert)
	var listen []string
	for _, host := range []string{"127.0.0.1", "::1"} {
		for transport := range serverPorts {
			listen = append(listen, transport+":"+s.At(transport, host))
		}
	}
	args := []string{
		"-domain", "sip.test", "-listen", strings.Join(listen, ","),
		"-cert", filepath.Join(dir, "cert.pem"), "-key", filepath.Join(dir, "key.pem"),
	}
	if opts != nil {
		args = append(args, fmt.Sprintf("-recurse=%v", opts.Recurse), fmt.Sprintf("-md5=%v", opts.MD5))
	}
	for _, user := range users {
		args = append(args, fmt.Sprintf("%s:%spw", user, user))
	}
	p := start(t, dir, nil, path, args...)
	p.ready(t, func() bool {
		for _, l := range listen {
			transport, addr, _ := strings.Cut(l, ":")
			network := "tcp"
			if transport == "udp" {
				network = "udp"
			}
			if !bound(network, addr) {
				return false
			}
		}
		return true
	})
	return s
}

// At returns the address and port at which it speaks a transport. host is one
// of its addresses.
func (s *Example) At(transport, host string) string { return serverAt(s.port, transport, host) }

// The ports of a server, counted from its first.
var serverPorts = map[string]int{"udp": 0, "tcp": 0, "tls": 1, "ws": 2, "wss": 3}

func serverAt(port int, transport, host string) string {
	return net.JoinHostPort(host, strconv.Itoa(port+serverPorts[transport]))
}
