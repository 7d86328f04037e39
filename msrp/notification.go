package msrp

import (
	"bytes"
	"io"
	"strings"

	"github.com/goparley/parley/internal/mediatype"
	"github.com/goparley/parley/simple/cpim"
)

// notifies reports whether a message says what became of another one (RFC 5438 section 9), alone or in an envelope that
// is in memory: any other body has to be read to see that, and is not there any more then. Nothing is read of body.
func notifies(contentType string, body io.Reader) bool {
	imdn := []string{"message/imdn+xml"}
	if !mediatype.In([]string{cpim.ContentType}, contentType) {
		return mediatype.In(imdn, contentType)
	}
	switch b := body.(type) {
	case *strings.Reader:
		c := *b
		body = &c
	case *bytes.Reader:
		c := *b
		body = &c
	case *bytes.Buffer:
		body = bytes.NewReader(b.Bytes())
	default:
		return false
	}
	m, _, err := cpim.ReadHeader(body)
	return err == nil && (mediatype.In(imdn, m.ContentType) || mediatype.In([]string{"notification"}, m.ContentHeader("Content-Disposition")))
}
