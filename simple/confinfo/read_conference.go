package confinfo

import (
	"strings"
	"time"

	"github.com/goparley/parley/internal/xmldoc"
)

// read takes what an element of conference-type has into c. If raw is true c is zero,
// and becomes what the document says; otherwise it is brought up to date by what the
// document says (section 4.6).
func (c *Conference) read(n *xmldoc.Node, raw bool) {
	c.Entity = strings.Clone(keyEntity(n))
	if version, ok := versionOf(n); ok {
		c.Version = version
	}
	c.State = Full
	if raw {
		c.State = stateOf(n)
	}
	c.other.tag(n, attrEntity, attrState, attrVersion)
	var unknown []*xmldoc.Node
	for e := range n.Elements() {
		switch e.Name {
		case own("conference-description"):
			c.Description = readDescription(e)
		case own("host-info"):
			c.HostInfo = readHostInfo(e)
		case own("conference-state"):
			c.Activity = readActivity(e)
		case own("users"):
			entries := c.other.list(e, "user")
			userKey := func(u *User) string { return u.Entity }
			c.Users = rows(c.Users, stateOf(e), entries, raw, keyEntity, userKey, (*User).read)
			c.UsersState = rowsState(e, raw)
		case own("sidebars-by-ref"):
			entries := c.other.list(e, "entry")
			uriKey := func(u *URI) string { return u.URI }
			c.SidebarsByRef = rows(c.SidebarsByRef, stateOf(e), entries, raw, keyURI, uriKey, (*URI).read)
			c.SidebarsByRefState = rowsState(e, raw)
		case own("sidebars-by-val"):
			entries := c.other.list(e, "entry")
			sidebarKey := func(c *Conference) string { return c.Entity }
			c.SidebarsByVal = rows(c.SidebarsByVal, stateOf(e), entries, raw, keyEntity, sidebarKey, (*Conference).read)
			c.SidebarsByValState = rowsState(e, raw)
		default:
			unknown = append(unknown, e)
		}
	}
	c.other.put(unknown)
}

// keyEntity and keyURI return the key of an element (section 4.5).
func keyEntity(n *xmldoc.Node) string {
	entity, _ := n.Attr(attrEntity)
	return strings.TrimSpace(entity)
}

func keyURI(n *xmldoc.Node) string {
	for e := range n.Elements() {
		if e.Name == own("uri") {
			return strings.TrimSpace(e.Content())
		}
	}
	return ""
}

// rowsState is the state of a list of which there is an element.
func rowsState(n *xmldoc.Node, raw bool) State {
	if raw {
		return stateOf(n)
	}
	return ""
}

// rows takes elements with keys into a list, which is copied (section 4.6 step 3.1).
// state is that of the element that they are in. One without a key is never found
// again.
func rows[T any](list []T, state State, entries []*xmldoc.Node, raw bool, keyOf func(*xmldoc.Node) string, have func(*T) string, read func(*T, *xmldoc.Node, bool)) []T {
	if raw {
		list = make([]T, len(entries))
		for i, e := range entries {
			read(&list[i], e, true)
		}
		return list
	}
	switch state {
	case Deleted: // what is in it is ignored (section 4.4)
		return nil
	case Full:
		list = nil
	}
	list = append(make([]T, 0, len(list)+len(entries)), list...)
	index := make(map[string]int, len(list))
	for i := range list {
		if k := have(&list[i]); k != "" {
			index[k] = i
		}
	}
	var gone map[int]bool
	for _, e := range entries {
		k, state := keyOf(e), stateOf(e)
		i, ok := index[k]
		switch {
		case state == Deleted:
			if ok {
				if gone == nil {
					gone = make(map[int]bool)
				}
				gone[i] = true
				delete(index, k)
			}
			continue
		case !ok:
			var row T
			i, list = len(list), append(list, row)
			if k != "" {
				index[k] = i
			}
		case state == Full:
			var row T
			list[i] = row
		}
		read(&list[i], e, false)
	}
	if gone == nil {
		return list
	}
	kept := make([]T, 0, len(list)-len(gone))
	for i := range list {
		if !gone[i] {
			kept = append(kept, list[i])
		}
	}
	return kept
}

