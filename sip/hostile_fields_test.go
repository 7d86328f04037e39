package sip

import (
	"strings"
	"testing"
)

// Group 3: header fields that may be there once, and are there twice, equal or
// not (RFC 3261 section 7.3.1, RFC 4475 section 3.3.8).
var hostileDuplicates = []hostile{
	{"tag twice", tweak("From", plain[2]+";TAG=2"), "400 From"},
	{"tag of To twice", tweak("To", plain[3]+";tag=2;x;tag=2"), "400 To"},
	{"tag without a value", tweak("To", plain[3]+";tag"), "400 To"}, // a reply would add another
	{"tag in quotes", tweak("From", `From: <sip:alice@example.com>;tag="a b"`), "400 From"},
	{"tag that is no token", tweak("From", `From: <sip:alice@example.com>;tag=a/b@c`), "ok"},
	{"tag in the URI, too", tweak("From", `From: <sip:alice@example.com;tag=2>;tag=1`), "ok"},
	{"bracket in a parameter", tweak("To", plain[3]+";x=<y>"), "400 To"},
	{"From twice", tweak("", plain[2]), "400 From"},
	{"To twice, one compact", tweak("", "t: <sip:eve@example.com>"), "400 To"},
	{"Call-ID twice", tweak("", plain[4]), "400 Call-ID"},
	{"CSeq twice", tweak("", "CSeq: 2 OPTIONS"), "400 CSeq"},
	{"Max-Forwards twice", tweak("", "Max-Forwards: 70"), "400 Max-Forwards"},
	{"Content-Length twice, the same", tweak("", "l: 0"), "400 Content-Length"},
	{"Content-Length twice, not the same", tweak("", "Content-Length: 5"), "400 Content-Length"},
	{"no From", tweak("From"), "400 From"},
	{"no To", tweak("To"), "400 To"},
	{"no Call-ID", tweak("Call-ID"), "400 Call-ID"},
	{"no CSeq", tweak("CSeq"), "400 CSeq"},
	{"no Max-Forwards", tweak("Max-Forwards"), "ok"},
	{"From twice, not the same", tweak("", "From: <sip:eve@example.com>;tag=2"), "400 From"},
	{"From twice, one compact", tweak("", "f: <sip:alice@example.com>;tag=1"), "400 From"},
	{"To twice, the same", tweak("", plain[3]), "400 To"},
	{"Call-ID twice, not the same", tweak("", "i: 2@a.example"), "400 Call-ID"},
	{"CSeq twice, the same", tweak("", plain[5]), "400 CSeq"},
	{"Max-Forwards twice, not the same", tweak("", "Max-Forwards: 1"), "400 Max-Forwards"},
	{"From twice, white space before the colon", tweak("", "From : <sip:eve@example.com>;tag=2"), "400 From"},
	{"To twice, first and last of 500 lines", tweak("To", plain[3]+strings.Repeat("\r\nX: y", maxFields-len(plain)-1), "tO: <sip:eve@example.com>"), "400 To"},
	{"To of another name", tweak("", "To\t\u00a0: <sip:eve@example.com>"), "400 header section"},
	{"From with a comma", tweak("From", "From: <sip:alice@example.com>;tag=1, <sip:alice@example.com>;tag=1"), "400 From"},
	{"Content-Length twice in one line", tweak("Content-Length", "Content-Length: 0, 0"), "400 Content-Length"},
	{"From without a tag", tweak("From", "From: <sip:alice@example.com>"), "ok"}, // RFC 2543
}

func TestHostileDuplicates(t *testing.T) {
	for _, h := range hostileDuplicates {
		h.run(t)
	}
}

