package confinfo

import "strconv"

// A User is who takes part in a conference (section 5.6).
type User struct {
	// Entity is the URI that the participant has proved, or one as Anonymous makes
	// it. It tells users apart.
	Entity string
	State  State
	// Nickname is the name that the participant has in a chat room (RFC 7701
	// section 7.4).
	Nickname       string
	DisplayText    string
	AssociatedAORs []URI
	Roles          []string
	Languages      []string // language tags
	CascadedFocus  string   // the URI of the conference behind a user who is a focus
	Endpoints      []Endpoint

	other other
}

// Anonymous returns a URI for a user who is not to be known (section 5.6):
// "sip:anonymous1@anonymous.invalid" for 1. Each such user of a conference is to
// have another number.
func Anonymous(n int) string {
	return "sip:anonymous" + strconv.Itoa(n) + "@anonymous.invalid"
}

// An Endpoint is a device or a session of a user (section 5.7).
type Endpoint struct {
	Entity      string // tells the endpoints of a user apart: the Contact URI, say
	State       State
	DisplayText string
	Referred    Execution
	// Status is "connected", "disconnected", "on-hold", "muted-via-focus", "pending",
	// "alerting", "dialing-in", "dialing-out" or "disconnecting".
	Status              string
	JoiningMethod       string // "dialed-in", "dialed-out", "focus-owner"
	JoiningInfo         Execution
	DisconnectionMethod string // "departed", "booted", "failed", "busy"
	DisconnectionInfo   Execution
	Media               []Media
	CallInfo            CallInfo

	other other
}

// Media is a stream between a focus and an endpoint (section 5.8).
type Media struct {
	ID          string // tells the streams of an endpoint apart
	DisplayText string
	Type        string // "audio", "video", "text", "message"
	Label       string // of the stream, as that of a Medium
	SrcID       string // of RTP the SSRC
	Status      string // "sendrecv", "sendonly", "recvonly", "inactive", as the participant sees it

	other other
}

// CallInfo is the dialog of an endpoint with the focus (section 5.7.9).
type CallInfo struct {
	DisplayText string
	CallID      string
	FromTag     string
	ToTag       string

	other    other // of <sip>
	callInfo other // of <call-info>, for protocols other than SIP
}
