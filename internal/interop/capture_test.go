package interop_test

import (
	"net"
	"strings"
	"testing"

	"github.com/goparley/parley/internal/interop"
)

// The judge finds nothing wrong with a call of SIPp's, and sees all of it.
func TestJudgeSound(t *testing.T) {
	interop.Need(t)
	capture := interop.StartCapture(t)
	callee := interop.StartSIPp(t, "uas", nil)
	caller := interop.StartSIPp(t, "uac", &interop.SIPpOptions{Target: callee.Addr})
	caller.Wait(t)
	callee.Wait(t)
	capture.Stop(t)
	v := interop.Judge(t, capture.Path, &interop.JudgeOptions{SIP: []string{caller.Addr, callee.Addr}})
	for _, e := range v.Errors {
		t.Error(e)
	}
	if v.SIP != 6 || v.SDP != 2 { // INVITE 180 200 ACK BYE 200
		t.Errorf("%d SIP packets, %d of them with SDP, want 6 and 2", v.SIP, v.SDP)
	}
}

// The judge is not blind: a message that is cut short is found.
func TestJudgeMalformed(t *testing.T) {
	interop.Need(t)
	cut := "OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1\r\nFrom: <sip:a"
	if got := judged(t, cut); len(got) != 1 {
		t.Errorf("errors %q, want one for a message that is cut short", got)
	}
}

// Flow tokens of an edge proxy (RFC 5626 section 5.2) may begin with "+", and
// tshark takes what follows for the digits of a number. That is no fault of
// anybody's, and hides none that the same message has besides.
func TestJudgeFlowTokens(t *testing.T) {
	interop.Need(t)
	register := func(token, rest string) string {
		return "REGISTER sip:sip.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n" +
			"Path: <sip:" + token + "@127.0.0.1;lr;ob>\r\nFrom: <sip:a@sip.test>;tag=1\r\nTo: <sip:a@sip.test>\r\n" +
			"Call-ID: 1\r\nCSeq: 1 REGISTER\r\n" + rest
	}
	const end = "Content-Length: 0\r\n\r\n"
	const country = "+/i21LEAqeoOdVpcLoIQJCoI5wePf4k4XrCUI1VR" // tshark: Country Code contains non-decimal digits
	const code = "+881abcAqeoOdVpcLoIQJCoI5wePf4k4XrCUI1VR"    // tshark: Identification Code contains non-decimal digits
	sound := []string{
		register("Q/i21LEAqeoOdVpcLoIQJCoI5wePf4k4XrCUI1VR", end), register(country, end), register(code, end),
		register(country+"@127.0.0.1;lr;ob>, <sip:"+code, end), // two edge proxies
	}
	if got := judged(t, sound...); len(got) != 0 {
		t.Errorf("errors %q, want none", got)
	}
	for _, token := range []string{country, code} {
		for fault, rest := range map[string]string{
			"Malformed Packet":    "Contact: <sip:a",            // an error
			"Header has no colon": "no header at all\r\n" + end, // a warning
		} {
			if got := judged(t, register(token, rest)); len(got) != 1 || !strings.Contains(got[0], fault) {
				t.Errorf("errors %q, want one that says %q", got, fault)
			}
		}
	}
}

// judged captures these texts, each in a datagram, and returns the errors that
// the judge finds in them as SIP.
func judged(t *testing.T, texts ...string) []string {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	capture := interop.StartCapture(t)
	for _, text := range texts {
		if _, err := server.WriteTo([]byte(text), server.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	capture.Stop(t)
	v := interop.Judge(t, capture.Path, &interop.JudgeOptions{SIP: []string{server.LocalAddr().String()}})
	if v.SIP != len(texts) {
		t.Errorf("%d packets of SIP, want %d", v.SIP, len(texts))
	}
	return v.Errors
}
