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

var texts = map[Status]string{
	StatusOK:                    "OK",
	StatusBadRequest:            "Bad Request",
	StatusUnauthorized:          "Unauthorized",
	StatusForbidden:             "Forbidden",
	StatusNotFound:              "Not Found",
	StatusTimeout:               "Request Timeout",
	StatusStop:                  "Stop Sending",
	StatusUnsupportedType:       "Unsupported Media Type",
	StatusOutOfBounds:           "Interval Out of Bounds",
	StatusBadNickname:           "Malformed Nickname",
	StatusNicknameInUse:         "Nickname Reserved or Already in Use",
	StatusNoPrivateMessages:     "Private Messages Not Supported",
	StatusNoSession:             "Session Does Not Exist",
	StatusInternalError:         "Internal Error",
	StatusUnknownMethod:         "Unknown Method",
	StatusSessionBoundElsewhere: "Session Already Bound",
}

// String returns the comment that goes with the code.
func (s Status) String() string {
	if text, ok := texts[s]; ok {
		return text
	}
	return "Status " + strconv.Itoa(int(s))
}

func (s Status) Error() string { return "msrp: " + strconv.Itoa(int(s)) + " " + s.String() }
