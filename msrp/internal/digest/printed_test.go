package digest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// printed returns a header field of an example of RFC 4976 section 5.1 or RFC 7977
// section 8.1.2. Lines that were broken for print are joined again: "Neither the
// backslash nor the extra CRLF is included in the actual request or response."
func printed(t testing.TB, example, field string) string {
	t.Helper()
	files, err := filepath.Glob("testdata/" + example + "-*.msrp")
	if err != nil || len(files) != 1 {
		t.Fatalf("%d examples %s: %v", len(files), example, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\r\n") {
		if value, ok := strings.CutPrefix(line, field+": "); ok {
			return strings.ReplaceAll(strings.ReplaceAll(value, ", \\ ", ", "), ",\\ ", ", ")
		}
	}
	return ""
}

// What RFC 4976 prints is what we write, to the byte.
func TestWrittenAsPrinted(t *testing.T) {
	for _, c := range []struct {
		example, field string
		rewrite        func(value string) (string, error)
	}{
		{"rfc4976-10", "WWW-Authenticate", rewriteChallenge},
		{"rfc4976-11", "Authorization", rewriteCredentials},
		{"rfc4976-12", "Authentication-Info", rewriteInfo},
		{"rfc4976-15", "WWW-Authenticate", rewriteChallenge},
		{"rfc4976-16", "WWW-Authenticate", rewriteChallenge},
		{"rfc4976-17", "Authorization", rewriteCredentials},
		{"rfc4976-18", "Authorization", rewriteCredentials},
		{"rfc4976-19", "Authentication-Info", rewriteInfo},
		{"rfc4976-20", "Authentication-Info", rewriteInfo},
	} {
		want := printed(t, c.example, c.field)
		if got, err := c.rewrite(want); got != want || err != nil {
			t.Errorf("%s %s: %s, %v, want %s", c.example, c.field, got, err, want)
		}
	}
}

func rewriteChallenge(value string) (string, error) {
	c, err := readChallenge(value)
	return c.String(), err
}

func rewriteCredentials(value string) (string, error) {
	c, err := readCredentials(value)
	return c.String(), err
}

func rewriteInfo(value string) (string, error) {
	i, err := readAuthenticationInfo(value)
	return i.String(), err
}

// RFC 7977 section 8.1.2 has another order, and a uri, which RFC 4976 does not print.
func TestReadAsPrintedByRFC7977(t *testing.T) {
	ch, err := readChallenge(printed(t, "rfc7977-04", "WWW-Authenticate"))
	if want := (challenge{realm: "example.com", qop: "auth", nonce: "UvtfpVL7XnnJ63EE244fXDthfLihlMHOY4+dd4A="}); ch != want || err != nil {
		t.Errorf("challenge = %+v, %v, want %+v", ch, err, want)
	}
	c, err := readCredentials(printed(t, "rfc7977-05", "Authorization"))
	want := credentials{
		username: "alice",
		realm:    "example.com",
		nonce:    ch.nonce,
		uri:      printed(t, "rfc7977-05", "To-Path"),
		qop:      "auth",
		nc:       "00000001",
		cnonce:   "zic5ml401prb",
		response: "5011d0d58fe975e0d0cdc007ae26f4b7",
	}
	if c != want || err != nil {
		t.Errorf("credentials = %+v, %v, want %+v", c, err, want)
	}
	if n, err := c.check(); n != 1 || err != nil {
		t.Errorf("check() = %d, %v, want 1", n, err)
	}
	// A slip: relays must send it with the 200 to an AUTH (RFC 4976 section 9.1).
	if value := printed(t, "rfc7977-06", "Authentication-Info"); value != "" {
		t.Errorf("Authentication-Info = %q, want none", value)
	}
}

// No RFC prints the password of its examples, but the first digest of RFC 4976 is known:
// nonce, cnonce and response are those of RFC 2617 section 3.5, where Mufasa gets a page.
// So it is not what Alice would send. Its rspauth is of neither, and the other digests
// are not of Mufasa's password.
func TestPrintedDigests(t *testing.T) {
	const password = "Circle Of Life"
	first, err := readCredentials(printed(t, "rfc4976-11", "Authorization"))
	if err != nil {
		t.Fatal(err)
	}
	mufasa := MD5.key("Mufasa", "testrealm@host.com", password)
	if got := MD5.response(mufasa, "GET", "/dir/index.html", &first); got != first.response {
		t.Errorf("RFC 4976 prints %s, RFC 2617 makes %s", first.response, got)
	}
	info, err := readAuthenticationInfo(printed(t, "rfc4976-12", "Authentication-Info"))
	if err != nil {
		t.Fatal(err)
	}
	if got := MD5.response(mufasa, "", "/dir/index.html", &first); got == info.rspauth {
		t.Errorf("the printed rspauth is that of RFC 2617's example, %s", got)
	}
	for _, example := range []string{"rfc4976-11", "rfc4976-17", "rfc4976-18", "rfc7977-05"} {
		c, err := readCredentials(printed(t, example, "Authorization"))
		if err != nil {
			t.Fatal(err)
		}
		path := strings.Fields(strings.ReplaceAll(printed(t, example, "To-Path"), `\`, ""))
		uri := path[len(path)-1]
		if got := MD5.response(MD5.key(c.username, c.realm, password), "AUTH", uri, &c); got == c.response {
			t.Errorf("%s is right after all: %s is of %q for %s", example, got, password, uri)
		}
	}
}
