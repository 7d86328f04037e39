package sip

import (
	"errors"
	"strings"
	"testing"
)

// hop is a header field type as another package would write it, of a comma list
// that is in no registry.
type hop string

func (hop) HeaderName() string { return "X-Hop" }
func (hop) CommaList()         {}
func (hop) ParseValue(s string) (hop, error) {
	if s == "bad" {
		return "", errors.New("a bad hop")
	}
	return hop(s), nil
}
func (h hop) AppendValue(b []byte) []byte { return append(b, h...) }

// note is one that has commas and is no list, and topic one whose name is in the
// table, which says that it is none.
type (
	note  string
	topic string
)

func (note) HeaderName() string                  { return "X-Note" }
func (note) ParseValue(s string) (note, error)   { return note(s), nil }
func (topic) HeaderName() string                 { return "Subject" }
func (topic) CommaList()                         {}
func (topic) ParseValue(s string) (topic, error) { return topic(s), nil }

const foreign = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n" +
	"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nX-Hop: one, \"two, or\r\n three\" , bad\r\nX-Note: so, so\r\ns: this, that\r\nx-hop:four\r\n\r\n"

func TestTypesOfOtherPackages(t *testing.T) {
	m := mustParse(t, foreign).(*Request)
	var got []string
	for h, err := range All[hop](m) {
		if bad := new(SyntaxError); errors.As(err, &bad) {
			h = hop("error in " + bad.Where)
		}
		got = append(got, string(h))
	}
	if got, want := strings.Join(got, "|"), `one|"two, or three"|error in X-Hop|four`; got != want {
		t.Errorf("All = %s, want %s", got, want)
	}
	if h, err := Get[hop](m); h != "one" || err != nil {
		t.Errorf("Get = %q, %v, want the first of the list", h, err)
	}
	if n, err := Get[note](m); n != "so, so" || err != nil {
		t.Errorf("Get = %q, %v, want the whole line", n, err)
	}
	if s, err := Get[topic](m); s != "this, that" || err != nil {
		t.Errorf("Get = %q, %v, want the whole line", s, err)
	}

	out := m.With(Push(hop("zero")), Add(List(hop("five"), hop("six"))))
	if m.With(Add(hop("five, six"))).Err() == nil {
		t.Error("one value is two")
	}
	got = nil
	for h := range All[hop](out) {
		got = append(got, string(h))
	}
	if got, want := strings.Join(got, "|"), `zero|one|"two, or three"||four|five|six`; got != want {
		t.Errorf("All after edits = %s, want %s", got, want)
	}
	if out = m.With(Pop("X-Hop")); out.Err() != nil {
		t.Fatal(out.Err())
	}
	if h, err := Get[hop](out); h != "four" || err != nil {
		t.Errorf("Get after Pop = %q, %v, want what is on the next line", h, err)
	}
	if out = m.With(hop("only")); strings.Count(strings.ToLower(out.String()), "x-hop") != 1 {
		t.Errorf("set left something behind:\n%s", out)
	}

	text := mustParse(t, strings.Replace(foreign, "\r\n three", " three", 1))
	allocs(t, "Get and All of a foreign list", 0, func() {
		if h, err := Get[hop](text); h != "one" || err != nil {
			t.Fatal(h, err)
		}
		for range All[hop](text) {
			break
		}
	})
}

// What may be there once is not read if it is there twice, for somebody else may
// read the other one: RFC 3515 section 2.4.2 and RFC 3891 section 3 want a 400.
func TestSecondLine(t *testing.T) {
	refusesSecond[ReferTo](t, "Refer-To: <sip:a@a.example>", "r: <sip:b@b.example>")
	refusesSecond[Replaces](t, "Replaces: a;to-tag=1;from-tag=2", "Replaces: b;to-tag=1;from-tag=2")
	refusesSecond[Event](t, "Event: presence", "o: dialog")
	refusesSecond[Expires](t, "Expires: 3600", "EXPIRES: 0")
	refusesSecond[Expires](t, "Expires: 3600", "Expires: broken")
	refusesSecond[SessionExpires](t, "x: 1800", "Session-Expires: 90;refresher=uac")
	refusesSecond[RAck](t, "RAck: 1 1 INVITE", "RAck: 2 1 INVITE")
	refusesSecond[SubscriptionState](t, "Subscription-State: active", "Subscription-State: terminated")
	refusesSecond[ContentDisposition](t, "Content-Disposition: session", "Content-Disposition: render")
	refusesSecond[ContentTransferEncoding](t, "Content-Transfer-Encoding: base64", "Content-Transfer-Encoding: binary")
	refusesSecond[SIPIfMatch](t, "SIP-If-Match: a", "SIP-If-Match: b")
	refusesSecond[ReferredBy](t, "Referred-By: <sip:a@a.example>", "b: <sip:b@b.example>")
	refusesSecond[topic](t, "Subject: a", "s: b") // a type of another package
}

