package file

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// sha1Hash is the one that RFC 5547 prints.
var (
	sha1Text   = "72:24:5F:E8:65:3D:DA:F3:71:36:2F:86:D4:71:91:3E:E4:A2:CE:2E"
	sha1Hash   = Hash{SHA1, unhex(strings.ReplaceAll(sha1Text, ":", ""))}
	sha256Hash = Hash{SHA256, bytes.Repeat([]byte{0xAB}, 32)}
)

func unhex(text string) []byte {
	sum, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return sum
}

// RFC 5547 section 6, and what peers make of it.
func TestSelectorIsRead(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       Selector
	}{
		{"nothing", "", Selector{}},
		{"all", `name:"a b.jpg" type:image/jpeg size:7 hash:sha-1:` + sha1Text,
			Selector{"a b.jpg", "image/jpeg", 7, []Hash{sha1Hash}}},
		{"in any order", `hash:sha-1:` + sha1Text + ` size:7 type:image/jpeg name:"a b.jpg"`,
			Selector{"a b.jpg", "image/jpeg", 7, []Hash{sha1Hash}}},
		{"names of selectors in any case", `NAME:"a" Size:7`, Selector{Name: "a", Size: 7}},
		{"percent-encoded", `name:"%22%0d%0A%25%00%2F%5c"`, Selector{Name: "\"\r\n%\x00/\\"}},
		{"UTF-8", "name:\"\u00e9%C3%A9\"", Selector{Name: "\u00e9\u00e9"}},
		{"percent signs that are none", `name:"100% %2 %zz%"`, Selector{Name: "100% %2 %zz%"}},
		{"colons and slashes as they are", `name:"C:/a"`, Selector{Name: "C:/a"}},
		{"two hashes", "hash:sha-256:" + strings.Repeat("AB:", 31) + "AB hash:sha-1:" + sha1Text,
			Selector{Hashes: []Hash{sha256Hash, sha1Hash}}},
		{"a hash in lower case", "hash:SHA-1:" + strings.ToLower(sha1Text), Selector{Hashes: []Hash{sha1Hash}}},
		{"a hash twice", "hash:sha-1:" + sha1Text + " hash:sha-1:" + sha1Text, Selector{Hashes: []Hash{sha1Hash}}},
		{"a hash that is not known", "hash:md9:01:FF", Selector{Hashes: []Hash{{"md9", []byte{1, 255}}}}},
		{"selectors that are not known", `color:red mood:"not so good" x size:7`, Selector{Size: 7}},
		{"the first of two", `name:"a" name:"b" size:1 size:2 type:a/b type:c/d`, Selector{Name: "a", Type: "a/b", Size: 1}},
		{"what the grammar lacks", `name:"" size:0`, Selector{}},
		{"several spaces", ` size:7   name:"a" `, Selector{Name: "a", Size: 7}},
		{"type with parameters", `type:Text/Plain;Charset="utf-8";x="a b"`, Selector{Type: `text/plain; charset=utf-8; x="a b"`}},
		{"type with parameters as in Content-Type", "type:text/plain;charset=utf-8", Selector{Type: "text/plain; charset=utf-8"}},
		{"type with a parameter to encode anew", `type:a/b;x="%22\";y="%C3%A9"`, Selector{Type: `a/b; x="\"\\"; y*=utf-8''%C3%A9`}},
		{"type with an empty parameter", `type:a/b;x="";x="1"`, Selector{Type: "a/b; x=1"}},
	} {
		if got, err := parseSelector(tt.text); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: parseSelector(%q) = %+v, %v, want %+v", tt.name, tt.text, got, err, tt.want)
		}
	}
}

