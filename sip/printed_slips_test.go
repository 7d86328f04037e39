package sip

import "slices"

// A slip is a place where an RFC prints what the grammar does not allow, and
// what was meant. Parse or the type of the header field, if it has one, refuses
// what is printed; with what was meant in its place the message is like any
// other.
type slip struct {
	why            string
	where          string // of the error
	printed, meant string // part of the text
	in             []string
}

// slipsIn returns the slips of one message.
func slipsIn(name string) (list []slip) {
	for _, s := range slips {
		if slices.Contains(s.in, name) {
			list = append(list, s)
		}
	}
	return list
}

var slips = []slip{
	// Header lines.
	{"white space in a header name", "header section", "Content Length:", "Content-Length:", []string{
		"rfc5359 2.1 F4 180", "rfc5359 2.1 F5 180", "rfc5359 2.2 F4 180", "rfc5359 2.2 F5 180", "rfc5359 2.2 F19 180",
		"rfc5359 2.2 F20 180", "rfc5359 2.7 F5 180", "rfc5359 2.7 F6 180"}},
	{"no colon", "header section", "\r\nCSeq 1 INVITE", "\r\nCSeq: 1 INVITE", []string{
		"rfc3911 8.1 INVITE", "rfc3911 8.1 200"}},
	{"no colon, and the method of another request", "header section", "\r\nCSeq 1 INVITE", "\r\nCSeq: 1 ACK", []string{"rfc3911 8.1 ACK"}},
	{"fold without white space", "header section", "\r\n;received=", "\r\n ;received=", []string{
		"rfc5407 3.1.4 F2 180", "rfc5407 3.1.4 F3 200", "rfc5407 3.1.5 F3 200", "rfc5407 3.2.3 F7 200"}},
	{"fold without white space", "header section", "\r\n<sip:ss1.", "\r\n <sip:ss1.", []string{"rfc3665 3.10 F4 INVITE"}},
	{"a Via without its name", "header section", "\r\nSIP/2.0/UDP example.net", "\r\nVia: SIP/2.0/UDP example.net", []string{
		"rfc4244 Appendix A F7 180", "rfc4244 Appendix B 180 #2"}},
	{"white space before a header name: a fold", "Via", "\r\n  Via:", "\r\nVia:", []string{
		"rfc4244 Appendix A F2 INVITE", "rfc4244 Appendix B INVITE #2"}},

	// Via.
	{"transport and sent-by in one", "Via", "UDPims.", "UDP ims.", []string{"rfc4244 Appendix B INVITE #2"}},
	{"empty parameter", "Via", ";;branch", ";branch", []string{"rfc3428 10 200"}},
	{"protocol that is a scheme", "Via", "SIPS/2.0/TLS", "SIP/2.0/TLS", []string{"rfc6442 5.1 INVITE", "rfc6442 5.2 INVITE"}},
	{"user part in a sent-by", "Via", "p1@", "", []string{"rfc7315 4.3.2.3 F2 REGISTER", "rfc7315 4.3.2.3 F3 REGISTER", "rfc7315 4.5.2.3 F2 INVITE"}},
	{"user part in a sent-by", "Via", "p2@", "", []string{"rfc7315 4.3.2.3 F3 REGISTER"}},
	{"user part in a sent-by", "Via", "P1@", "", []string{"rfc7315 4.6.2.3 F2 INVITE"}},

	// CSeq.
	{"number and method in one", "CSeq", "1INVITE", "1 INVITE", []string{"rfc3911 8.1 INVITE #3", "rfc3911 8.1 200 #2"}},
	{"method of another request", "CSeq", "521 REFER", "521 INVITE", []string{"rfc5589 6.1 F5 INVITE", "rfc5589 6.2 F5 INVITE"}},
	{"method of another request", "CSeq", "29888 INVITE", "29888 NOTIFY", []string{"rfc5589 6.2 F4 NOTIFY"}},
	{"method of another request", "CSeq", "29889 INVITE", "29889 NOTIFY", []string{"rfc5589 6.2 F6 NOTIFY"}},
	{"method of another request", "CSeq", "1 INVITE", "1 ACK", []string{
		"rfc5806 8.1 ACK", "rfc5806 8.1 ACK #2", "rfc5806 8.1 ACK #3", "rfc5806 8.2 ACK", "rfc5806 8.2 ACK #2",
		"rfc5806 8.2 ACK #3", "rfc5806 8.2 ACK #4"}},

	// Addresses.
	{"no scheme", "Request-URI", "INVITE UA1@", "INVITE sip:UA1@", []string{
		"rfc3327 5.5.2 F1 INVITE", "rfc3327 5.5.2 F3 INVITE", "rfc3327 5.5.2 F4 INVITE", "rfc3327 5.5.2 F5 INVITE"}},
	{"no scheme", "To", "To: <bob@", "To: <sip:bob@", []string{"rfc3911 8.1 INVITE", "rfc3911 8.1 200", "rfc3911 8.1 ACK"}},
	{"no scheme", "To", "To: <carol@", "To: <sip:carol@", []string{"rfc3911 8.1 REFER"}},
	{"no scheme", "From", "From: <bob@", "From: <sip:bob@", []string{"rfc3911 8.1 REFER"}},
	{"no scheme", "From", "From: <carol@", "From: <sip:carol@", []string{
		"rfc3911 8.1 INVITE", "rfc3911 8.1 200", "rfc3911 8.1 ACK", "rfc3911 8.1 INVITE #5", "rfc3911 8.1 200 #4"}},
	{"no scheme", "To", "To: <anonymous@", "To: <sip:anonymous@", []string{"rfc5626 9.1 NOTIFY"}},
	{"no scheme", "Contact", "Contact: carol@", "Contact: sip:carol@", []string{
		"rfc5806 8.1 200", "rfc5806 8.1 200 #2", "rfc5806 8.1 200 #3", "rfc5806 8.1 200 #4", "rfc5806 8.1 200 #5",
		"rfc5806 8.1 200 #6", "rfc5806 8.1 200 #7"}},
	{"no scheme", "Contact", "Contact: NightService@", "Contact: sip:NightService@", []string{"rfc5806 8.1 302"}},
	{"no scheme", "Contact", "Contact: Voicemail@", "Contact: sip:Voicemail@", []string{
		"rfc5806 8.2 302", "rfc5806 8.2 302 #2", "rfc5806 8.2 302 #3", "rfc5806 8.2 200"}},
	{"empty parameter", "From", ";;tag", ";tag", []string{"rfc3428 10 200 #2"}},
	{"a second '>'", "From", "tag=1928301774>", "tag=1928301774", []string{"rfc8224 5.1 INVITE"}},
	{"no brackets, which a Route must have", "Record-Route", "Record-Route: sips:p1.atlanta.example.com;lr",
		"Record-Route: <sips:p1.atlanta.example.com;lr>", []string{"rfc4028 13 200"}},
	{"no brackets, which a Route must have", "Route", "Route: sips:p1.atlanta.example.com;lr",
		"Route: <sips:p1.atlanta.example.com;lr>", []string{"rfc4028 13 UPDATE"}},
	{"empty parameter", "Contact", ";\r\n ;+sip", "\r\n ;+sip", []string{"rfc5626 3.2 REGISTER"}},
	{"fold in a URI", "Contact", "example.com\r\n ;gr", "example.com;gr", []string{"rfc7118 8.2 F1 INVITE"}},
	{"fold in a URI", "Contact", "example.com\r\n  ;gr", "example.com;gr", []string{"rfc7118 8.2 F3 INVITE"}},
	{"folds in a URI", "Contact", "\r\n  pn-provider=acme;\r\n  pn-param=acme-param;\r\n  pn-prid", "pn-provider=acme;pn-param=acme-param;pn-prid",
		[]string{"rfc8599 1 REGISTER", "rfc8599 4.1.4 REGISTER", "rfc8599 4.1.4 200"}},

	// Credentials.
	{"more was left out", "Authorization", ", <...>", "", []string{"rfc3261 22.1 INVITE"}},
	{"no comma", "Authorization", "\"atlanta.example.com\"\r\n", "\"atlanta.example.com\",\r\n", []string{"rfc3665 2.1 F3 REGISTER"}},

	// No slips when they were printed: RFC 8224 took the name and changed what it
	// stands for.
	{"signature of RFC 4474 or a draft of it", "Identity", "\r\nIdentity:", "\r\nIdentity-of-RFC-4474:", []string{
		"rfc4474 10.1 INVITE #2", "rfc4474 10.2 BYE #3", "rfc4662 6 SUBSCRIBE #2", "rfc4662 6 SUBSCRIBE #3",
		"rfc4916 5.1 INVITE #2", "rfc4916 5.1 UPDATE #2", "rfc4916 5.2 UPDATE", "rfc4916 5.2 INVITE #2"}},

	// Other header fields.
	{"words for a URI", "Refer-To", "(whatever URI)", "<sip:c@atlanta.example.com>", []string{"rfc3515 4.1 REFER"}},
	{"words for a URI", "Refer-To", "(some different URI)", "<sip:c@atlanta.example.com>", []string{"rfc3515 4.2 REFER"}},
	{"words for a URI", "Refer-To", "(URI that identifies B's UA)", "<sip:b@192.0.2.2>", []string{"rfc5627 1 REFER"}},
	{"quotes in a URI, and a '>'", "Refer-To", `?Refer-To="<sip:D>.example">`, "?Refer-To=%3Csip:D.example%3E>", []string{"rfc3892 7.4 F1 REFER"}},
	{"no scheme", "Referred-By", "<alice@", "<sip:alice@", []string{"rfc5359 2.4 F5 REFER", "rfc5359 2.4 F11 INVITE"}},
	{"words for a number", "Subscription-State", "(depends on Refer-To URI)", "60", []string{"rfc3515 4.1 NOTIFY", "rfc3515 4.2 NOTIFY"}},
	{"no semicolon", "Content-Disposition", "filename=smime.p7m\r\n", "filename=smime.p7m;\r\n", []string{"rfc3261 23.3 INVITE"}},
	{"fold in a parameter name", "Replaces", "from-\r\n tag", "from-tag", []string{"rfc5589 8 F6 INVITE"}},
	{"no escapes, and a '>' too many", "History-Info", "SIP;cause=302>\\\r\n               text=\"Moved Temporarily\">",
		"SIP%3Bcause%3D302%3Btext%3D%22Moved%20Temporarily%22>", []string{
			"rfc4244 Appendix D F4 INVITE", "rfc4244 Appendix D F5 INVITE"}},
}
