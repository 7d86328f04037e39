package sip

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// printed is a message as an RFC prints it. The README of testdata says how
// they are kept.
type printed struct {
	name   string // "rfc3665 3.1 F1 INVITE": RFC, section, label, method or status
	inPart bool   // it lacks header fields that every message has
	text   string
}

// printedMessages reads testdata/examples.
func printedMessages(t testing.TB) (all []printed) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "examples", "rfc*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of examples, %v", len(files), err)
	}
	for _, file := range files {
		rfc := strings.TrimSuffix(filepath.Base(file), ".txt")
		_, rest, _ := strings.Cut(readFile(t, "examples/"+rfc+".txt"), "\n=== ")
		for part := range strings.SplitSeq(strings.TrimSuffix(rest, "\n"), "\n=== ") {
			title, text, _ := strings.Cut(part, "\n")
			name, remark, _ := strings.Cut(title, " (")
			all = append(all, printed{
				name:   rfc + " " + name,
				inPart: strings.Contains(remark, "in part"),
				text:   strings.ReplaceAll(text+"\n", "\n", "\r\n"),
			})
		}
	}
	return all
}

// TestPrintedMessages: what the RFCs print is read, every header field of it by
// its type, and survives being written. A slip is refused, and nothing else is
// wrong with its message.
func TestPrintedMessages(t *testing.T) {
	all := printedMessages(t)
	if len(all) != 941 {
		t.Errorf("%d messages, want the 941 of the README", len(all))
	}
	for _, p := range all {
		list := slipsIn(p.name)
		for i, s := range list {
			if strings.Count(p.text, s.printed) != 1 {
				t.Errorf("%s: %q is not there once", p.name, s.printed)
			}
			if id := lookupHeader(s.where); id != 0 && headers[id].check == nil {
				continue // nothing here reads it
			}
			slipped := p.mended(slices.Delete(slices.Clone(list), i, i+1)).read()
			if !slices.ContainsFunc(slipped, func(err error) bool {
				var e *SyntaxError
				return errors.As(err, &e) && e.Where == s.where
			}) {
				t.Errorf("%s: %s: %v, want an error in %s", p.name, s.why, slipped, s.where)
			}
		}
		for _, err := range p.mended(list).read() {
			t.Errorf("%s: %v", p.name, err)
		}
	}
	for _, s := range slips {
		for _, name := range s.in {
			if !slices.ContainsFunc(all, func(p printed) bool { return p.name == name }) {
				t.Errorf("a slip in %s, of which there is no message", name)
			}
		}
	}
}

// mended returns p with what was meant in place of these slips.
func (p printed) mended(list []slip) printed {
	for _, s := range list {
		p.text = strings.Replace(p.text, s.printed, s.meant, 1)
	}
	return p
}

// read returns all that is wrong with p.
func (p printed) read() (errs []error) {
	text, missing := p.whole()
	if p.inPart != (missing != "") {
		errs = append(errs, fmt.Errorf("printed in part: %v, without %q", p.inPart, missing))
	}
	if missing != "" {
		// What there is of it is not yet a message.
		var e *SyntaxError
		if _, err := Parse(p.text); !errors.As(err, &e) || e.Where != missing {
			errs = append(errs, fmt.Errorf("Parse() = %w, want an error for a message without %s", err, missing))
		}
	}
	m, err := Parse(text)
	if err != nil {
		return append(errs, err)
	}
	if m.String() != text {
		errs = append(errs, fmt.Errorf("String() = %q, want %q", m, text))
	}
	if out := with(m); out.Err() != nil || out.String() != text {
		errs = append(errs, fmt.Errorf("With() = %q, %w, want %q", out, out.Err(), text))
	}
	if again, err := Parse(m.String()); err != nil || !sameFields(again, m) {
		errs = append(errs, fmt.Errorf("read again it is %v, %w", again, err))
	}
	readAll(m)
	return append(errs, checkValues(m)...)
}

