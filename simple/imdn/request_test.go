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

var (
	alice = cpim.Address{Name: "Alice", URI: "im:alice@example.com"}
	bob   = cpim.Address{Name: "Bob", URI: "im:bob@example.com"}
	noon  = time.Date(2026, 4, 4, 12, 0, 0, 0, time.UTC)
)

func hello() *cpim.Message {
	return &cpim.Message{From: alice, To: []cpim.Address{bob}, ContentType: "text/plain", Content: []byte("Hello World")}
}

// travel sends a message: it is written and read.
func travel(t *testing.T, m *cpim.Message) *cpim.Message {
	t.Helper()
	text, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, text)
}

func read(t *testing.T, text []byte) *cpim.Message {
	t.Helper()
	m, err := cpim.Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return m
}

func file(t *testing.T, name string) *cpim.Message {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".cpim")
	if err != nil {
		t.Fatal(err)
	}
	return read(t, text)
}

// with returns a message from Alice that has the lines among its headers.
func with(t *testing.T, lines ...string) *cpim.Message {
	t.Helper()
	return read(t, []byte("From: Alice <im:alice@example.com>\r\nTo: Bob <im:bob@example.com>\r\nNS: i <urn:ietf:params:imdn>\r\n"+
		strings.Join(lines, "\r\n")+"\r\n\r\nContent-Type: text/plain\r\n\r\nHello"))
}

func ask(t *testing.T, want Disposition) *cpim.Message {
	t.Helper()
	m := hello()
	if _, err := Ask(m, want, noon); err != nil {
		t.Fatal(err)
	}
	return travel(t, m)
}

