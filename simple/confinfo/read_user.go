package confinfo

import (
	"strings"

	"github.com/goparley/parley/internal/xmldoc"
)

// read takes what a <user> has into u, as read of Conference does.
func (u *User) read(n *xmldoc.Node, raw bool) {
	u.Entity = strings.Clone(keyEntity(n))
	u.State = Full
	if raw {
		u.State = stateOf(n)
	}
	if _, ok := n.Attr(attrNickname); ok {
		u.Nickname = attr(n, attrNickname)
	}
	o := &u.other
	o.tag(n, attrEntity, attrState, attrNickname)
	var endpoints, unknown []*xmldoc.Node
	for e := range n.Elements() {
		switch e.Name {
		case own("display-text"):
			u.DisplayText = o.text(e)
		case own("associated-aors"):
			u.AssociatedAORs = o.uris(e)
		case own("roles"):
			u.Roles = nil
			for _, role := range o.list(e, "entry") {
				u.Roles = append(u.Roles, strings.Clone(role.Content()))
			}
		case own("languages"):
			u.Languages = strings.Fields(o.text(e))
		case own("cascaded-focus"):
			u.CascadedFocus = o.token(e)
		case own("endpoint"):
			endpoints = append(endpoints, e)
		default:
			unknown = append(unknown, e)
		}
	}
	o.put(unknown)
	if endpoints != nil {
		keyOf := func(n *xmldoc.Node) string { v, _ := n.Attr(attrEntity); return v }
		u.Endpoints = rows(u.Endpoints, Partial, endpoints, raw, keyOf, func(e *Endpoint) string { return e.Entity }, (*Endpoint).read)
	}
}

func (p *Endpoint) read(n *xmldoc.Node, raw bool) {
	p.Entity = attr(n, attrEntity)
	p.State = Full
	if raw {
		p.State = stateOf(n)
	}
	o := &p.other
	o.tag(n, attrEntity, attrState)
	var media, unknown []*xmldoc.Node
	for e := range n.Elements() {
		switch e.Name {
		case own("display-text"):
			p.DisplayText = o.text(e)
		case own("referred"):
			p.Referred = readExecution(e)
		case own("status"):
			p.Status = o.token(e)
		case own("joining-method"):
			p.JoiningMethod = o.token(e)
		case own("joining-info"):
			p.JoiningInfo = readExecution(e)
		case own("disconnection-method"):
			p.DisconnectionMethod = o.token(e)
		case own("disconnection-info"):
			p.DisconnectionInfo = readExecution(e)
		case own("media"):
			media = append(media, e)
		case own("call-info"):
			p.CallInfo = readCallInfo(e)
		default:
			unknown = append(unknown, e)
		}
	}
	o.put(unknown)
	if media != nil {
		keyOf := func(n *xmldoc.Node) string { v, _ := n.Attr(attrID); return v }
		p.Media = rows(p.Media, Partial, media, raw, keyOf, func(m *Media) string { return m.ID }, (*Media).read)
	}
}

// read reads a <media>, which is replaced as a whole: it is none of the elements that
// may be partial (section 4.4).
func (m *Media) read(n *xmldoc.Node, _ bool) {
	*m = Media{ID: attr(n, attrID)}
	o := &m.other
	o.tag(n, attrID)
	var unknown []*xmldoc.Node
	for e := range n.Elements() {
		switch e.Name {
		case own("display-text"):
			m.DisplayText = o.text(e)
		case own("type"):
			m.Type = o.token(e)
		case own("label"):
			m.Label = o.text(e)
		case own("src-id"):
			m.SrcID = o.text(e)
		case own("status"):
			m.Status = o.token(e)
		default:
			unknown = append(unknown, e)
		}
	}
	o.put(unknown)
}

func readCallInfo(n *xmldoc.Node) (c CallInfo) {
	c.callInfo.tag(n)
	var unknown, unknownOfSIP []*xmldoc.Node
	for e := range n.Elements() {
		if e.Name != own("sip") {
			unknown = append(unknown, e)
			continue
		}
		o := &c.other
		o.tag(e)
		for e := range e.Elements() {
			switch e.Name {
			case own("display-text"):
				c.DisplayText = o.text(e)
			case own("call-id"):
				c.CallID = o.text(e)
			case own("from-tag"):
				c.FromTag = o.text(e)
			case own("to-tag"):
				c.ToTag = o.text(e)
			default:
				unknownOfSIP = append(unknownOfSIP, e)
			}
		}
	}
	c.callInfo.put(unknown)
	c.other.put(unknownOfSIP)
	return c
}
