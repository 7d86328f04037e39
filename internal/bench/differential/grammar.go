package differential

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// law is what the grammar says of a message: a reading as far as there is one,
// and what is not by the grammar.
type law struct {
	reading
	faults []fault
	large  bool // so much of something that a parser may refuse it
	lines  []headerLine
}

// fault is the class of what is wrong with a message.
type fault string

const (
	faultLine      fault = "line ends"
	faultStart     fault = "start line"
	faultVersion   fault = "SIP version"
	faultURI       fault = "Request-URI"
	faultName      fault = "header line"
	faultControl   fault = "control character"
	faultMissing   fault = "missing header field"
	faultTwice     fault = "header field twice"
	faultVia       fault = "Via"
	faultFrom      fault = "From"
	faultTo        fault = "To"
	faultCallID    fault = "Call-ID"
	faultCSeq      fault = "CSeq"
	faultHops      fault = "Max-Forwards"
	faultLength    fault = "Content-Length"
	faultMethod    fault = "CSeq method"
	faultShortBody fault = "short body"
)

// headerLine is one header field with folds undone.
type headerLine struct{ name, value string }

// Rules of RFC 3261 section 25.1. Where Parley takes more on purpose, for the
// peers that need it, so does the rule, and says what.
const (
	token  = "[A-Za-z0-9\\-.!%*_+`'~]+"
	quoted = `"(?:[^"\\]|\\.)*"`
	// Host names with an underscore are in use.
	hostname = `[A-Za-z0-9\-._]+`
	ipv6     = `\[[0-9A-Fa-f:.]+\]` // and see isHost
	hostRule = `(` + hostname + `|` + ipv6 + `)`
	// A value without quotes may be more than a token, as the tags of some peers
	// are: it ends where something else begins.
	value    = `[!#-+\x2d-:=?-~]+`
	param    = `[ \t]*;[ \t]*(` + token + `)(?:[ \t]*=[ \t]*(` + value + `|` + quoted + `))?`
	paramsOf = `((?:` + param + `)*)`

	escaped    = `%[0-9A-Fa-f]{2}`
	unreserved = `A-Za-z0-9\-_.!~*'()`
	userRule   = `(?:[` + unreserved + `&=+$,;?/]|` + escaped + `)`
	uriParam   = `;(?:[` + unreserved + `\[\]/:&+$]|` + escaped + `)+(?:=(?:[` + unreserved + `\[\]/:&+$]|` + escaped + `)+)?`
	uriHeader  = `(?:[` + unreserved + `\[\]/?:+$]|` + escaped + `)`
	uriHeaders = uriHeader + `+=` + uriHeader + `*(?:&` + uriHeader + `+=` + uriHeader + `*)*`
)

// first is a rule for the first of a list and the comma behind it.
func first(s string) *regexp.Regexp { return regexp.MustCompile(`(?s)\A` + s + `[ \t]*(?:,|\z)`) }

func rule(s string) *regexp.Regexp { return regexp.MustCompile(`(?s)\A` + s + `\z`) }

