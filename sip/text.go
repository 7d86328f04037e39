package sip

// Subject is the Subject header field: what a call or a message is about (RFC
// 3261 section 20.36).
type Subject string

// HeaderName returns "Subject".
func (Subject) HeaderName() string { return "Subject" }

// ParseValue takes any text.
func (Subject) ParseValue(s string) (Subject, error) { return Subject(s), nil }

// AppendValue appends the value.
func (t Subject) AppendValue(b []byte) []byte { return append(b, t...) }

// Organization is the Organization header field: whose element sent the message
// (RFC 3261 section 20.25).
type Organization string

// HeaderName returns "Organization".
func (Organization) HeaderName() string { return "Organization" }

// ParseValue takes any text.
func (Organization) ParseValue(s string) (Organization, error) { return Organization(s), nil }

// AppendValue appends the value.
func (t Organization) AppendValue(b []byte) []byte { return append(b, t...) }

// UserAgent is the User-Agent header field: products and comments, "Parley/1.0
// (lab)" (RFC 3261 section 20.41). Peers write what they like, so any text is
// taken.
type UserAgent string

// HeaderName returns "User-Agent".
func (UserAgent) HeaderName() string { return "User-Agent" }

// ParseValue takes any text.
func (UserAgent) ParseValue(s string) (UserAgent, error) { return UserAgent(s), nil }

// AppendValue appends the value.
func (u UserAgent) AppendValue(b []byte) []byte { return append(b, u...) }

// Server is the Server header field, which is to responses what User-Agent is to
// requests (RFC 3261 section 20.35).
type Server string

// HeaderName returns "Server".
func (Server) HeaderName() string { return "Server" }

// ParseValue takes any text.
func (Server) ParseValue(s string) (Server, error) { return Server(s), nil }

// AppendValue appends the value.
func (t Server) AppendValue(b []byte) []byte { return append(b, t...) }

// Priority is the Priority header field: "non-urgent", "normal", "urgent",
// "emergency", which are in lower case however they came, or another token (RFC
// 3261 section 20.26). A request without one is "normal".
type Priority string

// HeaderName returns "Priority".
func (Priority) HeaderName() string { return "Priority" }

// ParseValue reads a Priority.
func (Priority) ParseValue(s string) (Priority, error) {
	p, err := parseToken[Priority](s, "a priority")
	return Priority(known(string(p), "non-urgent", "normal", "urgent", "emergency")), err
}

// AppendValue appends the value.
func (p Priority) AppendValue(b []byte) []byte { return append(b, p...) }

func (p Priority) like(want Priority) bool { return equalFold(string(p), string(want)) }

// parseToken reads a value that is one token; what says what it is.
func parseToken[T ~string](s, what string) (T, error) {
	c := scanner{s: s}
	return scanned(&c, T(c.token(what)))
}

// known returns the one of these words that s is in any case, and s if it is
// none of them.
func known(s string, words ...string) string {
	for _, word := range words {
		if equalFold(s, word) {
			return word
		}
	}
	return s
}
