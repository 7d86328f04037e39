package msrp_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
)

// An envelope as RFC 5438 prints them, with and without the blank line before the MIME headers.
func envelope(blank, mime, content string) string {
	return "From: Bob <im:bob@example.com>\r\nTo: Alice <im:alice@example.com>\r\nNS: imdn <urn:ietf:params:imdn>\r\n" +
		"imdn.Message-ID: d834jied93rf\r\n" + blank + mime + "\r\n\r\n" + content
}

// A notification of what became of a message goes out as if there were no direction (RFC 4975 section 8.9): who is sent
// messages, and is not to send any, says that it has them. Where the session cannot see what is in an envelope it is a
// message like others.
func TestNotificationsWhenHeld(t *testing.T) {
	const imdn = "<imdn xmlns=\"urn:ietf:params:xml:ns:imdn\"/>"
	reader := func(s string) io.Reader { return strings.NewReader(s) }
	for _, c := range []struct {
		name, contentType, body string
		reader                  func(string) io.Reader
		sent, posted            bool
	}{
		{"in an envelope", "message/cpim", envelope("\r\n", "Content-Type: message/imdn+xml", imdn), reader, true, true},
		{"as RFC 5438 prints it", "Message/CPIM", envelope("", "Content-type: Message/IMDN+XML;charset=UTF-8", imdn), reader, true, true},
		{"of several messages", "message/cpim", envelope("\r\n", "Content-Type: multipart/mixed;boundary=x\r\nContent-Disposition: notification", imdn), reader, true, true},
		{"bytes", "message/cpim", envelope("\r\n", "Content-Type: message/imdn+xml", imdn), func(s string) io.Reader { return bytes.NewReader([]byte(s)) }, true, true},
		{"a buffer", "message/cpim", envelope("\r\n", "Content-Type: message/imdn+xml", imdn), func(s string) io.Reader { return bytes.NewBufferString(s) }, true, true},
		{"from somewhere else", "message/cpim", envelope("\r\n", "Content-Type: message/imdn+xml", imdn), func(s string) io.Reader { return io.LimitReader(strings.NewReader(s), 1<<20) }, false, true},
		{"without an envelope", "message/imdn+xml", imdn, reader, true, true},
		{"a text in an envelope", "message/cpim", envelope("\r\n", "Content-Type: text/plain", "message/imdn+xml"), reader, false, false},
		{"a text", "text/plain", envelope("\r\n", "Content-Type: message/imdn+xml", imdn), reader, false, false},
		{"an envelope that is none", "message/cpim", "message/imdn+xml", reader, false, false},
		{"an envelope without an end", "message/cpim", strings.Repeat("From: <im:bob@example.com>\r\n", 10000), reader, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				x, p := s.called(nil)
				held := section(rawURI, "setup:passive")
				held.Attributes[1].Value = "*" // accept-types
				held.Direction = sdp.SendOnly
				s.agree(x, held)

				body := c.reader(c.body)
				done := s.sends(x, &msrp.Message{ContentType: c.contentType, Body: body})
				if !c.sent {
					s.sent(done, msrp.ErrHeld)
					p.silent(time.Second)
					if b, err := io.ReadAll(body); string(b) != c.body || err != nil {
						s.Errorf("%q, %v is left of the body, want all of it", short(string(b)), err)
					}
				} else {
					f := p.next()
					if f.Method != frame.SEND || f.body != c.body {
						s.Errorf("sent %q, want %q", f.body, c.body)
					}
					p.answer(f, 200)
					s.sent(done, nil)
				}

				post, err := msrp.NewPost(c.contentType, []byte(c.body))
				if err != nil {
					s.Fatal(err)
				}
				switch err := x.Post(post); {
				case !c.posted:
					if err != msrp.ErrHeld {
						s.Errorf("Post() = %v, want ErrHeld", err)
					}
				case err != nil:
					s.Errorf("Post() = %v", err)
				default:
					if f := p.next(); f.body != c.body {
						s.Errorf("posted %q, want %q", f.body, c.body)
					}
				}
			})
		})
	}
}