var (
	requestLine = rule(`(` + token + `) ([^ ]*) (?i:SIP)/([0-9]+)\.([0-9]+)`)
	// The space after the code is left out by some who have no phrase.
	statusLine = rule(`(?i:SIP)/2\.0 ([1-6][0-9]{2})(?: ([^\r\x00]*))?`)
	header     = rule(`(` + token + `)[ \t]*:(.*)`)
	// A password may have what a user may.
	sipURI        = rule(`(?i:(sips?)):(?:(` + userRule + `+)(?::(` + userRule + `*))?@)?` + hostRule + `(?::([0-9]+))?((?:` + uriParam + `)*)(?:\?` + uriHeaders + `)?`)
	telURI        = rule(`(?i:tel):(\+[0-9\-.()]*[0-9][0-9\-.()]*|[0-9A-Fa-f*#\-.()]*[0-9A-Fa-f*#][0-9A-Fa-f*#\-.()]*)((?:` + uriParam + `)*)`)
	otherURI      = rule(`([A-Za-z][A-Za-z0-9+\-.]*):((?:[!#$&-;=?-~]|` + escaped + `)+)`)
	viaParm       = `(?i:SIP)[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*(` + token + `)[ \t]+` + hostRule + `(?:[ \t]*:[ \t]*([0-9]+))?` + paramsOf
	via           = rule(viaParm + `[ \t]*(?:,.*)?`)
	nameAddr      = `(?:` + quoted + `[ \t]*|[A-Za-z0-9\-.!%*_+` + "`" + `'~ \t]*)<([^>]*)>` + paramsOf
	addrSpec      = `([^ \t;?,<>"]+)` + paramsOf
	address       = rule(`(?:` + nameAddr + `|` + addrSpec + `)`)
	contacts      = rule(`(?:` + nameAddr + `|` + addrSpec + `)[ \t]*(?:,.*)?`)
	viaValue      = first(viaParm)
	addressValue  = first(`(?:` + nameAddr + `|` + addrSpec + `)`)
	nameAddrValue = first(nameAddr)
	oneParam      = regexp.MustCompile(`(?s)` + param)
	callIDs       = rule(`[!-+\x2d-:<-~]+`) // more than word ["@" word]: brackets and quotes are common
	cseq          = rule(`([0-9]+)[ \t]+(` + token + `)`)
	digits        = rule(`[0-9]+`)
	pairs         = regexp.MustCompile(`(?s)"(?:[^"\\]|\\.)*(?:"|\\?\z)`)
	pair          = regexp.MustCompile(`(?s)\\.`)
	folds         = regexp.MustCompile(`[ \t]*\r\n[ \t]+(?:\r\n[ \t]+)*`)
	escapes       = regexp.MustCompile(escaped)
	plain         = rule(`[` + unreserved + `]`)
	controls      = regexp.MustCompile(`[\x00-\x08\x0a-\x1f]`)
)

// readByGrammar reads a text by the grammar, one rule after the other.
func readByGrammar(text string) *law {
	l := &law{reading: reading{}}
	for strings.HasPrefix(text, "\r\n") { // RFC 3261 section 7.5
		text = text[2:]
	}
	head, rest, ok := strings.Cut(text, "\r\n\r\n")
	if !ok {
		l.fault(faultLine)
		return l
	}
	l.large = len(head) > 16384 || strings.Count(head, "\r\n") > 500 || strings.Count(head, ";") > 200 || strings.Count(head, "&") > 99
	start, fields, _ := strings.Cut(head, "\r\n")
	if strings.Contains(start, "\n") || strings.Contains(strings.ReplaceAll(fields, "\r\n", ""), "\n") {
		l.fault(faultLine)
		return l
	}
	l.startLine(start)
	if fields != "" {
		l.headerLines(fields)
	}
	l.values()
	l.readBody(rest)
	return l
}

func (l *law) fault(f fault) { l.faults = append(l.faults, f) }

func (l *law) has(f fault) bool { return slices.Contains(l.faults, f) }

func (l *law) startLine(s string) {
	if m := statusLine.FindStringSubmatch(s); m != nil {
		l.reading[status], l.reading[reason] = m[1], m[2]
		return
	}
	m := requestLine.FindStringSubmatch(s)
	if m == nil {
		l.fault(faultStart)
		return
	}
	l.reading[method] = m[1]
	if m[3]+"."+m[4] != "2.0" {
		l.fault(faultVersion)
	}
	if !l.uri("Request-URI", m[2]) {
		l.fault(faultURI)
	}
}