// Group 3: what a Via can look like. Without a good one on top there is no way
// back, so nothing is answered.
var hostileVias = []hostile{
	{"branch without a value", tweak("Via", "Via: SIP/2.0/UDP a.example;branch"), "400 Via, unanswered"},
	{"branch twice", tweak("Via", plain[1]+";branch=z9hG4bK2"), "400 Via, unanswered"},
	{"branch in quotes", tweak("Via", `Via: SIP/2.0/UDP a.example;branch="z9hG4bK1"`), "400 Via, unanswered"},
	{"branch twice in a long Via", tweak("Via", plain[1]+";x="+strings.Repeat("y", 300)+";branch=z9hG4bK2"), "400 Via, unanswered"},
	{"second Via is garbage", tweak("Via", plain[1]+", garbage"), "ok; Via refused"}, // All tells
	{"no Via", tweak("Via"), "400 Via, unanswered"},
	{"no branch", tweak("Via", "Via: SIP/2.0/UDP a.example"), "ok"},
	{"branch is the cookie", tweak("Via", "Via: SIP/2.0/UDP a.example;branch=z9hG4bK"), "ok"},
	{"empty Via", tweak("Via", "Via:"), "400 Via, unanswered"},
	{"no sent-by", tweak("Via", "Via: SIP/2.0/UDP ;branch=z9hG4bK1"), "400 Via, unanswered"},
	{"no transport", tweak("Via", "Via: SIP/2.0/ a.example;branch=z9hG4bK1"), "400 Via, unanswered"},
	{"two semicolons", tweak("Via", "Via: SIP/2.0/UDP a.example;;branch=z9hG4bK1"), "400 Via, unanswered"},
	{"empty first value", tweak("Via", "Via: , SIP/2.0/UDP a.example"), "400 Via, unanswered"},
	{"IPv6 without brackets", tweak("Via", "Via: SIP/2.0/UDP 2001:db8::1;branch=z9hG4bK1"), "400 Via, unanswered"},
	{"port 0", tweak("Via", "Via: SIP/2.0/UDP a.example:0;branch=z9hG4bK1"), "400 Via, unanswered"},
	{"port 99999", tweak("Via", "Via: SIP/2.0/UDP a.example:99999;branch=z9hG4bK1"), "400 Via, unanswered"},
	{"port of 20 digits", tweak("Via", "Via: SIP/2.0/UDP a.example:"+strings.Repeat("1", 20)), "400 Via, unanswered"},
	{"forged received and rport", tweak("Via", "Via: SIP/2.0/UDP a.example;received=not-an-address;rport=99999"), "ok"},
	{"other protocol", tweak("Via", "Via: HTTP/1.1/UDP a.example"), "400 Via, unanswered"},
	{"white space around the slashes", tweak("Via", "Via: sip / 2.0 / UDP a.example : 5060 ; branch = z9hG4bK1"), "ok"},
	{"no branch, but its name", tweak("Via", "Via: SIP/2.0/UDP a.example;branch="), "400 Via, unanswered"},
	{"sent-by is a port", tweak("Via", "Via: SIP/2.0/UDP :5060;branch=z9hG4bK1"), "400 Via, unanswered"},
	{"semicolon at the end", tweak("Via", plain[1]+";"), "400 Via, unanswered"},
	{"IPv6 with a zone", tweak("Via", "Via: SIP/2.0/UDP [fe80::1%eth0];branch=z9hG4bK1"), "400 Via, unanswered"},
	{"IPv6 without an end", tweak("Via", "Via: SIP/2.0/UDP [2001:db8::1;branch=z9hG4bK1"), "400 Via, unanswered"},
	{"port below zero", tweak("Via", "Via: SIP/2.0/UDP a.example:-1;branch=z9hG4bK1"), "400 Via, unanswered"},
	{"port without digits", tweak("Via", "Via: SIP/2.0/UDP a.example:;branch=z9hG4bK1"), "400 Via, unanswered"},
	{"forged received of quotes", tweak("Via", plain[1]+`;received="192.0.2.1";rport="5060"`), "ok"},
	{"rport below zero", tweak("Via", plain[1]+";rport=-1"), "ok"},
	{"received twice", tweak("Via", plain[1]+";received=192.0.2.1;received=192.0.2.2"), "ok"},
	{"comment", tweak("Via", plain[1]+" (comment)"), "400 Via, unanswered"}, // RFC 2543
	{"user in the sent-by", tweak("Via", "Via: SIP/2.0/UDP alice@a.example;branch=z9hG4bK1"), "400 Via, unanswered"},
}

func TestHostileVias(t *testing.T) {
	for _, h := range hostileVias {
		h.run(t)
	}
	var errs []error
	for _, err := range All[Via](mustParse(t, tweak("Via", plain[1]+", garbage"))) {
		errs = append(errs, err)
	}
	if len(errs) != 2 || errs[0] != nil || errs[1] == nil {
		t.Errorf("All of a Via and garbage: %v, want an error for the second", errs)
	}
	forged := mustParse(t, tweak("Via", "Via: SIP/2.0/UDP a.example;received=evil;rport=99999")).Via()
	if port, asked := forged.RPort(); port != 0 || !asked || forged.Received().IsValid() {
		t.Errorf("forged Via: rport %d, received %v, want 0 and none", port, forged.Received())
	}
}

