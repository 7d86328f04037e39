package room_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/room"
	"github.com/goparley/parley/simple/cpim"
	"github.com/goparley/parley/sip"
)

// What somebody writes to the room comes to all others as it is, in any number of pieces, and not
// back (RFC 7701 section 6.1).
func TestMessageToTheRoom(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a, b, c := h.join(alice, wish{}), h.join(bob, wish{}), h.join(carol, wish{})
		if err := a.says("Hello guys, how are you today?"); err != nil {
			t.Error(err)
		}
		a.hears()
		b.hears("alice@example.com> Hello guys, how are you today?")
		c.hears("alice@example.com> Hello guys, how are you today?")
		if err := b.sends(envelope(bob, "fine", uri+";transport=tcp")); err != nil {
			t.Errorf("to the URI with a parameter: %v", err)
		}
		a.hears("bob@example.com> fine")
		long := strings.Repeat("long ", 12000)
		if err := c.says(long); err != nil {
			t.Error(err)
		}
		a.hears("carol@example.com> " + long)
	})
}

// Not a byte is changed of what is passed on (RFC 7701 section 6.1).
func TestContentIsNotModified(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a, b := h.join(alice, wish{}), h.join(bob, wish{deaf: true})
		odd := "NS: x <urn:x>\nx.Odd:  kept \\u0041 as it is\nFrom: A <" + alice + ">\nTo: <" + uri + ">\n\nContent-Type: text/plain;charset=utf-8\nX-Other: 1\n\n-------abc$\r\n\x00\xff"
		if err := a.sends(odd); err != nil {
			t.Fatal(err)
		}
		for m, err := range b.Messages(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(m)
			if string(got) != odd || m.ContentType != "message/cpim" {
				t.Errorf("got %s %q, want %q", m.ContentType, got, odd)
			}
			break
		}
	})
}

// Messages to one come to that one alone, by all devices that can tell (RFC 7701 section 6.2).
func TestPrivateMessage(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a, b, c := h.join(alice, wish{}), h.join(bob, wish{}), h.join(carol, wish{chatroom: "nickname"})
		b2 := h.join(bob, wish{})
		tel, _ := sip.ParseURI("tel:+1-201-555-0123")
		d := h.join("sip:dave@example.com", wish{aliases: []sip.URI{tel}})
		if err := a.tells(bob, "psst"); err != nil {
			t.Error(err)
		}
		b.hears("alice@example.com> psst")
		b2.hears("alice@example.com> psst")
		if err := a.tells("tel:+12015550123", "psst, Dave"); err != nil {
			t.Error(err)
		}
		d.hears("alice@example.com> psst, Dave")
		if err := a.tells(carol, "psst"); !errors.Is(err, frame.StatusNoPrivateMessages) {
			t.Errorf("to who takes no private messages: %v, want 428", err)
		}
		if err := a.tells("sip:nobody@example.com", "psst"); !errors.Is(err, frame.StatusNotFound) {
			t.Errorf("to nobody: %v, want 404", err)
		}
		if err := a.tells("sip:bob@", "psst"); !errors.Is(err, frame.StatusNotFound) {
			t.Errorf("to what is no URI: %v, want 404", err)
		}
		if err := a.sends(envelope(alice, "psst", bob, carol)); !errors.Is(err, frame.StatusForbidden) {
			t.Errorf("to two: %v, want 403", err)
		}
		if err := a.sends(envelope(alice, "psst")); !errors.Is(err, frame.StatusNotFound) {
			t.Errorf("to none: %v, want 404", err)
		}
		for _, g := range []*guest{a, b, c, d} {
			g.hears()
		}
	})
}

// What is for somebody comes to them alone, also where somebody else has their address for an alias, whoever of the two
// has come first.
func TestAliasOfSomebodyElse(t *testing.T) {
	for _, first := range []bool{true, false} {
		inHouse(t, nil, func(t *testing.T, h *house) {
			a := h.join(alice, wish{})
			var b *guest
			if first {
				b = h.join(bob, wish{})
			}
			c := h.join(carol, wish{aliases: []sip.URI{addr(bob).URI}})
			if !first {
				b = h.join(bob, wish{})
			}
			for range 2 {
				if err := a.tells(bob, "psst"); err != nil {
					t.Error(err)
				}
				c.hears()
				b.hears("alice@example.com> psst")
				c.p.Close()
			}
		})
	}
}

// Where private messages are not wanted they are refused, and not passed on to all (RFC 7701
// sections 4.1 and 8).
func TestNoPrivateMessages(t *testing.T) {
	inHouse(t, &room.Config{NoPrivateMessages: true}, func(t *testing.T, h *house) {
		a, b := h.join(alice, wish{}), h.join(bob, wish{})
		if err := a.tells(bob, "psst"); !errors.Is(err, frame.StatusForbidden) {
			t.Errorf("got %v, want 403", err)
		}
		b.hears()
	})
}

// Nobody writes as somebody else (RFC 7701 section 6.3).
func TestFromIsTheParticipants(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		im, _ := sip.ParseURI("im:alice@example.com")
		a, b := h.join(alice, wish{aliases: []sip.URI{im}}), h.join(bob, wish{})
		for from, want := range map[string]frame.Status{
			alice: 200, "sip:alice@EXAMPLE.com:5070;transport=tls": 200, "sips:%61lice@example.com": 200, "im:alice@example.com": 200,
			bob: 403, "sip:Alice@example.com": 403, "sip:alice@example.org": 403, "tel:alice": 403, "sip:alice@": 403, "urn:alice": 403,
		} {
			err := a.sends(envelope(from, "it is me", uri))
			if want == 200 && err != nil || want != 200 && !errors.Is(err, want) {
				t.Errorf("from %q: %v, want %d", from, err, want)
			}
		}
		if got := b.heard(); len(got) != 4 {
			t.Errorf("bob heard %q, want 4 messages", got)
		}
		if err := a.sends("To: <" + uri + ">\r\n\r\nContent-Type: text/plain\r\n\r\nx"); !errors.Is(err, frame.StatusForbidden) {
			t.Errorf("without a From: %v, want 403", err)
		}
	})
}

// Whoever reads an envelope otherwise than the room does, more strictly or less, finds nobody else in
// it (RFC 7701 section 6.3), and nothing that the room does not take. What is as RFC 7701 section 9.3
// prints it, or ends its lines with LF as some clients do, is fine.
func TestEverybodyReadsTheSame(t *testing.T) {
	inHouse(t, &room.Config{AcceptTypes: []string{"text/*"}}, func(t *testing.T, h *house) {
		a, b := h.join(alice, wish{}), h.join(bob, wish{})
		const own, text = "From: <" + alice + ">\r\nTo: <" + uri + ">\r\n", "\r\nContent-Type: text/plain\r\n\r\nhi"
		for _, body := range []string{
			own + text,
			own + "Content-Type: text/plain\r\n\r\nhi",
			strings.ReplaceAll(own+text, "\r\n", "\n"),
			own + "\r\nContent-Type: text/plain\n\nFrom: him\r\nTo: her\r\n\r\nContent-Type: of text",
			own + text + "\r\nFrom: him\r\nTo: her\r\nContent-Type: of text",
		} {
			if err := a.sends(body); err != nil {
				t.Errorf("%q: %v", body, err)
			}
			if got := b.heard(); len(got) != 1 {
				t.Errorf("%q: bob heard %q, want it", body, got)
			}
		}
		for _, body := range []string{
			own + "Content-Foo: a\r\nFrom: <" + bob + ">\r\n" + text,             // no blank line, or one header more
			own + "Content-Foo: a\r\n From: <" + bob + ">\r\n" + text,            // folded, for who folds
			own + "from: <" + bob + ">\r\n" + text,                               // case counts, for who knows
			own + "NS: <urn:x>\r\nFrom: <" + bob + ">\r\n" + text,                // the From of another namespace
			own + "NS: x <urn:x>\r\nx.From: <" + bob + ">\r\n" + text,            // with a prefix
			own + "y.From: <" + bob + ">\r\n" + text,                             // with one that is not declared
			own + "Subject: a\u2028From: <" + bob + ">\r\n" + text,               // what is a line break elsewhere
			own + "TO: <" + alice + ">\r\n" + text,                               // private, or not
			own + "Content-Foo: a\r\n\r\nContent-Type: a/b\r\n\r\nhi",            // no blank line, or another type
			own + "\nContent-Type: text/plain\n\nFrom: <" + bob + ">\r\n" + text, // lines that end with CRLF alone
		} {
			if err := a.sends(body); !errors.Is(err, frame.StatusForbidden) && !errors.Is(err, frame.StatusBadRequest) {
				t.Errorf("%q: %v, want 403 or 400", body, err)
			}
			if got := b.heard(); len(got) != 0 {
				t.Errorf("%q: bob heard %q", body, got)
			}
		}
	})
}

