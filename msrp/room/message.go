package room

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goparley/parley/internal/mediatype"
	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/simple/cpim"
)

// receive takes a message of the participant, passes it on as it is, and returns what its sender is
// told (RFC 7701 sections 6.1 to 6.3). That is about the room alone: what becomes of it at its
// recipients nobody is told.
func (p *Participant) receive(_ *msrp.Incoming, body []byte) frame.Status {
	r := p.r
	env, err := cpim.Parse(body)
	if err != nil {
		return frame.StatusBadRequest
	}
	if from, ok := addressOf(env.From.URI); !ok || !slices.Contains(p.own, from) {
		return frame.StatusForbidden
	}
	if len(env.To) > 1 || !isPlain(body, len(body)-len(env.Content)) {
		return frame.StatusForbidden
	}
	to, ok := "", false
	if len(env.To) == 1 {
		to, ok = addressOf(env.To[0].URI)
	}
	if !ok {
		return frame.StatusNotFound
	}
	inside := env.ContentType
	if inside == "" {
		inside = "text/plain"
	}
	if !mediatype.In(r.cfg.AcceptTypes, inside) {
		return frame.StatusUnsupportedType
	}
	m, err := newPost(body)
	if err != nil {
		return frame.StatusInternalError
	}
	if to == r.key {
		return r.toAll(p, m, inside)
	}
	return r.toOne(p, to, m, inside)
}

// isPlain reports whether an envelope, whose content begins at head, has one From, one To and one
// Content-Type for every reader. It goes on as it is to readers of all kinds: who knows no case,
// namespaces or folding, who takes only CRLF for the end of a line, or goes by the blank line that
// RFC 3862 section 2 has before the MIME headers, which is missing in what many write.
func isPlain(body []byte, head int) bool {
	// Where those who want CRLF see the two blank lines.
	first := behindBlank(body, 0)
	second := behindBlank(body, first)
	once := func(name string, end int) bool {
		n := headers(body[:head], name)
		return n <= 1 && (end <= head || headers(body[head:end], name) == 0)
	}
	return once("From", first) && once("To", first) && once("Content-Type", second)
}

func behindBlank(text []byte, from int) int {
	const blank = "\r\n\r\n"
	if i := bytes.Index(text[from:], []byte(blank)); i >= 0 {
		return from + i + len(blank)
	}
	return len(text)
}

// headers counts the lines that may have that name for somebody.
func headers(text []byte, name string) (n int) {
	for line := range bytes.FieldsFuncSeq(text, func(c rune) bool { return strings.ContainsRune("\r\n\u0085\u2028\u2029", c) }) {
		key, _, _ := bytes.Cut(line, []byte(":"))
		key = bytes.TrimSpace(key[bytes.LastIndexByte(key, '.')+1:])
		if strings.EqualFold(string(key), name) {
			n++
		}
	}
	return n
}

// toAll passes a message on to everybody but the device that it is from (RFC 7701 section 6.1).
func (r *Room) toAll(from *Participant, m *post, inside string) frame.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	if from.user == nil {
		return frame.StatusForbidden
	}
	for _, p := range r.inside {
		if p != from && p.takes(inside) {
			p.queue.put(p.s, m, r.cfg.MaxQueue)
		}
	}
	return frame.StatusOK
}

// toOne passes a message on to each device of one user that can tell it from one to all (RFC 7701
// section 6.2).
func (r *Room) toOne(from *Participant, to string, m *post, inside string) frame.Status {
	if r.cfg.NoPrivateMessages {
		return frame.StatusForbidden
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.addresses[to]
	switch {
	case from.user == nil:
		return frame.StatusForbidden
	case u == nil:
		return frame.StatusNotFound
	}
	status := frame.StatusNoPrivateMessages
	for _, p := range u.devices {
		if !p.private {
			continue
		}
		// Where the type is not wanted the sender is not told: 415 would be about message/cpim.
		status = frame.StatusOK
		if p.takes(inside) {
			p.queue.put(p.s, m, r.cfg.MaxQueue)
		}
	}
	return status
}

// flush sends what has waited. The session calls it when it takes more.
func (p *Participant) flush() {
	if lost := p.queue.flush(p.s); lost > 0 {
		// RFC 7701 section 6.4 has who is slow be told.
		p.r.say(p, fmt.Sprintf("Your connection is too slow: %d messages were left out.", lost))
	}
}

// takes reports whether a participant takes what is in an envelope. Who does not say takes all (RFC
// 7701 section 5.2). The lock of the room is held.
func (p *Participant) takes(inside string) bool {
	return len(p.types) == 0 || mediatype.In(p.types, inside)
}

// greet tells who does not know chat rooms that this is one, and who else is there (RFC 7701
// section 11). The lock is held.
func (r *Room) greet(p *Participant) {
	const most = 20
	var b strings.Builder
	fmt.Fprintf(&b, "This is the chat room %s. What you write goes to everybody in it", r.uri)
	n := 0
	for _, u := range r.users {
		if u == p.user {
			continue
		}
		if n++; n > most {
			continue
		}
		b.WriteString(map[bool]string{true: ": ", false: ", "}[n == 1])
		if u.display != "" {
			b.WriteString(u.display + " ")
		}
		b.WriteString("<" + u.entity + ">")
	}
	if n > most {
		fmt.Fprintf(&b, " and %d others", n-most)
	}
	b.WriteString(".")
	r.say(p, b.String())
}

// say sends a text of the room's own.
func (r *Room) say(p *Participant, text string) {
	env := cpim.Message{
		From: cpim.Address{URI: r.uri.String()}, To: []cpim.Address{{URI: r.uri.String()}},
		DateTime: time.Now().UTC(), ContentType: "text/plain;charset=UTF-8", Content: []byte(text),
	}
	body, err := env.Append(nil)
	if err != nil {
		return
	}
	if m, err := newPost(body); err == nil {
		p.queue.put(p.s, m, r.cfg.MaxQueue)
	}
}

func newPost(body []byte) (*post, error) {
	m, err := msrp.NewPost(cpim.ContentType, body)
	return &post{m, len(body)}, err
}
