package sip

import (
	"testing"
	"time"
)

func TestDate(t *testing.T) {
	day := time.Date(2010, 11, 13, 23, 29, 0, 0, time.UTC)
	reads(t,
		reading[Date]{text: "Sat, 13 Nov 2010 23:29:00 GMT", want: Date(day)}, // RFC 3261 section 20.17
		reading[Date]{text: "Thu, 29 Feb 2024 00:00:59 GMT", want: Date(time.Date(2024, 2, 29, 0, 0, 59, 0, time.UTC))},
		// The wrong day of the week, and more white space than there may be.
		reading[Date]{text: "Mon, 13 Nov  2010 23:29:00 GMT", want: Date(day), wrote: "Sat, 13 Nov 2010 23:29:00 GMT"},
	)
	refuses[Date](t,
		"",
		"Fri, 01 Jan 2010 16:00:00 EST", // RFC 4475 section 3.1.2.12
		"Fri, 01 Jan 2010 16:00:00",
		"Fri, 01 Jan 2010 16:00:00 +0000",
		"Fri, 01 Jan 2010 16:00:00.5 GMT",
		"Fri, 01 Jan 10 16:00:00 GMT",
		"Fri, 1 Jan 2010 16:00:00 GMT",
		"Sun, 31 Feb 2010 16:00:00 GMT",
		"Fri, 01 Jan 2010 24:00:00 GMT",
		"Fri, 01 Jan 2010 23:60:00 GMT",
		"Fri 01 Jan 2010 16:00:00 GMT",
		"2010-01-01T16:00:00Z",
		"Sunday, 06-Nov-94 08:49:37 GMT", // of HTTP/1.1
		"Sat, 13 Nov 2010 23:29:00 GMT, Sat, 13 Nov 2010 23:29:00 GMT",
	)
	wontWrite(t, Date(time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)))
}

// A time of another zone, and to the nanosecond, is written as the second that
// it is in GMT.
func TestDateOfAnyTime(t *testing.T) {
	at := time.Date(2026, 1, 1, 1, 2, 3, 999999999, time.FixedZone("CET", 3600))
	out := mustParse(t, tweak("")).(*Request).With(Date(at))
	got, err := Get[Date](out)
	if want := "Thu, 01 Jan 2026 00:02:03 GMT"; err != nil || out.Err() != nil || !time.Time(got).Equal(at.Truncate(time.Second)) {
		t.Errorf("Date = %v, %v, %v, want %s", got, err, out.Err(), want)
	}
}

func TestTimestamp(t *testing.T) {
	reads(t,
		reading[Timestamp]{text: "54", want: Timestamp{Time: "54"}}, // RFC 3261 section 20.38
		reading[Timestamp]{text: "1282321615.7820", want: Timestamp{Time: "1282321615.7820"}},
		reading[Timestamp]{text: "54.", want: Timestamp{Time: "54."}},
		reading[Timestamp]{text: "54 2.005", want: Timestamp{"54", 2*time.Second + 5*time.Millisecond}},
		reading[Timestamp]{text: "54.1 \t .5", want: Timestamp{"54.1", time.Second / 2}, wrote: "54.1 0.5"},
		reading[Timestamp]{text: "54 3.", want: Timestamp{"54", 3 * time.Second}, wrote: "54 3"},
		reading[Timestamp]{text: "54 0", want: Timestamp{Time: "54"}, wrote: "54"},
		reading[Timestamp]{text: "54 0.0000000019", want: Timestamp{"54", 1}, wrote: "54 0.000000001"},
		reading[Timestamp]{text: "123456789012345678901234567890", want: Timestamp{Time: "123456789012345678901234567890"}},
		reading[Timestamp]{text: "1 4294967295.999999999", want: Timestamp{"1", 1<<32*time.Second - 1}},
	)
	refuses[Timestamp](t, "", ".5", "-1", "1e9", "54 x", "54 1 2", "54 -1", "54,1", "54 4294967296", "54 (a comment)")
	wontWrite(t,
		Timestamp{},
		Timestamp{Time: "54 1"},
		Timestamp{Time: "54 1", Delay: time.Second},
		Timestamp{Time: "54", Delay: -time.Second},
		Timestamp{Time: "54", Delay: -time.Second / 5},
		Timestamp{Time: "54", Delay: 1 << 32 * time.Second},
	)
}

// A server that was slow says so in its 100; the time goes back as it came.
func TestTimestampOfReply(t *testing.T) {
	req := mustParse(t, tweak("", "Timestamp: 54.20")).(*Request)
	sent, err := Get[Timestamp](req)
	if err != nil {
		t.Fatal(err)
	}
	sent.Delay = 250 * time.Millisecond
	if got, _ := req.Reply(StatusTrying, sent).Value("Timestamp"); got != "54.20 0.25" {
		t.Errorf("Timestamp = %q, want 54.20 0.25", got)
	}
}
