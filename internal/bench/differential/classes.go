package differential

import (
	"regexp"
	"slices"
	"strings"
)

// side is who is right.
type side string

const (
	ours   side = "Parley"
	theirs side = "sipgo"
	either side = "either" // the RFC leaves it open, or neither follows it
)

// class is a kind of disagreement that was judged.
type class struct {
	name  string
	right side
	why   string
	holds func(d *dispute) bool
}

// refusal is a class of what Parley refuses and sipgo takes. That it is wrong
// is for the grammar to say, not for Parley.
func refusal(f fault, why string) class {
	return class{"not by the grammar: " + string(f), ours, why, func(d *dispute) bool {
		return d.ourError != nil && d.law.has(f)
	}}
}

// taken is a class of what Parley takes and sipgo refuses.
func taken(name string, right side, why string, holds func(d *dispute) bool) class {
	return class{name, right, why, func(d *dispute) bool { return d.theirError != nil && holds(d) }}
}

// misread is a class of what both take, where the grammar says what Parley says.
func misread(name, why string, holds func(d *dispute) bool) class {
	return class{name, ours, why, func(d *dispute) bool {
		return d.fact != "" && d.ourReading == d.law.reading[d.fact] && holds(d)
	}}
}

// of holds for disputes about these facts.
func of(facts ...fact) func(d *dispute) bool {
	return func(d *dispute) bool { return slices.Contains(facts, d.fact) }
}

