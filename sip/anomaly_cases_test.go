package sip

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// anomaly is what stands in a valid INVITE instead of one of its parts.
type anomaly struct{ name, text string }

// anomalies are what a careless or hostile sender puts where anything may be
// put.
var anomalies = []anomaly{
	{"empty", ""}, {"sp", " "}, {"tab", "\t"}, {"nul", "a\x00b"},
	{"a17", strings.Repeat("a", 17)}, {"a256", strings.Repeat("a", 256)}, {"a1025", strings.Repeat("a", 1025)},
	{"a4097", strings.Repeat("a", 4097)}, {"a32k", strings.Repeat("a", 32768)},
	{"fmt", strings.Repeat("%s%n%x%d", 8)}, {"utf8bad", "\xc3\x28\xff\xfe"}, {"utf8over", "\xc0\xaf\xe0\x80\xaf"},
	{"ctl", allBytes(1, 31)}, {"hi", allBytes(128, 255)},
	{"neg", "-1"}, {"big32", "4294967296"}, {"big64", "18446744073709551616"}, {"big128", strings.Repeat("9", 128)},
	{"zeros", strings.Repeat("0", 300) + "1"}, {"hex", "0x7f"}, {"float", "1.5"}, {"plus", "+1"},
	{"quote", `"`}, {"quotes", strings.Repeat(`"`, 999)}, {"esc", `"\`},
	{"ltgt", strings.Repeat("<", 64) + strings.Repeat(">", 64)}, {"lt", "<"}, {"gt", ">"},
	{"commas", strings.Repeat(",", 512)}, {"semis", strings.Repeat(";", 512)}, {"colons", strings.Repeat(":", 512)},
	{"ats", strings.Repeat("@", 64)}, {"slashes", strings.Repeat("/", 512)},
	{"brackets", strings.Repeat("[", 64)}, {"v6", "[::1"}, {"v6long", "[" + strings.Repeat(":0", 400) + "]"},
	{"pct", "%"}, {"pct0", strings.Repeat("%00", 32)}, {"pctbad", "%zz"}, {"equals", strings.Repeat("=", 256)},
	{"crlf", "x\r\nInjected: yes"}, {"lf", "x\nInjected: yes"}, {"cr", "x\rInjected: yes"},
	{"fold", "x\r\n\t y"}, {"foldempty", "x\r\n \r\n y"},
	{"param", `;lr=;=x;;a=b=c;"q"=1`}, {"uri", "sip:"}, {"tel", "tel:+1-(2);x="}, {"http", "http://x/"},
	{"sipslots", "sip:a:b:c@h:99999"}, {"port0", "sip:a@h:0"}, {"portneg", "sip:a@h:-5"},
	{"hdrs", "sip:a@h?" + strings.Repeat("x=y&", 200)}, {"deep", strings.Repeat("(", 2000)},
}

// allBytes returns the bytes from first to last without the line breaks.
func allBytes(first, last int) string {
	var b []byte
	for c := first; c <= last; c++ {
		if c != '\r' && c != '\n' {
			b = append(b, byte(c))
		}
	}
	return string(b)
}

// positions are the parts of an INVITE that anomalies stand in. Each names a
// line, and after the arrow what that line becomes, the anomaly being "*"; a
// header field that the INVITE does not have goes in front of the Content-Type.
// Of the body, a position names the text that is replaced.
var positions = []struct{ name, line, value string }{
	{"rl.method", "", "* sip:alice@127.0.0.1 SIP/2.0"},
	{"rl.uri", "", "INVITE * SIP/2.0"},
	{"rl.version", "", "INVITE sip:alice@127.0.0.1 *"},
	{"rl.all", "", "*"},
	{"Via", "Via", "*"},
	{"Via.branch", "Via", "SIP/2.0/UDP 127.0.0.1:5099;branch=*"},
	{"Via.host", "Via", "SIP/2.0/UDP *:5099;branch=z9hG4bK$"},
	{"Via.port", "Via", "SIP/2.0/UDP 127.0.0.1:*;branch=z9hG4bK$"},
	{"Via.transport", "Via", "SIP/2.0/* 127.0.0.1:5099;branch=z9hG4bK$"},
	{"From", "From", "*"},
	{"From.display", "From", "* <sip:m@127.0.0.1>;tag=1"},
	{"From.uri", "From", "<*>;tag=1"},
	{"From.tag", "From", "<sip:m@127.0.0.1>;tag=*"},
	{"To", "To", "*"},
	{"Call-ID", "Call-ID", "*"},
	{"CSeq", "CSeq", "*"},
	{"CSeq.num", "CSeq", "* INVITE"},
	{"CSeq.method", "CSeq", "1 *"},
	{"Contact", "Contact", "*"},
	{"Contact.q", "Contact", "<sip:m@127.0.0.1>;q=*"},
	{"Contact.expires", "Contact", "<sip:m@127.0.0.1>;expires=*"},
	{"Max-Forwards", "Max-Forwards", "*"},
	{"Expires", "Expires", "*"},
	{"Content-Type", "Content-Type", "*"},
	{"Content-Length", "Content-Length", "*"},
	{"hname", "*", "x"},
	{"sdp.v", "v=0", "v=*"},
	{"sdp.o", "o=m 1 1 IN IP4 127.0.0.1", "o=*"},
	{"sdp.c", "c=IN IP4 127.0.0.1", "c=IN IP4 *"},
	{"sdp.m", "m=audio 9 RTP/AVP 0", "m=*"},
	{"sdp.mport", "m=audio 9 ", "m=audio * "},
	{"sdp.fmt", "AVP 0\r", "AVP *\r"},
	{"sdp.a", "a=rtpmap:0 PCMU/8000", "a=rtpmap:*"},
	{"sdp.t", "t=0 0", "t=*"},
	{"Authorization.digest", "Authorization", `Digest username="a",realm=*,nonce="n",uri="sip:x",response="0"`},
	{"Route", "Route", "*"},
	{"Record-Route", "Record-Route", "*"},
	{"Require", "Require", "*"},
	{"Accept", "Accept", "*"},
	{"Date", "Date", "*"},
	{"Retry-After", "Retry-After", "*"},
	{"Event", "Event", "*"},
	{"Subscription-State", "Subscription-State", "*"},
	{"RAck", "RAck", "*"},
	{"Session-Expires", "Session-Expires", "*"},
	{"Replaces", "Replaces", "*"},
	{"Refer-To", "Refer-To", "*"},
	{"Identity", "Identity", "*"},
}

// anomalyCase is one anomaly in one position.
type anomalyCase struct {
	number            int
	position, anomaly string
	text              string
}

// anomalyCases are all of them, numbered from 1. The longest anomaly is tried
// in a few positions only.
func anomalyCases() (cases []anomalyCase) {
	for _, p := range positions {
		for _, a := range anomalies {
			if len(a.text) > 5000 && !strings.Contains(" rl.uri Via From.display Call-ID Contact sdp.a hname ", " "+p.name+" ") {
				continue
			}
			n := len(cases) + 1
			text := anomalous(p.name, p.line, strings.Replace(p.value, "*", a.text, 1), a.text)
			tag := fmt.Sprintf("anom%05d", n)
			cases = append(cases, anomalyCase{n, p.name, a.name, strings.ReplaceAll(text, "$", tag)})
		}
	}
	return cases
}

// anomalous returns the INVITE with a value in a line of it.
func anomalous(position, line, value, name string) string {
	lines := []Field{
		{"", "INVITE sip:alice@127.0.0.1 SIP/2.0"},
		{"Via", "SIP/2.0/UDP 127.0.0.1:5099;branch=z9hG4bK$"},
		{"From", `"Mallory" <sip:mallory@127.0.0.1:5099>;tag=$`},
		{"To", "<sip:alice@127.0.0.1>"},
		{"Call-ID", "$@127.0.0.1"},
		{"CSeq", "1 INVITE"},
		{"Contact", "<sip:mallory@127.0.0.1:5099>"},
		{"Max-Forwards", "70"},
		{"Expires", "120"},
		{"Content-Type", "application/sdp"},
		{"Content-Length", ""},
	}
	body := "v=0\r\no=m 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
	i := slices.IndexFunc(lines, func(f Field) bool { return f.Name == line })
	switch {
	case strings.HasPrefix(position, "sdp."):
		body = strings.Replace(body, line, value, 1)
	case line == "*":
		lines = slices.Insert(lines, 5, Field{name, value})
	case i >= 0:
		lines[i].Value = value
	default:
		lines = slices.Insert(lines, len(lines)-2, Field{line, value})
	}
	if position != "Content-Length" {
		lines[len(lines)-1].Value = strconv.Itoa(len(body))
	}
	var b strings.Builder
	b.WriteString(lines[0].Value + "\r\n")
	for _, f := range lines[1:] {
		b.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	return b.String() + "\r\n" + body
}
