package file

import (
	"fmt"
	"net/mail"
	"strings"
	"time"
)

// dates returns the value of a=file-date, "" for none.
func (d *Description) dates() (string, error) {
	var words []string
	for _, date := range []struct {
		name string
		time time.Time
	}{{"creation", d.Created}, {"modification", d.Modified}, {"read", d.Read}} {
		if date.time.IsZero() {
			continue
		}
		text, err := dateText(date.time)
		if err != nil {
			return "", err
		}
		words = append(words, date.name+`:"`+text+`"`)
	}
	return strings.Join(words, " "), nil
}

// dateText returns a date as in RFC 5322 section 3.3, with a numeric zone
// (RFC 5547 section 6).
func dateText(t time.Time) (string, error) {
	if _, offset := t.Zone(); offset%60 != 0 {
		t = t.UTC() // as zones of long ago; they would be cut
	}
	if y := t.Year(); y < 1900 || y > 9999 {
		return "", fmt.Errorf("file: not a year of a date: %d", y)
	}
	return t.Format(time.RFC1123Z), nil
}

// setDates reads a=file-date. Of each date the first counts; those that cannot
// be read are passed over.
func (d *Description) setDates(text string) {
	for text != "" {
		name, rest, ok := strings.Cut(text, `:"`)
		if !ok {
			return
		}
		value, rest, ok := strings.Cut(rest, `"`)
		if !ok {
			return
		}
		text = strings.TrimLeft(rest, " ")
		var date *time.Time
		switch strings.ToLower(name) {
		case "creation":
			date = &d.Created
		case "modification":
			date = &d.Modified
		case "read":
			date = &d.Read
		default:
			continue
		}
		if date.IsZero() {
			*date = parseDate(value)
		}
	}
}

// parseDate returns the zero time for what is not a date that could be written.
func parseDate(text string) time.Time {
	t, err := mail.ParseDate(text)
	if err != nil {
		return time.Time{}
	}
	if _, err := dateText(t); err != nil {
		return time.Time{}
	}
	return t
}
