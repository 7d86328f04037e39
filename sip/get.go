package sip

import (
	"iter"
	"strings"
)

// Parser is what Get and All need of a header field's type: its name, and a
// way to read one value, without the white space around it and with folds
// undone. ParseValue is called on the zero H.
//
// Any package can write such a type; see the example of Get. If its header field
// is a comma list, a method CommaList() on the type says so, and ParseValue is
// given one value at a time. It counts only for names that this package does
// not know; of those in its own table it knows which are lists.
type Parser[H any] interface {
	HeaderName() string
	ParseValue(value string) (H, error)
}

// Get returns the first value of a header field. The error is ErrMissing if
// the entity has no such field, and a *SyntaxError if its value is broken, or if
// a header field that may be there once, such as Expires, has a second line that
// says something else: what another reader takes may be that one. Value does not
// look for it.
func Get[H Parser[H]](e Entity) (H, error) {
	var zero H
	b := e.base()
	id := lookupHeader(zero.HeaderName())
	i := b.find(id, zero.HeaderName(), 0)
	if i < 0 {
		return zero, ErrMissing
	}
	value := b.value(i)
	if id == idContact && b.contact.uri.scheme != schemeNone {
		var h H
		if c, ok := any(&h).(*Contact); ok {
			b.contact.fillContact(c, value)
			return h, nil
		}
	}
	switch k := kindOf(id, zero); k {
	case list, ranges, words, challenges:
		value, _ = k.split(value)
	case tokens:
		value = b.join(id, i, value)
	case single:
		if err := second(e, id, i); err != nil {
			return zero, err
		}
	}
	h, err := zero.ParseValue(value)
	if err != nil {
		return zero, bad(e, i, 0, err)
	}
	return h, nil
}

// maxValues bounds the values of one header field, where a comma makes one, and
// maxBroken those of them that are told to be broken.
const (
	maxValues = 200
	maxBroken = 20
)

// All yields the values of a header field in order, comma lists split. A value
// that is broken is yielded as a *SyntaxError, and the next one follows, up to 20
// broken ones. More than 200 values of a comma list end with an error, too, and
// of a header field that may be there once a second line that says something else
// is the one thing that is yielded.
func All[H Parser[H]](e Entity) iter.Seq2[H, error] {
	return func(yield func(H, error) bool) {
		var zero H
		b := e.base()
		id := lookupHeader(zero.HeaderName())
		kind := kindOf(id, zero)
		left, broken := maxValues, 0
		for i := b.find(id, zero.HeaderName(), 0); i >= 0; i = b.find(id, zero.HeaderName(), i+1) {
			rest := b.value(i)
			size := len(rest)
			for more := true; more; more = rest != "" {
				value, at := rest, size-len(rest)
				rest = ""
				switch kind {
				case list, ranges, words, challenges:
					if left--; left < 0 {
						yield(zero, bad(e, i, at, valueError("expected no more than 200 values")))
						return
					}
					value, rest = kind.split(value)
				case tokens:
					value = b.join(id, i, value)
				case single:
					if err := second(e, id, i); err != nil {
						yield(zero, err)
						return
					}
				}
				h, err := zero.ParseValue(value)
				if err != nil {
					err = bad(e, i, at, err)
					broken++
				}
				if !yield(h, err) || kind == tokens || kind == single || broken == maxBroken {
					return
				}
			}
		}
	}
}

// split returns the first value of a line that has several, and the others.
func (k kind) split(line string) (first, rest string) {
	switch k {
	case challenges:
		return splitChallenges(line)
	case ranges:
		const between = ", \t"
		some := strings.TrimLeft(line, between)
		if some == "" {
			return line, "" // commas alone are no value, and not the empty line
		}
		first, rest = splitList(some)
		return first, strings.TrimLeft(rest, between)
	case words:
		first, rest, _ = strings.Cut(line, ",")
		return trimWS(first), skipWS(rest)
	}
	return splitList(line)
}

// commas reports whether a line may have several values with commas between
// them, which the type of the header field reads one by one.
func (k kind) commas() bool { return k == list || k == ranges || k == words }

// kindOf returns how values of a header field are combined. Of a name that is
// not in the table its type knows.
func kindOf[H any](id headerID, zero H) kind {
	if id == 0 {
		if _, ok := any(zero).(interface{ CommaList() }); ok {
			return list
		}
	}
	return lookupKind(id)
}

// second is the error of a header field that may be there once, if there is a
// second line of it behind line i (RFC 3261 section 7.3.1). Those that routing
// needs were looked at when the entity was made.
func second(e Entity, id headerID, i int) error {
	if id < numHot {
		return nil
	}
	m := e.base()
	first := i
	if i = m.find(id, "", i+1); i < 0 {
		return nil
	}
	switch headers[id].name {
	case "Refer-To", "Replaces", "Join":
		// More than one is to be answered with 400, whatever they say (RFC 3515
		// section 2.4.2, RFC 3891 section 3, RFC 3911 section 4).
	default:
		// Of lines that are the same all readers take the same.
		for value := m.value(first); m.value(i) == value; {
			if i = m.find(id, "", i+1); i < 0 {
				return nil
			}
		}
	}
	return e.place().fault(fail(StatusBadRequest, headers[id].name, int(m.fields()[i].line), "expected no second one"))
}

// join puts the values of all lines of a list into one, or of so many that there
// are too many values.
func (m *message) join(id headerID, i int, value string) string {
	i = m.find(id, "", i+1)
	if i < 0 {
		return value
	}
	var b strings.Builder
	b.WriteString(value)
	for n := 0; i >= 0 && n < maxValues; i = m.find(id, "", i+1) {
		n++
		b.WriteString(", ")
		b.WriteString(m.value(i))
	}
	return b.String()
}

// bad says what is wrong with a value of line i, which begins at that place of
// the whole. Where folds moved it, the place is where the line's value begins.
func bad(e Entity, i, at int, err error) error {
	m := e.base()
	start, end := m.valueSpan(i)
	if at += placeOf(err); m.folded && strings.IndexByte(m.text[start:end], '\n') >= 0 || start+at > end {
		at = 0
	}
	return e.place().fault(fail(StatusBadRequest, headerName(m.name(m.fields()[i])), start+at, msgOf(err)))
}
