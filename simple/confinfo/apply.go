package confinfo

import (
	"errors"
	"strings"
)

// ErrRefresh is the error of Apply for a document that says what has changed since
// one that was not seen. Who watches refreshes its subscription, and is sent all of
// the conference (section 4.6).
var ErrRefresh = errors.New("confinfo: a document was missed: refresh the subscription")

// maxCost is how many bytes the partial documents since the last full one may come to,
// with 128 for each of their elements. Then Apply wants a full one again: a focus could
// have the conference grow without end otherwise.
const maxCost = 8 << 20

// Apply takes a document into what was known of a conference, by section 4.6, and
// returns what is known now. c is nil for the first document of a subscription. c
// itself does not change, and shares with what is returned what has not changed: the
// two can be compared, and neither is to be written to.
//
// Of what is returned all states are full, or empty for lists, whatever they were in
// the documents, but that of a conference that has ceased to exist, which is Deleted:
// then the subscription is to be ended.
//
// A document that is not newer is discarded: c is returned, without an error. It is
// returned with ErrRefresh, where a document before this one is missing, and with a
// [*SyntaxError] for a document that Parse would refuse.
func Apply(c *Conference, doc string) (*Conference, error) {
	root, cost, err := parse(doc)
	if err != nil {
		return c, err
	}
	version, _ := versionOf(root)
	next := new(Conference)
	switch state := stateOf(root); {
	case c != nil && version <= c.Version:
		return c, nil
	case state == Deleted:
		return &Conference{Entity: strings.Clone(keyEntity(root)), Version: version, State: Deleted}, nil
	case state == Full:
	case c == nil || c.State == Deleted || version-c.Version > 1 || c.cost+cost > maxCost:
		return c, ErrRefresh
	default:
		*next = *c
		next.cost += cost
	}
	next.read(root, false)
	return next, nil
}
