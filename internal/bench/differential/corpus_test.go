package differential

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// corpus returns the messages of the library's testdata by folder. Most have a
// file a message; what RFCs print, and the anomalies, are several in one.
func corpus(t testing.TB) map[string][]string {
	t.Helper()
	texts := map[string][]string{}
	for _, file := range testdata(t, "*", "*.[sd][ia][pt]") {
		folder := filepath.Base(filepath.Dir(file))
		texts[folder] = append(texts[folder], read(t, file))
	}
	for _, file := range testdata(t, "examples", "rfc*.txt") {
		texts["examples"] = append(texts["examples"], printed(read(t, file))...)
	}
	for _, file := range testdata(t, "anomalies", "*.jsonl.gz") {
		texts["anomalies"] = append(texts["anomalies"], anomalies(t, file)...)
	}
	if len(texts["rfc4475"]) == 0 || len(texts["examples"]) == 0 {
		t.Fatal("no torture messages or no examples")
	}
	return texts
}

func testdata(t testing.TB, folder, name string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "sip", "testdata", folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func read(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// printed splits a file of examples: a message is the lines between one "==="
// and the next, and each ends with a CRLF when it is sent.
func printed(file string) (texts []string) {
	_, rest, _ := strings.Cut(file, "\n=== ")
	for part := range strings.SplitSeq(strings.TrimSuffix(rest, "\n"), "\n=== ") {
		_, text, _ := strings.Cut(part, "\n")
		texts = append(texts, strings.ReplaceAll(text+"\n", "\n", "\r\n"))
	}
	return texts
}

// anomalies reads a file of objects, a line each, with a datagram in base 64.
func anomalies(t testing.TB, file string) (texts []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for in := json.NewDecoder(bufio.NewReader(z)); in.More(); {
		var c struct {
			B64 []byte `json:"b64"`
		}
		if err := in.Decode(&c); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(c.B64))
	}
	return texts
}
