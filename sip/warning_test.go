package sip

import (
	"strings"
	"testing"
)

func TestWarning(t *testing.T) {
	reads(t,
		// RFC 3261 section 20.43.
		reading[Warning]{text: `307 isi.edu "Session parameter 'foo' not understood"`, want: Warning{307, "isi.edu", "Session parameter 'foo' not understood"}},
		reading[Warning]{text: `301 isi.edu "Incompatible network address type 'E.164'"`, want: Warning{301, "isi.edu", "Incompatible network address type 'E.164'"}},
		reading[Warning]{text: `370 devnull "Choose a bigger pipe"`, want: Warning{370, "devnull", "Choose a bigger pipe"}},
		reading[Warning]{text: `399 [2001:db8::1]:5060 "a \"b\" \\"`, want: Warning{399, "[2001:db8::1]:5060", `a "b" \`}},
		reading[Warning]{text: "399  192.0.2.1:5060\t\"\"", want: Warning{399, "192.0.2.1:5060", ""}, wrote: `399 192.0.2.1:5060 ""`},
	)
	refuses[Warning](t,
		"",
		`1812 overture "In Progress"`, // RFC 4475 section 3.1.2.5
		`99 a "b"`,
		`099 a "b"`,
		`0300 a "b"`,
		`300a "b"`,
		`300 "b"`,
		`300 a b`,
		`300 a"b"`,
		`300 a "b`,
		`300 a "b" c`,
		`300 a, b "c"`,
	)
	wontWrite(t, Warning{}, Warning{1300, "a", "b"}, Warning{300, "", "b"}, Warning{300, `a "b", 301 c`, "d"})
}

// A comma in a text ends nothing.
func TestWarningList(t *testing.T) {
	m := mustParse(t, tweak("OPTIONS", "SIP/2.0 488 Not Acceptable Here", `Warning: 301 a "b, c", 302 d "e"`))
	if got := values[Warning](t, m); len(got) != 2 || got[0].Text != "b, c" || got[1].Agent != "d" {
		t.Errorf("warnings = %v", got)
	}
}

func TestRetryAfter(t *testing.T) {
	reads(t,
		reading[RetryAfter]{text: "18000;duration=3600", want: RetryAfter{Seconds: 18000, Params: ";duration=3600"}}, // RFC 3261 section 20.33
		reading[RetryAfter]{text: "120 (I'm in a meeting)", want: RetryAfter{Seconds: 120, Comment: "I'm in a meeting"}},
		reading[RetryAfter]{text: `5(a (b) \) c) ; x`, want: RetryAfter{5, `a (b) \) c`, "; x"}, wrote: `5 (a (b) \) c); x`},
		reading[RetryAfter]{text: "5 ()", want: RetryAfter{Seconds: 5}, wrote: "5"},
		reading[RetryAfter]{text: "4294967295", want: RetryAfter{Seconds: 1<<32 - 1}},
	)
	refuses[RetryAfter](t, "", "-1", "4294967296", "18000 x", "1 (a", "1 (a))", `1 (a\)`, "1 (a) b", "Sat, 13 Nov 2010 23:29:00 GMT",
		"1 "+strings.Repeat("(", 60000))
	wontWrite(t, RetryAfter{Comment: "a);x=(b"}, RetryAfter{Comment: "("}, RetryAfter{Comment: `\`}, RetryAfter{Params: "8;duration=1"})
	if n, ok := (RetryAfter{Params: ";duration=3600"}).Duration(); n != 3600 || !ok {
		t.Errorf("Duration() = %d, %v, want 3600", n, ok)
	}
	if _, ok := (RetryAfter{Params: ";duration=x"}).Duration(); ok {
		t.Error("Duration() of no number")
	}
}
