package iscomposing

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
)

// What is read at most.
const (
	maxText  = 16 << 10 // bytes
	maxDepth = 16       // elements within each other
)

// decode reads an XML document into v, without a document type, and thus without
// entities, and with nothing behind it.
func decode(text []byte, v any) error {
	if len(text) > maxText {
		return errors.New("document is too large")
	}
	d := xml.NewTokenDecoder(&limited{d: xml.NewDecoder(bytes.NewReader(text))})
	if err := d.Decode(v); err != nil {
		return err
	}
	for {
		switch t, err := d.Token(); t := t.(type) {
		case nil:
			if err == io.EOF {
				return nil
			}
			return err
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return errors.New("text behind the document")
			}
		case xml.StartElement:
			return errors.New("second document")
		}
	}
}

// limited is a source of tokens that bounds them. It leaves it to who reads them to
// see to it that elements end as they began.
type limited struct {
	d     *xml.Decoder
	depth int
}

func (l *limited) Token() (xml.Token, error) {
	t, err := l.d.RawToken()
	switch t.(type) {
	case xml.Directive:
		return nil, errors.New("document type")
	case xml.StartElement:
		if l.depth++; l.depth > maxDepth {
			return nil, errors.New("elements nested too deeply")
		}
	case xml.EndElement:
		l.depth--
	}
	return t, err
}
