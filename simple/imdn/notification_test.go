package imdn

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/simple/cpim"
)

// RFC 5438 sections 7.2.1.1, 7.2.1.2, 8.1 and 8.3, whose last boundary lacks its hyphens.
func TestPrintedNotificationsAreRead(t *testing.T) {
	at := time.Date(2008, 4, 4, 17, 16, 49, 0, time.UTC)
	of := func(kind Kind, status Status) Notification {
		return Notification{MessageID: "34jk324j", DateTime: at, Recipient: bob.URI, OriginalRecipient: bob.URI, Kind: kind, Status: status}
	}
	for name, want := range map[string][]Notification{
		"rfc5438-s7.2.1.1": {of(DeliveryNotification, Delivered)},
		"rfc5438-s7.2.1.2": {of(DisplayNotification, Displayed)},
		"rfc5438-s8.1":     {of(ProcessingNotification, Processed)},
		"rfc5438-s8.3":     {of(DeliveryNotification, Delivered), of(DisplayNotification, Displayed)},
	} {
		got, err := Read(file(t, name))
		for i := range got {
			got[i].DateTime = got[i].DateTime.UTC()
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: Read() = %+v, %v, want %+v", name, got, err, want)
		}
	}
}

const written = `<?xml version="1.0" encoding="UTF-8"?>
<imdn xmlns="urn:ietf:params:xml:ns:imdn">
  <message-id>1&lt;2</message-id>
  <datetime>2026-04-04T12:00:00Z</datetime>
  <recipient-uri>sip:bob@example.com?a&amp;b</recipient-uri>
  <original-recipient-uri>sip:bob@example.com?a&amp;b</original-recipient-uri>
  <subject>a]]&gt;</subject>
  <delivery-notification><status><failed/></status></delivery-notification>
</imdn>
`

// RFC 5438 section 11.1.9: the URIs come together.
func TestDocumentIsWritten(t *testing.T) {
	n := Notification{MessageID: "1<2", DateTime: noon, Recipient: "sip:bob@example.com?a&b", Subject: "a]]>", Kind: DeliveryNotification, Status: Failed}
	got, err := n.Append([]byte(">"))
	if err != nil || string(got) != ">"+written {
		t.Errorf("Append() = %s, %v, want %s", got, err, written)
	}
	n.Recipient, n.OriginalRecipient = "", n.Recipient
	if got, err := n.Append(nil); err != nil || string(got) != written {
		t.Errorf("Append() = %s, %v, want %s", got, err, written)
	}
	n.OriginalRecipient = ""
	if got, err := n.Append(nil); err != nil || strings.Contains(string(got), "uri>") || strings.Contains(string(got), "subject") {
		t.Errorf("Append() = %s, %v, want neither URIs nor a subject", got, err)
	}
	for name, n := range map[string]Notification{
		"no ID":       {Kind: DeliveryNotification, Status: Failed},
		"no status":   {MessageID: "1", Kind: DeliveryNotification},
		"another":     {MessageID: "1", Kind: DisplayNotification, Status: Delivered},
		"a year 1e4":  {MessageID: "1", Kind: DisplayNotification, Status: Displayed, DateTime: time.Date(1e4, 1, 1, 0, 0, 0, 0, time.UTC)},
		"an injected": {MessageID: "1", Kind: DeliveryNotification, Status: "failed/><x"},
	} {
		if got, err := n.Append([]byte("as it was")); err == nil || string(got) != "as it was" {
			t.Errorf("%s: Append() = %s, %v, want an error", name, got, err)
		}
	}
}

// doc returns a document of the elements.
func doc(elements string) string {
	return `<imdn xmlns="urn:ietf:params:xml:ns:imdn">` + elements + `</imdn>`
}

const failed = `<delivery-notification><status><failed/></status></delivery-notification>`

func TestDocumentsThatAreRead(t *testing.T) {
	want := Notification{MessageID: "1", Kind: DeliveryNotification, Status: Failed}
	for name, text := range map[string]string{
		"no time":     doc(`<message-id>1</message-id>` + failed),
		"bad time":    doc(`<message-id> 1 </message-id><datetime>noon</datetime>` + failed),
		"prefixes":    `<i:imdn xmlns:i="urn:ietf:params:xml:ns:imdn"><i:message-id>1</i:message-id><i:delivery-notification><i:status><i:failed/></i:status></i:delivery-notification></i:imdn>`,
		"extensions":  doc(`<x xmlns="urn:x"><message-id>2</message-id></x><message-id>1</message-id><delivery-notification><status><y:stored xmlns:y="urn:y"/><failed/></status></delivery-notification>`),
		"comments":    `<?xml version="1.0"?><!-- a -->` + doc(`<message-id>1</message-id>`+failed) + "<!-- b --> \n",
		"other order": doc(failed + `<message-id>1</message-id>`),
	} {
		if got, err := Parse([]byte(text)); err != nil || got != want {
			t.Errorf("%s: Parse() = %+v, %v, want %+v", name, got, err, want)
		}
	}
}

