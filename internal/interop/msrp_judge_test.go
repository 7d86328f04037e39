package interop_test

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/goparley/parley/internal/interop"
)

// Paths of a request, for tests of the judge.
const msrpPaths = "To-Path: msrp://127.0.0.1:7654/jshA7we;tcp\r\nFrom-Path: msrp://user@[::1]:2855/s.1-_~+=/;tcp;x=y msrps://a.test/k;ws\r\n"

// The judge sees messages wherever they begin and end, and takes what RFC 4975 lets
// pass.
func TestJudgeMSRPSound(t *testing.T) {
	interop.Need(t)
	const next = "MSRP next SEND\r\n" + msrpPaths + "Message-ID: 1234\r\n-------next$\r\n"
	var streams [][]string
	for _, pieces := range [][]string{
		{"MSRP d93kswow SEND\r\n" + msrpPaths + "Message-ID: 12339sdqwer\r\nByte-Range: 1-5/5\r\nContent-Type: text/plain\r\n\r\nHello\r\n-------d93kswow$\r\n"},
		{"MSRP d93kswow SEND\r\n" + msrpPaths + "Message-ID: 1233\r\n-------d93kswow$\r\n"},
		{"MSRP d93kswow SEND\r\n" + msrpPaths + "Message-ID: 1233\r\nByte-Range: 1-0/0\r\nContent-Type: a/b\r\n\r\n\r\n-------d93kswow$\r\n"},
		{"MS", "RP d93kswow SEND\r\n" + msrpPaths + "Message-ID: 1233\r\nContent-Type: a/b; c=d\r\n\r\n", "Hello\r\n-------d93kswow",
			"+", "\r", "\n"},
		{"MSRP d93kswow SEND\r\n" + msrpPaths + "Message-ID: 1233\r\nContent-Type: a/b\r\n\r\nx-------d93kswow$\r\n" +
			"-------d93kswow not\r\n-------other$\r\n\r\n\r\n-------d93kswow#\r\n"},
		{"MSRP d93kswow 200 OK\r\n" + msrpPaths + "-------d93kswow$\r\n"},
		{"MSRP d93kswow 200\r\n" + msrpPaths + "-------d93kswow$\r\n"},
		{"MSRP d93kswow REPORT\r\n" + msrpPaths + "Message-ID: 1233\r\nByte-Range: 1-39/*\r\nStatus: 000 200 OK\r\n" +
			"-------d93kswow$\r\n"},
		{"MSRP d93kswow AUTH\r\n" + strings.ToLower(msrpPaths) + "-------d93kswow$\r\n"},
	} {
		streams = append(streams, append(pieces, next+next))
	}
	v := judgedMSRP(t, streams...)
	if len(v.Errors) != 0 || v.MSRP != 3*len(streams) {
		t.Errorf("%d messages, errors %q, want %d and none", v.MSRP, v.Errors, 3*len(streams))
	}
}

