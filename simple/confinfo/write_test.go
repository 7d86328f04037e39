package confinfo

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"
)

// schema is every element of RFC 4575 section 6, in the order of the schema. A sidebar may have what a conference
// has, and has some of it.
const schema = `
conference-info
  conference-description
    display-text
    subject
    free-text
    keywords
    conf-uris
      entry
        uri
        display-text
        purpose
        modified
          when
          reason
          by
    service-uris
      entry
        uri
        display-text
        purpose
        modified
          when
          reason
          by
    maximum-user-count
    available-media
      entry
        display-text
        type
        status
  host-info
    display-text
    web-page
    uris
      entry
        uri
        display-text
        purpose
        modified
          when
          reason
          by
  conference-state
    user-count
    active
    locked
  users
    user
      display-text
      associated-aors
        entry
          uri
          display-text
          purpose
          modified
            when
            reason
            by
      roles
        entry
      languages
      cascaded-focus
      endpoint
        display-text
        referred
          when
          reason
          by
        status
        joining-method
        joining-info
          when
          reason
          by
        disconnection-method
        disconnection-info
          when
          reason
          by
        media
          display-text
          type
          label
          src-id
          status
        call-info
          sip
            display-text
            call-id
            from-tag
            to-tag
  sidebars-by-ref
    entry
      uri
      display-text
      purpose
      modified
        when
        reason
        by
  sidebars-by-val
    entry
      conference-description
        subject
      host-info
        web-page
      conference-state
        active
      users
        user
      sidebars-by-ref
        entry
          uri
`

// The schema has sequences: elements that are there in another order make a document that is not valid.
func TestElementsAreInTheOrderOfTheSchema(t *testing.T) {
	done := Execution{When: time.Date(2005, 3, 4, 20, 0, 0, 0, time.UTC), Reason: "a", By: "sip:a@b"}
	uris := []URI{{URI: "sip:a@b", DisplayText: "a", Purpose: "a", Modified: done}}
	c := &Conference{
		Entity: "sip:a@b",
		Description: Description{
			DisplayText: "a", Subject: "a", FreeText: "a", Keywords: []string{"a"}, ConfURIs: uris, ServiceURIs: uris, MaxUserCount: new(uint32(1)),
			AvailableMedia: []Medium{{Label: "1", DisplayText: "a", Type: "message", Status: "sendrecv"}},
		},
		HostInfo: HostInfo{DisplayText: "a", WebPage: "http://a", URIs: uris},
		Activity: Activity{UserCount: new(uint32(1)), Active: new(true), Locked: new(false)},
		Users: []User{{
			Entity: "sip:a@b", DisplayText: "a", AssociatedAORs: uris, Roles: []string{"a"}, Languages: []string{"en"}, CascadedFocus: "sip:a@b",
			Endpoints: []Endpoint{{
				Entity: "sip:a@b", DisplayText: "a", Referred: done, Status: "connected", JoiningMethod: "dialed-in", JoiningInfo: done,
				DisconnectionMethod: "departed", DisconnectionInfo: done,
				Media:    []Media{{ID: "1", DisplayText: "a", Type: "message", Label: "1", SrcID: "1", Status: "sendrecv"}},
				CallInfo: CallInfo{DisplayText: "a", CallID: "a", FromTag: "a", ToTag: "a"},
			}},
		}},
		SidebarsByRef: uris,
		SidebarsByVal: []Conference{{
			Entity: "sip:a@b", Description: Description{Subject: "a"}, HostInfo: HostInfo{WebPage: "http://a"}, Activity: Activity{Active: new(true)},
			Users: []User{{Entity: "sip:a@b"}}, SidebarsByRef: []URI{{URI: "sip:a@b"}},
		}},
	}
	got, want := outline(t, c.Append(nil)), strings.Split(strings.TrimSpace(schema), "\n")
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("element %d and on are\n%s\nwant\n%s", i+1, strings.Join(got[min(i, len(got)):], "\n"), strings.Join(want[min(i, len(want)):], "\n"))
		}
	}
}

// outline returns the names of the elements of a document, with two spaces before them for each that they are in.
func outline(t *testing.T, doc []byte) (lines []string) {
	t.Helper()
	in := ""
	for d := xml.NewDecoder(bytes.NewReader(doc)); ; {
		token, err := d.Token()
		if err == io.EOF {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			lines = append(lines, in+e.Name.Local)
			in += "  "
		case xml.EndElement:
			in = in[2:]
		}
	}
}
