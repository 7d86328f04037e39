package frame

import "strconv"

// A Status is the code of a response, or of a REPORT. It is an error, too, so that a failure
// can be told with errors.Is.
type Status int

// The codes of RFC 4975 section 10, RFC 4976 section 10.2 and RFC 7701 section 11.
const (
	StatusOK                    Status = 200
	StatusBadRequest            Status = 400 // unintelligible
	StatusUnauthorized          Status = 401
	StatusForbidden             Status = 403 // not allowed
	StatusNotFound              Status = 404 // no such recipient in the room
	StatusTimeout               Status = 408 // a hop on the way did not answer
	StatusStop                  Status = 413 // the receiver does not want the rest of the message
	StatusUnsupportedType       Status = 415
	StatusOutOfBounds           Status = 423 // of Expires
	StatusBadNickname           Status = 424
	StatusNicknameInUse         Status = 425
	StatusNoPrivateMessages     Status = 428
	StatusNoSession             Status = 481
	StatusInternalError         Status = 500
	StatusUnknownMethod         Status = 501
	StatusSessionBoundElsewhere Status = 506
)

// String returns the comment that goes with the code.
func (s Status) String() string {
	switch s {
	case StatusOK:
		return "OK"
	case StatusBadRequest:
		return "Bad Request"
	case StatusUnauthorized:
		return "Unauthorized"
	case StatusForbidden:
		return "Forbidden"
	case StatusNotFound:
		return "Not Found"
	case StatusTimeout:
		return "Request Timeout"
	case StatusStop:
		return "Stop Sending"
	case StatusUnsupportedType:
		return "Unsupported Media Type"
	case StatusOutOfBounds:
		return "Interval Out of Bounds"
	case StatusBadNickname:
		return "Malformed Nickname"
	case StatusNicknameInUse:
		return "Nickname Reserved or Already in Use"
	case StatusNoPrivateMessages:
		return "Private Messages Not Supported"
	case StatusNoSession:
		return "Session Does Not Exist"
	case StatusInternalError:
		return "Internal Error"
	case StatusUnknownMethod:
		return "Unknown Method"
	case StatusSessionBoundElsewhere:
		return "Session Already Bound"
	}
	return "Status " + strconv.Itoa(int(s))
}

func (s Status) Error() string { return "msrp: " + strconv.Itoa(int(s)) + " " + s.String() }