// headerLines undoes folds and splits names from values.
func (l *law) headerLines(s string) {
	for line := range strings.SplitSeq(s, "\r\n") {
		if !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t") && !header.MatchString(line) {
			l.fault(faultName) // a fold stands behind the colon
		}
	}
	s = folds.ReplaceAllString("\r\n"+s, " ")
	if !strings.HasPrefix(s, "\r\n") {
		l.fault(faultName) // a fold of nothing
	}
	var names []string
	for line := range strings.SplitSeq(strings.TrimPrefix(s, "\r\n"), "\r\n") {
		m := header.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		l.large = l.large || len(m[1]) > 255
		// A control character stands in a value only as half of a quoted-pair.
		outside := pairs.ReplaceAllStringFunc(m[2], func(q string) string { return pair.ReplaceAllString(q, "") })
		if controls.MatchString(outside) {
			l.fault(faultControl)
		}
		names = append(names, m[1])
		l.lines = append(l.lines, headerLine{inOrder(m[1:2]), strings.Trim(m[2], " \t")})
	}
	l.reading[headers] = inOrder(names)
}

// all returns the values of the lines of a name.
func (l *law) all(name string) (values []string) {
	for _, h := range l.lines {
		if h.name == name {
			values = append(values, h.value)
		}
	}
	return values
}

// values reads the header fields.
func (l *law) values() {
	one := func(name string, bad fault, read func(string) bool) {
		values := l.all(name)
		if len(values) > 1 {
			l.fault(faultTwice) // section 7.3.1: only what is a list may come again
		}
		if len(values) > 0 && !read(values[0]) {
			l.fault(bad)
		}
	}
	for _, name := range []string{"via", "from", "to", "call-id", "cseq"} { // section 8.1.1
		if len(l.all(name)) == 0 {
			l.fault(faultMissing)
		}
	}
	vias := l.all("via")
	if len(vias) > 0 && !l.via(vias[0]) {
		l.fault(faultVia)
	}
	one("from", faultFrom, func(v string) bool { return l.tagged("From", fromTag, v) })
	one("to", faultTo, func(v string) bool { return l.tagged("To", toTag, v) })
	one("call-id", faultCallID, func(v string) bool {
		l.reading[callID] = v
		return callIDs.MatchString(v)
	})
	one("cseq", faultCSeq, func(v string) bool {
		m := cseq.FindStringSubmatch(v)
		if m == nil {
			return false
		}
		n, err := strconv.ParseUint(m[1], 10, 31) // section 8.1.1.5
		l.reading[cseqNumber], l.reading[cseqMethod] = strconv.FormatUint(n, 10), m[2]
		if is, ok := l.reading[method]; ok && is != m[2] {
			l.fault(faultMethod)
		}
		return err == nil
	})
	one("max-forwards", faultHops, func(v string) bool {
		_, err := strconv.ParseUint(v, 10, 8) // section 20.22
		return err == nil && digits.MatchString(v)
	})
	one("content-type", "", func(string) bool { return true })
	l.contact()
}

// key returns the value of a parameter that may be there once, not in quotes,
// and not empty.
func key(params, name string) (value string, ok bool) {
	seen := false
	for _, m := range oneParam.FindAllStringSubmatch(params, -1) {
		if strings.EqualFold(m[1], name) {
			if seen || m[2] == "" || m[2][0] == '"' {
				return "", false
			}
			value, seen = m[2], true
		}
	}
	return value, true
}

func (l *law) via(s string) (ok bool) {
	m := via.FindStringSubmatch(s)
	if m == nil || !isHost(m[2]) || !isPort(m[3]) {
		return false
	}
	l.reading[viaTransport], l.reading[viaHost], l.reading[viaPort] = m[1], m[2], strings.TrimLeft(m[3], "0")
	l.reading[viaBranch], ok = key(m[4], "branch")
	return ok
}

// tagged reads From and To.
func (l *law) tagged(place string, tag fact, s string) (ok bool) {
	m := address.FindStringSubmatch(s)
	if m == nil {
		return false
	}
	l.reading[tag], ok = key(m[2]+m[6], "tag")
	return l.uri(place, m[1]+m[5]) && ok
}

// contact reads the first of them.
func (l *law) contact() {
	values := l.all("contact")
	if len(values) == 0 {
		return
	}
	first := values[0]
	if first == "*" {
		l.reading[contact] = "*"
		return
	}
	m := contacts.FindStringSubmatch(first)
	if m == nil || !l.uri("Contact", m[1]+m[5]) {
		l.reading[contact] = broken
	}
}

