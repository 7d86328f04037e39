package interop

import (
	"embed"
	"os"
	"strings"
	"testing"
)

//go:embed testdata
var testdata embed.FS

// config writes a file of testdata to path with each @NAME@ replaced: values
// are names and what to put there, in turns. A name in square brackets is
// replaced as it stands, which is how SIPp writes its keywords.
func config(t testing.TB, name, path string, values ...string) {
	t.Helper()
	b, err := testdata.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(values); i += 2 {
		if !strings.HasPrefix(values[i], "[") {
			values[i] = "@" + values[i] + "@"
		}
	}
	text := strings.NewReplacer(values...).Replace(string(b))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
