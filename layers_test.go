package parley_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/goparley/parley"

// A layer says what a package may import beside the standard library.
type layer struct {
	below   []string // packages of ours; what they may import is meant as well
	modules []string // other modules
}

// layers is the rule: imports go down, never up and never sideways. A name
// that ends in a slash stands for every package under it, each for itself.
var layers = map[string]layer{
	"sip":               {},
	"sip/digest":        {below: []string{"sip"}},
	"sip/resolve":       {below: []string{"sip"}, modules: []string{"github.com/miekg/dns", "golang.org/x/net"}},
	"sip/transport":     {below: []string{"sip", "sip/resolve", "nat/stun"}, modules: []string{"github.com/coder/websocket", "golang.org/x/net", "golang.org/x/sys"}},
	"sip/trace":         {below: []string{"sip/transport"}},
	"sip/siptest":       {below: []string{"sip/transport"}, modules: []string{"github.com/miekg/dns"}},
	"transaction":       {below: []string{"sip/transport"}},
	"transaction/proxy": {below: []string{"transaction"}},
	"dialog":            {below: []string{"transaction", "sip/digest"}},
	"sdp":               {modules: []string{"github.com/pion/sdp/v3"}},
	"ua":                {below: []string{"dialog", "sdp"}},

	// The parts of msrp, and what stands on it.
	"msrp/frame":           {},
	"msrp/internal/digest": {},
	"msrp/internal/link":   {below: []string{"msrp/frame"}},
	"msrp":                 {below: []string{"sdp", "msrp/frame", "msrp/internal/link", "msrp/internal/digest", "simple/cpim"}},
	"msrp/file":            {below: []string{"msrp", "sip", "simple/cpim"}},
	"msrp/relay":           {below: []string{"msrp/frame", "msrp/internal/link", "msrp/internal/digest"}},

	// A room reads the envelopes of messages, keeps a roster, and tells nicknames
	// apart by the tables of its module, which who only chats does not link.
	// Its focus takes calls, and what is watched is of ua.
	"msrp/room":       {below: []string{"msrp", "sip", "simple/cpim", "simple/confinfo"}, modules: []string{"golang.org/x/text"}},
	"msrp/room/focus": {below: []string{"msrp/room", "ua"}},

	"media": {below: []string{"sdp"}, modules: []string{
		"github.com/pion/rtp", "github.com/pion/rtcp", "github.com/pion/srtp/v3",
		"github.com/pion/dtls/v3", "github.com/pion/opus",
	}},
	"nat/stun": {}, // what every call links, so it goes without pion, whose STUN brings DTLS
	"nat/":     {modules: []string{"github.com/pion/ice/v4", "github.com/pion/stun/v4", "github.com/pion/turn/v5"}},
	"simple":   {below: []string{"ua"}},
	"simple/":  {}, // document formats, which know nothing of how they travel

	// RFC 5438 defines headers of the envelope beside its document, and a
	// notification is an envelope with that document in it.
	"simple/imdn": {below: []string{"simple/cpim"}},

	// What a registrar knows of users is the targets of a proxy.
	"transaction/registrar":  {below: []string{"transaction/proxy", "sip/digest"}},
	"transaction/registrar/": {below: []string{"transaction/registrar"}},

	// On top of all, and what is typed into a chat is edited.
	"examples/chat": {modules: []string{"golang.org/x/term"}},

	// What packages share and nobody else sees. Everything may import it, so
	// it imports nothing.
	"internal/": {},

	// But for this one: sip/transport and msrp, which may import the module
	// themselves, use it the same way, and that is written once. Whoever imports
	// it links the module, which TestWhatAProgramLinks would tell.
	"internal/websocket": {modules: []string{"github.com/coder/websocket"}},
}

// outside are the packages on top, which only tests and users run. They may
// import all of ours, and none of ours imports them.
var outside = []string{"examples", "examples/", "internal/flow", "internal/interop", "internal/bench"}

// testModules may be imported by tests, beside what their package may.
var testModules = []string{"github.com/google/go-cmp", "pgregory.net/rapid", "go.uber.org/goleak", "golang.org/x/net", "github.com/pion/stun/v4"}

// A source is a package as its files tell it: what they import, apart from the
// standard library.
type source struct {
	imports, testImports []string
}

func TestLayers(t *testing.T) {
	packages := readPackages(t, ".")
	if _, ok := packages["sip"]; !ok {
		t.Fatalf("no package sip among %v", slices.Sorted(maps.Keys(packages)))
	}
	for _, fault := range checkLayers(packages) {
		t.Error(fault)
	}
}

