package digest

import "errors"

// What can be wrong with what the other side has sent.
var (
	// ErrRefused tells that the user name or the password is wrong: a relay refused
	// the answer to a challenge that it had just made and did not call it stale, or
	// this Server refuses it.
	ErrRefused = errors.New("digest: wrong user name or password")

	// ErrMalformed tells that a value cannot be read or contradicts itself.
	ErrMalformed = errors.New("digest: malformed")

	// ErrUnsupported tells a client that no challenge of a response can be answered:
	// there is none, or its scheme, algorithm or qop is not understood.
	ErrUnsupported = errors.New("digest: no challenge that is understood")

	// ErrTooManyChallenges tells a client that three stale nonces in a row were not
	// enough.
	ErrTooManyChallenges = errors.New("digest: too many challenges")

	// ErrUnproved tells a client that the Authentication-Info of a response does not
	// go with the request: whoever sent it does not know the password.
	ErrUnproved = errors.New("digest: the relay has not proved that it knows the password")

	// ErrNoCredentials tells a server that a request has none, or none that answer
	// challenges like its own.
	ErrNoCredentials = errors.New("digest: no credentials")

	// ErrStale tells a server that a nonce is too old, was used before, or is not its
	// own or not of this connection. The client is to try again with a new one.
	ErrStale = errors.New("digest: stale nonce")

	// ErrWrongURI tells a server that credentials were made for another URI.
	ErrWrongURI = errors.New("digest: credentials are for another URI")

	// ErrUnknownUser is what ServerConfig.Password returns for a user it does not
	// know.
	ErrUnknownUser = errors.New("digest: unknown user")
)
