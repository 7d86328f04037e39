package ua

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
)

var errOwnMethod = errors.New("ua: INVITE, ACK and CANCEL are no requests by themselves: use Invite")

// Do sends a request of any method outside of a dialog but INVITE, ACK and CANCEL,
// such as one of an extension, and returns its 2xx. A refusal is a *StatusError.
// edits make its header fields and its body; what they say of a name stands in place
// of what the agent would say, but a From without a tag gets one.
//
// What a 2xx to SUBSCRIBE or REFER begins is not kept. Within a call, Do of the Call
// sends requests.
func (a *Agent) Do(ctx context.Context, method sip.Method, target string, edits ...sip.Edit) (*sip.Response, error) {
	var req *sip.Request
	err := errOwnMethod
	if method != sip.INVITE && method != sip.ACK && method != sip.CANCEL {
		req, err = a.newRequest(method, target, edits...)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, target, err)
	}
	return a.do(ctx, req)
}

// Request is a request of a method that Config.Methods names.
type Request struct {
	Request *sip.Request
	Call    *Call  // that it is part of; nil: none, or one that is only ringing yet
	User    string // who has proved to have sent it, by a password, as Config.Authenticate says; "" if nobody has

	a  *Agent
	tx *dialog.Server
}

// Reply answers the request: with a status of 200 to 699, once. Of a request that is
// not answered when its func returns the answer is 500.
func (r *Request) Reply(status sip.Status, edits ...sip.Edit) error {
	return r.tx.Reply(status, edits...)
}

// served reports whether the agent serves a method itself, whatever Methods says.
func (a *Agent) served(method sip.Method) bool {
	switch method {
	case sip.ACK, sip.BYE, sip.CANCEL, sip.INVITE, sip.NOTIFY, sip.OPTIONS, sip.PRACK, sip.UPDATE:
		return true
	case sip.MESSAGE:
		return a.cfg.OnMessage != nil
	case sip.INFO:
		return a.knowsPackages()
	case sip.REFER:
		return a.cfg.OnRefer != nil
	case sip.PUBLISH:
		return a.cfg.Compositor != nil
	case sip.SUBSCRIBE:
		return len(a.cfg.Notifiers) > 0
	}
	return false
}

// checkMethods says what is wrong with Config.Methods.
func (a *Agent) checkMethods() error {
	for method, serve := range a.cfg.Methods {
		if a.served(method) || serve == nil {
			return fmt.Errorf("%s in Methods: the agent serves it itself, or there is no func for it", method)
		}
	}
	return nil
}

// methods returns those of Config.Methods.
func (a *Agent) methods() []sip.Method { return slices.Sorted(maps.Keys(a.cfg.Methods)) }
