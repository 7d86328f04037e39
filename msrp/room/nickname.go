package room

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"

	"github.com/goparley/parley/msrp/frame"
)

// maxNickname is how many octets a nickname has at most (RFC 7701 section 7.1), as it is asked for and as others see it.
const maxNickname = 1023

// A nickname is one that is taken: by devices of one user, or, without one, for nobody.
type nickname struct {
	user    *user
	devices int
}

// request serves a NICKNAME (RFC 7701 section 7). Header fields and bodies that it is not to have
// do not matter.
func (p *Participant) request(h *frame.Head, _ []byte) frame.Status {
	if h.Method != frame.NICKNAME {
		return frame.StatusUnknownMethod
	}
	r := p.r
	if r.cfg.NoNicknames {
		return frame.StatusForbidden
	}
	wanted, ok := useNickname(h)
	if !ok {
		return frame.StatusBadNickname
	}
	name, key := "", ""
	if wanted != "" {
		var err error
		if name, key, err = prepare(wanted); err != nil {
			return frame.StatusBadNickname
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.user == nil {
		return frame.StatusForbidden
	}
	if taken := r.nicknames[key]; taken != nil && taken.user != p.user {
		return frame.StatusNicknameInUse
	}
	was := p.nickname
	r.release(p)
	if name != "" {
		taken := r.nicknames[key]
		if taken == nil {
			taken = &nickname{user: p.user}
			r.nicknames[key] = taken
		}
		taken.devices++
		p.nickname, p.nicknameID = name, key
	}
	if name != was {
		r.news()
	}
	return frame.StatusOK
}

// release gives up the nickname of a participant. The lock is held.
func (r *Room) release(p *Participant) {
	if p.nicknameID == "" {
		return
	}
	if taken := r.nicknames[p.nicknameID]; taken.devices > 1 {
		taken.devices--
	} else {
		delete(r.nicknames, p.nicknameID)
	}
	p.nickname, p.nicknameID = "", ""
}

// useNickname returns the nickname that a request asks for, "" for none. It takes one without
// quotes, and nothing at all for none, as msrplib writes them.
func useNickname(h *frame.Head) (name string, ok bool) {
	text, n := "", 0
	for _, f := range h.Fields {
		if strings.EqualFold(f.Name, "Use-Nickname") {
			text = strings.Trim(f.Value, " \t")
			n++
		}
	}
	if n != 1 {
		return "", false
	}
	if strings.HasPrefix(text, `"`) {
		if text, ok = unquote(text); !ok {
			return "", false
		}
	}
	return text, len(text) <= maxNickname && utf8.ValidString(text)
}

// unquote reads a quoted-string (RFC 4975 section 9): a backslash stands before a quote or another one.
func unquote(text string) (string, bool) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; c {
		case '"':
			return b.String(), i == len(text)-1
		case '\\':
			if i++; i == len(text) || text[i] != '"' && text[i] != '\\' {
				return "", false
			}
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

// prepare returns a nickname as others are to see it (RFC 8266 section 2.3), and what tells it from others (section
// 2.4): a key of what they see, for what is wanted may have another one. The profile applies its rules four times
// each, after which no text is known that they still change (section 2.1).
func prepare(wanted string) (name, key string, err error) {
	if name, err = precis.Nickname.String(wanted); err != nil {
		return "", "", err
	}
	if key, err = precis.Nickname.CompareKey(name); err != nil {
		return "", "", err
	}
	switch {
	case name == "" || key == "":
		return "", "", errors.New("empty")
	case len(name) > maxNickname: // by NFKC, which makes 33 octets of the three of U+FDFA
		return "", "", errors.New("too long")
	}
	return name, key, nil
}
