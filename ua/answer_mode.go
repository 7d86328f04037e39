package ua

import (
	"strings"

	"github.com/goparley/parley/sip"
)

// AnswerMode is how a caller would like a call to be answered (RFC 5373).
type AnswerMode struct {
	Auto     bool // at once, without the user
	Manual   bool // by the user alone
	Required bool // or not at all: refuse it with 403, sip.StatusForbidden, if it is not to be
	Priv     bool // whatever the user has set: it is for callers who may ask for that
}

// AnswerMode returns how the caller would like the call to be answered: neither Auto
// nor Manual if they do not say. priv is whether this caller may overrule what the user
// has set; what they say of that is passed over if not (section 4.1).
//
// Whom to trust with that is for the program to decide, by User or Asserted: who is
// answered automatically may listen to the room. A 200 may tell how the call was
// answered, if the user does not mind that callers know: Add a sip.AnswerMode right
// before Answer.
func (in *Invitation) AnswerMode(priv bool) AnswerMode {
	req := in.in.Request()
	if priv {
		if h, err := sip.Get[sip.PrivAnswerMode](req); err == nil {
			if m := answerMode(sip.AnswerMode(h)); m.Auto || m.Manual {
				m.Priv = true
				return m
			}
		}
	}
	h, err := sip.Get[sip.AnswerMode](req)
	if err != nil {
		return AnswerMode{}
	}
	return answerMode(h)
}

// answerMode reads a header field. Modes that are not known are no modes (section 2).
func answerMode(h sip.AnswerMode) AnswerMode {
	m := AnswerMode{Auto: strings.EqualFold(h.Mode, "Auto"), Manual: strings.EqualFold(h.Mode, "Manual")}
	m.Required = h.Require() && (m.Auto || m.Manual)
	return m
}
