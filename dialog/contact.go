package dialog

import (
	"context"

	"github.com/goparley/parley/sip"
)

// Contact returns where the peer reaches us.
func (d *Dialog) Contact() sip.Contact {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ownContact()
}

// ownContact is called with d.mu held.
func (d *Dialog) ownContact() sip.Contact {
	c, _ := sip.Contact{}.ParseValue(d.contact) // it was one
	return c
}

// contactField is our Contact in a message. It is called with d.mu held.
func (d *Dialog) contactField() sip.Edit { return sip.Field{Name: "Contact", Value: d.contact} }

// textOf returns the value of a Contact, which keeps no message alive.
func textOf(c sip.Contact) string { return string(c.AppendValue(make([]byte, 0, 128))) }

// SetContact says where the peer is to reach us from the next request or response on
// that can tell it: INVITE, UPDATE, SUBSCRIBE, NOTIFY or REFER.
func (d *Dialog) SetContact(contact sip.Contact) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.contact, d.made, d.moved = textOf(contact), false, false
}

// Relocate makes the Contact anew, after the addresses of the machine have changed: an
// address that leads here from where requests of the dialog go. Its parameters stay, for
// they say what we can do (RFC 3840 section 7). The peer learns of it as SetContact says.
func (d *Dialog) Relocate(ctx context.Context) (sip.Contact, error) {
	d.mu.Lock()
	req := d.d.request(sip.OPTIONS, 1)
	d.mu.Unlock()
	self, err := d.l.tl.Contact(d.towards(ctx), req)
	if err != nil {
		return sip.Contact{}, wrap("relocate", req, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	is := d.contactAt(self)
	d.contact, d.made, d.moved = textOf(is), true, false
	return is, nil
}

// contactAt returns the Contact with another address. It is called with d.mu held.
func (d *Dialog) contactAt(self sip.URI) sip.Contact {
	was := d.ownContact()
	is := contact(self, was.URI.User, was.URI.Scheme == "sips")
	is.Params = was.Params
	return is
}