// The table in the README has what a package imports above it, and names that, or what imports that.
func TestReadmeTable(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	packages := readPackages(t, ".")
	rows := map[string][]string{} // what is named in the row of a package
	for line := range strings.Lines(string(readme)) {
		cells := strings.Split(line, "|")
		if !strings.HasPrefix(line, "| [`") || len(cells) != 5 {
			continue
		}
		pkg := strings.Split(cells[1], "`")[1]
		named := strings.FieldsFunc(cells[3], func(c rune) bool { return strings.ContainsRune("`, ", c) })
		if strings.Contains(cells[3], "those above") {
			named = slices.Collect(maps.Keys(rows))
		}
		for _, name := range named {
			if _, ours := packages[name]; ours && rows[name] == nil {
				t.Errorf("%s names %s, which does not stand above it", pkg, name)
			}
		}
		for _, imp := range packages[pkg].imports {
			ours, is := strings.CutPrefix(imp, module+"/")
			if !is || strings.Contains("/"+ours, "/internal/") {
				continue
			}
			if !slices.ContainsFunc(named, func(n string) bool { return n == ours || slices.Contains(rows[n], ours) }) {
				t.Errorf("%s imports %s, which its row does not say", pkg, ours)
			}
		}
		rows[pkg] = append([]string{pkg}, named...)
		for _, n := range named {
			rows[pkg] = append(rows[pkg], rows[n]...)
		}
	}
	if rows["msrp"] == nil {
		t.Errorf("no row of msrp among %v", slices.Sorted(maps.Keys(rows)))
	}
}

// The rule is worth nothing unless breaking it shows.
func TestLayersFindFaults(t *testing.T) {
	imports := func(paths ...string) source { return source{imports: paths} }
	for _, c := range []struct {
		name    string
		from    string
		has     source
		against string // found in the one fault; empty: none
	}{
		{"nothing", "sip", imports(), ""},
		{"down", "transaction", imports(module+"/sip", module+"/sip/transport"), ""},
		{"down two", "ua", imports(module+"/sip", module+"/sdp", module+"/sip/digest"), ""},
		{"shared", "sip", imports(module + "/internal/ascii"), ""},
		{"its module", "sdp", imports("github.com/pion/sdp/v3"), ""},
		{"part of its module", "sip/transport", imports("golang.org/x/net/ipv4"), ""},
		{"an example", "examples/call", imports(module+"/ua", module+"/media"), ""},
		{"an example's module", "examples/chat", imports(module+"/ua", "golang.org/x/term"), ""},
		{"a document", "simple/pidf", imports(), ""},
		{"a document in its envelope", "simple/imdn", imports(module + "/simple/cpim"), ""},
		{"a test's own module", "sip", source{testImports: []string{"github.com/google/go-cmp/cmp"}}, ""},
		{"a test above", "sip/transport", source{testImports: []string{module + "/sip/siptest"}}, ""},

		{"up", "sip", imports(module + "/sip/transport"), "sip imports sip/transport"},
		{"up two", "transaction", imports(module + "/ua"), "transaction imports ua"},
		{"sideways", "media", imports(module + "/msrp"), "media imports msrp"},
		{"itself below", "dialog", imports(module + "/sdp"), "dialog imports sdp"},
		{"media in ua", "ua", imports(module + "/media"), "ua imports media"},
		{"calls in a room", "msrp/room", imports(module + "/ua"), "msrp/room imports ua"},
		{"nicknames in msrp", "msrp", imports("golang.org/x/text/secure/precis"), "msrp imports golang.org/x/text/secure/precis"},
		{"msrp in ua", "ua", imports(module + "/msrp"), "ua imports msrp"},
		{"nat in ua", "ua", imports(module + "/nat/ice"), "ua imports nat/ice"},
		{"documents", "simple/rpid", imports(module + "/simple/pidf"), "simple/rpid imports simple/pidf"},
		{"an envelope", "simple/cpim", imports(module + "/simple/imdn"), "simple/cpim imports simple/imdn"},
		{"test help", "sip/transport", imports(module + "/sip/siptest"), "sip/transport imports sip/siptest"},
		{"an example used", "ua", imports(module + "/examples/call"), "ua imports examples/call"},
		{"transcripts used", "ua", imports(module + "/internal/flow"), "ua imports internal/flow"},
		{"interop used", "media", imports(module + "/internal/interop"), "media imports internal/interop"},
		{"its module in another", "examples/call", imports("golang.org/x/term"), "examples/call imports golang.org/x/term"},
		{"a module in sip", "sip", imports("golang.org/x/text/cases"), "sip imports golang.org/x/text/cases"},
		{"another's module", "ua", imports("github.com/pion/rtp"), "ua imports github.com/pion/rtp"},
		{"an older major", "nat/ice", imports("github.com/pion/ice/v2"), "nat/ice imports github.com/pion/ice/v2"},
		{"alike in name", "media", imports("github.com/pion/rtpx"), "media imports github.com/pion/rtpx"},
		{"a test's module outside tests", "sip", imports("pgregory.net/rapid"), "sip imports pgregory.net/rapid"},
		{"a module in a test", "ua", source{testImports: []string{"github.com/stretchr/testify/assert"}}, "a test of ua imports github.com/stretchr/testify/assert"},
		{"no place", "helpers", imports(), "helpers has no place"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := checkLayers(map[string]source{c.from: c.has})
			if c.against == "" && len(got) != 0 {
				t.Errorf("faults: %q, want none", got)
			}
			if c.against != "" && (len(got) != 1 || !strings.Contains(got[0], c.against)) {
				t.Errorf("faults: %q, want one that says %q", got, c.against)
			}
		})
	}
}

// checkLayers returns a line for each import that breaks the rule. Packages
// are named by their path in the module.
func checkLayers(packages map[string]source) []string {
	var faults []string
	for _, pkg := range slices.Sorted(maps.Keys(packages)) {
		src := packages[pkg]
		rule, known := place(pkg)
		if !known {
			faults = append(faults, fmt.Sprintf("%s has no place in the layers: give it one in layers_test.go", pkg))
			continue
		}
		for _, imp := range src.imports {
			if ours, is := strings.CutPrefix(imp, module+"/"); is {
				if !mayImport(pkg, ours) {
					faults = append(faults, fmt.Sprintf("%s imports %s, which is not below it", pkg, ours))
				}
			} else if !inModules(imp, rule.modules) {
				faults = append(faults, fmt.Sprintf("%s imports %s, which is no dependency of it", pkg, imp))
			}
		}
		for _, imp := range src.testImports {
			if strings.HasPrefix(imp, module) {
				continue // a test may stand on any layer
			}
			if !inModules(imp, rule.modules) && !inModules(imp, testModules) {
				faults = append(faults, fmt.Sprintf("a test of %s imports %s, which is no dependency of it", pkg, imp))
			}
		}
	}
	return faults
}

// place returns the layer of a package: its own, or that of the folder.
func place(pkg string) (layer, bool) {
	if l, ok := layers[pkg]; ok {
		return l, true
	}
	if pkg == "." || isOutside(pkg) {
		return layer{}, true
	}
	for name, l := range layers {
		if strings.HasSuffix(name, "/") && strings.HasPrefix(pkg, name) {
			return l, true
		}
	}
	return layer{}, false
}

func isOutside(pkg string) bool {
	return slices.ContainsFunc(outside, func(o string) bool {
		return pkg == o || strings.HasSuffix(o, "/") && strings.HasPrefix(pkg, o)
	})
}

func mayImport(pkg, ours string) bool {
	switch {
	case isOutside(ours):
		return false
	case isOutside(pkg), strings.HasPrefix(ours, "internal/"):
		return true
	}
	rule, _ := place(pkg)
	return slices.ContainsFunc(rule.below, func(b string) bool {
		return b == ours || mayImport(b, ours)
	})
}

func inModules(imp string, modules []string) bool {
	return slices.ContainsFunc(modules, func(m string) bool {
		return imp == m || strings.HasPrefix(imp, m+"/")
	})
}

// readPackages reads the imports of every Go file under root, for every
// operating system, leaving out modules inside the module.
func readPackages(t *testing.T, root string) map[string]source {
	t.Helper()
	packages := make(map[string]source)
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, nested := os.Stat(filepath.Join(file, "go.mod"))
			if file != root && (nested == nil || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := path.Dir(filepath.ToSlash(file))
		src := packages[pkg]
		for _, spec := range f.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if host, _, _ := strings.Cut(imp, "/"); !strings.Contains(host, ".") {
				continue // the standard library
			}
			if strings.HasSuffix(file, "_test.go") {
				src.testImports = append(src.testImports, imp)
			} else {
				src.imports = append(src.imports, imp)
			}
		}
		packages[pkg] = src
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return packages
}
