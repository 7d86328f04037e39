package dialog

import (
	"cmp"
	"strings"

	"github.com/goparley/parley/sip"
)

// Other returns the dialog that Relay has tied this one to: the other leg of a call
// that a back-to-back user agent is in the middle of. It is nil if there is none, as
// for a branch of a fork that rings while another one is tied. Legs that were restored
// have each other as before, once both are there.
func (d *Dialog) Other() *Dialog {
	d.mu.Lock()
	other := d.other
	d.mu.Unlock()
	if other == nil {
		return nil
	}
	other.mu.Lock()
	defer other.mu.Unlock()
	if other.other != d {
		return nil
	}
	return other
}

// tie makes two dialogs the legs of one call. Should the first have been tied to another
// one, as to a branch that has rung before, it has one of them at any time.
func tie(a, b *Dialog) {
	b.setOther(a)
	a.setOther(b)
}

func (d *Dialog) setOther(other *Dialog) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.other, d.mate = other, nil
}

// pair returns whose other leg the dialog is, or is to be; the zero ID if it is none.
func (d *Dialog) pair() (id ID) {
	if other := d.Other(); other != nil {
		return other.ID()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mate != nil {
		id = *d.mate
	}
	return id
}

// tieAgain ties a dialog that was restored to its other leg, if that is there and waits
// for it.
func (l *Layer) tieAgain(d *Dialog) {
	d.mu.Lock()
	mate := d.mate
	d.mu.Unlock()
	if mate == nil {
		return
	}
	if other := l.find(*mate); other != nil && other.waitsFor(d.ID()) {
		tie(d, other)
	}
}

func (d *Dialog) waitsFor(id ID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mate != nil && *d.mate == id
}

// there returns how the peer of the other leg knows a dialog that the peer of this leg
// has named, as we know it.
func (l *Layer) there(id ID) ID {
	if leg := l.Dialog(id); leg != nil {
		if other := leg.Other(); other != nil {
			id = other.ID().swapped()
			id.LocalTag = cmp.Or(id.LocalTag, noTag)
		}
	}
	return id
}

// swapped returns the ID of the same dialog as the other side sees it.
func (id ID) swapped() ID { return ID{id.CallID, id.RemoteTag, id.LocalTag} }

// renamed returns the edits of a request that names dialogs with others of ours.
func (l *Layer) renamed(req *sip.Request) []sip.Edit {
	var edits []sip.Edit
	if r, err := sip.Get[sip.Replaces](req); err == nil {
		r = l.renamedReplaces(r)
		edits = append(edits, r)
		// Who asked for the transfer may have been told where to go by us before.
		leg := l.Dialog(ID{string(r.CallID), r.FromTag, r.ToTag})
		if leg != nil && req.Method() == sip.INVITE && req.To().Tag() == "" {
			edits = append(edits, sip.RequestURI(leg.Target()))
		}
	}
	if j, err := sip.Get[sip.Join](req); err == nil {
		edits = append(edits, l.renamedJoin(j))
	}
	if t, err := sip.Get[sip.TargetDialog](req); err == nil {
		id := l.there(ID{string(t.CallID), t.LocalTag, t.RemoteTag})
		t.CallID, t.LocalTag, t.RemoteTag = sip.CallID(id.CallID), id.LocalTag, id.RemoteTag
		edits = append(edits, t)
	}
	if to, err := sip.Get[sip.ReferTo](req); err == nil && to.URI.Headers != "" {
		if to.URI = l.renamedURI(to.URI); writable(to) {
			edits = append(edits, to)
		}
	}
	if e, err := sip.Get[sip.Event](req); err == nil && e.Package == "refer" {
		if id := l.renumbered(req); id != "" {
			e.Params = e.Params.With("id", id)
			edits = append(edits, e)
		}
	}
	return edits
}

// renumbered returns the id that the REFER which a NOTIFY or SUBSCRIBE is of has on the
// other leg; "" if it was not passed on, or is the only one and has none here either.
func (l *Layer) renumbered(req *sip.Request) string {
	e, _ := sip.Get[sip.Event](req)
	leg := l.find(ID{req.CallID(), req.To().Tag(), req.From().Tag()})
	if leg != nil && req.Method() == sip.SUBSCRIBE {
		leg = leg.Other() // where the REFER went
	}
	if leg == nil || e.ID() == "" {
		return ""
	}
	leg.mu.Lock()
	defer leg.mu.Unlock()
	for _, sub := range leg.subs {
		switch {
		case sub.other == "":
		case req.Method() == sip.SUBSCRIBE && sub.other == e.ID():
			return sub.id
		case req.Method() == sip.NOTIFY && sub.id == e.ID():
			return sub.other
		}
	}
	return ""
}

func (l *Layer) renamedReplaces(r sip.Replaces) sip.Replaces {
	id := l.there(ID{string(r.CallID), r.ToTag, r.FromTag})
	r.CallID, r.ToTag, r.FromTag = sip.CallID(id.CallID), id.LocalTag, id.RemoteTag
	return r
}

func (l *Layer) renamedJoin(j sip.Join) sip.Join {
	id := l.there(ID{string(j.CallID), j.ToTag, j.FromTag})
	j.CallID, j.ToTag, j.FromTag = sip.CallID(id.CallID), id.LocalTag, id.RemoteTag
	return j
}

// renamedURI returns the URI of a Refer-To, with what it asks for named anew.
func (l *Layer) renamedURI(uri sip.URI) sip.URI {
	out := uri
	out.Headers = ""
	for name, value := range uri.Header() {
		switch strings.ToLower(name) {
		case "replaces":
			if r, err := (sip.Replaces{}).ParseValue(value); err == nil {
				value = string(l.renamedReplaces(r).AppendValue(nil))
			}
		case "join":
			if j, err := (sip.Join{}).ParseValue(value); err == nil {
				value = string(l.renamedJoin(j).AppendValue(nil))
			}
		}
		out = out.WithHeader(name, value)
	}
	return out
}
