package imdn

import "errors"

var (
	// ErrIMDN tells that a notification cannot ask for notifications
	// (RFC 5438 section 7.2.1).
	ErrIMDN = errors.New("imdn: no notification of a notification")

	// ErrNotAsked tells that a notification is not to be made: the sender of the
	// message has not asked for it, or there was one of its kind.
	ErrNotAsked = errors.New("imdn: notification not asked for, or given before")

	// ErrMalformed tells that a notification cannot be read.
	ErrMalformed = errors.New("imdn: malformed notification")
)
