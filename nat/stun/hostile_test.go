package stun

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// request returns a Binding request with the given attributes.
func request(attrs ...[]byte) []byte { return compose(bindingRequest, [idSize]byte{1, 2, 3}, attrs...) }

func compose(kind uint16, id [idSize]byte, attrs ...[]byte) []byte {
	return finish(append(appendHeader(nil, kind, id), bytes.Join(attrs, nil)...), false)
}

// attr returns an attribute, padded.
func attr(kind uint16, value string) []byte { return appendAttribute(nil, kind, []byte(value)) }

// respondsTo returns the kind of the answer to a request, 0 for none.
func respondsTo(b []byte) uint16 {
	answer := Respond(b, client)
	if answer == nil {
		return 0
	}
	return binary.BigEndian.Uint16(answer)
}

func TestWhatIsAMessage(t *testing.T) {
	binding := string(NewBinding(server).Request())
	for _, tt := range []struct {
		name  string
		bytes string
		want  bool
	}{
		{"a Binding request", binding, true},
		{"nothing", "", false},
		{"one byte", "\x00", false},
		{"a CRLF keepalive", "\r\n\r\n", false},
		{"a SIP request", "OPTIONS sip:bob@example.com SIP/2.0\r\n\r\n", false},
		{"a SIP response", "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\n\r\n", false},
		{"RTP", "\x80" + binding[1:], false},
		{"half a header", binding[:10], false},
		{"a header less a byte", binding[:19], false},
		{"a byte too many", binding + "\x00", false},
		{"an attribute not announced", binding + "\x80\x22\x00\x00", false},
		{"another cookie", binding[:4] + "\x21\x12\xA4\x43" + binding[8:], false},
		{"RFC 3489, which had none", binding[:4] + "\x00\x00\x00\x00" + binding[8:], false},
		{"an attribute announced and not there", binding[:3] + "\x04" + binding[4:], false},
	} {
		if got := IsMessage([]byte(tt.bytes)); got != tt.want {
			t.Errorf("%s: IsMessage() = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestMessageLengthNotAMultipleOfFour(t *testing.T) {
	for extra := range 4 {
		b := append(request(), make([]byte, extra)...)
		b[3] = byte(extra)
		if got, want := IsMessage(b), extra == 0; got != want {
			t.Errorf("length %d: IsMessage() = %v, want %v", extra, got, want)
		}
	}
}

func TestAttributeLengthBeyondMessage(t *testing.T) {
	for _, length := range []uint16{1, 4, 5, 0x7FFF, 0xFFFC, 0xFFFD, 0xFFFF} {
		a := attr(0x8022, "")
		binary.BigEndian.PutUint16(a[2:], length)
		if got := respondsTo(request(a)); got != 0 {
			t.Errorf("an attribute of %d bytes that are not there is answered with %#x", length, got)
		}
	}
	if got := respondsTo(request(attr(0x8022, "odd"))); got != bindingSuccess {
		t.Errorf("an attribute with padding is answered with %#x, want success", got)
	}
}

// Nothing protects what follows MESSAGE-INTEGRITY, so it is as if it were not
// there (RFC 8489 section 14.5).
func TestMessageIntegrityNotLast(t *testing.T) {
	integrity, sha256 := attr(messageIntegrity, strings.Repeat("x", 20)), attr(messageIntegritySHA256, strings.Repeat("x", 32))
	for _, tt := range []struct {
		name  string
		attrs [][]byte
		want  uint16
	}{
		{"an unknown attribute before it", [][]byte{attr(0x7777, ""), integrity}, bindingError},
		{"an unknown attribute behind it", [][]byte{integrity, attr(0x7777, "")}, bindingSuccess},
		{"behind the other", [][]byte{sha256, attr(0x7777, "")}, bindingSuccess},
		{"between the two", [][]byte{integrity, attr(0x7777, ""), sha256}, bindingSuccess},
		{"both, in order", [][]byte{integrity, sha256}, bindingSuccess},
	} {
		if got := respondsTo(request(tt.attrs...)); got != tt.want {
			t.Errorf("%s: answered with %#x, want %#x", tt.name, got, tt.want)
		}
	}
	b := begun()
	forged := Respond(request(), netip.MustParseAddrPort("198.51.100.66:1"))[headerSize:]
	msg := compose(bindingSuccess, [idSize]byte(b.Request()[8:]), integrity, forged)
	if mapped, ok, err := b.Answer(msg, server); !ok || !errors.Is(err, ErrBadAnswer) {
		t.Errorf("an address behind the integrity: Answer() = %v, %v, %v, want ErrBadAnswer", mapped, ok, err)
	}
}

func TestFingerprintWrong(t *testing.T) {
	good := finish(request(), true)
	if got := respondsTo(good); got != bindingSuccess {
		t.Fatalf("a right FINGERPRINT is answered with %#x, want success", got)
	}
	for i := range good {
		if i == headerSize || i == headerSize+1 {
			continue // makes it another attribute
		}
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if got := respondsTo(bad); got != 0 {
			t.Errorf("byte %d changed: answered with %#x, want nothing", i, got)
		}
	}
	for name, b := range map[string][]byte{
		"too short":  request(attr(fingerprint, "")),
		"too long":   request(attr(fingerprint, "12345678")),
		"of zeroes":  request(attr(fingerprint, "\x00\x00\x00\x00")),
		"not last":   finish(append(bytes.Clone(good), attr(0x8022, "")...), false),
		"twice":      finish(bytes.Clone(good), true),
		"alone, cut": good[:24],
	} {
		if got := respondsTo(b); got != 0 {
			t.Errorf("FINGERPRINT %s: answered with %#x, want nothing", name, got)
		}
	}
}

// A USERNAME is up to 508 bytes, and 763 have to be read (RFC 8489 section
// 14.3). We need none of them.
func TestLongUsername(t *testing.T) {
	for length, want := range map[int]uint16{
		508: bindingSuccess, 513: bindingSuccess, 514: bindingSuccess, 763: bindingSuccess, 764: 0, 65000: 0,
	} {
		if got := respondsTo(request(attr(username, strings.Repeat("u", length)))); got != want {
			t.Errorf("USERNAME of %d bytes: answered with %#x, want %#x", length, got, want)
		}
	}
}

func TestUnknownComprehensionRequired(t *testing.T) {
	for kind, want := range map[uint16]uint16{
		0x0000: bindingError, 0x0003: bindingError, 0x0025: bindingError, 0x7FFF: bindingError,
		0x8000: bindingSuccess, 0xFFFF: bindingSuccess, realm: bindingSuccess, xorMappedAddress: bindingSuccess,
	} {
		if got := respondsTo(request(attr(kind, "any"))); got != want {
			t.Errorf("attribute %#04x: answered with %#x, want %#x", kind, got, want)
		}
	}

	// In a response it ends the transaction (sections 6.3.3 and 6.3.4).
	for _, kind := range []uint16{bindingSuccess, bindingError} {
		b := begun()
		good := Respond(b.Request(), client)[headerSize:]
		msg := compose(kind, [idSize]byte(b.Request()[8:]), good, attr(0x7777, ""))
		if mapped, ok, err := b.Answer(msg, server); mapped.IsValid() || !ok || !errors.Is(err, ErrBadAnswer) {
			t.Errorf("in a response: Answer() = %v, %v, %v, want ErrBadAnswer", mapped, ok, err)
		}
	}
}

// Answers that this transaction did not ask for change nothing: the right one
// still counts.
func TestResponseWithUnknownTransactionID(t *testing.T) {
	b := begun()
	right := Respond(b.Request(), client)
	other := Respond(NewBinding(server).Request(), client)
	late := Respond(begun().Request(), client)
	for _, tt := range []struct {
		name string
		msg  []byte
		from netip.AddrPort
	}{
		{"another ID", other, server},
		{"an ID of before", late, server},
		{"from another host", right, netip.MustParseAddrPort("192.0.2.11:3478")},
		{"from another port", right, netip.MustParseAddrPort("192.0.2.10:3479")},
		{"from nowhere", right, netip.AddrPort{}},
		{"the request itself", b.Request(), server},
		{"cut", right[:len(right)-4], server},
		{"empty", nil, server},
	} {
		if mapped, ok, err := b.Answer(tt.msg, tt.from); mapped.IsValid() || ok || err != nil {
			t.Errorf("%s: Answer() = %v, %v, %v, want none", tt.name, mapped, ok, err)
		}
	}
	if mapped, ok, err := b.Answer(right, netip.MustParseAddrPort("[::ffff:192.0.2.10]:3478")); mapped != client || !ok || err != nil {
		t.Errorf("the right one: Answer() = %v, %v, %v, want %v", mapped, ok, err, client)
	}

	b = NewBinding(server)
	if _, ok, _ := b.Answer(Respond(b.Request(), client), server); ok {
		t.Error("an answer before the request was sent counts")
	}
}

// A zero-length XOR-MAPPED-ADDRESS has ended whole processes, elsewhere.
func TestMappedAddressThatIsNone(t *testing.T) {
	id := [idSize]byte{9}
	for name, value := range map[string]string{
		"zero length":       "",
		"only a family":     "\x00\x01",
		"no address":        "\x00\x01\x12\x34",
		"half an address":   "\x00\x01\x12\x34\x01\x02",
		"IPv4 with IPv6":    "\x00\x01\x12\x34" + strings.Repeat("x", 16),
		"IPv6 with IPv4":    "\x00\x02\x12\x34abcd",
		"a third family":    "\x00\x03\x12\x34abcd",
		"family 0":          "\x00\x00\x12\x34abcd",
		"port 0":            "\x00\x01\x21\x12abcd",
		"0.0.0.0":           "\x00\x01\x12\x34\x21\x12\xA4\x42",
		"multicast":         "\x00\x01\x12\x34\xC5\x12\xA4\x42", // 228.0.0.0
		"a byte too many":   "\x00\x01\x12\x34abcde",
		"65,000 bytes long": strings.Repeat("x", 65000),
	} {
		b := answerTo(compose(bindingSuccess, id))
		mapped, ok, err := b.Answer(compose(bindingSuccess, id, attr(xorMappedAddress, value)), server)
		if mapped.IsValid() || !ok || !errors.Is(err, ErrBadAnswer) {
			t.Errorf("%s: Answer() = %v, %v, %v, want ErrBadAnswer", name, mapped, ok, err)
		}
		// One of a family that is not supported is ignored (section 6.3.3).
		b = answerTo(compose(bindingSuccess, id))
		good := appendXORMapped(nil, id, client)
		if mapped, ok, err = b.Answer(compose(bindingSuccess, id, good, attr(xorMappedAddress, value[:min(len(value), 4)])), server); mapped != client || !ok || err != nil {
			t.Errorf("%s behind a good one: Answer() = %v, %v, %v, want %v", name, mapped, ok, err, client)
		}
	}
}

func TestErrorResponses(t *testing.T) {
	id := [idSize]byte{9}
	for _, tt := range []struct {
		name string
		attr []byte
		want string
	}{
		{"500", attr(errorCode, "\x00\x00\x05\x00Server Error"), `stun: refused with 500 "Server Error"`},
		{"reserved bits are ignored", attr(errorCode, "\xFF\xFF\xFC\x26"), "stun: refused with 438"},
		{"a phrase that is none", attr(errorCode, "\x00\x00\x03\x00\xFF\r\n"), `stun: refused with 300 "\xff\r\n"`},
		{"420", append(attr(unknownAttributes, "\x00\x24\x00\x25x"), attr(errorCode, "\x00\x00\x04\x14")...), "stun: refused with 420, unknown attributes [0x0024 0x0025]"},
		{"a list that belongs to no 420", append(attr(unknownAttributes, "\x00\x24"), attr(errorCode, "\x00\x00\x04\x00")...), "stun: refused with 400"},
		{"none", nil, "stun: answer cannot be used: refused without an error code"},
		{"cut", attr(errorCode, "\x00\x00\x04"), "stun: answer cannot be used: refused without an error code"},
		{"class 2", attr(errorCode, "\x00\x00\x02\x00OK"), "stun: answer cannot be used: refused without an error code"},
		{"class 7", attr(errorCode, "\x00\x00\x07\x00"), "stun: answer cannot be used: refused without an error code"},
		{"number 100", attr(errorCode, "\x00\x00\x04\x64"), "stun: answer cannot be used: refused without an error code"},
		{"a novel", attr(errorCode, "\x00\x00\x04\x00"+strings.Repeat("x", 764)), "stun: answer cannot be used: refused without an error code"},
	} {
		msg := compose(bindingError, id, tt.attr)
		if _, ok, err := answerTo(msg).Answer(msg, server); !ok || err == nil || err.Error() != tt.want {
			t.Errorf("%s: Answer() = %v, %v, want %s", tt.name, ok, err, tt.want)
		}
	}
	var all []byte
	for kind := range uint16(1000) {
		all = binary.BigEndian.AppendUint16(all, kind)
	}
	msg := compose(bindingError, id, attr(errorCode, "\x00\x00\x04\x14"), attr(unknownAttributes, string(all)))
	_, _, err := answerTo(msg).Answer(msg, server)
	if refused, is := err.(*Error); !is || len(refused.Unknown) != maxUnknown {
		t.Errorf("a list of 1,000: %v, want the first %d", err, maxUnknown)
	}
}

func TestWhatIsNotAnswered(t *testing.T) {
	for name, b := range map[string][]byte{
		"an indication":       compose(0x0011, [idSize]byte{}),
		"a success":           compose(bindingSuccess, [idSize]byte{}),
		"an error":            compose(bindingError, [idSize]byte{}),
		"Allocate, of TURN":   compose(0x0003, [idSize]byte{}),
		"an undefined method": compose(0x3EEF, [idSize]byte{}),
		"nothing":             nil,
	} {
		if got := Respond(b, client); got != nil {
			t.Errorf("%s is answered with %x", name, got)
		}
	}
	if got := Respond(request(), netip.AddrPort{}); got != nil {
		t.Errorf("a request from nowhere is answered with %x", got)
	}
}

// An answer to a forged source is no weapon.
func TestAnswersAreSmall(t *testing.T) {
	for _, from := range []netip.AddrPort{client, netip.MustParseAddrPort("[2001:db8::1]:5060")} {
		limit := 1.6
		if from.Addr().Is6() {
			limit = 2.2
		}
		for count := range 200 {
			var attrs [][]byte
			for i := range count {
				attrs = append(attrs, attr(uint16(0x4000+i), ""))
			}
			for _, fingerprinted := range []bool{false, true} {
				ask := finish(request(attrs...), fingerprinted)
				answer := Respond(ask, from)
				if got := float64(len(answer)) / float64(len(ask)); got > limit || len(answer) > 104 || len(answer) == 0 {
					t.Errorf("%d unknown attributes: %d bytes answered with %d", count, len(ask), len(answer))
				}
			}
		}
	}
}

// A mapped IPv4 address and a zone are nobody's business.
func TestMappedAddressIsPlain(t *testing.T) {
	for from, want := range map[string]string{
		"[::ffff:203.0.113.1]:61234": "203.0.113.1:61234",
		"[fe80::1%eth0]:5060":        "[fe80::1]:5060",
	} {
		b := answerTo(request())
		mapped, _, err := b.Answer(Respond(request(), netip.MustParseAddrPort(from)), server)
		if mapped.String() != want || err != nil {
			t.Errorf("from %s: %v, %v, want %s", from, mapped, err, want)
		}
	}
}

func FuzzRespond(f *testing.F) {
	for _, name := range []string{"rfc5769-2.1", "rfc5769-2.2", "rfc5769-2.3", "rfc5769-2.4", "rfc8489-B.1"} {
		f.Add(vector(f, name))
	}
	f.Add(finish(request(attr(0x7777, "abc")), true))
	f.Fuzz(func(t *testing.T, b []byte) {
		answer := Respond(b, client)
		if answer == nil {
			return
		}
		if !IsMessage(b) || !IsMessage(answer) || len(answer) > 104 || !bytes.Equal(answer[4:headerSize], b[4:headerSize]) {
			t.Errorf("%x is answered with %x", b, answer)
		}
		mapped, ok, err := answerTo(answer).Answer(answer, server)
		if refused, is := err.(*Error); !ok || err == nil && mapped != client || err != nil && (!is || refused.Code != 420) {
			t.Errorf("our own answer %x reads as %v, %v, %v", answer, mapped, ok, err)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	for _, name := range []string{"rfc5769-2.1", "rfc5769-2.2", "rfc5769-2.3"} {
		f.Add(vector(f, name))
	}
	f.Add(compose(bindingError, [idSize]byte{}, attr(errorCode, "\x00\x00\x04\x14"), attr(unknownAttributes, "\x00\x24")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < headerSize {
			return
		}
		binding := answerTo(b)
		mapped, ok, err := binding.Answer(b, server)
		if ok && (err == nil) != mapped.IsValid() || !ok && (err != nil || mapped.IsValid()) {
			t.Errorf("%x reads as %v, %v, %v", b, mapped, ok, err)
		}
		if _, next, _ := binding.Step(time.Unix(0, 1)); ok != next.IsZero() {
			t.Errorf("%x: ended %v, yet next is %v", b, ok, next)
		}
	})
}
