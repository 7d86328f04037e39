//go:build unix

package file_test

import (
	"bytes"
	"crypto/sha1"
	"os"
	"testing"

	"github.com/goparley/parley/msrp/file"
)

// What a peer sends is for the user alone, and can be executed by nobody, as a part and as a file: with
// a hash, by which its part is found again, and without one (RFC 5547 section 10).
func TestReceivedFilesAreThoseOfTheUserAlone(t *testing.T) {
	octets := content(1, 200_000)
	sum := sha1.Sum(octets)
	for name, hashes := range map[string][]file.Hash{"with a hash": {{Algorithm: file.SHA1, Sum: sum[:]}}, "without a hash": nil} {
		t.Run(name, func(t *testing.T) {
			inbox := root(t)
			seen := make(map[string]bool)
			private := func() {
				entries, err := os.ReadDir(inbox.Name())
				if err != nil {
					t.Error(err)
				}
				for _, e := range entries {
					seen[e.Name()] = true
					if info, err := e.Info(); err != nil {
						t.Error(err)
					} else if got, want := info.Mode(), os.FileMode(0o600); got != want {
						t.Errorf("%s is %v, want %v", e.Name(), got, want)
					}
				}
			}
			story(t, takes(inbox, &file.ReceiveOptions{Progress: func(_, _ int64) { private() }}, 1), func(p *place) {
				l := p.liar(file.Selector{Name: "run.sh", Size: 200_000, Hashes: hashes})
				call := p.calls(l)
				if err := l.sends(p.ctx, bytes.NewReader(octets), 0); err != nil {
					t.Error(err)
				}
				if r := <-p.got; r.err != nil {
					t.Error(r.err)
				}
				p.hangup(call)
				private()
				if !seen["run.sh"] || len(seen) != 2 {
					t.Errorf("there were %v, want a part and run.sh", seen)
				}
			})
		})
	}
}
