package digest

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// printedValues are what the RFCs print, as seeds.
func printedValues(f *testing.F) (values []string) {
	files, err := filepath.Glob("testdata/*.msrp")
	if err != nil || len(files) == 0 {
		f.Fatalf("%d examples, %v", len(files), err)
	}
	for _, file := range files {
		example := filepath.Base(file)[:len("rfc4976-10")]
		for _, field := range []string{"WWW-Authenticate", "Authorization", "Authentication-Info"} {
			if value := printed(f, example, field); value != "" {
				values = append(values, value)
			}
		}
	}
	return values
}

// What can be read is the same once it was written.
func FuzzParse(f *testing.F) {
	for _, value := range printedValues(f) {
		f.Add(strings.TrimPrefix(value, "Digest "))
	}
	f.Add(`realm="a\"b\\" , nonce = UvtfpVL7+dd4A==,,x=y`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parse(text)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("parse() = %v, want ErrMalformed", err)
			}
			return
		}
		p = slices.DeleteFunc(p, func(q param) bool { return q.value == "" })
		var l list
		for _, q := range p {
			if !writable(q.name) || !writable(q.value) || p.get(q.name) != q.value {
				t.Errorf("parse(%q) = %q", text, p)
			}
			l.quoted(q.name, q.value)
		}
		if len(l.b) > maxValue {
			return // with more quotes and backslashes than it had
		}
		if again, err := parse(string(l.b)); err != nil || !slices.Equal(again, p) {
			t.Errorf("%q is %q, and again %q, %v", text, p, again, err)
		}
	})
}

// Whatever a relay writes, the client ends, and what it writes answers it and is one
// line.
func FuzzClient(f *testing.F) {
	values := printedValues(f)
	for _, value := range values {
		f.Add(value, values[2])
	}
	f.Fuzz(func(t *testing.T, challenge, info string) {
		c := alice()
		for n := 0; ; n++ {
			if err := c.Challenged([]string{challenge}); err != nil {
				if !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrRefused) && !errors.Is(err, ErrTooManyChallenges) {
					t.Errorf("Challenged() = %v", err)
				}
				break
			}
			if n > maxStale {
				t.Fatalf("answered %d times", n+1)
			}
			value := authorize(t, c)
			if strings.ContainsAny(value, "\r\n\x00") {
				t.Errorf("Authorize() = %q", value)
			}
			if len(value) > maxValue {
				continue
			}
			p, err := readCredentials(value)
			if err != nil || p != c.sent.credentials {
				t.Errorf("Authorize() = %q: %+v, %v, want %+v", value, p, err, c.sent.credentials)
			}
			if _, err := p.check(); err != nil {
				t.Errorf("Authorize() = %q: %v", value, err)
			}
		}
		if c.Challenged([]string{asked("n", "")}) != nil {
			t.Error("a refusal left something behind")
		}
		authorize(t, c)
		if proved, err := c.Verify(info); proved || err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnproved) {
			t.Errorf("Verify(%q) = %v, %v", info, proved, err)
		}
	})
}

// Whatever a client writes, nobody gets in without the password.
func FuzzVerify(f *testing.F) {
	s := newServer(f, ServerConfig{Algorithms: []Algorithm{MD5, SHA256}})
	for _, value := range printedValues(f) {
		f.Add(value)
		f.Add(strings.NewReplacer("intra.", "", "extra.", "").Replace(value))
	}
	for _, c := range []*Client{{Username: "alice", Password: "x"}, {Username: "nobody"}} {
		c.Challenged(s.Challenge("conn", false))
		f.Add(authorize(f, c))
	}
	known := []error{ErrNoCredentials, ErrMalformed, ErrStale, ErrWrongURI, ErrRefused}
	f.Fuzz(func(t *testing.T, value string) {
		user, info, err := verify(t, s, value)
		if user != "" || info != "" || !slices.ContainsFunc(known, func(e error) bool { return errors.Is(err, e) }) {
			t.Errorf("Verify(%q) = %q, %q, %v", value, user, info, err)
		}
	})
}
