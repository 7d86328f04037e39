package ua

import (
	"errors"
	"strconv"

	"github.com/goparley/parley/sip"
)

var (
	// ErrClosed says that the Agent was closed.
	ErrClosed = errors.New("ua: agent closed")
	// ErrPassword says that the peer refused our credentials, or asked for
	// some and there are none.
	ErrPassword = errors.New("ua: wrong or missing password")
	// ErrHungUp is why a call is over that the peer ended.
	ErrHungUp = errors.New("ua: the peer hung up")
	// ErrNoStream says that no stream of ours fits what the peer offers or
	// answers.
	ErrNoStream = errors.New("ua: no stream in common")
)

// StatusError is a refusal: the final response, 300 to 699, of the peer or of a
// server on the way. It matches its status code:
// errors.Is(err, sip.StatusBusyHere).
type StatusError struct {
	Status   sip.Status
	Reason   string        // the reason phrase
	Response *sip.Response // all of it
}

func (e *StatusError) Error() string {
	if e.Reason == "" {
		return e.Status.Error()
	}
	return strconv.Itoa(int(e.Status)) + " " + e.Reason
}

// Is reports whether target is the status code of the refusal.
func (e *StatusError) Is(target error) bool {
	status, ok := target.(sip.Status)
	return ok && status == e.Status
}

func refusal(resp *sip.Response) error {
	return &StatusError{resp.Status(), resp.ReasonPhrase(), resp}
}
