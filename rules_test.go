package parley_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/msrp.md leads from each rule, which has a label, to tests, all of which there are.
func TestRulesHaveTheirTests(t *testing.T) {
	text, err := os.ReadFile("docs/msrp.md")
	if err != nil {
		t.Fatal(err)
	}
	read := make(map[string][]string)
	rules, faults := checkRules(string(text), func(pkg string) []string {
		if read[pkg] == nil {
			read[pkg] = testsOf(t, pkg)
		}
		return read[pkg]
	})
	for _, fault := range faults {
		t.Error(fault)
	}
	if rules < 50 {
		t.Errorf("%d rules were read, want them all", rules)
	}
}

// The table is worth nothing unless a name that is wrong shows.
func TestRulesFindFaults(t *testing.T) {
	const table = "| | rule | section | tests |\n|---|---|---|---|\n"
	tests := func(pkg string) []string {
		return map[string][]string{"msrp": {"TestA", "TestB"}, "sip": {"FuzzC"}}[pkg]
	}
	for row, against := range map[string]string{
		"| X-1 | a | 1 | `msrp` `TestA`, `TestB`, `sip` `FuzzC` |": "",
		"| X-1, Y-2b | `TestX` is no test | | `msrp` `TestA` |":    "",
		"| X-1 | a | 1 | `msrp` `TestA`, `sip` `TestA` |":          "sip has no TestA",
		"| X-1 | a | 1 | `sdp` `TestA` |":                          "sdp has no TestA",
		"| X-1 | a | 1 | `msrp` |":                                 "a has no test",
		"| X-1 | a | 1 | `TestA` |":                                " has no TestA",
		"| X-1 | a | 1 | `msrp` `TestA` | b |":                     "is no row",
		"| a | 1 | `msrp` `TestA` |":                               "is no row",
		"| | a | 1 | `msrp` `TestA` |":                             "a has no label",
		"| X-1, b | a | 1 | `msrp` `TestA` |":                      "a has no label",
	} {
		n, got := checkRules(table+row+"\n", tests)
		if n != 1 || against == "" && len(got) > 0 || against != "" && (len(got) != 1 || !strings.Contains(got[0], against)) {
			t.Errorf("%s: %d rules, %q, want one and %q", row, n, got, against)
		}
	}
}

var (
	quoted = regexp.MustCompile("`([^`]*)`")
	labels = regexp.MustCompile(`^[A-Z]+-\d+b?(, [A-Z]+-\d+b?)*$`)
)

// checkRules counts the rows of tables, and finds those that have no label, or whose last cell has no
// test, or one that its package does not have: what a package has is asked of tests.
func checkRules(text string, tests func(pkg string) []string) (rules int, faults []string) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| | rule |") {
			continue
		}
		rules++
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 4 {
			faults = append(faults, strings.TrimSpace(line)+" is no row of four")
			continue
		}
		rule := strings.TrimSpace(cells[1])
		if !labels.MatchString(strings.TrimSpace(cells[0])) {
			faults = append(faults, rule+" has no label")
		}
		pkg, found := "", false
		for _, m := range quoted.FindAllStringSubmatch(cells[3], -1) {
			if !slices.ContainsFunc([]string{"Test", "Fuzz", "Example"}, func(kind string) bool { return strings.HasPrefix(m[1], kind) }) {
				pkg = m[1]
				continue
			}
			found = true
			if !slices.Contains(tests(pkg), m[1]) {
				faults = append(faults, fmt.Sprintf("%s: %s has no %s", rule, pkg, m[1]))
			}
		}
		if !found {
			faults = append(faults, rule+" has no test")
		}
	}
	return rules, faults
}

// testsOf returns the functions in the tests of a package.
func testsOf(t *testing.T, pkg string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				names = append(names, fn.Name.Name)
			}
		}
	}
	return names
}
