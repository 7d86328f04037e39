package iscomposing

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goparley/parley/internal/xmldoc"
)

// ContentType is the media type of a Status.
const ContentType = "application/im-iscomposing+xml"

// ErrMalformed tells that a document is no Status.
var ErrMalformed = errors.New("iscomposing: malformed status")

// A Status says whether a user is composing a message (RFC 3994 section 3.4).
type Status struct {
	Active      bool          // false: idle
	LastActive  time.Time     // when the user last changed the message; zero if it is not said
	ContentType string        // of the message, "text/plain" or "audio"; "" if it is not said
	Refresh     time.Duration // until when, from now, the next active status is due, in whole seconds, at most a day; 0 if it is not said
}

// maxRefresh is the longest Refresh that is read. The schema has no limit.
const maxRefresh = 24 * time.Hour

const space = "urn:ietf:params:xml:ns:im-iscomposing"

// maxText is how many bytes of a document are read at most.
const maxText = 16 << 10

// Parse reads a status of 16 KiB at most. What is optional and cannot be read counts as
// not said. The error wraps ErrMalformed.
func Parse(text []byte) (Status, error) {
	if len(text) > maxText {
		return Status{}, fmt.Errorf("%w: longer than %d bytes", ErrMalformed, maxText)
	}
	root, err := xmldoc.Parse(string(text))
	if err != nil {
		return Status{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if root.Name != (xmldoc.Name{Space: space, Local: "isComposing"}) {
		return Status{}, fmt.Errorf("%w: %.80q", ErrMalformed, root.Name.Local)
	}
	var s Status
	state := ""
	for e := range root.Elements() {
		if e.Name.Space != space {
			continue // an extension
		}
		value := strings.TrimSpace(e.Content())
		switch e.Name.Local {
		case "state":
			state = value
		case "lastactive":
			if t, err := time.Parse(time.RFC3339, value); err == nil {
				s.LastActive = t
			}
		case "contenttype":
			s.ContentType = strings.Clone(value)
		case "refresh":
			n, err := strconv.ParseUint(strings.TrimPrefix(value, "+"), 10, 64)
			if err == nil || errors.Is(err, strconv.ErrRange) {
				s.Refresh = time.Duration(min(n, uint64(maxRefresh/time.Second))) * time.Second
			}
		}
	}
	if state == "" {
		return Status{}, fmt.Errorf("%w: no state", ErrMalformed)
	}
	s.Active = state == "active"
	return s, nil
}

// Append appends the document to b. Part of a second of Refresh counts as one; a
// LastActive that RFC 3339 cannot express is left out.
func (s Status) Append(b []byte) []byte {
	w := bytes.NewBuffer(b)
	w.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<isComposing xmlns="` + space + `">` + "\n")
	state := "idle"
	if s.Active {
		state = "active"
	}
	fmt.Fprintf(w, "  <state>%s</state>\n", state)
	if at, err := s.LastActive.MarshalText(); err == nil && !s.LastActive.IsZero() {
		fmt.Fprintf(w, "  <lastactive>%s</lastactive>\n", at)
	}
	if s.ContentType != "" {
		w.WriteString("  <contenttype>")
		xml.EscapeText(w, []byte(s.ContentType)) // a Buffer takes all
		w.WriteString("</contenttype>\n")
	}
	if s.Refresh > 0 {
		fmt.Fprintf(w, "  <refresh>%d</refresh>\n", (s.Refresh-1)/time.Second+1)
	}
	w.WriteString("</isComposing>\n")
	return w.Bytes()
}
