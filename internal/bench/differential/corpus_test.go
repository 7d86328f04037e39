package differential

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// corpus returns the messages of the library's testdata by folder. Most have a
// file a message; what an RFC prints is in one.
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

// plainMessage is one that nobody disputes.
const plainMessage = "INVITE sip:bob@b.example SIP/2.0\r\n" +
	"Via: SIP/2.0/UDP a.example:5060;branch=z9hG4bK1\r\n" +
	"Max-Forwards: 70\r\n" +
	"From: \"Alice\" <sip:alice@a.example>;tag=1\r\n" +
	"To: <sip:bob@b.example>\r\n" +
	"Call-ID: 1@a.example\r\n" +
	"CSeq: 1 INVITE\r\n" +
	"Contact: <sip:alice@a.example:5060;transport=udp>\r\n" +
	"Content-Type: text/plain\r\n" +
	"Content-Length: 5\r\n\r\nhello"

// spoiled returns the plain message with a piece in front of each byte of its
// head, and in place of it.
func spoiled() (texts []string) {
	for _, piece := range pieces {
		for i := range strings.Index(plainMessage, "\r\n\r\n") {
			texts = append(texts, plainMessage[:i]+piece+plainMessage[i:], plainMessage[:i]+piece+plainMessage[i+1:])
		}
	}
	return texts
}

// pieces are what parsers stumble over.
var pieces = []string{
	"", " ", "\t", "\r\n ", "\r\n", "\r", "\n", ";", "=", ":", ",", "@", "/", "?", "&", "<", ">", "*",
	`"`, `\`, `\"`, `"a;b=c"`, `"a, b" `, "[", "]", "[::1]", "[::ffff:192.0.2.1]", "::", "%", "%41", "%3b", "%zz",
	"\x00", "\x0b", "\x7f", "\xff", "\u00e9", "0", "65535", "65536", "4294967296", "_", "-", ".", "'", "(", "{", "|", "$",
	"sip:", "SIPS:", "tel:+1;x=%61", "urn:a:b", "sip:a:b@c:5060", "sip:c?a=b", "<sip:a@b;lr>", "SIP", "SIP/2.0", "SIP/2.0/UDP h",
	"tag", ";TAG=1", ";tag=1", ";branch=z", ";lr", `;x="a;tag=b"`, "INVITE", "invite",
	"Via: SIP/2.0/UDP h\r\n", "v: SIP/2.0/UDP h, SIP/2.0/UDP i\r\n", "From: sip:a@b\r\n", "Contact: *\r\n", "m: <sip:a@b>\r\n",
	"Content-Length: 0\r\n", "l:5\r\n", "Route: <sip:x;lr>\r\n", "Max-Forwards: 256\r\n", "\r\n\r\n",
	strings.Repeat(`"`, 999), strings.Repeat(";", 512), strings.Repeat(",", 512), strings.Repeat("[", 64), strings.Repeat("%00", 32),
	strings.Repeat("a", 257), strings.Repeat("9", 128), strings.Repeat("x=y&", 200),
}
