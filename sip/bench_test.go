package sip

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func readMessage(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "messages", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// parseAndRead takes a datagram and reads what transactions and dialogs need.
func parseAndRead(b []byte) (n int, err error) {
	m, err := ParseBytes(b)
	if err != nil {
		return 0, err
	}
	via, from, to := m.Via(), m.From(), m.To()
	n = len(via.Branch()) + len(via.Host) + len(from.Tag()) + len(to.Tag()) + len(m.CallID()) + int(m.CSeq().Seq)
	contact, err := Get[Contact](m)
	if err != nil {
		return 0, err
	}
	if r, ok := m.(*Request); ok {
		n += len(r.URI().Host)
	}
	return n + len(contact.URI.Host), nil
}

func BenchmarkParseAndRead(b *testing.B) {
	msg := readMessage(b, "invite.sip")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseAndRead(msg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	msg := string(readMessage(b, "invite.sip"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(msg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkForward(b *testing.B) {
	m, err := Parse(string(readMessage(b, "invite.sip")))
	if err != nil {
		b.Fatal(err)
	}
	r := m.(*Request)
	via := Via{Transport: "UDP", Host: "192.0.2.1", Params: ";branch=z9hG4bKabcdefg;rport"}
	rr := RecordRoute{URI: URI{Scheme: "sip", Host: "192.0.2.1", Params: ";lr"}}
	b.ReportAllocs()
	for b.Loop() {
		if f := r.With(MaxForwards(r.MaxForwards()-1), Push(rr), Push(via)); f.Err() != nil {
			b.Fatal(f.Err())
		}
	}
}

func BenchmarkReply(b *testing.B) {
	m, err := Parse(string(readMessage(b, "invite.sip")))
	if err != nil {
		b.Fatal(err)
	}
	r := m.(*Request)
	b.ReportAllocs()
	for b.Loop() {
		if f := r.Reply(StatusOK); f.Err() != nil {
			b.Fatal(f.Err())
		}
	}
}

func BenchmarkGetters(b *testing.B) {
	r := mustParse(b, string(readMessage(b, "invite.sip"))).(*Request)
	b.ReportAllocs()
	for b.Loop() {
		via, from, to, uri := r.Via(), r.From(), r.To(), r.URI()
		if len(via.Branch())+len(from.Tag())+len(to.Tag())+len(uri.Host)+len(r.CallID())+int(r.CSeq().Seq) == 0 {
			b.Fatal("nothing read")
		}
	}
}

func BenchmarkGet(b *testing.B) {
	m := mustParse(b, string(readMessage(b, "invite.sip")))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Get[Contact](m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	msg := string(readMessage(b, "invite.sip"))
	r := NewReader(&endless{text: msg}, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.ReadMessage(); err != nil {
			b.Fatal(err)
		}
	}
}

// The slopes: what a byte or a header line costs must not depend on how many
// there are. Each benchmark is of one thing that grows, in a request that has
// little else.

// BenchmarkHeaderBytes has a header section that grows by lines of 150 bytes.
func BenchmarkHeaderBytes(b *testing.B) {
	const line = "X-Line: "
	filler := line + strings.Repeat("v", 150-len(line)-2) + "\r\n"
	for kb := 1; kb <= 64; kb *= 2 {
		text := padded("", "")
		text = padded(strings.Repeat(filler, (min(kb<<10, maxHead)-len(text))/len(filler)), "")
		slope(b, fmt.Sprintf("%dKB", kb), text, len(text), "byte")
	}
}

// BenchmarkValueBytes has one header field whose value grows.
func BenchmarkValueBytes(b *testing.B) {
	for kb := 1; kb <= 64; kb *= 2 {
		text := padded("X-Line: \r\n", "")
		text = padded("X-Line: "+strings.Repeat("v", min(kb<<10, maxHead)-len(text))+"\r\n", "")
		slope(b, fmt.Sprintf("%dKB", kb), text, len(text), "byte")
	}
}

// BenchmarkBodyBytes has a body that grows.
func BenchmarkBodyBytes(b *testing.B) {
	for kb := 1; kb <= 64; kb *= 2 {
		text := padded("", strings.Repeat("b", kb<<10))
		slope(b, fmt.Sprintf("%dKB", kb), text, len(text), "byte")
	}
}

// BenchmarkHeaderLines has more and more header lines, short ones.
func BenchmarkHeaderLines(b *testing.B) {
	for _, n := range []int{10, 20, 50, 100, 200, maxFields} {
		text := padded(strings.Repeat("Subject: lunch\r\n", n-usualLines), "")
		slope(b, fmt.Sprint(n), text, n, "header")
	}
}

// usualLines is how many header lines padded writes by itself.
const usualLines = 7

func padded(headers, body string) string {
	return "OPTIONS sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n" +
		"Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\n" +
		"Call-ID: 1@192.0.2.1\r\nCSeq: 1 OPTIONS\r\n" + headers +
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

// slope parses the bytes of a datagram and reports what each of n units of it
// took.
func slope(b *testing.B, name, text string, n int, unit string) {
	datagram := []byte(text)
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ParseBytes(datagram); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/"+unit)
	})
}