func TestDocumentsThatAreRefused(t *testing.T) {
	id := `<message-id>1</message-id>`
	for name, text := range map[string]string{
		"nothing":          "",
		"not XML":          "hello",
		"another document": `<imdn>` + id + failed + `</imdn>`,
		"no ID":            doc(failed),
		"no kind":          doc(id),
		"no status":        doc(id + `<delivery-notification/>`),
		"two kinds":        doc(id + failed + `<display-notification><status><displayed/></status></display-notification>`),
		"two statuses":     doc(id + `<delivery-notification><status><failed/><delivered/></status></delivery-notification>`),
		"another's status": doc(id + `<display-notification><status><delivered/></status></display-notification>`),
		"unknown status":   doc(id + `<display-notification><status><seen/></status></display-notification>`),
		"cut off":          doc(id + failed)[:100],
		"ends otherwise":   doc(id + `<delivery-notification><status><failed></status></failed></delivery-notification>`),
		"second document":  doc(id+failed) + doc(id+failed),
		"text behind":      doc(id+failed) + "x",
		"junk behind":      doc(id+failed) + "<",
		"document type":    `<!DOCTYPE imdn [<!ENTITY a "b">]>` + doc(id+failed),
		"entity":           doc(`<message-id>&a;</message-id>` + failed),
		"another charset":  `<?xml version="1.0" encoding="ISO-8859-1"?>` + doc(id+failed),
		"too deep":         doc(id + failed + strings.Repeat("<x>", 32) + strings.Repeat("</x>", 32)),
		"too large":        doc(id+failed) + strings.Repeat(" ", maxText),
	} {
		if got, err := Parse([]byte(text)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: Parse() = %+v, %v, want ErrMalformed", name, got, err)
		}
	}
	// The limits are where they are said to be.
	deep := doc(id + failed + strings.Repeat("<x>", 31) + strings.Repeat("</x>", 31))
	if _, err := Parse([]byte(deep + strings.Repeat(" ", maxText-len(deep)))); err != nil {
		t.Errorf("Parse() = %v at the limits", err)
	}
}

func aggregate(parts ...string) *cpim.Message {
	return &cpim.Message{
		ContentType:    "multipart/mixed; boundary=b",
		ContentHeaders: []cpim.Field{{Name: "Content-Disposition", Value: "notification"}},
		Content:        []byte("--b\r\n" + strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n"),
	}
}

func TestAggregates(t *testing.T) {
	good := "Content-Type: message/imdn+xml\r\n\r\n" + doc(`<message-id>1</message-id>`+failed)
	other := "Content-Type: text/plain\r\n\r\nhello"
	if got, err := Read(aggregate(other, good, good)); err != nil || len(got) != 2 {
		t.Errorf("Read() = %+v, %v, want two", got, err)
	}
	many := make([]string, maxParts+1)
	for i := range many {
		many[i] = good
	}
	if got, err := Read(aggregate(many...)); err != nil || len(got) != maxParts {
		t.Errorf("Read() = %d, %v, want %d", len(got), err, maxParts)
	}
	for name, m := range map[string]*cpim.Message{
		"none":               aggregate(other),
		"one is bad":         aggregate(good, "Content-Type: message/imdn+xml\r\n\r\nhello"),
		"one is too large":   aggregate("Content-Type: message/imdn+xml\r\n\r\n" + strings.Repeat(" ", maxText+1)),
		"cut off":            {ContentType: "multipart/mixed; boundary=b", ContentHeaders: aggregate().ContentHeaders, Content: []byte("--b\r\n" + good)},
		"no boundary":        {ContentType: "multipart/mixed", ContentHeaders: aggregate().ContentHeaders},
		"no type":            {ContentType: ";", ContentHeaders: aggregate().ContentHeaders},
		"another type":       {ContentType: "text/plain", ContentHeaders: aggregate().ContentHeaders},
		"not said to be one": {ContentType: "multipart/mixed; boundary=b", Content: aggregate(good).Content},
	} {
		if got, err := Read(m); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: Read() = %+v, %v, want ErrMalformed", name, got, err)
		}
	}
}

// FuzzRead checks that what is read can be written and is read back the same, and that
// a message of any shape is answered or refused.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"7.1.1.3", "7.2.1.1", "7.2.1.2", "8.1", "8.3"} {
		text, err := os.ReadFile("testdata/rfc5438-s" + name + ".cpim")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("\r\nContent-Type: message/imdn+xml\r\n\r\n" + written))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := cpim.Parse(text)
		if err != nil {
			return
		}
		all, err := Read(m)
		if err != nil {
			all = nil
		}
		for _, n := range all {
			text, err := n.Append(nil)
			if err != nil {
				t.Fatalf("Append(%+v): %v", n, err)
			}
			again, err := Parse(text)
			if len(text) > maxText {
				continue // it has grown by what had to be escaped
			}
			if n.Recipient == "" {
				n.Recipient = n.OriginalRecipient
			}
			if n.OriginalRecipient == "" {
				n.OriginalRecipient = n.Recipient
			}
			if n.Recipient == "" {
				n.Subject = ""
			}
			if err != nil || !again.DateTime.Equal(n.DateTime) {
				t.Fatalf("Parse(%s) = %+v, %v, want %+v", text, again, err, n)
			}
			if again.DateTime = n.DateTime; again != n {
				t.Errorf("read %+v, want %+v", again, n)
			}
		}
		for _, r := range []*Request{Received(m), Forwarded(m)} {
			if r == nil {
				continue
			}
			if all != nil {
				t.Errorf("%+v of a notification", r)
			}
			r.Recipient = bob
			for _, kind := range []Kind{DeliveryNotification, ProcessingNotification, DisplayNotification} {
				note, err := r.Notify(kind, Error, noon)
				if err == ErrNotAsked {
					continue
				}
				if err != nil {
					t.Fatalf("Notify() of %+v: %v", r, err)
				}
				text, err := note.Append(nil)
				if err != nil {
					t.Fatalf("Append(%+v): %v", note, err)
				}
				if again, err := cpim.Parse(text); err == nil && NextHop(again) == "" {
					t.Errorf("NextHop() is nowhere for %q", text)
				}
			}
		}
	})
}
