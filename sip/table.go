package sip

// headerID is the index of a header field in the table, 0 for a name that is
// not in it.
type headerID uint8

// The header fields that routing needs come first: the index of a message
// keeps the first line of each of them.
const (
	_ headerID = iota
	idVia
	idFrom
	idTo
	idCallID
	idCSeq
	idMaxForwards
	idContentLength
	idContact
	idRoute
	idRecordRoute
	idContentType
	numHot // the ones above

	idAccept headerID = iota - 1
	idAllow
	idAuthenticationInfo
	idAuthorization
	idContentDisposition
	idContentEncoding
	idDate
	idEvent
	idExpires
	idMinExpires
	idOrganization
	idProxyAuthenticate
	idProxyAuthorization
	idProxyRequire
	idReferTo
	idRequire
	idRetryAfter
	idServer
	idSubject
	idSupported
	idTimestamp
	idUnsupported
	idUserAgent
	idWarning
	idWWWAuthenticate
)

// kind says how several values of one header field are written
// (RFC 3261 section 7.3.1).
type kind uint8

const (
	single kind = iota // one value, one line
	list               // one value a line, or several with commas
	tokens             // a list whose type takes all its values at once
	lines              // several lines, never combined: the digest headers
)

type headerInfo struct {
	name    string
	compact byte // the one-letter name, 0 for none
	kind    kind

	// check checks s, which an edit wrote, by the type of the header field in
	// this package; nil if it has none.
	check func(k kind, e Edit, s string) error
}

// headers is the one table of header fields (RFC 3261 section 20 and the
// compact forms of the registry).
var headers = [...]headerInfo{
	idVia:                {"Via", 'v', list, readBack[Via]},
	idFrom:               {"From", 'f', single, readBack[From]},
	idTo:                 {"To", 't', single, readBack[To]},
	idCallID:             {"Call-ID", 'i', single, readBack[CallID]},
	idCSeq:               {"CSeq", 0, single, readBack[CSeq]},
	idMaxForwards:        {"Max-Forwards", 0, single, readBack[MaxForwards]},
	idContentLength:      {"Content-Length", 'l', single, readBack[ContentLength]},
	idContact:            {"Contact", 'm', list, readBack[Contact]},
	idRoute:              {"Route", 0, list, readBack[Route]},
	idRecordRoute:        {"Record-Route", 0, list, readBack[RecordRoute]},
	idContentType:        {"Content-Type", 'c', single, readBack[ContentType]},
	idAccept:             {"Accept", 0, list, nil},
	idAllow:              {"Allow", 0, tokens, readBackTokens[Allow]},
	idAuthenticationInfo: {"Authentication-Info", 0, single, nil},
	idAuthorization:      {"Authorization", 0, lines, readBack[Authorization]},
	idContentDisposition: {"Content-Disposition", 0, single, nil},
	idContentEncoding:    {"Content-Encoding", 'e', tokens, nil},
	idDate:               {"Date", 0, single, nil},
	idEvent:              {"Event", 'o', single, nil},
	idExpires:            {"Expires", 0, single, readBack[Expires]},
	idMinExpires:         {"Min-Expires", 0, single, readBack[MinExpires]},
	idOrganization:       {"Organization", 0, single, nil},
	idProxyAuthenticate:  {"Proxy-Authenticate", 0, lines, readBack[ProxyAuthenticate]},
	idProxyAuthorization: {"Proxy-Authorization", 0, lines, readBack[ProxyAuthorization]},
	idProxyRequire:       {"Proxy-Require", 0, tokens, readBackTokens[ProxyRequire]},
	idReferTo:            {"Refer-To", 'r', single, nil},
	idRequire:            {"Require", 0, tokens, readBackTokens[Require]},
	idRetryAfter:         {"Retry-After", 0, single, readBack[RetryAfter]},
	idServer:             {"Server", 0, single, nil},
	idSubject:            {"Subject", 's', single, nil},
	idSupported:          {"Supported", 'k', tokens, readBackTokens[Supported]},
	idTimestamp:          {"Timestamp", 0, single, nil},
	idUnsupported:        {"Unsupported", 0, tokens, readBackTokens[Unsupported]},
	idUserAgent:          {"User-Agent", 0, single, readBack[UserAgent]},
	idWarning:            {"Warning", 0, list, nil},
	idWWWAuthenticate:    {"WWW-Authenticate", 0, lines, readBack[WWWAuthenticate]},

	// Those that nothing here asks for by number.
	{"Accept-Contact", 'a', list, nil},
	{"Accept-Encoding", 0, list, nil},
	{"Accept-Language", 0, list, nil},
	{"Alert-Info", 0, list, nil},
	{"Allow-Events", 'u', tokens, nil},
	{"Call-Info", 0, list, nil},
	{"Content-Language", 0, tokens, nil},
	{"Diversion", 0, list, nil},
	{"Error-Info", 0, list, nil},
	{"Geolocation", 0, list, nil},
	{"History-Info", 0, list, nil},
	{"Identity", 'y', lines, nil},
	{"Identity-Info", 'n', single, nil},
	{"In-Reply-To", 0, list, nil},
	{"Join", 0, single, nil},
	{"MIME-Version", 0, single, nil},
	{"Min-SE", 0, single, nil},
	{"P-Asserted-Identity", 0, list, nil},
	{"P-Preferred-Identity", 0, list, nil},
	{"Path", 0, list, nil},
	{"Priority", 0, single, nil},
	{"Privacy", 0, single, nil},
	{"RAck", 0, single, nil},
	{"Reason", 0, list, nil},
	{"Recv-Info", 0, list, nil},
	{"Referred-By", 'b', single, nil},
	{"Reject-Contact", 'j', list, nil},
	{"Replaces", 0, single, nil},
	{"Reply-To", 0, single, nil},
	{"Request-Disposition", 'd', list, nil},
	{"RSeq", 0, single, nil},
	{"Security-Client", 0, list, nil},
	{"Security-Server", 0, list, nil},
	{"Security-Verify", 0, list, nil},
	{"Service-Route", 0, list, nil},
	{"Session-Expires", 'x', single, nil},
	{"SIP-ETag", 0, single, nil},
	{"SIP-If-Match", 0, single, nil},
	{"Subscription-State", 0, single, nil},
}