func TestSelectorIsRefusedByASyntaxError(t *testing.T) {
	var nine strings.Builder
	for i := range 9 {
		fmt.Fprintf(&nine, "hash:h%d:00 ", i)
	}
	for _, tt := range []struct {
		text   string
		offset int
		msg    string
	}{
		{`size:1 name:"a`, 7, "does not end"},
		{`name:a`, 0, "not a quoted name"},
		{`name:"a"b`, 0, "not a quoted name"},
		{`name`, 0, "not a quoted name"},
		{`type:jpeg`, 0, "not a media type"},
		{`type:image/`, 0, "not a media type"},
		{`type:a/b;`, 0, "not a media type"},
		{`type:a/b;x`, 0, "not a media type"},
		{`type:a/b;x="1"y`, 0, "not a media type"},
		{`type:a/b;x*="1"`, 0, "not a media type"},
		{`type:a/b;(="1"`, 0, "not a media type"},
		{`name:"x" size:-1`, 9, "not a size"},
		{`size:1k`, 0, "not a size"},
		{`size:9223372036854775808`, 0, "not a size"},
		{`hash:sha-1`, 0, "not a hash"},
		{`hash:sha-1:`, 0, "not a hash"},
		{`hash:sha-1:72:24`, 0, "not a hash"},
		{`hash:sha-256:` + sha1Text, 0, "not a hash"},
		{`hash:x:7224`, 0, "not a hash"},
		{`hash:x:72-24`, 0, "not a hash"},
		{`hash:x:7G`, 0, "not a hash"},
		{`hash::72`, 0, "not a hash"},
		{`hash:x:00 hash:x:01`, 10, "two hashes of one algorithm"},
		{nine.String(), 88, "more than 8 hashes"},
		{`name:"` + strings.Repeat("a", 8<<10) + `"`, 0, "8 KiB"},
	} {
		got, err := parseSelector(tt.text)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Attribute != "file-selector" || syntax.Offset != tt.offset || !strings.Contains(err.Error(), tt.msg) {
			t.Errorf("parseSelector(%.80q) = %+v, %v, want %q at %d", tt.text, got, err, tt.msg, tt.offset)
		}
	}
}

func TestSelectorIsWrittenByTheGrammar(t *testing.T) {
	for _, tt := range []struct {
		selector Selector
		want     string
	}{
		{Selector{"a b.jpg", "image/jpeg", 7, []Hash{sha1Hash}}, `name:"a b.jpg" type:image/jpeg size:7 hash:sha-1:` + sha1Text},
		{Selector{Name: "\"\r\n%\x00/\\:"}, `name:"%22%0D%0A%25%00%2F%5C:"`},
		{Selector{Name: "\u00e9"}, "name:\"\u00e9\""},
		{Selector{Type: `Text/Plain; X="a/\"b"; charset=utf-8`}, `type:text/plain;charset="utf-8";x="a/%22b"`},
		{Selector{Hashes: []Hash{sha1Hash, sha256Hash}}, "hash:sha-1:" + sha1Text + " hash:sha-256:" + strings.Repeat("AB:", 31) + "AB"},
	} {
		if got := tt.selector.String(); got != tt.want {
			t.Errorf("String() = %s, want %s", got, tt.want)
		}
	}
}

func TestSelectorThatCannotBeWritten(t *testing.T) {
	for _, tt := range []struct {
		selector Selector
		err      string
	}{
		{Selector{Type: "jpeg"}, "not a media type"},
		{Selector{Type: "image/jpeg; x"}, "not a media type"},
		{Selector{Size: -1}, "size -1"},
		{Selector{Hashes: []Hash{sha256Hash}}, "hashes without sha-1"}, // RFC 5547 section 5
		{Selector{Hashes: []Hash{{SHA1, []byte{1}}}}, "not a hash"},
		{Selector{Hashes: []Hash{sha1Hash, {"SHA-256", sha256Hash.Sum}}}, "not a hash"},
		{Selector{Hashes: []Hash{sha1Hash, {"a b", []byte{1}}}}, "not a hash"},
		{Selector{Hashes: make([]Hash, 9)}, "9 hashes"},
		{Selector{Name: strings.Repeat("%", 3000)}, "at most"},
	} {
		if got, err := tt.selector.text(); err == nil || !strings.Contains(err.Error(), tt.err) || tt.selector.String() != "" {
			t.Errorf("text() of %.80v = %.80s, %v, want %q", tt.selector, got, err, tt.err)
		}
	}
}
