package room_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/room"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/simple/cpim"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

const uri = "sip:chat@example.com"

// A house is a network in memory with a room in it.
type house struct {
	t     *testing.T
	n     *siptest.Network
	r     *room.Room
	host  *siptest.Host
	hosts int
}

// inHouse runs a test in fake time.
func inHouse(t *testing.T, cfg *room.Config, f func(t *testing.T, h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &house{t: t, n: siptest.NewNetwork(nil)}
		h.host = h.n.Host("192.0.2.1")
		r, err := room.New(h.endpoint(h.host), uri, cfg)
		if err != nil {
			t.Fatal(err)
		}
		h.r = r
		t.Cleanup(func() { r.Close() })
		f(t, h)
	})
}

func (h *house) endpoint(host *siptest.Host) *msrp.Endpoint {
	h.t.Helper()
	e, err := msrp.New(&msrp.Config{Network: host, Listen: []string{"tcp:" + host.Addr().String() + ":2855"}})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { e.Close() })
	return e
}

// A guest is a chat that has joined.
type guest struct {
	*msrp.Session
	t    *testing.T
	p    *room.Participant
	uri  string
	host *siptest.Host
	own  *sdp.Media // what it has offered

	mu   sync.Mutex
	got  []string // what came: "alice@example.com> hello"
	deaf bool
}

// A wish is what a guest says in its offer.
type wish struct {
	types, wrapped string // "": message/cpim, and "*"
	chatroom       string // "-": not said; "" is private-messages
	maxSize        int64
	display        string
	aliases        []sip.URI
	deaf           bool // it reads nothing
}

// join has somebody come in, and fails the test if they may not.
func (h *house) join(who string, w wish) *guest {
	h.t.Helper()
	g, err := h.try(who, w)
	if err != nil {
		h.t.Fatal(err)
	}
	synctest.Wait()
	return g
}

// errRefused is where the room refuses the section.
var errRefused = errors.New("refused")

func (h *house) try(who string, w wish) (*guest, error) {
	h.hosts++
	host := h.n.Host(fmt.Sprintf("192.0.2.%d", 10+h.hosts))
	from := addr(who)
	from.Display = w.display
	p, err := h.r.Join(from, w.aliases...)
	if err != nil {
		return nil, err
	}
	g := &guest{t: h.t, p: p, uri: who, host: host, deaf: w.deaf}
	g.Session = msrp.NewSession(h.endpoint(host), &msrp.SessionConfig{
		AcceptTypes:        strings.Fields(or(w.types, "message/cpim")),
		AcceptWrappedTypes: strings.Fields(or(w.wrapped, "*")), MaxSize: w.maxSize,
	})
	if w.wrapped == "-" {
		g.Session = msrp.NewSession(h.endpoint(h.n.Host(fmt.Sprintf("192.0.2.%d", 100+h.hosts))), &msrp.SessionConfig{AcceptTypes: strings.Fields(or(w.types, "message/cpim"))})
	}
	if g.own, err = g.Offer(h.t.Context()); err != nil {
		return nil, err
	}
	if w.chatroom != "-" {
		g.own.Attributes = append(g.own.Attributes, sdp.Attribute{Name: "chatroom", Value: or(w.chatroom, "private-messages")})
	}
	if err := g.agree(); err != nil {
		p.Close()
		return nil, err
	}
	if !w.deaf {
		go g.listen() // ends with the session
	}
	return g, nil
}

// agree gives the offer to the room, and has both connect.
func (g *guest) agree() error {
	answer, err := g.p.Answer(g.t.Context(), g.own)
	if err == nil && answer == nil {
		err = errRefused
	}
	if err == nil {
		err = g.p.Update(g.t.Context(), answer, g.own)
	}
	if err == nil {
		err = g.Update(g.t.Context(), g.own, answer)
	}
	return err
}

func (g *guest) listen() {
	for m, err := range g.Messages(context.Background()) {
		if err != nil {
			return
		}
		text, err := io.ReadAll(m)
		if err != nil {
			continue
		}
		env, err := cpim.Parse(text)
		if err != nil {
			g.t.Errorf("%s got %q: %v", g.uri, text, err)
			continue
		}
		g.mu.Lock()
		g.got = append(g.got, strings.TrimPrefix(env.From.URI, "sip:")+"> "+string(env.Content))
		g.mu.Unlock()
	}
}

// heard returns what has come since it was asked last.
func (g *guest) heard() []string {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	got := g.got
	g.got = nil
	return got
}

// hears fails the test if something else has come.
func (g *guest) hears(want ...string) {
	g.t.Helper()
	if got := g.heard(); !slices.Equal(got, want) {
		g.t.Errorf("%s heard %q, want %q", g.uri, got, want)
	}
}

// says sends a text to everybody.
func (g *guest) says(text string) error { return g.sends(envelope(g.uri, text, uri)) }

// tells sends a text to somebody.
func (g *guest) tells(to, text string) error { return g.sends(envelope(g.uri, text, to)) }

func (g *guest) sends(body string) error {
	return g.Send(g.t.Context(), &msrp.Message{ContentType: cpim.ContentType, Body: strings.NewReader(body)})
}