// headerHash places each name of the table in a slot of its own, so that a
// lookup compares with one name only. TestHeaderTable holds that it does.
func headerHash(name string) uint8 {
	n := len(name)
	return uint8(n)*35 + (name[0]|0x20)*36 + (name[n-1]|0x20)*150 + (name[n/2]|0x20)*214
}

// headerSlots and compactForms are made from the table.
var headerSlots, compactForms = func() (slots, compact [256]headerID) {
	for id := idVia; int(id) < len(headers); id++ {
		slots[headerHash(headers[id].name)] = id
		if c := headers[id].compact; c != 0 {
			compact[c], compact[c-'a'+'A'] = id, id
		}
	}
	return slots, compact
}()

// lookupHeader returns the table's entry for a full or compact name in any
// case, 0 if there is none.
func lookupHeader(name string) headerID {
	switch len(name) {
	case 0:
		return 0
	case 1:
		return compactForms[name[0]]
	}
	id := headerSlots[headerHash(name)]
	if id != 0 && (headers[id].name == name || equalFold(headers[id].name, name)) {
		return id
	}
	return 0
}

// lookupKind returns how values of this header field are combined. A name that
// is not in the table is taken as it is, line by line.
func lookupKind(id headerID) kind {
	if id == 0 {
		return lines
	}
	return headers[id].kind
}

// usualName finds at this place of s a name of the table that is spelled as in
// the table and followed at once by its colon, and its length. That is how
// nearly all of them come, and taking them as two numbers is several times
// faster than looking at each byte. It returns 0 for everything else, names
// of 16 bytes and more included.
func usualName(s string, at int) (headerID, int) {
	if len(s)-at < 16 {
		return 0, 0
	}
	a, b := load(s, at), uint64(0)
	if before := beforeColon(a); before != 0 {
		a &= before
	} else {
		b = load(s, at+8)
		b &= beforeColon(b)
	}
	slot := &usualNames[nameHash(a, b)]
	n := int(slot.n)
	if slot.a != a || slot.b != b || s[at+n] != ':' {
		return 0, 0
	}
	return slot.id, n
}

// nameHash gives each pair of words a slot of its own, which TestHeaderTable
// holds.
func nameHash(a, b uint64) uint8 { return uint8((a*3 + b) * 0x7bbab7bd56442d77 >> 56) }

var usualNames = func() (slots [256]struct {
	a, b uint64
	id   headerID
	n    uint8
}) {
	for id := idVia; int(id) < len(headers); id++ {
		name := headers[id].name
		if len(name) >= 16 {
			continue
		}
		padded := name + string(make([]byte, 16-len(name)))
		a, b := load(padded, 0), load(padded, 8)
		slot := &slots[nameHash(a, b)]
		slot.a, slot.b, slot.id, slot.n = a, b, id, uint8(len(name))
	}
	return slots
}()

// load returns the eight bytes of s at i, the first one lowest.
func load(s string, i int) uint64 {
	s = s[i : i+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// beforeColon returns a mask of the bytes of w that are before its first colon,
// 0 if it has none or begins with it.
func beforeColon(w uint64) uint64 {
	const ones = 0x0101010101010101
	w ^= ':' * ones
	if w = (w - ones) &^ w & (0x80 * ones); w == 0 {
		return 0
	}
	return (w ^ (w - 1)) >> 8
}
