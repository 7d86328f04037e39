package confinfo

import (
	"bytes"
	"reflect"
	"slices"

	"github.com/goparley/parley/internal/xmldoc"
)

// Diff returns the document that makes now of old for who has old: what has changed
// (section 4.4), with the version after that of old. It is a full one where a partial
// one cannot say it, because something is no longer there that has no state, and nil
// where nothing has changed. Both are to be conferences as a full document has them.
// The order of elements that have keys, as users, does not count.
//
// The versions of each subscription are its own (section 5.2), as watchers are told of
// several changes at once: keep with each watcher what it was sent, under the version
// that it was sent.
func Diff(old, now *Conference) *Conference {
	var d differ
	doc, ok := d.conference(old, now)
	switch {
	case now.State == Deleted:
		doc, ok = nil, false
		if old.State != Deleted {
			doc, ok = &Conference{Entity: now.Entity, State: Deleted}, true
		}
	case old.State == Deleted || !ok:
		doc, ok = new(*now), true
		doc.State = Full
	}
	if doc == nil {
		return nil
	}
	doc.Version = old.Version + 1
	return doc
}

// A differ compares by what would be written.
type differ struct {
	a, b xmldoc.Writer
}

// same reports whether two values are written the same.
func same[T any](d *differ, a, b *T, write func(*T, *xmldoc.Writer)) bool {
	for _, x := range []struct {
		w *xmldoc.Writer
		v *T
	}{{&d.a, a}, {&d.b, b}} {
		x.w.Reset()
		x.w.Start(own("conference-info"), xcon)
		write(x.v, x.w)
	}
	return bytes.Equal(d.a.Bytes(), d.b.Bytes())
}

// A part compares the fields of an element. It is broken once something has changed
// that a partial element cannot say.
type part struct {
	d       *differ
	changed bool
	broken  bool
}

// text takes b into dst if it is not a.
func (p *part) text(dst *string, a, b string) {
	if a != b {
		*dst = b
		p.differs(b == "")
	}
}

// field is text for others. gone reports whether b is not there.
func field[T any](p *part, dst, a, b *T, gone bool, write func(*T, *xmldoc.Writer)) {
	if !same(p.d, a, b, write) {
		*dst = *b
		p.differs(gone)
	}
}

func (p *part) differs(gone bool) {
	p.changed = true
	p.broken = p.broken || gone
}

// other takes what is kept of b that goes with its fields. Elements and attributes of
// extensions say themselves whether they can be partial (section 4.4), so an element
// of which they have changed is sent whole.
func (p *part) other(dst, a, b *other) {
	if !reflect.DeepEqual(a.attrs, b.attrs) || !reflect.DeepEqual(a.nodes, b.nodes) || !reflect.DeepEqual(a.within, b.within) {
		p.differs(true)
	}
	dst.prefixes, dst.within = b.prefixes, b.within
}

// conference compares conferences, or sidebars. It returns nil if nothing has changed,
// and false if a partial document cannot say what.
func (d *differ) conference(a, b *Conference) (*Conference, bool) {
	p := part{d: d}
	c := &Conference{Entity: b.Entity, State: Partial}
	p.other(&c.other, &a.other, &b.other)
	if a.Entity != b.Entity {
		p.differs(true)
	}
	field(&p, &c.Description, &a.Description, &b.Description, b.Description.empty(),
		func(v *Description, w *xmldoc.Writer) { v.write(w, false) })
	field(&p, &c.HostInfo, &a.HostInfo, &b.HostInfo, b.HostInfo.empty(), (*HostInfo).write)
	field(&p, &c.Activity, &a.Activity, &b.Activity, b.Activity.empty(), (*Activity).write)

	users := table[User]{
		key:     func(u *User) string { return u.Entity },
		deleted: func(u *User) *User { return &User{Entity: u.Entity, State: Deleted} },
		change:  d.user,
	}
	c.Users, c.UsersState = diffRows(&p, users, a.Users, b.Users)
	byRef := table[URI]{
		key: func(u *URI) string { return u.URI },
		change: func(a, b *URI) *URI {
			if same(d, a, b, (*URI).write) {
				return nil
			}
			return b
		},
	}
	c.SidebarsByRef, c.SidebarsByRefState = diffRows(&p, byRef, a.SidebarsByRef, b.SidebarsByRef)
	byVal := table[Conference]{
		key:     func(c *Conference) string { return c.Entity },
		deleted: func(c *Conference) *Conference { return &Conference{Entity: c.Entity, State: Deleted} },
		change: func(a, b *Conference) *Conference {
			doc, ok := d.conference(a, b)
			if !ok || a.Version != b.Version {
				return b
			}
			return doc
		},
	}
	c.SidebarsByVal, c.SidebarsByValState = diffRows(&p, byVal, a.SidebarsByVal, b.SidebarsByVal)
	if !p.changed {
		return nil, true
	}
	return c, !p.broken
}

// A table is how the elements of a list are compared.
type table[T any] struct {
	key     func(*T) string
	deleted func(*T) *T      // the element that deletes one; nil: there is none
	change  func(a, b *T) *T // the element that makes b of a; nil: they are the same
}

