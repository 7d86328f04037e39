package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func openRoot(t *testing.T) (*os.Root, string) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, dir
}

// made creates a file and returns its name.
func made(t *testing.T, root *os.Root, name string) string {
	t.Helper()
	f, err := create(root, name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return filepath.Base(f.Name())
}

func TestCreateMakesANameThatIsNotThere(t *testing.T) {
	root, dir := openRoot(t)
	long := strings.Repeat("a", 300) + ".jpg"
	for _, tt := range []struct{ name, want string }{
		{"a.jpg", "a.jpg"},
		{"../a.jpg", "a (2).jpg"},
		{"a.jpg", "a (3).jpg"},
		{"a (2).jpg", "a (2) (2).jpg"},
		{"b", "b"},
		{"b", "b (2)"},
		{long, strings.Repeat("a", 251) + ".jpg"},
		{long, strings.Repeat("a", 247) + " (2).jpg"},
	} {
		if got := made(t, root, tt.name); got != tt.want {
			t.Errorf("create(%.20q) made %q, want %q", tt.name, got, tt.want)
		}
		if info, err := os.Stat(filepath.Join(dir, tt.want)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%q: %v, %v", tt.want, info, err)
		}
	}
}

// A link that waits under the name is not followed.
func TestCreateFollowsNoLink(t *testing.T) {
	root, dir := openRoot(t)
	if err := os.Symlink("elsewhere", filepath.Join(dir, "a.jpg")); err != nil {
		t.Fatal(err)
	}
	if got := made(t, root, "a.jpg"); got != "a (2).jpg" {
		t.Errorf("Create made %q, want %q", got, "a (2).jpg")
	}
	if _, err := os.Lstat(filepath.Join(dir, "elsewhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what the link names: %v, want that it is not there", err)
	}
}

func TestCreateEndsAfter999Names(t *testing.T) {
	root, dir := openRoot(t)
	if err := os.WriteFile(filepath.Join(dir, "a.jpg"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for n := 2; n <= 998; n++ {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("a (%d).jpg", n)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := made(t, root, "a.jpg"); got != "a (999).jpg" {
		t.Errorf("the 999th is %q", got)
	}
	if f, err := create(root, "a.jpg"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the 1000th is %v, %v, want fs.ErrExist", f, err)
	}
}
