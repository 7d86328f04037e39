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
	single     kind = iota // one value, one line
	list                   // one value a line, or several with commas
	ranges                 // a list that may be empty; empty elements are passed over
	words                  // a list in which quotes and brackets are characters like others
	tokens                 // a list whose type takes all its values at once
	lines                  // each line as it is, never combined
	challenges             // likewise, but read apart where peers combine them all the same
)

type headerInfo struct {
	name    string
	compact byte // the one-letter name, 0 for none
	kind    kind

	// check checks s, which an edit wrote, by the type of the header field in
	// this package; nil if it has none.
	check func(k kind, e Edit, s string) error
}

// headers is the one table of header fields: all of the registry, with their
// compact forms, two that were never registered but are met, Diversion (RFC
// 5806) and Remote-Party-ID, and Content-Transfer-Encoding, which SIP has from
// MIME. TestHeaderRegistry holds it to the registry.
//
// The kinds are those of the grammar that each RFC gives. Where there is none to
// be had, the lines are left alone.
var headers = [...]headerInfo{
	idVia:                {"Via", 'v', list, readBackLike(Via.like)},
	idFrom:               {"From", 'f', single, readBackLike(From.like)},
	idTo:                 {"To", 't', single, readBackLike(To.like)},
	idCallID:             {"Call-ID", 'i', single, readBack[CallID]},
	idCSeq:               {"CSeq", 0, single, readBack[CSeq]},
	idMaxForwards:        {"Max-Forwards", 0, single, readBack[MaxForwards]},
	idContentLength:      {"Content-Length", 'l', single, readBack[ContentLength]},
	idContact:            {"Contact", 'm', list, readBackLike(Contact.like)},
	idRoute:              {"Route", 0, list, readBackLike(Route.like)},
	idRecordRoute:        {"Record-Route", 0, list, readBackLike(RecordRoute.like)},
	idContentType:        {"Content-Type", 'c', single, readBackLike(ContentType.like)},
	idAccept:             {"Accept", 0, ranges, readBackLike(Accept.like)},
	idAllow:              {"Allow", 0, tokens, readBackTokens[Allow]},
	idAuthenticationInfo: {"Authentication-Info", 0, single, readBack[AuthenticationInfo]},
	idAuthorization:      {"Authorization", 0, challenges, readBackLike(Authorization.like)},
	idContentDisposition: {"Content-Disposition", 0, single, readBackLike(ContentDisposition.like)},
	idContentEncoding:    {"Content-Encoding", 'e', tokens, readBackTokens[ContentEncoding]},
	idDate:               {"Date", 0, single, readBackLike(Date.like)},
	idEvent:              {"Event", 'o', single, readBackLike(Event.like)},
	idExpires:            {"Expires", 0, single, readBack[Expires]},
	idMinExpires:         {"Min-Expires", 0, single, readBack[MinExpires]},
	idOrganization:       {"Organization", 0, single, readBack[Organization]},
	idProxyAuthenticate:  {"Proxy-Authenticate", 0, challenges, readBackLike(ProxyAuthenticate.like)},
	idProxyAuthorization: {"Proxy-Authorization", 0, challenges, readBackLike(ProxyAuthorization.like)},
	idProxyRequire:       {"Proxy-Require", 0, tokens, readBackTokens[ProxyRequire]},
	idReferTo:            {"Refer-To", 'r', single, readBackLike(ReferTo.like)},
	idRequire:            {"Require", 0, tokens, readBackTokens[Require]},
	idRetryAfter:         {"Retry-After", 0, single, readBackLike(RetryAfter.like)},
	idServer:             {"Server", 0, single, readBack[Server]},
	idSubject:            {"Subject", 's', single, readBack[Subject]},
	idSupported:          {"Supported", 'k', tokens, readBackTokens[Supported]},
	idTimestamp:          {"Timestamp", 0, single, readBack[Timestamp]},
	idUnsupported:        {"Unsupported", 0, tokens, readBackTokens[Unsupported]},
	idUserAgent:          {"User-Agent", 0, single, readBack[UserAgent]},
	idWarning:            {"Warning", 0, list, readBack[Warning]},
	idWWWAuthenticate:    {"WWW-Authenticate", 0, challenges, readBackLike(WWWAuthenticate.like)},

	// Those that nothing here asks for by number.
	{"Accept-Contact", 'a', list, readBackLike(AcceptContact.like)},
	{"Accept-Encoding", 0, ranges, readBackLike(AcceptEncoding.like)},
	{"Accept-Language", 0, ranges, readBackLike(AcceptLanguage.like)},
	{"Accept-Resource-Priority", 0, tokens, readBackForm[AcceptResourcePriority]},
	{"Additional-Identity", 0, single, nil},
	{"Alert-Info", 0, list, readBackOwn(AlertInfo.like)},
	{"AlertMsg-Error", 0, single, nil},
	{"Allow-Events", 'u', tokens, readBackTokens[AllowEvents]},
	{"Answer-Mode", 0, single, readBackLike(AnswerMode.like)},
	{"Attestation-Info", 0, single, nil},
	{"Call-Info", 0, list, readBackOwn(CallInfo.like)},
	{"Cellular-Network-Info", 0, lines, nil},
	{"Content-ID", 0, single, readBack[ContentID]},
	{"Content-Language", 0, tokens, readBackTokens[ContentLanguage]},
	{"Content-Transfer-Encoding", 0, single, readBack[ContentTransferEncoding]},
	{"DC-Info", 0, lines, nil},
	{"Diversion", 0, list, readBackLike(Diversion.like)},
	{"Encryption", 0, lines, nil},
	{"Error-Info", 0, list, readBackLike(ErrorInfo.like)},
	{"Feature-Caps", 0, list, readBackLike(FeatureCaps.like)},
	{"Flow-Timer", 0, single, readBack[FlowTimer]},
	{"Geolocation", 0, list, readBackLike(Geolocation.like)},
	{"Geolocation-Error", 0, single, readBackLike(GeolocationError.like)},
	{"Geolocation-Routing", 0, single, readBack[GeolocationRouting]},
	{"Hide", 0, lines, nil},
	{"History-Info", 0, list, readBackLike(HistoryInfo.like)},
	{"Identity", 'y', lines, readBackLike(Identity.like)},
	{"Identity-Info", 'n', single, nil},
	{"In-Reply-To", 0, words, readBack[InReplyTo]},
	{"Info-Package", 0, single, readBackLike(InfoPackage.like)},
	{"Join", 0, single, readBackLike(Join.like)},
	{"Max-Breadth", 0, single, readBack[MaxBreadth]},
	{"MIME-Version", 0, single, readBack[MIMEVersion]},
	{"Min-SE", 0, single, readBack[MinSE]},
	{"Origination-Id", 0, single, nil},
	{"P-Access-Network-Info", 0, list, readBackLike(PAccessNetworkInfo.like)},
	{"P-Answer-State", 0, single, nil},
	{"P-Asserted-Identity", 0, list, readBackLike(PAssertedIdentity.like)},
	{"P-Asserted-Service", 0, list, readBack[PAssertedService]},
	{"P-Associated-URI", 0, list, readBackLike(PAssociatedURI.like)},
	{"P-Called-Party-ID", 0, single, readBackLike(PCalledPartyID.like)},
	{"P-Charge-Info", 0, single, nil},
	{"P-Charging-Function-Addresses", 0, list, readBackLike(PChargingFunctionAddresses.like)},
	{"P-Charging-Vector", 0, single, readBackLike(PChargingVector.like)},
	{"P-DCS-Billing-Info", 0, single, nil},
	{"P-DCS-LAES", 0, single, nil},
	{"P-DCS-OSPS", 0, single, nil},
	{"P-DCS-Redirect", 0, single, nil},
	{"P-DCS-Trace-Party-ID", 0, single, nil},
	{"P-Early-Media", 0, tokens, readBackTokens[PEarlyMedia]},
	{"P-Media-Authorization", 0, tokens, readBackForm[PMediaAuthorization]},
	{"P-Preferred-Identity", 0, list, readBackLike(PPreferredIdentity.like)},
	{"P-Preferred-Service", 0, list, readBack[PPreferredService]},
	{"P-Private-Network-Indication", 0, single, readBackLike(PPrivateNetworkIndication.like)},
	{"P-Profile-Key", 0, single, readBackLike(PProfileKey.like)},
	{"P-Refused-URI-List", 0, list, nil},
	{"P-Served-User", 0, single, readBackLike(PServedUser.like)},
	{"P-User-Database", 0, single, readBackLike(PUserDatabase.like)},
	{"P-Visited-Network-ID", 0, list, readBackLike(PVisitedNetworkID.like)},
	{"Path", 0, list, readBackLike(Path.like)},
	{"Permission-Missing", 0, list, nil},
	{"Policy-Contact", 0, list, nil},
	{"Policy-ID", 0, list, nil},
	{"Priority", 0, single, readBackLike(Priority.like)},
	{"Priority-Share", 0, single, nil},
	{"Priority-Verstat", 0, lines, nil},
	{"Priv-Answer-Mode", 0, single, readBackLike(PrivAnswerMode.like)},
	{"Privacy", 0, tokens, checkPrivacy},
	{"RAck", 0, single, readBack[RAck]},
	{"Reason", 0, list, readBackLike(Reason.like)},
	{"Recv-Info", 0, list, readBackLike(RecvInfo.like)},
	{"Refer-Events-At", 0, single, nil},
	{"Refer-Sub", 0, single, readBackLike(ReferSub.like)},
	{"Referred-By", 'b', single, readBackLike(ReferredBy.like)},
	{"Reject-Contact", 'j', list, readBackLike(RejectContact.like)},
	{"Relayed-Charge", 0, lines, nil},
	{"Remote-Party-ID", 0, lines, nil},
	{"Replaces", 0, single, readBackLike(Replaces.like)},
	{"Reply-To", 0, single, readBackLike(ReplyTo.like)},
	{"Request-Disposition", 'd', tokens, readBackTokens[RequestDisposition]},
	{"Resource-Priority", 0, tokens, readBackForm[ResourcePriority]},
	{"Resource-Share", 0, single, nil},
	{"Response-Key", 0, lines, nil},
	{"Response-Source", 0, single, nil},
	{"Restoration-Info", 0, lines, nil},
	{"RSeq", 0, single, readBack[RSeq]},
	{"Security-Client", 0, list, readBackLike(SecurityClient.like)},
	{"Security-Server", 0, list, readBackLike(SecurityServer.like)},
	{"Security-Verify", 0, list, readBackLike(SecurityVerify.like)},
	{"Service-Interact-Info", 0, list, nil},
	{"Service-Route", 0, list, readBackLike(ServiceRoute.like)},
	{"Session-Expires", 'x', single, readBackLike(SessionExpires.like)},
	{"Session-ID", 0, single, nil},
	{"SIP-ETag", 0, single, readBack[SIPETag]},
	{"SIP-If-Match", 0, single, readBack[SIPIfMatch]},
	{"Subscription-State", 0, single, readBackLike(SubscriptionState.like)},
	{"Suppress-If-Match", 0, single, readBack[SuppressIfMatch]},
	{"Target-Dialog", 0, single, readBackLike(TargetDialog.like)},
	{"Trigger-Consent", 0, list, nil},
	{"User-to-User", 0, list, readBackLike(UserToUser.like)},
}

// headerHash places each name of the table in a slot of its own, so that a
// lookup compares with one name only. TestHeaderTable holds that it does. The
// factors are the first of some hundred tried at random that do.
func headerHash(name string) uint16 {
	n := len(name)
	return (uint16(n)*370 + uint16(name[0]|0x20)*995 + uint16(name[n-2]|0x20)*869 + uint16(name[n/2]|0x20)*55) % 1024
}

// headerSlots and compactForms are made from the table.
var headerSlots, compactForms = func() (slots [1024]headerID, compact [256]headerID) {
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
// holds. Its factor was found like those of headerHash.
func nameHash(a, b uint64) uint8 { return uint8((a*3 + b) * 0xfc41ab635b9adfaf >> 56) }

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