// Group 4.
var hostileNumbers = []hostile{
	{"CSeq 2^31-1", tweak("CSeq", "CSeq: 2147483647 OPTIONS"), "ok"},
	{"CSeq 2^31", tweak("CSeq", "CSeq: 2147483648 OPTIONS"), "400 CSeq"},
	{"CSeq 2^32-1", tweak("CSeq", "CSeq: 4294967295 OPTIONS"), "400 CSeq"},
	{"CSeq 2^32", tweak("CSeq", "CSeq: 4294967296 OPTIONS"), "400 CSeq"},
	{"CSeq 2^64+1", tweak("CSeq", "CSeq: 18446744073709551617 OPTIONS"), "400 CSeq"},
	{"CSeq with zeros first", tweak("CSeq", "CSeq: 0000000000000000000001 OPTIONS"), "ok"},
	{"CSeq below zero", tweak("CSeq", "CSeq: -1 OPTIONS"), "400 CSeq"},
	{"CSeq without a number", tweak("CSeq", "CSeq: OPTIONS"), "400 CSeq"},
	{"CSeq without a method", tweak("CSeq", "CSeq: 1"), "400 CSeq"},
	{"CSeq in one word", tweak("CSeq", "CSeq: 1OPTIONS"), "400 CSeq"},
	{"Content-Length below zero", tweak("Content-Length", "Content-Length: -1"), "400 Content-Length"},
	{"Content-Length 2^31", tweak("Content-Length", "Content-Length: 2147483648"), "400 Content-Length"},
	{"Content-Length 2^32+32", tweak("Content-Length", "Content-Length: 4294967328"), "400 Content-Length"},
	{"Content-Length 5 5", tweak("Content-Length", "Content-Length: 5 5"), "400 Content-Length"},
	{"Content-Length 0x0", tweak("Content-Length", "Content-Length: 0x0"), "400 Content-Length"},
	{"Content-Length +0", tweak("Content-Length", "Content-Length: +0"), "400 Content-Length"},
	{"empty Content-Length", tweak("Content-Length", "Content-Length:"), "400 Content-Length"},
	{"Max-Forwards 255", tweak("Max-Forwards", "Max-Forwards: 255"), "ok"},
	{"Max-Forwards 256", tweak("Max-Forwards", "Max-Forwards: 256"), "400 Max-Forwards"},
	{"Max-Forwards 300", tweak("Max-Forwards", "Max-Forwards: 300"), "400 Max-Forwards"},
	{"Max-Forwards below zero", tweak("Max-Forwards", "Max-Forwards: -1"), "400 Max-Forwards"},
	{"CSeq of another method", tweak("CSeq", "CSeq: 1 INVITE"), "400 CSeq"},
	{"CSeq 1.0", tweak("CSeq", "CSeq: 1.0 OPTIONS"), "400 CSeq"},
	{"CSeq with a plus", tweak("CSeq", "CSeq: +1 OPTIONS"), "400 CSeq"},
	{"CSeq in Arabic digits", tweak("CSeq", "CSeq: \u0661 OPTIONS"), "400 CSeq"},
	{"CSeq of 60,000 digits", tweak("CSeq", "CSeq: "+strings.Repeat("1", 60000)+" OPTIONS"), "400 CSeq"},
	{"Content-Length with zeros first", tweak("Content-Length", "Content-Length: "+strings.Repeat("0", 60000)), "ok"},
	{"Content-Length 2^64", tweak("Content-Length", "Content-Length: 18446744073709551616"), "400 Content-Length"},
	{"Content-Length 2^31-1", tweak("Content-Length", "Content-Length: 2147483647"), "400 Content-Length"},
	{"Content-Length folded in two", tweak("Content-Length", "Content-Length: 0\r\n 0"), "400 Content-Length"},
	{"empty Max-Forwards", tweak("Max-Forwards", "Max-Forwards:"), "400 Max-Forwards"},
	{"Max-Forwards 2^32", tweak("Max-Forwards", "Max-Forwards: 4294967296"), "400 Max-Forwards"},
	{"Expires 2^32-1", tweak("", "Expires: 4294967295"), "ok"},
	{"Expires 2^32", tweak("", "Expires: 4294967296"), "ok; Expires refused"},
	{"Expires below zero", tweak("", "Expires: -1"), "ok; Expires refused"},
	{"Min-Expires below zero", tweak("", "Min-Expires: -1"), "ok; Min-Expires refused"},
	{"Retry-After 2^32", tweak("", "Retry-After: 4294967296"), "ok; Retry-After refused"},
	{"Retry-After of 20 digits", tweak("", "Retry-After: 99999999999999999999;duration=1"), "ok; Retry-After refused"},
	{"expires of a Contact 2^32", tweak("", "Contact: <sip:a.example>;expires=4294967296"), "ok; Contact says no Expires"},
	{"expires of a Contact below zero", tweak("", "Contact: <sip:a.example>;expires=-1"), "ok; Contact says no Expires"},
	{"q=1.0001", tweak("", "Contact: <sip:a.example>;q=1.0001"), "ok"},
	{"status 2147483848", start("SIP/2.0 2147483848 OK"), "dropped, start line"},
}

func TestHostileNumbers(t *testing.T) {
	for _, h := range hostileNumbers {
		h.run(t)
	}
}
