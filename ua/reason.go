package ua

import (
	"errors"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// hungUp returns ErrHungUp with the BYE, and so with its reasons (RFC 3326). err is
// what the BYE has ended the dialog with.
func hungUp(err error) error {
	var by *transaction.RequestError
	if errors.As(err, &by) {
		return &transaction.RequestError{Err: ErrHungUp, Request: by.Request}
	}
	return ErrHungUp
}

// reasons returns what a BYE says of the error that it is for.
func reasons(err error) []sip.Edit {
	if all := transaction.Reasons(err); len(all) > 0 {
		return []sip.Edit{sip.List(all...)}
	}
	return nil
}
