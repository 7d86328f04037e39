package dialog

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// What the failure of a request ends: RFC 5057 tables 1 and 2, with the notes on
// methods that a usage can do without, section 5.2 on timeouts, section 5.3 on what
// belongs to no usage, and RFC 6665 sections 4.1.2.2 and 4.2.2 on subscriptions.
func TestWhatAFailureEnds(t *testing.T) {
	methods := []sip.Method{sip.INVITE, sip.UPDATE, sip.PRACK, sip.INFO, sip.SUBSCRIBE, sip.NOTIFY, sip.REFER, sip.OPTIONS, sip.MESSAGE, "NEW"}
	for _, row := range []struct {
		statuses []sip.Status
		usage    []sip.Method // of which it ends the usage
		dialog   bool
	}{
		// Transaction only.
		{[]sip.Status{400, 401, 402, 403, 406, 407, 412, 413, 414, 415, 417, 420, 421, 422, 423, 428, 429, 436, 437, 438,
			486, 487, 488, 491, 493, 494, 499, 500, 503, 504, 505, 513, 580, 599, 600, 603, 606, 699, 302}, nil, false},
		// Destroys the dialog.
		{[]sip.Status{404, 410, 416, 482, 483, 484, 485, 502, 604}, nil, true},
		// Destroys the usage.
		{[]sip.Status{480, 481}, []sip.Method{sip.INVITE, sip.UPDATE, sip.PRACK, sip.INFO, sip.SUBSCRIBE, sip.NOTIFY}, false},
		{[]sip.Status{405, 501}, []sip.Method{sip.INVITE, sip.SUBSCRIBE, sip.NOTIFY}, false},
		{[]sip.Status{489}, []sip.Method{sip.SUBSCRIBE, sip.NOTIFY}, false},
		{[]sip.Status{408, 0}, []sip.Method{sip.INVITE, sip.UPDATE, sip.PRACK, sip.INFO, sip.NOTIFY}, false},
		// And what is no failure.
		{[]sip.Status{200, 202, 299}, nil, false},
	} {
		for _, status := range row.statuses {
			for _, method := range methods {
				var resp *sip.Response
				var err error
				if status == 0 {
					err = fmt.Errorf("a request: %w", transaction.ErrTimeout)
				} else {
					resp = invite(t).Reply(status)
				}
				want := endsNothing
				if row.dialog {
					want = endsDialog
				} else if slices.Contains(row.usage, method) {
					want = endsUsage
				}
				if got := effectOf(method, resp, err); got != want {
					t.Errorf("%d to %s ends %d, want %d", status, method, got, want)
				}
			}
		}
	}
	if got := effectOf(sip.UPDATE, nil, transaction.ErrTransport); got != endsNothing {
		t.Errorf("what the network did not take ends %d, want nothing", got)
	}
}

// How long a subscription lasts at most, whatever its notifier says: what was asked for,
// but an hour in any case, and a week where nothing was asked for.
func TestSubscriptionIsBounded(t *testing.T) {
	const hour, week = time.Hour, 7 * 24 * time.Hour
	subscribe := func(edits ...sip.Edit) *sip.Request {
		return sip.NewRequest(sip.SUBSCRIBE, sip.URI{Scheme: "sip", Host: "h"}, append(edits, sip.Event{Package: "x"})...)
	}
	for _, c := range []struct {
		req        *sip.Request
		said, want time.Duration
	}{
		{subscribe(sip.Expires(86400)), 24 * hour, 24 * hour},
		{subscribe(sip.Expires(86400)), 25 * hour, 24 * hour},
		{subscribe(sip.Expires(60)), 2 * hour, hour},
		{subscribe(), 24 * hour, 24 * hour},
		{subscribe(), maxExpires, week},
		{sip.NewRequest(sip.REFER, sip.URI{Scheme: "sip", Host: "h"}, sip.Expires(86400)), maxExpires, hour},
	} {
		sub := &subscription{most: asks(c.req)}
		if got := sub.limit(c.said); got != c.want {
			t.Errorf("%v said to\n%s\nlasts for %v, want %v", c.said, c.req, got, c.want)
		}
	}
}
