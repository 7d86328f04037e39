package registrar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/goparley/parley/sip"
)

// wireVersion is the first byte of a value. Another one is not read, and so not
// overwritten.
const wireVersion = 1

// A value is the bindings of a user. Each is its flags, its times in milliseconds
// since 1970, the epoch of its GRUUs, the CSeq, and as texts with their lengths
// the Call-ID, the Contact and the Path. Numbers are varints.

const (
	flagOutbound = 1
	flagHere     = 2
)

// encode writes the bindings of a user. It returns nil for none.
func encode(bindings []Binding) []byte {
	if len(bindings) == 0 {
		return nil
	}
	b := make([]byte, 0, 1+200*len(bindings))
	b = append(b, wireVersion)
	b = binary.AppendUvarint(b, uint64(len(bindings)))
	for i := range bindings {
		x := &bindings[i]
		flags := uint64(0)
		if x.outbound {
			flags |= flagOutbound
		}
		if x.here {
			flags |= flagHere
		}
		b = binary.AppendUvarint(b, flags)
		b = binary.AppendVarint(b, x.Expires.UnixMilli())
		b = binary.AppendVarint(b, x.Updated.UnixMilli())
		b = binary.AppendUvarint(b, x.epoch)
		b = binary.AppendUvarint(b, uint64(x.CSeq))
		b = appendText(b, x.CallID)
		b = appendValue(b, x.Contact)
		b = binary.AppendUvarint(b, uint64(len(x.Path)))
		for _, hop := range x.Path {
			b = appendValue(b, hop)
		}
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendValue appends the value of a header field as text.
func appendValue(b []byte, h interface{ AppendValue([]byte) []byte }) []byte {
	var room [512]byte
	text := h.AppendValue(room[:0])
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// errWire says that a value is none of ours.
var errWire = errors.New("registrar: stored value cannot be read")

// decode reads the bindings of a user, without those that are over. Their texts
// are parts of one copy of the value.
func decode(value []byte, now time.Time) ([]Binding, error) {
	if len(value) == 0 {
		return nil, nil
	}
	if value[0] != wireVersion {
		return nil, fmt.Errorf("%w: version %d", errWire, value[0])
	}
	r := wireReader{rest: value[1:], text: string(value[1:])}
	n := r.number(math.MaxUint16)
	var list []Binding
	for i := 0; i < int(n) && !r.bad; i++ {
		var x Binding
		flags := r.number(math.MaxUint64)
		x.outbound, x.here = flags&flagOutbound != 0, flags&flagHere != 0
		x.Expires, x.Updated = r.time(), r.time()
		x.epoch = r.number(math.MaxUint64)
		x.CSeq = uint32(r.number(math.MaxUint32))
		x.CallID = r.string()
		contact := r.string()
		hops := r.number(math.MaxUint16)
		live := now.Before(x.Expires)
		if live {
			var err error
			if x.Contact, err = (sip.Contact{}).ParseValue(contact); err != nil {
				r.bad = true
			}
		}
		for ; hops > 0 && !r.bad; hops-- {
			text := r.string()
			if !live {
				continue
			}
			hop, err := sip.Route{}.ParseValue(text)
			if err != nil {
				r.bad = true
			}
			x.Path = append(x.Path, hop)
		}
		if live && !r.bad {
			if list == nil {
				list = make([]Binding, 0, min(int(n)-i, 16))
			}
			list = append(list, x)
		}
	}
	if r.bad || len(r.rest) > 0 {
		return nil, errWire
	}
	return list, nil
}

// wireReader takes a value apart. After a fault all that it gives is zero.
type wireReader struct {
	rest []byte
	text string // the same; ends where rest ends
	bad  bool
}

func (r *wireReader) number(most uint64) uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || n > most {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *wireReader) time() time.Time {
	n, size := binary.Varint(r.rest)
	if size <= 0 {
		r.bad, r.rest = true, nil
		return time.Time{}
	}
	r.rest = r.rest[size:]
	return time.UnixMilli(n)
}

func (r *wireReader) string() string {
	n := int(r.number(math.MaxInt32))
	if n > len(r.rest) {
		r.bad, r.rest = true, nil
	}
	if r.bad {
		return ""
	}
	at := len(r.text) - len(r.rest)
	r.rest = r.rest[n:]
	return r.text[at : at+n]
}