// What is not message/cpim gets 415 (RFC 7701 section 6.3); what says so and is not, 400; and what
// is inside of a type that the room does not take, 415.
func TestTypes(t *testing.T) {
	inHouse(t, &room.Config{AcceptTypes: []string{"text/*"}}, func(t *testing.T, h *house) {
		a, b := h.join(alice, wish{}), h.join(bob, wish{})
		p := h.raw(a)
		if got := p.send("text/plain", "hello"); got != 415 {
			t.Errorf("text/plain is answered with %d, want 415", got)
		}
		if got := p.send("message/cpim", "hello"); got != 400 {
			t.Errorf("what is no envelope is answered with %d, want 400", got)
		}
		image := strings.Replace(envelope(alice, "x", uri), "text/plain", "image/png", 1)
		if got := p.send("message/cpim", image); got != 415 {
			t.Errorf("an image is answered with %d, want 415", got)
		}
		if got := p.send("Message/CPIM", envelope(alice, "x", uri)); got != 200 {
			t.Errorf("text is answered with %d, want 200", got)
		}
		b.hears("alice@example.com> x")
	})
	inHouse(t, &room.Config{AcceptTypes: []string{"text/plain;charset=utf-8"}}, func(t *testing.T, h *house) {
		a, b := h.join(alice, wish{}), h.join(bob, wish{})
		if err := a.says("hello"); err != nil {
			t.Errorf("a type that the room takes with a parameter: %v", err)
		}
		b.hears("alice@example.com> hello")
	})
}

// Each recipient gets what it takes, by type and by size; who has sent it is not told (RFC 7701
// section 6.1). Parameters of types do not count (RFC 4975 section 8.6).
func TestWhatRecipientsTake(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a := h.join(alice, wish{})
		texts := h.join(bob, wish{wrapped: "text/plain"})
		images := h.join(carol, wish{wrapped: "image/*"})
		silent := h.join("sip:dave@example.com", wish{wrapped: "-"}) // says message/cpim and nothing of what is inside
		small := h.join("sip:erin@example.com", wish{maxSize: 300})
		params := h.join("sip:frank@example.com", wish{wrapped: "text/plain;charset=utf-8"})
		wide := h.join("sip:grace@example.com", wish{types: "message/*", wrapped: "-"}) // legal, and says as little
		both := h.join("sip:heidi@example.com", wish{types: "message/*", wrapped: "image/*"})
		image := strings.Replace(envelope(alice, "picture", uri), "text/plain", "image/png", 1)
		if err := errors.Join(a.says("hello"), a.sends(image), a.says(strings.Repeat("x", 300))); err != nil {
			t.Error(err)
		}
		if err := a.sends(strings.Replace(image, uri, bob, 1)); err != nil {
			t.Errorf("a private image to who takes none: %v", err)
		}
		long := "alice@example.com> " + strings.Repeat("x", 300)
		texts.hears("alice@example.com> hello", long)
		images.hears("alice@example.com> picture")
		silent.hears("alice@example.com> hello", "alice@example.com> picture", long)
		small.hears("alice@example.com> hello", "alice@example.com> picture")
		params.hears("alice@example.com> hello", long)
		wide.hears("alice@example.com> hello", "alice@example.com> picture", long)
		both.hears("alice@example.com> picture")
	})
}

// That somebody writes, or has read something, is passed on as everything is.
func TestNotificationsPass(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a, b := h.join(alice, wish{}), h.join(bob, wish{wrapped: "text/plain application/im-iscomposing+xml message/imdn+xml"})
		for _, kind := range []string{"application/im-iscomposing+xml", "message/imdn+xml"} {
			if err := a.sends(strings.Replace(envelope(alice, kind, bob), "text/plain", kind, 1)); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
			b.hears("alice@example.com> " + kind)
		}
	})
}

