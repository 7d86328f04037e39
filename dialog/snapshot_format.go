package dialog

import (
	"strings"
	"time"

	"github.com/goparley/parley/internal/snapshot"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

const (
	snapshotKind    = 'd'
	snapshotVersion = 6
)

// write writes it down.
func (m *moment) write() ([]byte, error) {
	var w snapshot.Writer
	w.Text(m.d.id.CallID)
	w.Text(m.d.local)
	w.Text(m.d.remote)
	writePath(&w, m.d.path)
	w.Bool(m.d.owner)
	w.Bool(m.d.secure)
	w.Uint(uint64(m.d.localSeq))
	w.Bool(m.d.remoteSet)
	w.Uint(uint64(m.d.remoteSeq))
	w.Bool(m.d.referred[local])
	w.Bool(m.d.referred[remote])
	w.Text(m.contact)
	w.Bool(m.made)
	w.Bool(m.other != ID{})
	if m.other != (ID{}) {
		w.Text(m.other.CallID)
		w.Text(m.other.LocalTag)
		w.Text(m.other.RemoteTag)
	}
	w.Uint(uint64(len(m.subs)))
	for _, sub := range m.subs {
		w.Bool(sub.ours)
		w.Text(sub.event)
		w.Text(sub.id)
		w.Bool(sub.first)
		w.Text(sub.other)
		w.Duration(sub.until.Sub(m.now))
	}
	w.Bool(m.call != nil)
	if m.call != nil {
		if err := m.call.write(&w, m.now); err != nil {
			return nil, err
		}
	} else {
		w.Bool(m.over)
	}
	return w.Seal(snapshotKind, snapshotVersion), nil
}

func (c *callMoment) write(w *snapshot.Writer, now time.Time) error {
	w.Bool(c.began)
	w.Duration(c.minSE)
	w.Bool(c.updates)
	w.Uint(uint64(c.offer))
	w.Uint(uint64(c.due))
	w.Duration(c.interval)
	w.Bool(c.refresh)
	w.Duration(now.Sub(c.since))

	w.Bool(c.lost.is)
	w.Uint(uint64(c.lost.seq))
	w.Uint(uint64(c.invite.seq))
	w.Bool(c.unacked)
	if c.unacked {
		w.Uint(uint64(len(c.invite.credentials)))
		for _, f := range c.invite.credentials {
			w.Text(f.Name)
			w.Text(f.Value)
		}
		writePath(w, c.invite.path)
	}
	w.Bool(c.acked.known)
	if c.acked.known {
		w.Duration(c.acked.until.Sub(now))
		w.Bool(c.acked.strict)
		writeMessage(w, c.acked.ack)
	}

	w.Bool(c.in != nil)
	if c.in == nil {
		return nil
	}
	tx, err := c.in.tx.Snapshot()
	if err != nil {
		return err
	}
	w.Text(string(tx))
	w.Bool(c.in.re)
	w.Bool(!c.in.expires.IsZero())
	w.Duration(c.in.expires.Sub(now))
	w.Uint(uint64(c.rseq))
	writeMessage(w, c.ringing)
	w.Bool(c.waiting)
	writeMessage(w, c.answer)
	w.Duration(c.until.Sub(now))
	return nil
}

func writePath(w *snapshot.Writer, p path) {
	w.Text(p.target)
	w.Uint(uint64(strings.Count(p.routes, "\n")))
	for route := range strings.Lines(p.routes) {
		w.Text(strings.TrimSuffix(route, "\n"))
	}
}

// writeMessage writes the text of a message, "" for none.
func writeMessage[M interface {
	*sip.Request | *sip.Response
	sip.Message
}](w *snapshot.Writer, m M) {
	if m == nil {
		w.Text("")
		return
	}
	w.Text(m.String())
}

// maxExpires is the longest an Expires can say.
const maxExpires = (1<<32 - 1) * time.Second

// readMoment reads what write has written. wait is how long an ACK may take.
func readMoment(data []byte, wait time.Duration) (*moment, error) {
	r, err := snapshot.Open(data, snapshotKind, snapshotVersion)
	if err != nil {
		return nil, err
	}
	m := &moment{now: time.Now()}
	m.d.between(r.Text(), sip.Address(value[sip.From](r)), sip.Address(value[sip.To](r)))
	m.d.path = readPath(r)
	m.d.owner = r.Bool()
	m.d.secure = r.Bool()
	m.d.localSeq = uint32(r.Uint(1<<32 - 1))
	m.d.remoteSet = r.Bool()
	m.d.remoteSeq = uint32(r.Uint(1<<32 - 1))
	m.d.referred[local], m.d.referred[remote] = r.Bool(), r.Bool()
	m.d.restored = true
	if m.d.id.CallID == "" || m.d.id.LocalTag == "" {
		r.Fail()
	}
	m.contact = textOf(value[sip.Contact](r))
	m.made = r.Bool()
	if r.Bool() {
		m.other = ID{r.Text(), r.Text(), r.Text()}
		if m.other.CallID == "" || m.other.LocalTag == "" || m.other == m.d.id {
			r.Fail()
		}
	}
	for range r.Count() {
		sub := subscription{ours: r.Bool(), event: r.Text(), id: r.Text(), first: r.Bool(), other: r.Text(),
			until: m.now.Add(r.Duration(2 * maxExpires))}
		if sub.event == "" || len(m.subs) == maxSubscriptions {
			r.Fail()
			break
		}
		m.subs = append(m.subs, sub)
	}
	if r.Bool() {
		m.call = &callMoment{}
		m.call.read(r, m.now, wait)
	} else if m.over = r.Bool(); len(m.subs) == 0 {
		r.Fail()
	}
	if err := r.Close(); err != nil {
		return nil, err
	}
	if m.call == nil || m.call.in == nil {
		return m, nil
	}
	// Before anything is made of it, for what ends then would be answered.
	invite, err := transaction.SnapshotRequest(m.call.tx)
	if err == nil && !m.d.belongs(invite) {
		err = ErrSnapshot
	}
	return m, err
}

func (c *callMoment) read(r *snapshot.Reader, now time.Time, wait time.Duration) {
	c.began = r.Bool()
	c.minSE = r.Duration(maxExpires)
	c.updates = r.Bool()
	c.offer = side(r.Uint(uint64(remote)))
	c.due = side(r.Uint(uint64(remote)))
	c.interval = r.Duration(maxExpires)
	c.refresh = r.Bool()
	c.since = now.Add(-r.Duration(maxExpires))

	c.lost = lostInvite{r.Bool(), uint32(r.Uint(1<<32 - 1))}
	c.invite.seq = uint32(r.Uint(1<<32 - 1))
	if c.unacked = r.Bool(); c.unacked {
		for range r.Count() {
			f := sip.Field{Name: r.Text(), Value: r.Text()}
			if f.Name == "" {
				r.Fail()
				break
			}
			c.invite.credentials = append(c.invite.credentials, f)
		}
		c.invite.path = readPath(r)
	}
	if c.acked.known = r.Bool(); c.acked.known {
		c.acked.until = now.Add(r.Duration(wait))
		c.acked.strict = r.Bool()
		c.acked.ack = readMessage[*sip.Request](r)
		if c.acked.ack == nil != c.unacked || c.acked.ack != nil && c.acked.ack.Method() != sip.ACK {
			r.Fail()
		}
	}

	if !r.Bool() {
		if !c.began {
			r.Fail()
		}
		return
	}
	c.tx = []byte(r.Text())
	c.in = &Invitation{restored: true, re: r.Bool()}
	if limited, left := r.Bool(), r.Duration(maxExpires); limited {
		c.in.expires = now.Add(left)
	}
	c.rseq = sip.RSeq(r.Uint(1<<32 - 1))
	c.ringing = readMessage[*sip.Response](r)
	c.waiting = r.Bool()
	c.answer = readMessage[*sip.Response](r)
	c.in.answer = c.answer
	c.until = now.Add(r.Duration(wait))
	if len(c.tx) == 0 || c.ringing != nil && c.ringing.Status().Final() ||
		c.answer != nil && (c.ringing != nil || !c.answer.Status().Success()) ||
		c.waiting && (c.ringing == nil || c.rseq == 0) ||
		c.began != (c.in.re || c.answer != nil) {
		r.Fail()
	}
}

// value reads the value of a header field.
func value[H any, P interface {
	*H
	ParseValue(string) (H, error)
}](r *snapshot.Reader) H {
	var p P = new(H)
	h, err := p.ParseValue(r.Text())
	if err != nil {
		r.Fail()
	}
	return h
}

func readPath(r *snapshot.Reader) (none path) {
	target, err := sip.ParseURI(r.Text())
	if err != nil {
		r.Fail()
	}
	var routes []sip.Route
	for range r.Count() {
		text := r.Text()
		route, err := sip.Route{}.ParseValue(text)
		if err != nil {
			r.Fail()
			return none
		}
		routes = append(routes, route)
	}
	return newPath(target, routes)
}

// readMessage reads what writeMessage has written.
func readMessage[M sip.Message](r *snapshot.Reader) (none M) {
	text := r.Text()
	if text == "" {
		return none
	}
	m, err := sip.Parse(text)
	is, ok := m.(M)
	if err != nil || !ok {
		r.Fail()
		return none
	}
	return is
}