// And it sees what is wrong, in the words of testdata/msrp.lua.
func TestJudgeMSRPMalformed(t *testing.T) {
	interop.Need(t)
	faults := []struct{ fault, text string }{
		{"not the start of a message", "msrp d93kswow SEND\r\n" + msrpPaths + "-------d93kswow$\r\n"},
		{"not a start-line", "MSRP d93kswow\r\n" + msrpPaths + "-------d93kswow$\r\n"},
		{"the transact-id is no ident", "MSRP d/kswow SEND\r\n" + msrpPaths + "Message-ID: 1233\r\n-------d/kswow$\r\n"},
		{"neither a method nor a status-code", "MSRP d93kswow 20 OK\r\n" + msrpPaths + "-------d93kswow$\r\n"},
		{"no header field", "MSRP d93kswow SEND\r\n" + msrpPaths + "Message-ID: 1233\r\nno colon\r\n-------d93kswow$\r\n"},
		{"X has a control character", "MSRP d93kswow SEND\r\n" + msrpPaths + "Message-ID: 1233\r\nX: \x00\r\n-------d93kswow$\r\n"},
		{"message-id comes twice", "MSRP d93kswow SEND\r\n" + msrpPaths + "Message-ID: 1233\r\nmessage-id: 1233\r\n-------d93kswow$\r\n"},
		{"To-Path is not the first", "MSRP d93kswow SEND\r\nMessage-ID: 1233\r\n" + msrpPaths + "-------d93kswow$\r\n"},
		{"From-Path is not the second", "MSRP d93kswow SEND\r\n" + strings.Replace(msrpPaths, "From", "Message-ID: 1233\r\nFrom", 1) + "-------d93kswow$\r\n"},
		{"To-Path and From-Path are not there", "MSRP d93kswow 200 OK\r\n-------d93kswow$\r\n"},
		{"to-path: msrp://127.0.0.1:7654/jshA7we", "MSRP d93kswow 200 OK\r\n" + strings.Replace(msrpPaths, ";tcp", "", 1) + "-------d93kswow$\r\n"},
		{"from-path: ", "MSRP d93kswow 200 OK\r\n" + strings.Replace(msrpPaths, ";x=y ", ";x=y  ", 1) + "-------d93kswow$\r\n"},
		{"the Message-ID is no ident", "MSRP d93kswow SEND\r\n" + msrpPaths + "Message-ID: 123\r\n-------d93kswow$\r\n"},
		{"a body, or a Content-Type", "MSRP d93kswow SEND\r\n" + msrpPaths + "Message-ID: 1233\r\n\r\nHello\r\n-------d93kswow$\r\n"},
		{"a response with a body, or that is not complete", "MSRP d93kswow 200 OK\r\n" + msrpPaths + "-------d93kswow+\r\n"},
		{"SEND without Message-ID", "MSRP d93kswow SEND\r\n" + msrpPaths + "-------d93kswow$\r\n"},
		{"REPORT without Status", "MSRP d93kswow REPORT\r\n" + msrpPaths + "Message-ID: 1233\r\nByte-Range: 1-1/1\r\n-------d93kswow$\r\n"},
		{"REPORT that asks for reports", "MSRP d93kswow REPORT\r\n" + msrpPaths + "Message-ID: 1233\r\nByte-Range: 1-1/1\r\nStatus: 000 200\r\nSuccess-Report: no\r\n-------d93kswow$\r\n"},
		{"byte-range: 1-/5", "MSRP d93kswow SEND\r\n" + msrpPaths + "Message-ID: 1233\r\nByte-Range: 1-/5\r\nContent-Type: a/b\r\n\r\nHello\r\n-------d93kswow$\r\n"},
		{"Byte-Range 1-6/6 of a body of 5 bytes", "MSRP d93kswow SEND\r\n" + msrpPaths + "Message-ID: 1233\r\nByte-Range: 1-6/6\r\nContent-Type: a/b\r\n\r\nHello\r\n-------d93kswow$\r\n"},
		{"the end-line is not at the start", "MSRP d93kswow 423 Interval Out Of Bounds\r\n" + msrpPaths + "\x00-------d93kswow$\r\n"},
		{"a message without an end", "MSRP d93kswow SEND\r\n" + msrpPaths + "Message-ID: 1233\r\nContent-Type: a/b\r\n\r\nHello-------d93kswow$\r\n"},
	}
	var streams [][]string
	for _, f := range faults {
		streams = append(streams, []string{f.text})
	}
	got := judgedMSRP(t, streams...).Errors
	if len(got) != len(faults) {
		t.Fatalf("errors %q, want %d", got, len(faults))
	}
	for i, f := range faults {
		if !strings.Contains(got[i], "): "+f.fault) {
			t.Errorf("error %q, want one that says %q", got[i], f.fault)
		}
	}
}

// judgedMSRP captures streams, each of these pieces, and has them judged as MSRP.
func judgedMSRP(t *testing.T, streams ...[]string) interop.Verdict {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	capture := interop.StartCapture(t)
	for _, pieces := range streams {
		client, err := net.Dial("tcp", server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		peer, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		for _, piece := range pieces {
			if _, err := io.WriteString(client, piece); err != nil {
				t.Fatal(err)
			}
			// When it is read it has been sent, and the next one is another segment.
			if _, err := io.ReadFull(peer, make([]byte, len(piece))); err != nil {
				t.Fatal(err)
			}
		}
	}
	capture.Stop(t)
	return interop.Judge(t, capture.Path, &interop.JudgeOptions{MSRP: []string{server.Addr().String()}})
}
