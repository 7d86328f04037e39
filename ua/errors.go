package ua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/transaction"
)

var (
	// ErrClosed says that the Agent was closed, or else what was asked of it: a
	// Registration, a Publication.
	ErrClosed = errors.New("ua: closed")
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
	Response *sip.Response // all of it; nil if the peer has only told of it, in a transfer
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

// overdue returns err, or transaction.ErrTimeout in its place if it is that ctx has ended by a
// time limit of ours, whose cause that is: context.DeadlineExceeded is for those of programs.
func overdue(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && errors.Is(context.Cause(ctx), transaction.ErrTimeout) {
		return transaction.ErrTimeout
	}
	return err
}

// passwordError is a challenge that our credentials, or the lack of them, have
// not met.
type passwordError struct {
	msg     string
	refusal error
	cause   error // of package digest
}

func (e *passwordError) Error() string   { return e.refusal.Error() + ": " + e.msg }
func (e *passwordError) Unwrap() []error { return []error{ErrPassword, e.refusal, e.cause} }

// challenged says why a 401 or 407 is the end. err is that of the digest
// client, nil if there is none.
func (a *Agent) challenged(resp *sip.Response, err error) error {
	if err == nil && a.keys == nil {
		err = digest.ErrNoCredentials
	} else if err == nil {
		err = digest.ErrTooManyChallenges
	}
	switch {
	case errors.Is(err, digest.ErrNoCredentials):
		return &passwordError{"no password is set", refusal(resp), err}
	case errors.Is(err, digest.ErrRefused):
		return &passwordError{"wrong user name or password", refusal(resp), err}
	case errors.Is(err, digest.ErrUnexpectedRealm):
		hint := "if it is for your password, name it in Realm or Credentials"
		var asked *digest.Error
		if errors.As(err, &asked) && slices.Contains(a.keys.further, asked.Realm) {
			hint = "Credentials are for whom the program itself has called"
		}
		return fmt.Errorf("%w: %w: %s", refusal(resp), err, hint)
	default: // a challenge that cannot be answered
		return fmt.Errorf("%w: %w", refusal(resp), err)
	}
}

func refusal(resp *sip.Response) error {
	return &StatusError{resp.Status(), resp.ReasonPhrase(), resp}
}