// sound reports whether the header fields that a message is not routed by are by
// the grammar, as far as sipgo reads them.
func (l *law) sound() bool {
	isURI := func(s string) bool { return (&law{reading: reading{}}).uri("", s) }
	for _, h := range l.lines {
		ok := true
		switch h.name {
		case "via":
			ok = each(viaValue, h.value, func(m []string) bool { return isHost(m[2]) && isPort(m[3]) })
		case "contact":
			ok = h.value == "*" || each(addressValue, h.value, func(m []string) bool { return isURI(m[1] + m[5]) })
		case "route", "record-route":
			ok = each(nameAddrValue, h.value, func(m []string) bool { return isURI(m[1]) })
		case "refer-to", "referred-by":
			m := address.FindStringSubmatch(h.value)
			ok = m != nil && isURI(m[1]+m[5])
		case "content-type":
			ok = h.value != ""
		}
		if !ok {
			return false
		}
	}
	return true
}

// each reports whether s is a list of values with commas between them that are
// all right.
func each(value *regexp.Regexp, s string, right func(m []string) bool) bool {
	for {
		m := value.FindStringSubmatch(s)
		if m == nil || !right(m) {
			return false
		}
		if s = s[len(m[0]):]; s == "" {
			return !strings.HasSuffix(m[0], ",")
		}
		s = strings.TrimLeft(s, " \t")
	}
}

func (l *law) uri(place, s string) bool {
	if m := sipURI.FindStringSubmatch(s); m != nil {
		if !isHost(m[4]) || !isPort(m[5]) {
			return false
		}
		l.reading[scheme.of(place)] = strings.ToLower(m[1])
		l.reading[user.of(place)], l.reading[password.of(place)], l.reading[host.of(place)] = m[2], m[3], m[4]
		l.reading[port.of(place)], l.reading[params.of(place)] = strings.TrimLeft(m[5], "0"), plainEscapes(m[6])
		return true
	}
	if strings.HasPrefix(strings.ToLower(s), "tel:") {
		m := telURI.FindStringSubmatch(s)
		if m == nil {
			return false
		}
		l.reading[scheme.of(place)], l.reading[rest.of(place)] = "tel", m[1]+plainEscapes(m[2])
		return true
	}
	m := otherURI.FindStringSubmatch(s)
	if m == nil || strings.EqualFold(m[1], "sip") || strings.EqualFold(m[1], "sips") {
		return false
	}
	l.reading[scheme.of(place)], l.reading[rest.of(place)] = strings.ToLower(m[1]), m[2]
	return true
}

// plainEscapes undoes the escapes that no character needs and writes the others
// in capitals: they mean the same (RFC 3261 section 19.1.4, RFC 3986 section
// 6.2.2.1).
func plainEscapes(s string) string {
	return escapes.ReplaceAllStringFunc(s, func(e string) string {
		if c, _ := strconv.ParseUint(e[1:], 16, 8); plain.MatchString(string(rune(c))) {
			return string(rune(c))
		}
		return strings.ToUpper(e)
	})
}

// isPort reports whether s is 1 to 65535, or no port at all.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return s == "" || err == nil && n > 0
}

// isHost looks into the brackets. Three colons are an error of the grammar that
// is to be tolerated (RFC 5118 section 4.10).
func isHost(s string) bool {
	if !strings.HasPrefix(s, "[") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Replace(strings.Trim(s, "[]"), ":::", "::", 1))
	return err == nil && addr.Is6()
}

// readBody ends the body where Content-Length says (section 18.3).
func (l *law) readBody(s string) {
	l.reading[body] = s
	values := l.all("content-length")
	switch {
	case len(values) > 1:
		l.fault(faultTwice)
	case len(values) == 1:
		n, err := strconv.ParseUint(values[0], 10, 31)
		if err != nil || !digits.MatchString(values[0]) {
			l.fault(faultLength)
		} else if n > uint64(len(s)) {
			l.fault(faultShortBody)
		} else {
			l.reading[body] = s[:n]
		}
	}
}
