package interop

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Program is an example of ours that runs, and is typed to.
type Program struct {
	In io.WriteCloser // what it reads

	name string
	p    *process
}

// StartProgram builds an example and runs it. It trusts a certificate of the authority of the relay, which may be nil.
func StartProgram(t testing.TB, relay *Relay, name string, args ...string) *Program {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, name)
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/goparley/parley/examples/"+name).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	var env []string
	if relay != nil {
		writeCertificate(t, dir, relay.Authority, relay.Authority.Certificate(name))
		env = append(env, "SSL_CERT_FILE="+filepath.Join(dir, "ca.pem"))
	}
	// A peer has no input: the shell gives the program a pipe that has a name.
	pipe := filepath.Join(dir, "in")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.OpenFile(pipe, os.O_RDWR, 0) // which waits for no reader
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return &Program{in, name, start(t, dir, env, "/bin/sh", append([]string{"-c", `exec "$0" "$@" <` + pipe, path}, args...)...)}
}

// Expect waits until the program has printed a text, at most ten seconds.
func (p *Program) Expect(t testing.TB, text string) {
	t.Helper()
	if !Eventually(10*time.Second, func() bool {
		said, err := os.ReadFile(p.p.log)
		return err == nil && bytes.Contains(said, []byte(text))
	}) {
		t.Fatalf("%s has not said %q", p.name, text)
	}
}
