package confinfo

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goparley/parley/internal/xmldoc"
)

// Append appends c as a document, with its elements in the order of the schema
// (section 6). The same conference always gives the same bytes. Characters that XML
// cannot have are replaced by U+FFFD; what an element must have and is empty, such as
// the <uri> of a URI, is the program's to see to.
//
// A document that is full has a description and users, be they empty (section 5.2).
func (c *Conference) Append(b []byte) []byte {
	w := xmldoc.NewWriter(b)
	w.Document()
	c.write(w, "conference-info")
	return w.Bytes()
}

// xcon is what the examples of RFC 7701 write for the namespace of nicknames.
var xcon = xmldoc.Prefix{Prefix: "xcon", Space: xconSpace}

// write writes c as the root, or as a sidebar within it.
func (c *Conference) write(w *xmldoc.Writer, name string) {
	root := name == "conference-info"
	prefixes := c.other.prefixes
	if root && c.nicknames() {
		prefixes = append(slices.Clip(prefixes), xcon)
	}
	w.Start(own(name), prefixes...)
	w.Attr(attrEntity, c.Entity)
	if full := c.State == "" || c.State == Full; root && full {
		w.Attr(attrState, string(Full))
	} else if !full {
		w.Attr(attrState, string(c.State))
	}
	if root || c.Version != 0 {
		w.Attr(attrVersion, strconv.FormatUint(uint64(c.Version), 10))
	}
	o := &c.other
	o.attributes(w)
	if c.State != Deleted {
		must := root && c.State != Partial
		c.Description.write(w, must)
		c.HostInfo.write(w)
		c.Activity.write(w)
		writeRows(w, o, "users", c.Users, c.UsersState, must, func(u *User) { u.write(w) })
		writeRows(w, o, "sidebars-by-ref", c.SidebarsByRef, c.SidebarsByRefState, false, func(u *URI) { u.write(w) })
		writeRows(w, o, "sidebars-by-val", c.SidebarsByVal, c.SidebarsByValState, false, func(c *Conference) { c.write(w, "entry") })
	}
	o.elements(w)
	w.End()
}

// nicknames reports whether a user of c or of its sidebars has one.
func (c *Conference) nicknames() bool {
	return slices.ContainsFunc(c.Users, func(u User) bool { return u.Nickname != "" }) ||
		slices.ContainsFunc(c.SidebarsByVal, func(c Conference) bool { return c.nicknames() })
}

// writeRows writes a list with its state, if there is one.
func writeRows[T any](w *xmldoc.Writer, o *other, name string, list []T, state State, must bool, write func(*T)) {
	if len(list) == 0 && state == "" && !must {
		return
	}
	o.start(w, name)
	writeState(w, state)
	if state != Deleted {
		for i := range list {
			write(&list[i])
		}
	}
	o.end(w, name)
}

// writeState writes the attribute, but for its default.
func writeState(w *xmldoc.Writer, s State) {
	if s != "" && s != Full {
		w.Attr(attrState, string(s))
	}
}

func writeURIs(w *xmldoc.Writer, o *other, name string, list []URI) {
	writeRows(w, o, name, list, "", false, func(u *URI) { u.write(w) })
}

// begin begins an element of a type, with what was kept of it.
func (o *other) begin(w *xmldoc.Writer, name string) {
	w.Start(own(name), o.prefixes...)
	o.attributes(w)
}

// finish ends it.
func (o *other) finish(w *xmldoc.Writer) {
	o.elements(w)
	w.End()
}

func (o *other) empty() bool {
	return len(o.prefixes)+len(o.attrs)+len(o.nodes)+len(o.within) == 0
}

func (d *Description) write(w *xmldoc.Writer, must bool) {
	if !must && d.empty() {
		return
	}
	o := &d.other
	o.begin(w, "conference-description")
	o.leaf(w, "display-text", d.DisplayText)
	o.leaf(w, "subject", d.Subject)
	o.leaf(w, "free-text", d.FreeText)
	o.leaf(w, "keywords", strings.Join(d.Keywords, " "))
	writeURIs(w, o, "conf-uris", d.ConfURIs)
	writeURIs(w, o, "service-uris", d.ServiceURIs)
	o.number(w, "maximum-user-count", d.MaxUserCount)
	writeRows(w, o, "available-media", d.AvailableMedia, "", false, func(m *Medium) {
		w.Start(own("entry"), m.other.prefixes...)
		w.Attr(attrLabel, m.Label)
		m.other.attributes(w)
		m.other.leaf(w, "display-text", m.DisplayText)
		m.other.leaf(w, "type", m.Type)
		m.other.leaf(w, "status", m.Status)
		m.other.finish(w)
	})
	o.finish(w)
}

func (d *Description) empty() bool {
	return d.DisplayText == "" && d.Subject == "" && d.FreeText == "" && len(d.Keywords) == 0 && len(d.ConfURIs) == 0 &&
		len(d.ServiceURIs) == 0 && d.MaxUserCount == nil && len(d.AvailableMedia) == 0 && d.other.empty()
}

