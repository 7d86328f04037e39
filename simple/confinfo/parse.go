package confinfo

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/goparley/parley/internal/xmldoc"
)

// The namespaces of RFC 4575 section 4.2 and RFC 6501 section 4.
const (
	space     = "urn:ietf:params:xml:ns:conference-info"
	xconSpace = "urn:ietf:params:xml:ns:xcon-conference-info"
)

var (
	attrEntity   = xmldoc.Name{Local: "entity"}
	attrState    = xmldoc.Name{Local: "state"}
	attrVersion  = xmldoc.Name{Local: "version"}
	attrID       = xmldoc.Name{Local: "id"}
	attrLabel    = xmldoc.Name{Local: "label"}
	attrNickname = xmldoc.Name{Space: xconSpace, Local: "nickname"}
)

func own(local string) xmldoc.Name { return xmldoc.Name{Space: space, Local: local} }

// A SyntaxError is what is wrong with a document.
type SyntaxError struct {
	Offset int // where the XML is wrong, in bytes; 0 too if it is right, but no conference
	Msg    string
}

// Error returns what is wrong, and at which byte.
func (e *SyntaxError) Error() string {
	if e.Offset == 0 {
		return "confinfo: " + e.Msg
	}
	return fmt.Sprintf("confinfo: %s (byte %d)", e.Msg, e.Offset)
}

// Parse reads a document as it is: one that is partial has what it says and nothing
// else. Who watches a conference calls [Apply]. Errors are of type [*SyntaxError].
//
// The document is to have a version (section 4.3), and states that there are. Other
// values that are not what they should be, as a number that is none, are left out.
//
// It takes documents in UTF-8, without a document type, of at most 1 MiB, 65,536
// elements and texts between them, 32 elements within each other, and 64 attributes
// of an element. The result shares no memory with doc.
func Parse(doc string) (*Conference, error) {
	root, _, err := parse(doc)
	if err != nil {
		return nil, err
	}
	c := new(Conference)
	c.read(root, true)
	return c, nil
}

// parse reads a document and holds it to what Parse says. cost is about how many
// bytes its elements take once they are read.
func parse(doc string) (root *xmldoc.Node, cost int, err error) {
	root, err = xmldoc.Parse(doc)
	if err != nil {
		if syntax, ok := errors.AsType[*xmldoc.SyntaxError](err); ok {
			return nil, 0, &SyntaxError{syntax.Offset, syntax.Msg}
		}
		return nil, 0, &SyntaxError{Msg: "a document that is not in UTF-8"}
	}
	if root.Name != own("conference-info") {
		return nil, 0, &SyntaxError{Msg: fmt.Sprintf("expected conference-info, not %.80q", root.Name.Local)}
	}
	if _, ok := versionOf(root); !ok {
		return nil, 0, &SyntaxError{Msg: "expected a version from 0 to 4294967295"}
	}
	nodes, err := check(root)
	return root, len(doc) + nodes*128, err
}

// check looks at the states in a tree, and counts its nodes.
func check(n *xmldoc.Node) (nodes int, err error) {
	if n.Name.Space == space {
		switch state, ok := n.Attr(attrState); State(state) {
		case Full, Partial, Deleted:
		default:
			if ok {
				return 0, &SyntaxError{Msg: fmt.Sprintf("expected a state, not %.40q", state)}
			}
		}
	}
	nodes = 1
	for i := range n.Children {
		more, err := check(&n.Children[i])
		if err != nil {
			return 0, err
		}
		nodes += more
	}
	return nodes, nil
}

// stateOf returns the state of an element that has been checked. The default is full
// (section 4.4).
func stateOf(n *xmldoc.Node) State {
	switch s, _ := n.Attr(attrState); State(s) {
	case Partial:
		return Partial
	case Deleted:
		return Deleted
	}
	return Full
}

func attr(n *xmldoc.Node, name xmldoc.Name) string {
	value, _ := n.Attr(name)
	return strings.Clone(value)
}

// versionOf returns the version of a document, and false if it has none.
func versionOf(n *xmldoc.Node) (uint32, bool) {
	version, _ := n.Attr(attrVersion)
	v := number(strings.TrimSpace(version))
	if v == nil {
		return 0, false
	}
	return *v, true
}

func number(s string) *uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return nil
	}
	return new(uint32(n))
}

func boolean(s string) *bool {
	switch s {
	case "true", "1":
		return new(true)
	case "false", "0":
		return new(false)
	}
	return nil
}
