package sip

import (
	"os"
	"path/filepath"
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
	r := m.(*Request)
	via, from, to := r.Via(), r.From(), r.To()
	contact, err := Get[Contact](r)
	if err != nil {
		return 0, err
	}
	return len(via.Branch()) + len(via.Host) + len(from.Tag()) + len(to.Tag()) + len(r.CallID()) +
		int(r.CSeq().Seq) + len(contact.URI.Host) + len(r.URI().Host), nil
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
