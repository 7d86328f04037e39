package digest

import (
	"errors"
	"strconv"
)

// What can be wrong with a challenge, at the client, or with credentials, at
// the server.
var (
	// ErrRefused tells that the user name or the password is wrong: a server
	// refused credentials that were made for a nonce of its own and did not
	// call it stale, or this server refuses them.
	ErrRefused = errors.New("digest: wrong user name or password")

	// ErrNoCredentials tells that a client has none for the realm, or that a
	// request brought none.
	ErrNoCredentials = errors.New("digest: no credentials")

	// ErrUnsupported tells that no challenge in a response could be answered:
	// there is none, or its scheme, algorithm or qop is not understood.
	ErrUnsupported = errors.New("digest: no challenge that is understood")

	// ErrUnexpectedRealm tells that there are credentials, and that whoever asked
	// is not to have them: a request inside a dialog was challenged for a realm
	// that the client has neither met outside one nor holds credentials for by
	// name. Who wraps a Client may mean more by it.
	ErrUnexpectedRealm = errors.New("digest: challenge for an unexpected realm")

	// ErrTooManyChallenges tells that a request was challenged again and again:
	// more than three stale nonces in a row, or more than eight realms.
	ErrTooManyChallenges = errors.New("digest: too many challenges")

	// ErrStale tells that the nonce of credentials is too old, was used before
	// or is not ours. The client is to try again with a new one.
	ErrStale = errors.New("digest: stale nonce")

	// ErrMalformed tells that credentials cannot be read or contradict
	// themselves.
	ErrMalformed = errors.New("digest: malformed credentials")

	// ErrWrongURI tells that credentials were made for another Request-URI.
	ErrWrongURI = errors.New("digest: credentials are for another Request-URI")

	// ErrUnknownUser is what the functions of a ServerConfig return for a user
	// they do not know.
	ErrUnknownUser = errors.New("digest: unknown user")
)

// Error tells why a challenge was not answered. Err is one of the errors of
// this package.
type Error struct {
	Realm string // as the server wrote it; "" if no challenge was readable
	Err   error
}

func (e *Error) Error() string {
	if e.Realm == "" {
		return e.Err.Error()
	}
	return e.Err.Error() + " (realm " + strconv.Quote(e.Realm) + ")"
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }
