package registrar

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
)

func sample(t testing.TB) []Binding {
	c, err := sip.Contact{}.ParseValue(`"Al \"x\"" <sip:alice@192.0.2.1;transport=tcp>;q=0.5;reg-id=1;` + instanceOne)
	if err != nil {
		t.Fatal(err)
	}
	at := time.UnixMilli(1_700_000_000_123)
	return []Binding{
		{Contact: c, Path: []sip.Route{{URI: uri(t, "sip:t@a.example;lr;ob"), Params: ";x=1"}, {URI: uri(t, "sip:b.example;lr")}},
			CallID: "1@a", CSeq: 1<<31 - 1, Updated: at, Expires: at.Add(time.Hour), outbound: true, epoch: 1<<64 - 1},
		{Contact: sip.Contact{URI: uri(t, "sip:alice@[2001:db8::1]")}, CallID: "2", Updated: at, Expires: at.Add(time.Minute), here: true},
	}
}

// What is stored comes back as it was, but for what is over.
func TestWire(t *testing.T) {
	want := sample(t)
	value := encode(want)
	got, err := decode(value, want[0].Updated)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("decode() = %+v, %v, want %+v", got, err, want)
	}
	got, err = decode(value, want[1].Expires)
	if err != nil || !reflect.DeepEqual(got, want[:1]) {
		t.Errorf("a minute on decode() = %+v, %v, want the first one", got, err)
	}
	if got, err := decode(encode(nil), time.Now()); got != nil || err != nil {
		t.Errorf("of none decode() = %v, %v", got, err)
	}
	for n := 1; n < len(value); n++ {
		if _, err := decode(value[:n], want[0].Updated); !errors.Is(err, errWire) {
			t.Fatalf("of the first %d bytes decode() gives %v, want %v", n, err, errWire)
		}
	}
	if _, err := decode(append(bytes.Clone(value), 0), want[0].Updated); !errors.Is(err, errWire) {
		t.Errorf("with a byte more decode() gives %v, want %v", err, errWire)
	}
}

// Whatever is in the Store, it is read or refused, and what is read can be
// written.
func FuzzDecode(f *testing.F) {
	f.Add(encode(sample(f)))
	f.Add([]byte{wireVersion, 0})
	f.Add([]byte{wireVersion, 255, 255, 3, 0})
	f.Add([]byte{2})
	now := time.UnixMilli(1_700_000_000_123)
	f.Fuzz(func(t *testing.T, value []byte) {
		list, err := decode(value, now)
		if err != nil {
			return
		}
		again, err := decode(encode(list), now)
		if err != nil || len(again) != len(list) {
			t.Errorf("decode() gives %d bindings, and %d, %v when written again", len(list), len(again), err)
		}
	})
}