// The room reports itself, once, and what recipients report stays with it (RFC 7701 section 6.3).
func TestReports(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a := h.join(alice, wish{})
		b := h.raw(h.join(bob, wish{deaf: true}))
		h.join(carol, wish{})
		var reports []msrp.Report
		err := a.Send(t.Context(), &msrp.Message{
			ContentType: cpim.ContentType, Body: strings.NewReader(envelope(alice, "hello", uri)), SuccessReport: true,
			OnReport: func(r msrp.Report) { reports = append(reports, r) },
		})
		if err != nil {
			t.Error(err)
		}
		head, _ := b.next()
		if head.FailureReport != frame.FailureReportNo || head.SuccessReport {
			t.Errorf("the copy asks for reports: %v", head)
		}
		b.write("MSRP r123 REPORT\r\nTo-Path: %s\r\nFrom-Path: %s\r\nMessage-ID: %s\r\nByte-Range: 1-1/1\r\nStatus: 000 413\r\n-------r123$\r\n",
			head.From, head.To, head.MessageID)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(reports) != 1 || reports[0].Status != 200 {
			t.Errorf("alice got %v, want one success", reports)
		}
		reports = nil
		err = a.Send(t.Context(), &msrp.Message{
			ContentType: cpim.ContentType, Body: strings.NewReader(envelope(bob, "hello", uri)), SuccessReport: true,
			OnReport: func(r msrp.Report) { reports = append(reports, r) },
		})
		synctest.Wait()
		if !errors.Is(err, frame.StatusForbidden) || len(reports) != 0 {
			t.Errorf("got %v and reports %v, want 403 and none", err, reports)
		}
	})
}

// A message is of MaxSize at most, however it comes, and one that stays away is given up after 540
// s (RFC 7701 section 6.1).
func TestSizesAndTimes(t *testing.T) {
	inHouse(t, &room.Config{MaxSize: 1000}, func(t *testing.T, h *house) {
		a, b := h.join(alice, wish{}), h.join(bob, wish{})
		if size, _ := answerOf(t, h, a).Attribute("max-size"); size != "1000" {
			t.Errorf("max-size %q", size)
		}
		p := h.raw(a)
		if got := p.chunk("m1", "1-*/2000", '+', "From"); got != 413 {
			t.Errorf("one that is too long is answered with %d, want 413", got)
		}
		if got := p.chunk("m2", "1-*/*", '$', envelope(alice, strings.Repeat("x", 1000), uri)); got != 413 {
			t.Errorf("one that turns out to be too long is answered with %d, want 413", got)
		}
		text := envelope(alice, "hello", uri)
		for i := range 9 {
			want := frame.Status(200)
			if i == 8 {
				want = 413 // 8 may be on their way
			}
			if got := p.chunk(fmt.Sprint("n", i), fmt.Sprintf("1-*/%d", len(text)), '+', text[:20]); got != want {
				t.Errorf("beginning %d is answered with %d, want %d", i, got, want)
			}
		}
		time.Sleep(539 * time.Second)
		if got := p.chunk("n0", fmt.Sprintf("21-%d/%[1]d", len(text)), '$', text[20:]); got != 200 {
			t.Errorf("the rest after 539 s is answered with %d", got)
		}
		b.hears("alice@example.com> hello")
		time.Sleep(2 * time.Second)
		if got := p.chunk("n1", fmt.Sprintf("21-%d/%[1]d", len(text)), '$', text[20:]); got != 413 {
			t.Errorf("the rest after 541 s is answered with %d, want 413", got)
		}
		b.hears()
	})
}

// Bytes of a body that could be an end-line of MSRP do no harm.
func TestEndLineInBody(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a, b := h.join(alice, wish{}), h.join(bob, wish{})
		text := strings.Repeat("\r\n-------abcdefghijklm$\r\n", 1000)
		if err := a.says(text); err != nil {
			t.Fatal(err)
		}
		if got := b.heard(); len(got) != 1 || !bytes.HasSuffix([]byte(got[0]), []byte(text)) {
			t.Errorf("got %d messages", len(got))
		}
	})
}
