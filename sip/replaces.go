package sip

// Replaces is the Replaces header field: the dialog whose place an INVITE
// takes, as its receiver knows it (RFC 3891 section 6.1). FromTag is the tag of
// the other side and ToTag the receiver's own; "0" also stands for no tag.
type Replaces struct {
	CallID    CallID
	ToTag     string
	FromTag   string
	EarlyOnly bool   // only a dialog that is still early
	Params    Params // any others
}

// HeaderName returns "Replaces".
func (Replaces) HeaderName() string { return "Replaces" }

// ParseValue reads a Replaces, which has each of its tags exactly once.
func (Replaces) ParseValue(s string) (h Replaces, err error) {
	c := scanner{s: s}
	h.CallID = c.callID()
	h.ToTag, h.FromTag, h.EarlyOnly, h.Params = c.dialogParams("to-tag", "from-tag", "early-only")
	return scanned(&c, h)
}

// AppendValue appends the value.
func (r Replaces) AppendValue(b []byte) []byte {
	b = appendDialog(b, r.CallID, ";to-tag=", r.ToTag, ";from-tag=", r.FromTag)
	if r.EarlyOnly {
		b = append(b, ";early-only"...)
	}
	return append(b, r.Params...)
}

func (r Replaces) like(want Replaces) bool {
	want.Params = trimParams(want.Params)
	return r == want
}

// Join is the Join header field: the dialog whose conference an INVITE joins,
// as its receiver knows it (RFC 3911 section 7.1). FromTag is the tag of the
// other side and ToTag the receiver's own; "0" also stands for no tag.
type Join struct {
	CallID  CallID
	ToTag   string
	FromTag string
	Params  Params // any others
}

// HeaderName returns "Join".
func (Join) HeaderName() string { return "Join" }

// ParseValue reads a Join, which has each of its tags exactly once.
func (Join) ParseValue(s string) (h Join, err error) {
	c := scanner{s: s}
	h.CallID = c.callID()
	h.ToTag, h.FromTag, _, h.Params = c.dialogParams("to-tag", "from-tag", "")
	return scanned(&c, h)
}

// AppendValue appends the value.
func (j Join) AppendValue(b []byte) []byte {
	b = appendDialog(b, j.CallID, ";to-tag=", j.ToTag, ";from-tag=", j.FromTag)
	return append(b, j.Params...)
}

func (j Join) like(want Join) bool {
	want.Params = trimParams(want.Params)
	return j == want
}

// TargetDialog is the Target-Dialog header field: a dialog that a request from
// outside it belongs to, as the receiver knows it (RFC 4538 section 7). Knowing
// it is what authorizes the sender. One that does not have both tags is to be
// ignored (section 4), so it is an error here.
type TargetDialog struct {
	CallID    CallID
	LocalTag  string // of the receiver
	RemoteTag string
	Params    Params // any others
}

// HeaderName returns "Target-Dialog".
func (TargetDialog) HeaderName() string { return "Target-Dialog" }

// ParseValue reads a Target-Dialog.
func (TargetDialog) ParseValue(s string) (h TargetDialog, err error) {
	c := scanner{s: s}
	h.CallID = c.callID()
	h.LocalTag, h.RemoteTag, _, h.Params = c.dialogParams("local-tag", "remote-tag", "")
	return scanned(&c, h)
}

// AppendValue appends the value.
func (t TargetDialog) AppendValue(b []byte) []byte {
	b = appendDialog(b, t.CallID, ";local-tag=", t.LocalTag, ";remote-tag=", t.RemoteTag)
	return append(b, t.Params...)
}

func (t TargetDialog) like(want TargetDialog) bool {
	want.Params = trimParams(want.Params)
	return t == want
}

func appendDialog(b []byte, id CallID, tags ...string) []byte {
	b = append(b, id...)
	for _, s := range tags {
		b = append(b, s...)
	}
	return b
}

// callID takes a Call-ID.
func (c *scanner) callID() CallID {
	id := c.span(charCallID)
	if id == "" {
		c.fail("expected a Call-ID")
	}
	return CallID(id)
}

// dialogParams takes parameters to the end of the text: two tags, a flag, and
// others. Each tag must be there once and is no quoted string, as in From and
// To: a dialog that two readers could take for two is how calls are stolen.
func (c *scanner) dialogParams(name1, name2, flag string) (tag1, tag2 string, set bool, others Params) {
	var rest []byte
	at := c.pos
	for s := string(c.params()); s != ""; {
		before := s
		var name, value string
		name, value, s = cutParam(s)
		tag := &tag1
		switch {
		case equalFold(name, name2):
			tag = &tag2
			fallthrough
		case equalFold(name, name1):
			if *tag != "" || value == "" || value[0] == '"' {
				c.failAt(at, "expected one "+name1+" and one "+name2+", not in quotes")
				return "", "", false, ""
			}
			*tag = value
		case equalFold(name, flag):
			set = true
		default:
			rest = append(rest, trimWS(before[:len(before)-len(s)])...)
		}
	}
	if tag1 == "" || tag2 == "" {
		c.failAt(at, "expected "+name1+" and "+name2)
		return "", "", false, ""
	}
	return tag1, tag2, set, Params(rest)
}

// failAt makes msg the error at that place, unless there is one already.
func (c *scanner) failAt(at int, msg string) {
	if c.err == nil {
		c.err = errorAt(at, msg)
	}
}