// diffRows compares lists, and returns the list of a partial document, with its state.
func diffRows[T any](p *part, t table[T], a, b []T) ([]T, State) {
	was, ok := keyed(t, a)
	is, ok2 := keyed(t, b)
	if !ok || !ok2 {
		for i := 0; len(a) == len(b); i++ {
			if i == len(a) {
				return nil, ""
			}
			if t.change(&a[i], &b[i]) != nil {
				break
			}
		}
		return all(p, b)
	}
	var list []T
	for i := range a {
		if _, ok := is[t.key(&a[i])]; ok {
			continue
		}
		if t.deleted == nil {
			return all(p, b)
		}
		list = append(list, *t.deleted(&a[i]))
	}
	for i := range b {
		before, ok := was[t.key(&b[i])]
		if !ok {
			list = append(list, b[i])
		} else if row := t.change(before, &b[i]); row != nil {
			list = append(list, *row)
		}
	}
	if list == nil {
		return nil, ""
	}
	p.changed = true
	return list, Partial
}

// all returns a list as a whole, in place of what was there.
func all[T any](p *part, list []T) ([]T, State) {
	p.changed = true
	if len(list) == 0 {
		return nil, Deleted
	}
	return slices.Clip(list), Full
}

// keyed returns the rows by their keys, and false if one has none, or that of another.
func keyed[T any](t table[T], list []T) (map[string]*T, bool) {
	rows := make(map[string]*T, len(list))
	for i := range list {
		k := t.key(&list[i])
		if _, twice := rows[k]; twice || k == "" {
			return nil, false
		}
		rows[k] = &list[i]
	}
	return rows, true
}

// user returns the element that makes b of a. A nickname is an attribute, of which
// section 4.6 does not say what a partial element does to it, so that a user with
// another one is sent whole.
func (d *differ) user(a, b *User) *User {
	if same(d, a, b, (*User).write) {
		return nil
	}
	p := part{d: d}
	u := &User{Entity: b.Entity, State: Partial}
	p.other(&u.other, &a.other, &b.other)
	if a.Nickname != b.Nickname {
		p.differs(true)
	}
	p.text(&u.DisplayText, a.DisplayText, b.DisplayText)
	field(&p, &u.AssociatedAORs, &a.AssociatedAORs, &b.AssociatedAORs, len(b.AssociatedAORs) == 0,
		func(v *[]URI, w *xmldoc.Writer) { writeURIs(w, new(other), "associated-aors", *v) })
	if !slices.Equal(a.Roles, b.Roles) {
		u.Roles = b.Roles
		p.differs(len(b.Roles) == 0)
	}
	if !slices.Equal(a.Languages, b.Languages) {
		u.Languages = b.Languages
		p.differs(len(b.Languages) == 0)
	}
	p.text(&u.CascadedFocus, a.CascadedFocus, b.CascadedFocus)
	endpoints := table[Endpoint]{
		key:     func(e *Endpoint) string { return e.Entity },
		deleted: func(e *Endpoint) *Endpoint { return &Endpoint{Entity: e.Entity, State: Deleted} },
		change:  d.endpoint,
	}
	var state State
	if u.Endpoints, state = diffRows(&p, endpoints, a.Endpoints, b.Endpoints); state == Full || state == Deleted {
		p.broken = true
	}
	switch {
	case p.broken:
		return b
	case !p.changed:
		return nil
	}
	return u
}

func (d *differ) endpoint(a, b *Endpoint) *Endpoint {
	if same(d, a, b, (*Endpoint).write) {
		return nil
	}
	p := part{d: d}
	e := &Endpoint{Entity: b.Entity, State: Partial}
	p.other(&e.other, &a.other, &b.other)
	execution := func(v *Execution, w *xmldoc.Writer) { v.write(w, "joining-info") }
	p.text(&e.DisplayText, a.DisplayText, b.DisplayText)
	field(&p, &e.Referred, &a.Referred, &b.Referred, b.Referred.empty(), execution)
	p.text(&e.Status, a.Status, b.Status)
	p.text(&e.JoiningMethod, a.JoiningMethod, b.JoiningMethod)
	field(&p, &e.JoiningInfo, &a.JoiningInfo, &b.JoiningInfo, b.JoiningInfo.empty(), execution)
	p.text(&e.DisconnectionMethod, a.DisconnectionMethod, b.DisconnectionMethod)
	field(&p, &e.DisconnectionInfo, &a.DisconnectionInfo, &b.DisconnectionInfo, b.DisconnectionInfo.empty(), execution)
	media := table[Media]{
		key: func(m *Media) string { return m.ID },
		change: func(a, b *Media) *Media {
			if same(d, a, b, (*Media).write) {
				return nil
			}
			return b
		},
	}
	var state State
	if e.Media, state = diffRows(&p, media, a.Media, b.Media); state == Full || state == Deleted {
		p.broken = true
	}
	field(&p, &e.CallInfo, &a.CallInfo, &b.CallInfo, b.CallInfo.emptySIP() && b.CallInfo.callInfo.empty(), (*CallInfo).write)
	switch {
	case p.broken:
		return b
	case !p.changed:
		return nil
	}
	return e
}