// whole returns the text of p with those header fields that Parse asks for and
// a message printed in part lacks, and which of them is missed first.
func (p printed) whole() (text, missing string) {
	head, body, _ := strings.Cut(p.text, "\r\n\r\n")
	start, lines, _ := strings.Cut(head, "\r\n")
	method, _, _ := strings.Cut(start, " ")
	if isStatusLine(start) {
		method = "INVITE"
	}
	var there [numHot]bool
	for line := range strings.SplitSeq(lines, "\r\n") {
		if name, _, ok := strings.Cut(line, ":"); ok {
			if id := lookupHeader(trimWS(name)); id < numHot {
				there[id] = true
			}
		}
	}
	for id, value := range []string{
		idVia:    "SIP/2.0/UDP client.example.com;branch=z9hG4bK1",
		idFrom:   "<sip:alice@example.com>;tag=1",
		idTo:     "<sip:bob@example.com>",
		idCallID: "1@client.example.com",
		idCSeq:   "1 " + method,
	} {
		if value == "" || there[id] {
			continue
		}
		head += "\r\n" + headers[id].name + ": " + value
		if missing == "" {
			missing = headers[id].name
		}
	}
	return head + "\r\n\r\n" + body, missing
}

// checkValues reads the values of every header field of m that has a type by
// that type, and returns what is wrong with them.
func checkValues(m Message) (errs []error) {
	for _, header := range typedHeaders {
		errs = append(errs, header.check(m)...)
	}
	return errs
}

// typedHeaders has every type of header field of this package.
var typedHeaders = []typedHeader{
	typed[Allow]{}, typed[Authorization]{}, typed[CSeq]{}, typed[CallID]{}, typed[Contact]{}, typed[ContentDisposition]{},
	typed[ContentEncoding]{}, typed[ContentID]{}, typed[ContentLength]{}, typed[ContentTransferEncoding]{}, typed[ContentType]{}, typed[Expires]{}, typed[From]{}, typed[MIMEVersion]{}, typed[MaxForwards]{}, typed[MinExpires]{},
	typed[ProxyAuthenticate]{}, typed[ProxyAuthorization]{}, typed[ProxyRequire]{}, typed[RecordRoute]{}, typed[Require]{},
	typed[RetryAfter]{}, typed[Route]{}, typed[Supported]{}, typed[To]{}, typed[Unsupported]{}, typed[UserAgent]{}, typed[Via]{},
	typed[WWWAuthenticate]{},
	typed[Accept]{}, typed[AcceptEncoding]{}, typed[AcceptLanguage]{}, typed[AcceptResourcePriority]{},
	typed[AllowEvents]{}, typed[ContentLanguage]{}, typed[Date]{}, typed[Event]{}, typed[InfoPackage]{},
	typed[MaxBreadth]{}, typed[MinSE]{}, typed[Organization]{}, typed[Priority]{}, typed[RAck]{}, typed[RSeq]{},
	typed[Reason]{}, typed[RecvInfo]{}, typed[ResourcePriority]{}, typed[SIPETag]{}, typed[SIPIfMatch]{},
	typed[SecurityClient]{}, typed[SecurityServer]{}, typed[SecurityVerify]{}, typed[Server]{}, typed[SessionExpires]{},
	typed[Subject]{}, typed[SubscriptionState]{}, typed[SuppressIfMatch]{}, typed[Timestamp]{}, typed[Warning]{},
	typed[ReplyTo]{}, typed[InReplyTo]{}, typed[AlertInfo]{}, typed[CallInfo]{}, typed[ErrorInfo]{},
	typed[Geolocation]{}, typed[GeolocationRouting]{}, typed[GeolocationError]{}, typed[PAssertedIdentity]{},
	typed[PPreferredIdentity]{}, typed[Privacy]{}, typed[Path]{}, typed[ServiceRoute]{}, typed[ReferTo]{},
	typed[ReferredBy]{}, typed[ReferSub]{}, typed[Replaces]{}, typed[Join]{}, typed[TargetDialog]{},
	typed[HistoryInfo]{}, typed[Diversion]{}, typed[AcceptContact]{}, typed[RejectContact]{},
	typed[RequestDisposition]{}, typed[FeatureCaps]{}, typed[FlowTimer]{}, typed[AnswerMode]{}, typed[PrivAnswerMode]{},
	typed[AuthenticationInfo]{}, typed[Identity]{}, typed[PAccessNetworkInfo]{}, typed[PAssertedService]{},
	typed[PAssociatedURI]{}, typed[PCalledPartyID]{}, typed[PChargingFunctionAddresses]{}, typed[PChargingVector]{},
	typed[PEarlyMedia]{}, typed[PMediaAuthorization]{}, typed[PPreferredService]{}, typed[PPrivateNetworkIndication]{},
	typed[PProfileKey]{}, typed[PServedUser]{}, typed[PUserDatabase]{}, typed[PVisitedNetworkID]{}, typed[UserToUser]{},
}