// Nor is a parameter that much hangs on (RFC 3261 section 7.3.1). Others are let
// be.
func TestSecondParameter(t *testing.T) {
	refuses[ContentType](t, "multipart/mixed;boundary=a;boundary=b", `multipart/mixed;boundary=a;x;BOUNDARY="a"`, "multipart/related;boundary=a;start=a;start=b")
	refuses[ContentDisposition](t, "render;handling=optional;handling=required", "render; handling=optional; Handling=optional")
	refuses[Event](t, "presence;id=1;id=2", "presence;ID=1 ;x;id=1")
	refuses[SubscriptionState](t, "active;expires=3600;expires=0", "terminated;reason=timeout;reason=rejected", "terminated;retry-after=1;retry-after=2")
	refuses[SessionExpires](t, "1800;refresher=uac;refresher=uas")
	refuses[RetryAfter](t, "18000;duration=1;duration=3600")
	refuses[UserToUser](t, "00;encoding=hex;encoding=text", "00;purpose=a;purpose=b", "00;content=a;content=b")
	reads(t,
		reading[ContentType]{text: "text/plain;charset=a;charset=b", want: ContentType{"text/plain", ";charset=a;charset=b"}},
		reading[ContentType]{text: `multipart/mixed;x=";boundary=a";boundary=b`, want: ContentType{"multipart/mixed", `;x=";boundary=a";boundary=b`}},
	)
	wontWrite(t, ContentType{"multipart/mixed", ";boundary=a;boundary=b"})
	wontWrite[ContentTransferEncoding](t, "base64, x; y", "", "base64;x")
	if n, ok := (Contact{Params: ";expires=3600;q=1;EXPIRES=0"}).Expires(); ok {
		t.Errorf("Expires() of two = %d, want none", n)
	}
	text := carry("multipart/mixed;boundary=b;boundary=c", "--b\r\n\r\nx\r\n--b--")
	for p, err := range Parts(mustParse(t, text)) {
		bad := new(SyntaxError)
		if !errors.As(err, &bad) || bad.Status != StatusBadRequest || bad.Offset != strings.Index(text, ";boundary=c") {
			t.Errorf("Parts with two boundaries = %v, %v, want 400 at the second", p, err)
		}
	}
}

// refusesSecond holds that two such lines are not read, and not written.
func refusesSecond[H Parser[H]](t *testing.T, one, two string) {
	t.Helper()
	alone := mustParse(t, tweak("", one))
	want, err := Get[H](alone)
	if err != nil {
		t.Errorf("Get of %s: %v", one, err)
	}
	text := tweak("", one, "X-Between: x", two)
	both := mustParse(t, text)
	part := parts(t, mustParse(t, mixed("--b\n"+one+"\n"+two+"\n\nx\n--b--")))[0]
	fragment, err := ParseFragment(one + "\r\n" + two)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []Entity{both, part, fragment} {
		_, err = Get[H](e)
		errs := []error{err}
		for _, err := range All[H](e) {
			errs = append(errs, err)
		}
		bad := new(SyntaxError)
		if len(errs) != 2 || !errors.As(errs[0], &bad) || !errors.As(errs[1], &bad) || bad.Where != want.HeaderName() {
			t.Errorf("%T with %s and %s is read with %v, want an error each time", e, one, two, errs)
		} else if e == Entity(both) && (bad.Status != StatusBadRequest || bad.Offset != strings.Index(text, two)) {
			t.Errorf("the error is %v with the status %d, want 400 at the second", bad, bad.Status)
		}
	}

	name, value, _ := strings.Cut(two, ": ")
	for _, m := range []Message{alone, both} {
		for _, e := range []Edit{Add(Field{name, value}), Push(Field{name, value})} {
			if got := with(m, e); got.Err() == nil {
				t.Errorf("With wrote one more line:\n%s", got)
			}
		}
	}
	if got := with(both, Del(name)); got.Err() != nil || strings.Contains(got.String(), one) || strings.Contains(got.String(), two) {
		t.Errorf("With of none left %v\n%s", got.Err(), got)
	}
}

// Two lines that say the same are read by everybody alike; two that do not are
// refused.
func TestSecondLineThatIsTheSame(t *testing.T) {
	same := mustParse(t, tweak("", "Expires: 180", "Subject: a", "Expires:  180"))
	if got, err := Get[Expires](same); got != 180 || err != nil {
		t.Errorf("Get() = %v, %v, want 180", got, err)
	}
	for _, line := range []string{"Refer-To: <sip:a@b>", "Replaces: 1@a;to-tag=1;from-tag=2", "Join: 1@a;to-tag=1;from-tag=2"} {
		m := mustParse(t, tweak("", line, line))
		if _, err := Get[ReferTo](m); err == nil {
			t.Errorf("two of %s: no error", line)
		} else if _, err := Get[Replaces](m); err == nil {
			t.Errorf("two of %s: no error", line)
		} else if _, err := Get[Join](m); err == nil {
			t.Errorf("two of %s: no error", line)
		}
	}
	n := 0
	for range All[Expires](same) {
		n++
	}
	if n != 1 {
		t.Errorf("All() yields %d values, want 1", n)
	}
	other := mustParse(t, tweak("", "Expires: 180", "Expires: 180", "Expires: 60"))
	if got, err := Get[Expires](other); err == nil {
		t.Errorf("Get() = %v, want an error", got)
	}
}