// classes are tried in order.
var classes = []class{
	refusal(faultLine, "RFC 3261 section 7: the start line, each header line and the empty line end with CRLF. sipgo "+
		"looks for CR only and takes a line feed alone as part of a value, where the next element may see two lines."),
	refusal(faultControl, "RFC 3261 section 25.1: TEXT-UTF8char has no control characters; CR, NUL and the like in a "+
		"value are how header fields are smuggled past somebody."),
	refusal(faultVersion, "RFC 3261 section 7.1: SIP-Version is SIP/2.0; another is answered 505 (section 21.5.6)."),
	refusal(faultStart, "RFC 3261 sections 7.1 and 25.1: Method SP Request-URI SP SIP-Version, the method a token; "+
		"SIP-Version SP three digits from 100 to 699."),
	refusal(faultURI, "RFC 3261 section 25.1, Request-URI. sipgo takes any characters between its delimiters."),
	refusal(faultName, "RFC 3261 section 25.1: message-header is a token, HCOLON and a value. sipgo takes any text "+
		"before the first colon for a name."),
	refusal(faultMissing, "RFC 3261 section 8.1.1: To, From, CSeq, Call-ID and Via are in every request, and section "+
		"8.2.6.2 in every response. sipgo leaves the getter's nil to the caller."),
	refusal(faultTwice, "RFC 3261 section 7.3.1: a header field may come more than once only if its value is a list. "+
		"With two of From, To, Call-ID, CSeq, Max-Forwards, Content-Type or Content-Length two elements see two "+
		"messages; sipgo takes the last."),
	refusal(faultVia, "RFC 3261 section 25.1, via-parm: SIP/2.0/transport, sent-by, and one branch with a value."),
	refusal(faultFrom, "RFC 3261 section 25.1, from-spec: a name-addr or addr-spec, and one tag with a value."),
	refusal(faultTo, "RFC 3261 section 25.1, To: as From."),
	refusal(faultCallID, "RFC 3261 section 25.1, callid: no white space, no control characters."),
	refusal(faultCSeq, "RFC 3261 sections 8.1.1.5 and 25.1: digits for less than 2^31, LWS and a token."),
	refusal(faultHops, "RFC 3261 section 20.22: 0 to 255."),
	refusal(faultMethod, "RFC 3261 section 8.1.1.5: the method of the CSeq is that of the request."),
	{"over a limit", ours, "No section: Parley bounds the header lines, the bytes of the header section and the " +
		"parameters of one value, for RFC 3261 section 26.1.5 expects denial of service.",
		func(d *dispute) bool { return d.ourError != nil && d.law.large }},

	taken("CRLF before the message", either, "RFC 3261 section 7.5 wants them ignored on streams, and leaves datagrams open. "+
		"Peers send them as keepalive.",
		func(d *dispute) bool { return strings.HasPrefix(d.text, "\r\n") }),
	taken("status line without phrase or the space before it", theirs, "RFC 3261 section 25.1 wants the space even where the phrase is empty. "+
		"Parley takes it without, for some send it so and nothing depends on it.",
		func(d *dispute) bool { return noPhrase.MatchString(d.text) }),
	taken("SIP in mixed case", ours, "RFC 3261 section 7.1: SIP-Version is case-insensitive.",
		func(d *dispute) bool {
			start, _, _ := strings.Cut(d.text, "\r\n")
			i := strings.Index(strings.ToUpper(start), "SIP/2.0")
			return i >= 0 && start[i:i+3] != "SIP" && start[i:i+3] != "sip"
		}),
	taken("message over 65535 bytes", either, "RFC 3261 section 18.1.1: that is what fits a datagram; a parser need not know.",
		func(d *dispute) bool { return len(d.text) > 65535 }),
	taken("broken where nobody looks", either, "RFC 3261 sections 8.2 and 16.3: an element looks at what it needs. Parley reads "+
		"lower Vias, Contact, Route, Record-Route, Refer-To, Referred-By and Content-Type when it is asked for them; "+
		"sipgo reads all of them at once and refuses the message.",
		func(d *dispute) bool { return !d.law.sound() }),
	taken("scheme with more than letters", ours, "RFC 3261 section 25.1: scheme = ALPHA *( ALPHA / DIGIT / \"+\" / \"-\" / \".\" ).",
		func(d *dispute) bool { return strings.Contains(d.theirError.Error(), "invalid uri scheme") }),
	taken("long IPv6 reference", ours, "RFC 3261 section 25.1: an IPv6address may end in an IPv4address, which makes up to 45 characters; "+
		"sipgo looks for the bracket in 42.",
		func(d *dispute) bool { return strings.Contains(d.theirError.Error(), "IPV6 no closing bracket") }),
	taken("by the grammar", ours, "RFC 3261 section 25.1: each line is what its rule says.",
		func(d *dispute) bool { return len(d.law.faults) == 0 }),

	misread("method in small letters", "RFC 3261 section 7.1: methods are case-sensitive; sipgo writes all of them in capitals.",
		func(d *dispute) bool { return d.fact == method && strings.ToUpper(d.ourReading) == d.theirReading }),
	{"escapes that no character needs", either, "RFC 3261 section 19.1.4: a character that is neither reserved nor special means the " +
		"same escaped. Parley gives it plainly where it is a parameter's, sipgo as it came.",
		func(d *dispute) bool { return plainEscapes(d.theirReading) == d.ourReading }},
	{"Content-Length added", either, "RFC 3261 section 20.14: without it the body goes on to the end of the datagram. sipgo adds one to " +
		"what it has read; Parley leaves messages as they came.",
		func(d *dispute) bool { return d.fact == headers && d.theirReading == d.ourReading+" content-length" }},
	misread("white space", "RFC 3261 section 25.1: LWS may stand around SLASH, SEMI, EQUAL, COLON and after HCOLON, and is part of nothing; "+
		"sipgo leaves it on what it separates, or stops there.",
		func(d *dispute) bool {
			return strings.TrimSpace(d.theirReading) == d.ourReading ||
				of(viaTransport, viaHost, viaPort, viaBranch, fromTag, toTag)(d) && spaced.MatchString(d.value())
		}),
	{"equals sign in a value", either, "RFC 3261 section 25.1: a token has none. Peers put what is encoded in base 64 into tags and " +
		"branches; Parley takes it as the value that it is meant to be, sipgo's value is what follows the last one.",
		func(d *dispute) bool { return of(viaBranch, fromTag, toTag)(d) && strings.Contains(d.ourReading, "=") }},
	misread("parameter name in capitals", "RFC 3261 section 7.3.1: names of parameters are case-insensitive; sipgo finds them only as it spells them.",
		func(d *dispute) bool {
			return of(viaBranch, fromTag, toTag)(d) && d.theirReading == "" && capitals.MatchString(d.value())
		}),
	misread("delimiter in a quoted string", "RFC 3261 section 25.1: a quoted-string holds any delimiter; sipgo separates parameters at those, too.",
		func(d *dispute) bool { return of(viaBranch, fromTag, toTag)(d) && inQuotes.MatchString(d.value()) }),
	misread("Vias with a comma between", "RFC 3261 section 7.3.1: a Via may be a comma list. sipgo sees the comma only behind parameters.",
		func(d *dispute) bool {
			return of(viaTransport, viaHost, viaPort, viaBranch)(d) && strings.Contains(d.value(), ",")
		}),
	misread("Contact that is broken", "RFC 3261 section 25.1, contact-param. Parley says so when it is asked for; sipgo takes any characters "+
		"between its delimiters.",
		func(d *dispute) bool { return d.fact == contact && d.ourReading == broken }),

	misread("URI headers behind a parameter without a value", "RFC 3261 section 19.1.1: the headers of a URI start at the \"?\"; sipgo "+
		"ends such a parameter at \";\" only.",
		func(d *dispute) bool {
			return strings.HasSuffix(string(d.fact), string(params)) && strings.HasPrefix(d.theirReading, d.ourReading+"?")
		}),
	{"URI parameter twice", either, "RFC 3261 section 19.1.1: a URI must not have a parameter twice, and section 25.1 does not say so. " +
		"Parley keeps both, sipgo the value of the last.",
		func(d *dispute) bool {
			return strings.HasSuffix(string(d.fact), string(params)) && strings.Count(d.ourReading, ";") > strings.Count(d.theirReading, ";")
		}},
}

var (
	noPhrase = regexp.MustCompile(`\A(?i:SIP)/2\.0 [1-6][0-9]{2}\r\n`)
	spaced   = regexp.MustCompile(`[ \t][/;=:]|[/;=:][ \t]|[ \t][ \t]`)
	capitals = regexp.MustCompile(`;[ \t]*(?:[bB][rR][aA][nN][cC][hH]|[tT][aA][gG])[ \t]*=`)
	inQuotes = regexp.MustCompile(`"[^"]*[;,=][^"]*"`)
)
