package sdp

import "slices"

// Clone returns a copy that shares no list with m.
func (m *Media) Clone() *Media {
	c := *m
	c.Formats = slices.Clone(m.Formats)
	c.Bandwidths = slices.Clone(m.Bandwidths)
	c.Attributes = slices.Clone(m.Attributes)
	c.Inherited = slices.Clone(m.Inherited)
	return &c
}

// refused returns what refuses or ends the section: its m= line with port 0
// (RFC 3264 sections 6 and 8.2), and nothing else but what names the file that
// it was about (RFC 5547 sections 8.1 and 8.3).
func (m *Media) refused() *Media {
	r := &Media{Type: m.Type, Proto: m.Proto, Formats: m.Formats}
	for _, a := range m.Attributes {
		if a.Name == "file-selector" || a.Name == "file-transfer-id" {
			r.Attributes = append(r.Attributes, a)
		}
	}
	return r
}

// directed returns the section with another direction.
func (m *Media) directed(d Direction) *Media {
	if m.Direction == d {
		return m
	}
	c := *m
	c.Direction = d
	return &c
}

// equal reports whether the sections say the same.
func (m *Media) equal(n *Media) bool {
	return m.Type == n.Type && m.Port == n.Port && max(m.NumPorts, 1) == max(n.NumPorts, 1) &&
		m.Proto == n.Proto && slices.Equal(m.Formats, n.Formats) &&
		m.Title == n.Title && m.Address == n.Address && m.Direction == n.Direction &&
		slices.Equal(m.Bandwidths, n.Bandwidths) &&
		slices.Equal(m.Attributes, n.Attributes) && slices.Equal(m.Inherited, n.Inherited)
}