// Alice asks, Bob gets the message and tells twice, Alice matches (RFC 5438 section 4).
func TestNotificationFindsItsMessage(t *testing.T) {
	m := hello()
	id, err := Ask(m, PositiveDelivery|Display, noon.Add(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	atBob := travel(t, m)
	r := Received(atBob)
	want := &Request{MessageID: id, DateTime: "2026-04-04T12:00:00Z", Want: PositiveDelivery | Display, Sender: alice, Recipient: bob}
	if !reflect.DeepEqual(r, want) {
		t.Fatalf("Received() = %+v, want %+v", r, want)
	}
	for _, c := range []struct {
		kind   Kind
		status Status
	}{{DeliveryNotification, Delivered}, {DisplayNotification, Displayed}} {
		note, err := r.Notify(c.kind, c.status, noon.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if NextHop(note) != alice.URI {
			t.Errorf("NextHop() = %q, want %q", NextHop(note), alice.URI)
		}
		atAlice := travel(t, note)
		if atAlice.From != bob || len(atAlice.To) != 1 || atAlice.To[0] != alice {
			t.Errorf("from %v to %v, want from Bob to Alice", atAlice.From, atAlice.To)
		}
		if got := atAlice.ContentHeader("Content-Disposition"); got != "notification" || atAlice.ContentType != ContentType {
			t.Errorf("%s, Content-Disposition %q, want %s, notification", atAlice.ContentType, got, ContentType)
		}
		if own := MessageID(atAlice); own == "" || own == id {
			t.Errorf("Message-ID = %q, want one of its own, not %q", own, id)
		}
		got, err := Read(atAlice)
		if err != nil || len(got) != 1 || !got[0].DateTime.Equal(noon) {
			t.Fatalf("Read() = %+v, %v, want one of noon", got, err)
		}
		got[0].DateTime = time.Time{}
		if want := (Notification{MessageID: id, Recipient: bob.URI, OriginalRecipient: bob.URI, Kind: c.kind, Status: c.status}); got[0] != want {
			t.Errorf("Read() = %+v, want %+v", got[0], want)
		}
	}
	if r.Want != 0 {
		t.Errorf("Want = %v, want nothing more", r.Want)
	}
}

// RFC 5438 section 6.3: at least 64 random bits.
func TestMessageIDsAreRandom(t *testing.T) {
	seen := make(map[string]bool)
	for range 100 {
		id := MessageID(ask(t, Display))
		if len(id) < 13 || seen[id] { // 5 bits a letter
			t.Fatalf("Message-ID = %q, want 64 bits, and another each time", id)
		}
		seen[id] = true
	}
}

// RFC 5438 sections 7.1.1.1 to 7.1.1.3.
func TestWhatAskWrites(t *testing.T) {
	m := hello()
	m.DateTime = noon.Add(-time.Hour)
	first, _ := Ask(m, Display, noon)
	second, err := Ask(m, PositiveDelivery|NegativeDelivery|Processing|Display, noon)
	if err != nil || first == second {
		t.Fatalf("Ask() = %q, then %q, %v, want another", first, second, err)
	}
	want := []cpim.Header{header("Message-ID", second), header("Disposition-Notification", "positive-delivery, negative-delivery, processing, display")}
	if !reflect.DeepEqual(m.Headers, want) {
		t.Errorf("Headers = %v, want %v", m.Headers, want)
	}
	if want := noon.Add(-time.Hour); !m.DateTime.Equal(want) {
		t.Errorf("DateTime = %v, want %v as it was", m.DateTime, want)
	}

	unread := with(t, "DateTime: yesterday")
	if _, err := Ask(unread, 0, noon); err != nil {
		t.Fatal(err)
	}
	again := travel(t, unread)
	if !again.DateTime.Equal(noon) || MessageID(again) == "" {
		t.Errorf("at %v with ID %q, want %v and an ID", again.DateTime, MessageID(again), noon)
	}
	if _, ok := again.Header(Namespace, "Disposition-Notification"); ok {
		t.Error("there is a Disposition-Notification that asks for nothing")
	}
}

// RFC 5438 section 7.2.1: neither asked for, nor given.
func TestNoNotificationOfANotification(t *testing.T) {
	for name, m := range map[string]*cpim.Message{
		"both":        {ContentType: ContentType, ContentHeaders: []cpim.Field{{Name: "Content-Disposition", Value: "notification"}}},
		"type":        {ContentType: "Message/IMDN+XML; charset=utf-8"},
		"disposition": {ContentType: "multipart/mixed", ContentHeaders: []cpim.Field{{Name: "content-disposition", Value: "Notification;x=y"}}},
	} {
		m.From, m.To = alice, []cpim.Address{bob}
		if id, err := Ask(m, Display, noon); err != ErrIMDN || len(m.Headers) != 0 {
			t.Errorf("%s: Ask() = %q, %v with %v, want ErrIMDN", name, id, err, m.Headers)
		}
		RecordRoute(m, cpim.Address{URI: "im:store@example.com"})
		if len(m.Headers) != 0 {
			t.Errorf("%s: RecordRoute() adds %v", name, m.Headers)
		}
		// A peer may ask nevertheless.
		m.Headers = []cpim.Header{header(messageID, "x"), header(disposition, "display, processing, negative-delivery")}
		if r, f := Received(m), Forwarded(m); r != nil || f != nil {
			t.Errorf("%s: Received() = %+v, Forwarded() = %+v, want nil", name, r, f)
		}
	}
}

// RFC 5438 section 7.2.1: one for each kind at most, and none that is not asked for.
func TestOneNotificationOfEachKind(t *testing.T) {
	type told struct {
		kind   Kind
		status Status
		err    error
	}
	const d, p, s = DeliveryNotification, ProcessingNotification, DisplayNotification
	for _, c := range []struct {
		name  string
		asked Disposition
		read  func(*cpim.Message) *Request
		told  []told
	}{
		{"delivered, then failed", PositiveDelivery | NegativeDelivery, Received,
			[]told{{d, Delivered, nil}, {d, Failed, ErrNotAsked}, {d, Delivered, ErrNotAsked}, {d, Error, ErrNotAsked}}},
		{"failed, then delivered", PositiveDelivery | NegativeDelivery, Received,
			[]told{{d, Failed, nil}, {d, Delivered, ErrNotAsked}}},
		{"failures only", NegativeDelivery, Received,
			[]told{{d, Delivered, ErrNotAsked}, {s, Displayed, ErrNotAsked}, {d, Failed, nil}}},
		{"success only", PositiveDelivery, Received,
			[]told{{d, Failed, ErrNotAsked}, {d, Delivered, nil}}},
		{"shown", Display | PositiveDelivery, Received,
			[]told{{s, Displayed, nil}, {s, Forbidden, ErrNotAsked}, {d, Delivered, nil}}},
		{"forbidden", Display | NegativeDelivery, Received,
			[]told{{d, Forbidden, nil}, {s, Forbidden, nil}, {d, Forbidden, ErrNotAsked}}},
		{"processing is not for recipients", Processing | Display, Received,
			[]told{{p, Processed, ErrNotAsked}, {p, Error, ErrNotAsked}, {s, Displayed, nil}}},
		{"in between", Processing | PositiveDelivery | NegativeDelivery | Display, Forwarded,
			[]told{{p, Stored, nil}, {p, Processed, ErrNotAsked}, {d, Delivered, ErrNotAsked}, {s, Displayed, ErrNotAsked}, {d, Failed, nil}}},
	} {
		r := c.read(ask(t, c.asked))
		if r == nil {
			t.Errorf("%s: nothing is asked for", c.name)
			continue
		}
		for _, told := range c.told {
			note, err := r.Notify(told.kind, told.status, noon)
			if err != told.err || (note == nil) != (err != nil) {
				t.Errorf("%s: Notify(%s, %s) = %v, %v, want %v", c.name, told.kind, told.status, note, err, told.err)
			}
		}
	}
}

func TestWhatAsksForNothing(t *testing.T) {
	none := ask(t, Display)
	none.From = cpim.Address{}
	for name, m := range map[string]*cpim.Message{
		"no header":      with(t, "i.Message-ID: 1"),
		"empty":          with(t, "i.Message-ID: 1", "i.Disposition-Notification:"),
		"unknown":        with(t, "i.Message-ID: 1", "i.Disposition-Notification: Display, x;display"),
		"no ID":          with(t, "i.Disposition-Notification: display"),
		"empty ID":       with(t, "i.Message-ID: ", "i.Disposition-Notification: display"),
		"other space":    with(t, "NS: imdn <urn:x>", "imdn.Message-ID: 1", "imdn.Disposition-Notification: display"),
		"not declared":   with(t, "imdn.Message-ID: 1", "imdn.Disposition-Notification: display"),
		"nobody to tell": none,
		"processing":     ask(t, Processing),
	} {
		if r := Received(m); r != nil {
			t.Errorf("%s: Received() = %+v, want nil", name, r)
		}
	}
	if r := Forwarded(ask(t, PositiveDelivery|Display)); r != nil {
		t.Errorf("Forwarded() = %+v, want nil", r)
	}
}

// RFC 5438 sections 6.1 and 10: any prefix, parameters and unknown words are fine.
func TestWhatAsks(t *testing.T) {
	r := Received(with(t, "i.Message-ID:  1 ", "i.Disposition-Notification: later,display ; a=b,  negative-delivery", "i.Disposition-Notification: positive-delivery"))
	if r == nil || r.Want != PositiveDelivery|NegativeDelivery|Display || r.MessageID != "1" {
		t.Errorf("Received() = %+v, want three for message 1", r)
	}
	r = Received(file(t, "rfc5438-s7.1.1.3"))
	if r == nil || r.Want != PositiveDelivery|NegativeDelivery || r.MessageID != "34jk324j" || r.DateTime != "2006-04-04T12:16:49-05:00" {
		t.Errorf("Received() = %+v, want what RFC 5438 section 7.1.1.3 says", r)
	}
}

// Who the recipient is cannot be seen where there are several.
func TestRecipientOfSeveral(t *testing.T) {
	m := ask(t, Display)
	m.To = append(m.To, cpim.Address{URI: "im:carol@example.com"})
	r := Received(m)
	if r == nil || r.Recipient != (cpim.Address{}) {
		t.Fatalf("Received() = %+v, want no recipient", r)
	}
	if note, err := r.Notify(DisplayNotification, Displayed, noon); err == nil {
		t.Errorf("Notify() = %+v, want an error", note)
	}
	r.Recipient = m.To[1]
	note, err := r.Notify(DisplayNotification, Displayed, noon)
	if err != nil || note.From != m.To[1] {
		t.Errorf("Notify() = %+v, %v, want it from Carol", note, err)
	}
}

// A status of another kind is a mistake of the program.
func TestStatusOfAnotherKind(t *testing.T) {
	r := Received(ask(t, PositiveDelivery|NegativeDelivery|Display))
	for _, c := range []struct {
		kind   Kind
		status Status
	}{
		{DeliveryNotification, Displayed}, {DeliveryNotification, Stored}, {DisplayNotification, Delivered},
		{DisplayNotification, "seen"}, {ProcessingNotification, Failed}, {"", Delivered},
	} {
		if note, err := r.Notify(c.kind, c.status, noon); err == nil || errors.Is(err, ErrNotAsked) {
			t.Errorf("Notify(%q, %q) = %+v, %v, want an error", c.kind, c.status, note, err)
		}
	}
	if want := PositiveDelivery | NegativeDelivery | Display; r.Want != want {
		t.Errorf("Want = %v, want %v as before", r.Want, want)
	}
}

// RFC 5438 section 11.1.2: the time is that of the message, as it has it where that is no time of RFC 3339 or
// none that Go knows. It is mandatory, though the peer may have given none.
func TestTimeOfTheMessage(t *testing.T) {
	const now = "2026-04-04T12:00:00Z"
	for given, want := range map[string]string{
		"":                                      now,
		"DateTime: ":                            now,
		"DateTime: " + strings.Repeat("9", 65):  now, // no time of anybody's
		"DateTime: 2026-04-04T12:16:49.5-05:00": "2026-04-04T12:16:49.5-05:00",
		"DateTime: 2026-04-04T12:16:49-0500":    "2026-04-04T12:16:49-0500",
		"DateTime: 2016-12-31T23:59:60Z":        "2016-12-31T23:59:60Z", // a leap second
		"DateTime: noon <tea> & later":          "noon &lt;tea&gt; &amp; later",
	} {
		lines := []string{"i.Message-ID: 1", "i.Disposition-Notification: display"}
		if given != "" {
			lines = append(lines, given)
		}
		note, err := Received(with(t, lines...)).Notify(DisplayNotification, Displayed, noon)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(note.Content), "<datetime>"+want+"</datetime>") {
			t.Errorf("with %q the notification is\n%s\nwant it with %s", given, note.Content, want)
		}
		if _, err := Read(travel(t, note)); err != nil {
			t.Errorf("with %q: %v", given, err)
		}
	}
}
