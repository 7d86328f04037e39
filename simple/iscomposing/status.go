package iscomposing

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
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

// A document is a Status as encoding/xml reads it.
type document struct {
	XMLName     xml.Name `xml:"urn:ietf:params:xml:ns:im-iscomposing isComposing"`
	State       string   `xml:"urn:ietf:params:xml:ns:im-iscomposing state"`
	LastActive  string   `xml:"urn:ietf:params:xml:ns:im-iscomposing lastactive"`
	ContentType string   `xml:"urn:ietf:params:xml:ns:im-iscomposing contenttype"`
	Refresh     string   `xml:"urn:ietf:params:xml:ns:im-iscomposing refresh"`
}

// Parse reads a status of 16 KiB at most. What is optional and cannot be read counts as
// not said. The error wraps ErrMalformed.
func Parse(text []byte) (Status, error) {
	var d document
	if err := decode(text, &d); err != nil {
		return Status{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	state := strings.TrimSpace(d.State)
	if state == "" {
		return Status{}, fmt.Errorf("%w: no state", ErrMalformed)
	}
	s := Status{Active: state == "active", ContentType: strings.TrimSpace(d.ContentType)}
	if t, err := time.Parse(time.RFC3339, strings.TrimSpace(d.LastActive)); err == nil {
		s.LastActive = t
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(d.Refresh), "+"), 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		s.Refresh = time.Duration(min(n, uint64(maxRefresh/time.Second))) * time.Second
	}
	return s, nil
}

// Append appends the document to b. Part of a second of Refresh counts as one; a
// LastActive that RFC 3339 cannot express is left out.
func (s Status) Append(b []byte) []byte {
	w := bytes.NewBuffer(b)
	w.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">` + "\n")
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