func envelope(from, text string, to ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "From: <%s>\r\n", from)
	for _, to := range to {
		fmt.Fprintf(&b, "To: <%s>\r\n", to)
	}
	fmt.Fprintf(&b, "DateTime: 2026-01-02T15:02:31Z\r\n\r\nContent-Type: text/plain\r\n\r\n%s", text)
	return b.String()
}

func addr(uri string) sip.Address {
	u, err := sip.ParseURI(uri)
	if err != nil {
		panic(err)
	}
	return sip.Address{URI: u}
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

const (
	alice = "sip:alice@example.com"
	bob   = "sip:bob@example.com"
	carol = "sip:carol@example.com"
)

// What somebody writes to the room comes to all others as it is, in any number of pieces, and not back (RFC 7701
// section 6.1).
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

// Where private messages are not wanted they are refused, and not passed on to all (RFC 7701 sections 4.1 and 8).
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

// What is not message/cpim gets 415 (RFC 7701 section 6.3); what says so and is not, 400; and what is inside of a type that the room
// does not take, 415.
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
}

// Each recipient gets what it takes, by type and by size; who has sent it is not told (RFC 7701 section 6.1).
func TestWhatRecipientsTake(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a := h.join(alice, wish{})
		texts := h.join(bob, wish{wrapped: "text/plain"})
		images := h.join(carol, wish{wrapped: "image/*"})
		silent := h.join("sip:dave@example.com", wish{wrapped: "-"}) // says message/cpim and nothing of what is inside
		small := h.join("sip:erin@example.com", wish{maxSize: 300})
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
		if len(reports) != 1 || reports[0].Status != 200 {
			t.Errorf("alice got %v, want one success", reports)
		}
		reports = nil
		err = a.Send(t.Context(), &msrp.Message{
			ContentType: cpim.ContentType, Body: strings.NewReader(envelope(bob, "hello", uri)), SuccessReport: true,
			OnReport: func(r msrp.Report) { reports = append(reports, r) },
		})
		if !errors.Is(err, frame.StatusForbidden) || len(reports) != 0 {
			t.Errorf("got %v and reports %v, want 403 and none", err, reports)
		}
	})
}

// A message is of MaxSize at most, however it comes, and one that stays away is given up after 540 s (RFC 7701 section
// 6.1).
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
		if got := p.chunk("n1", fmt.Sprintf("21-%d/%[1]d", len(text)), '$', text[20:]); got != 408 {
			t.Errorf("the rest after 541 s is answered with %d, want 408", got)
		}
		b.hears()
	})
}

// answerOf is what the room would answer to an offer like that of somebody.
func answerOf(t *testing.T, h *house, g *guest) *sdp.Media {
	t.Helper()
	p, err := h.r.Join(addr("sip:other@example.com"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	answer, err := p.Answer(t.Context(), g.own)
	if err != nil || answer == nil {
		t.Fatalf("answer %v, %v", answer, err)
	}
	return answer
}

// The answer takes message/cpim alone, says what may be in it, and what the room can do (RFC 7701 sections 5.2 and 8).
func TestDescription(t *testing.T) {
	for _, c := range []struct {
		cfg           room.Config
		tokens, types string
	}{
		{room.Config{}, "nickname private-messages", "*"},
		{room.Config{NoNicknames: true, AcceptTypes: []string{"text/plain", "text/html"}}, "private-messages", "text/plain text/html"},
		{room.Config{NoPrivateMessages: true}, "nickname", "*"},
		{room.Config{NoNicknames: true, NoPrivateMessages: true}, "", "*"},
	} {
		inHouse(t, &c.cfg, func(t *testing.T, h *house) {
			answer := answerOf(t, h, h.join(alice, wish{}))
			tokens, ok := answer.Attribute("chatroom")
			if !ok || tokens != c.tokens {
				t.Errorf("chatroom %q (%v), want %q", tokens, ok, c.tokens)
			}
			if types, _ := answer.Attribute("accept-types"); types != "message/cpim" {
				t.Errorf("accept-types %q", types)
			}
			if types, _ := answer.Attribute("accept-wrapped-types"); types != c.types {
				t.Errorf("accept-wrapped-types %q, want %q", types, c.types)
			}
		})
	}
}

// Who does not take message/cpim is refused (RFC 7701 section 5.2), and who does not chat by TLS, where that is wanted.
func TestWhoIsRefused(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		if _, err := h.try(alice, wish{types: "text/plain text/html"}); err != errRefused {
			t.Errorf("without message/cpim: %v", err)
		}
		if _, err := h.try(alice, wish{types: "text/plain Message/CPIM"}); err != nil {
			t.Errorf("with Message/CPIM: %v", err)
		}
	})
	inHouse(t, &room.Config{TLS: true}, func(t *testing.T, h *house) {
		if _, err := h.try(alice, wish{}); err != errRefused {
			t.Errorf("without TLS: %v", err)
		}
	})
}

// Who does not know chat rooms is told that this is one, and who is there (RFC 7701 section 11).
func TestUnawareIsTold(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.join(alice, wish{display: "Alice"})
		h.join(bob, wish{})
		c := h.join(carol, wish{chatroom: "-"})
		c.hears("chat@example.com> This is the chat room sip:chat@example.com. What you write goes to everybody in it: Alice <sip:alice@example.com>, <sip:bob@example.com>.")
		if err := c.agree(); err != nil { // a later offer
			t.Fatal(err)
		}
		c.hears()
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