func readDescription(n *xmldoc.Node) (d Description) {
	o := &d.other
	o.tag(n)
	var unknown []*xmldoc.Node
	for e := range n.Elements() {
		switch e.Name {
		case own("display-text"):
			d.DisplayText = o.text(e)
		case own("subject"):
			d.Subject = o.text(e)
		case own("free-text"):
			d.FreeText = o.text(e)
		case own("keywords"):
			d.Keywords = strings.Fields(o.text(e))
		case own("conf-uris"):
			d.ConfURIs = o.uris(e)
		case own("service-uris"):
			d.ServiceURIs = o.uris(e)
		case own("maximum-user-count"):
			d.MaxUserCount = number(o.token(e))
		case own("available-media"):
			d.AvailableMedia = nil
			for _, entry := range o.list(e, "entry") {
				d.AvailableMedia = append(d.AvailableMedia, readMedium(entry))
			}
		default:
			unknown = append(unknown, e)
		}
	}
	o.put(unknown)
	return d
}

// uris reads a list of URIs that is replaced as a whole.
func (o *other) uris(n *xmldoc.Node) []URI {
	entries := o.list(n, "entry")
	list := make([]URI, len(entries))
	for i, e := range entries {
		list[i].read(e, true)
	}
	return list
}

func (u *URI) read(n *xmldoc.Node, _ bool) {
	*u = URI{}
	o := &u.other
	o.tag(n)
	var unknown []*xmldoc.Node
	for e := range n.Elements() {
		switch e.Name {
		case own("uri"):
			u.URI = o.token(e)
		case own("display-text"):
			u.DisplayText = o.text(e)
		case own("purpose"):
			u.Purpose = o.token(e)
		case own("modified"):
			u.Modified = readExecution(e)
		default:
			unknown = append(unknown, e)
		}
	}
	o.put(unknown)
}

func readMedium(n *xmldoc.Node) (m Medium) {
	m.Label = attr(n, attrLabel)
	o := &m.other
	o.tag(n, attrLabel)
	var unknown []*xmldoc.Node
	for e := range n.Elements() {
		switch e.Name {
		case own("display-text"):
			m.DisplayText = o.text(e)
		case own("type"):
			m.Type = o.token(e)
		case own("status"):
			m.Status = o.token(e)
		default:
			unknown = append(unknown, e)
		}
	}
	o.put(unknown)
	return m
}

func readHostInfo(n *xmldoc.Node) (h HostInfo) {
	o := &h.other
	o.tag(n)
	var unknown []*xmldoc.Node
	for e := range n.Elements() {
		switch e.Name {
		case own("display-text"):
			h.DisplayText = o.text(e)
		case own("web-page"):
			h.WebPage = o.token(e)
		case own("uris"):
			h.URIs = o.uris(e)
		default:
			unknown = append(unknown, e)
		}
	}
	o.put(unknown)
	return h
}

func readActivity(n *xmldoc.Node) (a Activity) {
	o := &a.other
	o.tag(n)
	var unknown []*xmldoc.Node
	for e := range n.Elements() {
		switch e.Name {
		case own("user-count"):
			a.UserCount = number(o.token(e))
		case own("active"):
			a.Active = boolean(o.token(e))
		case own("locked"):
			a.Locked = boolean(o.token(e))
		default:
			unknown = append(unknown, e)
		}
	}
	o.put(unknown)
	return a
}

func readExecution(n *xmldoc.Node) (x Execution) {
	o := &x.other
	o.tag(n)
	var unknown []*xmldoc.Node
	for e := range n.Elements() {
		switch e.Name {
		case own("when"):
			x.When = dateTime(o.token(e))
		case own("reason"):
			x.Reason = o.text(e)
		case own("by"):
			x.By = o.token(e)
		default:
			unknown = append(unknown, e)
		}
	}
	o.put(unknown)
	return x
}

// dateTime reads an xs:dateTime. One without a zone is taken for UTC, which section
// 5.7.2 recommends. The zero time is for what is none.
func dateTime(s string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1 {
			return t.UTC()
		}
	}
	return time.Time{}
}
