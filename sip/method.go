package sip

// Method is a request method (RFC 3261 section 7.1). Methods are
// case-sensitive; a method that is not named here is as good as the others.
type Method string

// The methods of the registry.
const (
	ACK       Method = "ACK"
	BYE       Method = "BYE"
	CANCEL    Method = "CANCEL"
	INFO      Method = "INFO"
	INVITE    Method = "INVITE"
	MESSAGE   Method = "MESSAGE"
	NOTIFY    Method = "NOTIFY"
	OPTIONS   Method = "OPTIONS"
	PRACK     Method = "PRACK"
	PUBLISH   Method = "PUBLISH"
	REFER     Method = "REFER"
	REGISTER  Method = "REGISTER"
	SUBSCRIBE Method = "SUBSCRIBE"
	UPDATE    Method = "UPDATE"
)
