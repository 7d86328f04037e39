package differential

import (
	"strings"
	"testing"
)

// One message for each class: what is different from a plain one.
func TestClasses(t *testing.T) {
	if disputes := judge(plainMessage); len(disputes) > 0 {
		t.Fatalf("the plain message is disputed: %v", disputes)
	}
	shown := map[string]bool{}
	for _, c := range []struct{ class, old, new string }{
		{"not by the grammar: line ends", "Max-Forwards: 70\r\n", "Subject: a\nMax-Forwards: 70\r\n"},
		{"not by the grammar: control character", "Max-Forwards: 70\r\n", "Max-Forwards: 70\r\nSubject: a\x01b\r\n"},
		{"not by the grammar: SIP version", "SIP/2.0\r\nVia", "SIP/3.0\r\nVia"},
		{"not by the grammar: start line", "INVITE sip", "INV(ITE sip"},
		{"not by the grammar: Request-URI", "sip:bob@b.example SIP", "sip:bob@b{example SIP"},
		{"not by the grammar: header line", "Max-Forwards: 70", "Max Forwards: 70"},
		{"not by the grammar: missing header field", "Call-ID", "Call"},
		{"not by the grammar: header field twice", "Max-Forwards: 70", "f: <sip:eve@e.example>;tag=2"},
		{"not by the grammar: Via", "branch=z9hG4bK1", "branch="},
		{"not by the grammar: From", ";tag=1", ";tag=1;tag=2"},
		{"not by the grammar: To", "<sip:bob@b.example>\r\n", "<sip:bob@b.example>;tag\r\n"},
		{"not by the grammar: Call-ID", "1@a.example", "1@a.example, 2"},
		{"not by the grammar: CSeq", "1 INVITE", "1 INVITE 2"},
		{"not by the grammar: Max-Forwards", "Max-Forwards: 70", "Max-Forwards: 256"},
		{"not by the grammar: CSeq method", "1 INVITE", "1 BYE"},
		{"over a limit", "Max-Forwards: 70\r\n", strings.Repeat("Subject: a\r\n", 501)},
		{"CRLF before the message", "INVITE sip", "\r\n\r\nINVITE sip"},
		{"status line without phrase or the space before it", "INVITE sip:bob@b.example SIP/2.0", "SIP/2.0 200"},
		{"SIP in mixed case", "SIP/2.0\r\nVia", "Sip/2.0\r\nVia"},
		{"message over 65535 bytes", "Content-Length: 5\r\n\r\nhello", "Content-Length: 65536\r\n\r\n" + strings.Repeat("a", 65536)},
		{"broken where nobody looks", "Content-Type: text/plain", "Content-Type:"},
		{"scheme with more than letters", "sip:bob@b.example SIP", "h323:bob@b.example SIP"},
		{"long IPv6 reference", "sip:bob@b.example SIP", "sip:[0000:0000:0000:0000:0000:ffff:192.168.100.200] SIP"},
		{"by the grammar", "Contact: <", "Contact: \"a\\\"b, c\" <"},
		{"method in small letters", "INVITE", "invite"},
		{"escapes that no character needs", "transport=udp", "transport=%75dp"},
		{"Content-Length added", "Content-Length: 5\r\n", ""},
		{"white space", ":5060;branch", ":5060 ;branch"},
		{"parameter name in capitals", "tag=1", "TAG=1"},
		{"equals sign in a value", ";tag=1", ";tag=MQ=="},
		{"URI headers behind a parameter without a value", "transport=udp", "lr?subject=a"},
		{"URI parameter twice", "transport=udp", "transport=udp;transport=tcp"},
		{"delimiter in a quoted string", ";tag=1", ";tag=1;x=\"a;tag=2\""},
		{"Vias with a comma between", ":5060;branch=z9hG4bK1", ", SIP/2.0/UDP c.example"},
		{"Contact that is broken", "<sip:alice@a.example:5060", "<sip:alice@a{example:5060"},
	} {
		text := strings.ReplaceAll(plainMessage, c.old, c.new)
		var got []string
		for _, d := range judge(text) {
			if d.class != nil {
				got = append(got, d.class.name)
				shown[d.class.name] = true
			}
		}
		if len(got) == 0 || got[0] != c.class {
			t.Errorf("%q for %q is %q (%v), want %q", c.new, c.old, got, judge(text), c.class)
		}
	}
	for _, c := range classes {
		if !shown[c.name] {
			t.Errorf("no message shows class %q", c.name)
		}
	}
}
