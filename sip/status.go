package sip

import "strconv"

// Status is the status code of a response, 100 to 699. It is also an error, so
// that errors.Is(err, sip.StatusBusyHere) asks for a refusal by its code.
type Status int

// The status codes of the registry: those of RFC 3261 section 21, and where
// another RFC defines one, it is named.
const (
	StatusTrying                       Status = 100
	StatusRinging                      Status = 180
	StatusCallIsBeingForwarded         Status = 181
	StatusQueued                       Status = 182
	StatusSessionProgress              Status = 183
	StatusEarlyDialogTerminated        Status = 199 // RFC 6228
	StatusOK                           Status = 200
	StatusAccepted                     Status = 202 // RFC 6665 section 8.3.1, deprecated: a 200 says the same
	StatusNoNotification               Status = 204 // RFC 5839
	StatusMultipleChoices              Status = 300
	StatusMovedPermanently             Status = 301
	StatusMovedTemporarily             Status = 302
	StatusUseProxy                     Status = 305
	StatusAlternativeService           Status = 380
	StatusBadRequest                   Status = 400
	StatusUnauthorized                 Status = 401
	StatusPaymentRequired              Status = 402
	StatusForbidden                    Status = 403
	StatusNotFound                     Status = 404
	StatusMethodNotAllowed             Status = 405
	StatusNotAcceptable                Status = 406
	StatusProxyAuthRequired            Status = 407
	StatusRequestTimeout               Status = 408
	StatusGone                         Status = 410
	StatusConditionalFailed            Status = 412 // RFC 3903
	StatusRequestEntityTooLarge        Status = 413
	StatusRequestURITooLong            Status = 414
	StatusUnsupportedMediaType         Status = 415
	StatusUnsupportedURIScheme         Status = 416
	StatusUnknownResourcePriority      Status = 417 // RFC 4412
	StatusBadExtension                 Status = 420
	StatusExtensionRequired            Status = 421
	StatusSessionIntervalTooSmall      Status = 422 // RFC 4028
	StatusIntervalTooBrief             Status = 423
	StatusBadLocationInformation       Status = 424 // RFC 6442
	StatusBadAlertMessage              Status = 425 // RFC 8876
	StatusUseIdentityHeader            Status = 428 // RFC 8224
	StatusProvideReferrerIdentity      Status = 429 // RFC 3892
	StatusFlowFailed                   Status = 430 // RFC 5626
	StatusAnonymityDisallowed          Status = 433 // RFC 5079
	StatusBadIdentityInfo              Status = 436 // RFC 8224
	StatusUnsupportedCredential        Status = 437 // RFC 8224
	StatusInvalidIdentityHeader        Status = 438 // RFC 8224
	StatusFirstHopLacksOutboundSupport Status = 439 // RFC 5626
	StatusMaxBreadthExceeded           Status = 440 // RFC 5393
	StatusBadInfoPackage               Status = 469 // RFC 6086
	StatusConsentNeeded                Status = 470 // RFC 5360
	StatusTemporarilyUnavailable       Status = 480
	StatusCallDoesNotExist             Status = 481
	StatusLoopDetected                 Status = 482
	StatusTooManyHops                  Status = 483
	StatusAddressIncomplete            Status = 484
	StatusAmbiguous                    Status = 485
	StatusBusyHere                     Status = 486
	StatusRequestTerminated            Status = 487
	StatusNotAcceptableHere            Status = 488
	StatusBadEvent                     Status = 489 // RFC 6665
	StatusRequestPending               Status = 491
	StatusUndecipherable               Status = 493
	StatusSecurityAgreementRequired    Status = 494 // RFC 3329
	StatusServerInternalError          Status = 500
	StatusNotImplemented               Status = 501
	StatusBadGateway                   Status = 502
	StatusServiceUnavailable           Status = 503
	StatusServerTimeout                Status = 504
	StatusVersionNotSupported          Status = 505
	StatusMessageTooLarge              Status = 513
	StatusPushServiceNotSupported      Status = 555 // RFC 8599
	StatusPreconditionFailure          Status = 580 // RFC 3312
	StatusBusyEverywhere               Status = 600
	StatusDecline                      Status = 603
	StatusDoesNotExistAnywhere         Status = 604
	StatusNotAcceptableAnywhere        Status = 606
	StatusUnwanted                     Status = 607 // RFC 8197
	StatusRejected                     Status = 608 // RFC 8688
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
	case StatusEarlyDialogTerminated:
		return "Early Dialog Terminated"
	case StatusOK:
		return "OK"
	case StatusAccepted:
		return "Accepted"
	case StatusNoNotification:
		return "No Notification"
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
	case StatusUnknownResourcePriority:
		return "Unknown Resource-Priority"
	case StatusBadExtension:
		return "Bad Extension"
	case StatusExtensionRequired:
		return "Extension Required"
	case StatusSessionIntervalTooSmall:
		return "Session Interval Too Small"
	case StatusIntervalTooBrief:
		return "Interval Too Brief"
	case StatusBadLocationInformation:
		return "Bad Location Information"
	case StatusBadAlertMessage:
		return "Bad Alert Message"
	case StatusUseIdentityHeader:
		return "Use Identity Header"
	case StatusProvideReferrerIdentity:
		return "Provide Referrer Identity"
	case StatusFlowFailed:
		return "Flow Failed"
	case StatusAnonymityDisallowed:
		return "Anonymity Disallowed"
	case StatusBadIdentityInfo:
		return "Bad Identity Info"
	case StatusUnsupportedCredential:
		return "Unsupported Credential"
	case StatusInvalidIdentityHeader:
		return "Invalid Identity Header"
	case StatusFirstHopLacksOutboundSupport:
		return "First Hop Lacks Outbound Support"
	case StatusMaxBreadthExceeded:
		return "Max-Breadth Exceeded"
	case StatusBadInfoPackage:
		return "Bad Info Package"
	case StatusConsentNeeded:
		return "Consent Needed"
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
	case StatusSecurityAgreementRequired:
		return "Security Agreement Required"
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
	case StatusPushServiceNotSupported:
		return "Push Notification Service Not Supported"
	case StatusPreconditionFailure:
		return "Precondition Failure"
	case StatusBusyEverywhere:
		return "Busy Everywhere"
	case StatusDecline:
		return "Decline"
	case StatusDoesNotExistAnywhere:
		return "Does Not Exist Anywhere"
	case StatusUnwanted:
		return "Unwanted"
	case StatusRejected:
		return "Rejected"
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