func TestTypedHeadersAreAll(t *testing.T) {
	for _, h := range headers {
		if h.check != nil && !slices.ContainsFunc(typedHeaders, func(t typedHeader) bool { return t.name() == h.name }) {
			t.Errorf("the type of %s is not in typedHeaders", h.name)
		}
	}
	for _, typed := range typedHeaders {
		if id := lookupHeader(typed.name()); id != 0 && headers[id].check == nil {
			t.Errorf("%s has a type, and the table no check of it", typed.name())
		}
	}
}

type typedHeader interface {
	name() string
	count(Message) int
	read(Message) error
	check(Message) []error
	round(t testing.TB, value string)
}

type typed[H interface {
	Parser[H]
	Edit
}] struct{}

func (typed[H]) name() string {
	var zero H
	return zero.HeaderName()
}

// count returns how many values there are, broken ones included.
func (typed[H]) count(m Message) (n int) {
	for range All[H](m) {
		n++
	}
	return n
}

// read reads the values of one type in all ways, and returns the first error.
func (typed[H]) read(m Message) error {
	_, first := Get[H](m)
	if first == ErrMissing {
		first = nil
	}
	for _, err := range All[H](m) {
		if first == nil {
			first = err
		}
	}
	return first
}

// check reads the values of one type, and writes each as an edit does: it is
// then read as the same.
func (typed[H]) check(m Message) (errs []error) {
	for h, err := range All[H](m) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out := with(m, h)
		again, err := Get[H](out)
		if out.Err() != nil || err != nil || !reflect.DeepEqual(again, h) {
			errs = append(errs, fmt.Errorf("%#v is written as %s (%w) and read as %#v (%w)", h, h.AppendValue(nil), out.Err(), again, err))
		}
	}
	return errs
}

// round reads a value that may be any text. If it is one of the type, what is
// written for it is read as the same; if not, the error says what was expected.
func (typed[H]) round(t testing.TB, value string) {
	t.Helper()
	var zero H
	h, err := zero.ParseValue(value)
	if err != nil {
		var bad *SyntaxError
		if !errors.As(err, &bad) || !strings.HasPrefix(bad.Msg, "expected ") || bad.Offset < 0 || bad.Offset > len(value) {
			t.Fatalf("%T: %q is refused with %v", zero, value, err)
		}
		if !reflect.ValueOf(&h).Elem().IsZero() {
			t.Fatalf("%T: %v with the error %v", zero, h, err)
		}
		return
	}
	written := string(h.AppendValue(nil))
	if again, err := zero.ParseValue(written); err != nil || !reflect.DeepEqual(again, h) {
		t.Fatalf("%T: %q is %#v; %q is %#v, %v", zero, value, h, written, again, err)
	}
	readMore(any(h))
}
