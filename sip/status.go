package sip

import "strconv"

// Method is a request method (RFC 3261 section 7.1). Methods are
// case-sensitive; a method that is not named here is as good as the others.
type Method string

// The methods of the standards.
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

// Status is the status code of a response, 100 to 699. It is also an error, so
// that errors.Is(err, sip.StatusBusyHere) asks for a refusal by its code.
type Status int

// The status codes of RFC 3261 section 21 and of the extensions in use here.
const (
	StatusTrying                  Status = 100
	StatusRinging                 Status = 180
	StatusCallIsBeingForwarded    Status = 181
	StatusQueued                  Status = 182
	StatusSessionProgress         Status = 183
	StatusOK                      Status = 200
	StatusAccepted                Status = 202
	StatusMultipleChoices         Status = 300
	StatusMovedPermanently        Status = 301
	StatusMovedTemporarily        Status = 302
	StatusUseProxy                Status = 305
	StatusAlternativeService      Status = 380
	StatusBadRequest              Status = 400
	StatusUnauthorized            Status = 401
	StatusPaymentRequired         Status = 402
	StatusForbidden               Status = 403
	StatusNotFound                Status = 404
	StatusMethodNotAllowed        Status = 405
	StatusNotAcceptable           Status = 406
	StatusProxyAuthRequired       Status = 407
	StatusRequestTimeout          Status = 408
	StatusGone                    Status = 410
	StatusConditionalFailed       Status = 412
	StatusRequestEntityTooLarge   Status = 413
	StatusRequestURITooLong       Status = 414
	StatusUnsupportedMediaType    Status = 415
	StatusUnsupportedURIScheme    Status = 416
	StatusBadExtension            Status = 420
	StatusExtensionRequired       Status = 421
	StatusSessionIntervalTooSmall Status = 422
	StatusIntervalTooBrief        Status = 423
	StatusTemporarilyUnavailable  Status = 480
	StatusCallDoesNotExist        Status = 481
	StatusLoopDetected            Status = 482
	StatusTooManyHops             Status = 483
	StatusAddressIncomplete       Status = 484
	StatusAmbiguous               Status = 485
	StatusBusyHere                Status = 486
	StatusRequestTerminated       Status = 487
	StatusNotAcceptableHere       Status = 488
	StatusBadEvent                Status = 489
	StatusRequestPending          Status = 491
	StatusUndecipherable          Status = 493
	StatusServerInternalError     Status = 500
	StatusNotImplemented          Status = 501
	StatusBadGateway              Status = 502
	StatusServiceUnavailable      Status = 503
	StatusServerTimeout           Status = 504
	StatusVersionNotSupported     Status = 505
	StatusMessageTooLarge         Status = 513
	StatusBusyEverywhere          Status = 600
	StatusDecline                 Status = 603
	StatusDoesNotExistAnywhere    Status = 604
	StatusNotAcceptableAnywhere   Status = 606
)

// Text returns the reason phrase that the standards give the code, "" for a
// code they do not know.
func (s Status) Text() string {
	switch s {
	case StatusTrying:
		return "Trying"
	case StatusRinging:
		return "Ringing"
	case StatusCallIsBeingForwarded:
		return "Call Is Being Forwarded"
	case StatusQueued:
		return "Queued"
	case StatusSessionProgress:
		return "Session Progress"
	case StatusOK:
		return "OK"
	case StatusAccepted:
		return "Accepted"
	case StatusMultipleChoices:
		return "Multiple Choices"
	case StatusMovedPermanently:
		return "Moved Permanently"
	case StatusMovedTemporarily:
		return "Moved Temporarily"
	case StatusUseProxy:
		return "Use Proxy"
	case StatusAlternativeService:
		return "Alternative Service"
	case StatusBadRequest:
		return "Bad Request"
	case StatusUnauthorized:
		return "Unauthorized"
	case StatusPaymentRequired:
		return "Payment Required"
	case StatusForbidden:
		return "Forbidden"
	case StatusNotFound:
		return "Not Found"
	case StatusMethodNotAllowed:
		return "Method Not Allowed"
	case StatusNotAcceptable, StatusNotAcceptableAnywhere:
		return "Not Acceptable"
	case StatusProxyAuthRequired:
		return "Proxy Authentication Required"
	case StatusRequestTimeout:
		return "Request Timeout"
	case StatusGone:
		return "Gone"
	case StatusConditionalFailed:
		return "Conditional Request Failed"
	case StatusRequestEntityTooLarge:
		return "Request Entity Too Large"
	case StatusRequestURITooLong:
		return "Request-URI Too Long"
	case StatusUnsupportedMediaType:
		return "Unsupported Media Type"
	case StatusUnsupportedURIScheme:
		return "Unsupported URI Scheme"
	case StatusBadExtension:
		return "Bad Extension"
	case StatusExtensionRequired:
		return "Extension Required"
	case StatusSessionIntervalTooSmall:
		return "Session Interval Too Small"
	case StatusIntervalTooBrief:
		return "Interval Too Brief"
	case StatusTemporarilyUnavailable:
		return "Temporarily Unavailable"
	case StatusCallDoesNotExist:
		return "Call/Transaction Does Not Exist"
	case StatusLoopDetected:
		return "Loop Detected"
	case StatusTooManyHops:
		return "Too Many Hops"
	case StatusAddressIncomplete:
		return "Address Incomplete"
	case StatusAmbiguous:
		return "Ambiguous"
	case StatusBusyHere:
		return "Busy Here"
	case StatusRequestTerminated:
		return "Request Terminated"
	case StatusNotAcceptableHere:
		return "Not Acceptable Here"
	case StatusBadEvent:
		return "Bad Event"
	case StatusRequestPending:
		return "Request Pending"
	case StatusUndecipherable:
		return "Undecipherable"
	case StatusServerInternalError:
		return "Server Internal Error"
	case StatusNotImplemented:
		return "Not Implemented"
	case StatusBadGateway:
		return "Bad Gateway"
	case StatusServiceUnavailable:
		return "Service Unavailable"
	case StatusServerTimeout:
		return "Server Time-out"
	case StatusVersionNotSupported:
		return "Version Not Supported"
	case StatusMessageTooLarge:
		return "Message Too Large"
	case StatusBusyEverywhere:
		return "Busy Everywhere"
	case StatusDecline:
		return "Decline"
	case StatusDoesNotExistAnywhere:
		return "Does Not Exist Anywhere"
	}
	return ""
}

// Error returns the code and its reason phrase.
func (s Status) Error() string {
	if t := s.Text(); t != "" {
		return strconv.Itoa(int(s)) + " " + t
	}
	return strconv.Itoa(int(s))
}

// Final reports whether the code ends a transaction: 200 and above.
func (s Status) Final() bool { return s >= 200 }

// Success reports whether the code is a 2xx.
func (s Status) Success() bool { return s >= 200 && s < 300 }

// appendStatusLine appends a status line without its CRLF.
func appendStatusLine(b []byte, s Status, phrase string) []byte {
	b = append(b, "SIP/2.0 "...)
	b = strconv.AppendInt(b, int64(s), 10)
	b = append(b, ' ')
	return append(b, phrase...)
}
