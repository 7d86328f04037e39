package interop

import (
	"os"
	"os/exec"
	"testing"
)

// Need skips the test unless the interop suite is switched on with
// PARLEY_INTEROP=1.
func Need(t testing.TB) {
	t.Helper()
	if os.Getenv("PARLEY_INTEROP") != "1" {
		t.Skip("needs other SIP programs: set PARLEY_INTEROP=1 where they are installed, see docs/interop.md")
	}
}

// program returns the path of a peer and fails the test where it is missing.
// Daemons live in /usr/sbin, which is not in every user's PATH.
func program(t testing.TB, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	if err != nil {
		t.Fatalf("%s is not installed: apt-get install --no-install-recommends %s", name, pkg)
	}
	return path
}
