package parley_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A program somewhere else imports one package of ours. It builds, and what it
// links is no more than that package needs: who only parses SIP gets the
// standard library alone, and who makes calls gets no media, no MSRP and no
// ICE before asking for it.
func TestWhatAProgramLinks(t *testing.T) {
	for _, c := range []struct {
		imports string
		ours    []string // packages of ours that it may link
		others  []string // modules of others that it may link
	}{
		{
			imports: "sip",
			ours:    []string{"sip", "internal/..."},
		},
		{
			imports: "ua",
			ours: []string{"ua", "dialog", "transaction", "sip", "sip/digest", "sip/resolve", "sip/transport",
				"nat/stun", "sdp", "internal/..."},
			others: []string{"github.com/pion/sdp/v3", "github.com/pion/randutil",
				"github.com/miekg/dns", "github.com/coder/websocket", "golang.org/x/net", "golang.org/x/sys"},
		},
		{ // who chats gets no tables for nicknames
			imports: "msrp",
			ours:    []string{"msrp", "msrp/frame", "msrp/internal/...", "simple/cpim", "sdp", "internal/..."},
			others:  []string{"github.com/pion/sdp/v3", "github.com/pion/randutil", "github.com/coder/websocket"},
		},
	} {
		t.Run(c.imports, func(t *testing.T) {
			t.Parallel()
			program := fmt.Sprintf("package main\n\nimport _ %q\n\nfunc main() {}\n", module+"/"+c.imports)
			for _, linked := range strings.Fields(linkedBy(t, program)) {
				pkg, mod, _ := strings.Cut(linked, "@")
				if mod == "" {
					if pkg == "testing" {
						t.Errorf("a program that imports %s links package testing", c.imports)
					}
					continue // the standard library
				}
				if ours, is := strings.CutPrefix(pkg, module+"/"); is {
					if !slices.ContainsFunc(c.ours, func(may string) bool {
						folder, all := strings.CutSuffix(may, "...")
						return ours == may || all && strings.HasPrefix(ours, folder)
					}) {
						t.Errorf("a program that imports %s links %s", c.imports, pkg)
					}
				} else if mod != "throwaway.example" && !slices.Contains(c.others, mod) {
					t.Errorf("a program that imports %s links %s of module %s", c.imports, pkg, mod)
				}
			}
		})
	}
}

// The program in the README is one: it builds as it stands there.
func TestReadmeProgram(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, ok := strings.Cut(string(readme), "```go\n")
	program, _, end := strings.Cut(program, "```\n")
	if !ok || !end {
		t.Fatal("no Go program in README.md")
	}
	linkedBy(t, program)
}

// linkedBy builds a program in a module of its own that requires ours, and
// returns what it is made of: package@module for each package, and package@
// for those of the standard library.
func linkedBy(t *testing.T, program string) string {
	t.Helper()
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	// What our own build needed is in the module cache and in our go.sum, and
	// that must do: nothing is fetched.
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": fmt.Sprintf("module throwaway.example\n\ngo 1.26.0\n\nrequire %s v0.0.0\n\nreplace %s => %s\n",
			module, module, root),
		"go.sum":  string(sums),
		"main.go": program,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "PWD="+dir)
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, errs.String())
		}
		return string(out)
	}
	run("build", "-o", filepath.Join(dir, "program"), ".")
	return run("list", "-deps", "-f", "{{.ImportPath}}@{{with .Module}}{{.Path}}{{end}}", ".")
}
