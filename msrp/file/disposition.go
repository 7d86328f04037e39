package file

import (
	"mime"
	"strconv"
	"time"
)

// contentDisposition returns the Content-Disposition that goes with the file
// itself and says what the attributes say (RFC 5547 sections 6 and 8.3.2,
// RFC 2183).
func (d Description) contentDisposition() (string, error) {
	kind := d.Disposition
	if kind == "" {
		kind = "render"
	}
	params := map[string]string{}
	if d.Selector.Name != "" {
		params["filename"] = d.Selector.Name
	}
	if d.Selector.Size > 0 {
		params["size"] = strconv.FormatInt(d.Selector.Size, 10)
	}
	for name, t := range map[string]time.Time{
		"creation-date": d.Created, "modification-date": d.Modified, "read-date": d.Read,
	} {
		if t.IsZero() {
			continue
		}
		text, err := dateText(t)
		if err != nil {
			return "", err
		}
		params[name] = text
	}
	return mime.FormatMediaType(kind, params), nil
}

// addContentDisposition takes from the Content-Disposition of the file what its
// section did not say. What cannot be read says nothing.
func (d *Description) addContentDisposition(value string) {
	kind, params, err := mime.ParseMediaType(value)
	if err != nil {
		return
	}
	if d.Disposition == "" && isToken(kind) {
		d.Disposition = kind
	}
	if d.Selector.Name == "" {
		d.Selector.Name = params["filename"]
	}
	if size, err := strconv.ParseUint(params["size"], 10, 63); err == nil && d.Selector.Size == 0 {
		d.Selector.Size = int64(size)
	}
	for name, t := range map[string]*time.Time{
		"creation-date": &d.Created, "modification-date": &d.Modified, "read-date": &d.Read,
	} {
		if t.IsZero() {
			*t = parseDate(params[name])
		}
	}
}