func (h *HostInfo) write(w *xmldoc.Writer) {
	if h.empty() {
		return
	}
	o := &h.other
	o.begin(w, "host-info")
	o.leaf(w, "display-text", h.DisplayText)
	o.leaf(w, "web-page", h.WebPage)
	writeURIs(w, o, "uris", h.URIs)
	o.finish(w)
}

func (h *HostInfo) empty() bool {
	return h.DisplayText == "" && h.WebPage == "" && len(h.URIs) == 0 && h.other.empty()
}

func (a *Activity) write(w *xmldoc.Writer) {
	if a.empty() {
		return
	}
	o := &a.other
	o.begin(w, "conference-state")
	o.number(w, "user-count", a.UserCount)
	o.boolean(w, "active", a.Active)
	o.boolean(w, "locked", a.Locked)
	o.finish(w)
}

func (a *Activity) empty() bool {
	return a.UserCount == nil && a.Active == nil && a.Locked == nil && a.other.empty()
}

func (o *other) number(w *xmldoc.Writer, name string, n *uint32) {
	if n != nil {
		o.leaf(w, name, strconv.FormatUint(uint64(*n), 10))
	}
}

func (o *other) boolean(w *xmldoc.Writer, name string, b *bool) {
	if b != nil {
		o.leaf(w, name, strconv.FormatBool(*b))
	}
}

func (u *URI) write(w *xmldoc.Writer) {
	o := &u.other
	o.begin(w, "entry")
	o.leaf(w, "uri", u.URI)
	o.leaf(w, "display-text", u.DisplayText)
	o.leaf(w, "purpose", u.Purpose)
	u.Modified.write(w, "modified")
	o.finish(w)
}

func (x *Execution) write(w *xmldoc.Writer, name string) {
	if x.empty() {
		return
	}
	o := &x.other
	o.begin(w, name)
	if !x.When.IsZero() {
		o.leaf(w, "when", x.When.UTC().Format(time.RFC3339Nano))
	}
	o.leaf(w, "reason", x.Reason)
	o.leaf(w, "by", x.By)
	o.finish(w)
}

func (x *Execution) empty() bool {
	return x.When.IsZero() && x.Reason == "" && x.By == "" && x.other.empty()
}

func (u *User) write(w *xmldoc.Writer) {
	o := &u.other
	w.Start(own("user"), o.prefixes...)
	w.Attr(attrEntity, u.Entity)
	writeState(w, u.State)
	if u.Nickname != "" && u.State != Deleted {
		w.Attr(attrNickname, u.Nickname)
	}
	o.attributes(w)
	if u.State != Deleted {
		o.leaf(w, "display-text", u.DisplayText)
		writeURIs(w, o, "associated-aors", u.AssociatedAORs)
		writeRows(w, o, "roles", u.Roles, "", false, func(role *string) {
			w.Start(own("entry"))
			w.Text(*role)
			w.End()
		})
		o.leaf(w, "languages", strings.Join(u.Languages, " "))
		o.leaf(w, "cascaded-focus", u.CascadedFocus)
		for i := range u.Endpoints {
			u.Endpoints[i].write(w)
		}
	}
	o.finish(w)
}

func (p *Endpoint) write(w *xmldoc.Writer) {
	o := &p.other
	w.Start(own("endpoint"), o.prefixes...)
	w.Attr(attrEntity, p.Entity)
	writeState(w, p.State)
	o.attributes(w)
	if p.State != Deleted {
		o.leaf(w, "display-text", p.DisplayText)
		p.Referred.write(w, "referred")
		o.leaf(w, "status", p.Status)
		o.leaf(w, "joining-method", p.JoiningMethod)
		p.JoiningInfo.write(w, "joining-info")
		o.leaf(w, "disconnection-method", p.DisconnectionMethod)
		p.DisconnectionInfo.write(w, "disconnection-info")
		for i := range p.Media {
			p.Media[i].write(w)
		}
		p.CallInfo.write(w)
	}
	o.finish(w)
}

func (m *Media) write(w *xmldoc.Writer) {
	o := &m.other
	w.Start(own("media"), o.prefixes...)
	w.Attr(attrID, m.ID)
	o.attributes(w)
	o.leaf(w, "display-text", m.DisplayText)
	o.leaf(w, "type", m.Type)
	o.leaf(w, "label", m.Label)
	o.leaf(w, "src-id", m.SrcID)
	o.leaf(w, "status", m.Status)
	o.finish(w)
}

func (c *CallInfo) write(w *xmldoc.Writer) {
	sip := !c.emptySIP()
	if !sip && c.callInfo.empty() {
		return
	}
	c.callInfo.begin(w, "call-info")
	if sip {
		o := &c.other
		o.begin(w, "sip")
		o.leaf(w, "display-text", c.DisplayText)
		o.leaf(w, "call-id", c.CallID)
		o.leaf(w, "from-tag", c.FromTag)
		o.leaf(w, "to-tag", c.ToTag)
		o.finish(w)
	}
	c.callInfo.finish(w)
}

func (c *CallInfo) emptySIP() bool {
	return c.DisplayText == "" && c.CallID == "" && c.FromTag == "" && c.ToTag == "" && c.other.empty()
}
