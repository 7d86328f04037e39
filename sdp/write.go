package sdp

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/pion/sdp/v3"
)

// AppendText appends the description as text with CRLF line ends. It refuses
// what would not be read back as written: a word that is empty or has a space
// in it where the line has several, a CR, LF or NUL anywhere, a port out of
// range, a section in use with no format.
//
// A section's own c= line is written if its Address is not the session's. The
// name of a host is written as IN IP4. RTP sections in use always say their
// direction, sendrecv too: there are peers that take its absence after a hold
// for no change.
func (s *Session) AppendText(b []byte) ([]byte, error) {
	if err := s.check(); err != nil {
		return b, err
	}
	d := sdp.SessionDescription{
		Origin: sdp.Origin{
			Username:       or(s.Origin.Username, "-"),
			SessionID:      s.Origin.SessionID,
			SessionVersion: s.Origin.Version,
			NetworkType:    "IN",
			AddressType:    addressType(s.Origin.Address),
			UnicastAddress: or(s.Origin.Address, "0.0.0.0"),
		},
		SessionName:           sdp.SessionName(or(s.Name, "-")),
		SessionInformation:    (*sdp.Information)(optional(&s.Info)),
		EmailAddress:          (*sdp.EmailAddress)(optional(&s.Email)),
		PhoneNumber:           (*sdp.PhoneNumber)(optional(&s.Phone)),
		ConnectionInformation: connection(s.Address),
		Bandwidth:             bandwidths(s.Bandwidths),
		TimeDescriptions:      []sdp.TimeDescription{{Timing: sdp.Timing{StartTime: s.Start, StopTime: s.Stop}}},
		Attributes:            attributes(s.Attributes, ""),
		MediaDescriptions:     make([]*sdp.MediaDescription, len(s.Media)),
	}
	if s.URI != "" {
		d.URI = &url.URL{Opaque: s.URI} // as it is
	}
	for i, m := range s.Media {
		d.MediaDescriptions[i] = m.description(s.Address)
	}
	text, err := d.Marshal()
	if err != nil {
		return b, fmt.Errorf("sdp: write description: %w", err)
	}
	if b == nil {
		return text, nil
	}
	return append(b, text...), nil
}

// String returns the description as text, or "" if AppendText refuses it.
// What Parse returned is never refused.
func (s *Session) String() string {
	text, err := s.AppendText(nil)
	if err != nil {
		return ""
	}
	return string(text)
}

// description is the section in the model of the writer, in a session whose
// c= line has this address.
func (m *Media) description(session string) *sdp.MediaDescription {
	d := &sdp.MediaDescription{
		MediaName: sdp.MediaName{
			Media:   m.Type,
			Port:    sdp.RangedPort{Value: m.Port},
			Protos:  []string{m.Proto},
			Formats: m.Formats,
		},
		MediaTitle: (*sdp.Information)(optional(&m.Title)),
		Bandwidth:  bandwidths(m.Bandwidths),
	}
	if m.NumPorts > 1 {
		d.MediaName.Port.Range = &m.NumPorts
	}
	if len(m.Formats) == 0 {
		d.MediaName.Formats = []string{m.anyFormat()}
	}
	if m.Address != session {
		d.ConnectionInformation = connection(m.Address)
	}
	way := ""
	if m.Direction != SendRecv || m.Port != 0 && m.isRTP() {
		way = m.Direction.String()
	}
	d.Attributes = attributes(m.Attributes, way)
	return d
}

// anyFormat is what stands for the formats where they do not matter but the
// m= line needs one.
func (m *Media) anyFormat() string {
	if m.isRTP() {
		return "0"
	}
	return "*"
}

func (s *Session) check() error {
	for _, text := range [...]string{s.Name, s.Info, s.URI, s.Email, s.Phone} {
		if !isText(text) {
			return fmt.Errorf("sdp: write description: a line end or NUL in %.80q", text)
		}
	}
	for _, word := range [...]string{or(s.Origin.Username, "-"), or(s.Origin.Address, "-"), or(s.Address, "-")} {
		if !isWord(word) {
			return fmt.Errorf("sdp: write description: not a single word: %.80q", word)
		}
	}
	if err := check(s.Bandwidths, s.Attributes); err != nil {
		return fmt.Errorf("sdp: write description: %w", err)
	}
	for i, m := range s.Media {
		if err := m.check(); err != nil {
			return fmt.Errorf("sdp: write m= section %d: %w", i, err)
		}
	}
	return nil
}

func (m *Media) check() error {
	if m.Port < 0 || m.Port > 65535 || m.NumPorts < 0 || m.NumPorts > 65536-m.Port {
		return fmt.Errorf("port %d/%d out of range", m.Port, m.NumPorts)
	}
	if m.Port != 0 && len(m.Formats) == 0 {
		return fmt.Errorf("no format")
	}
	for _, word := range [...]string{m.Type, m.Proto, or(m.Address, "-")} {
		if !isWord(word) {
			return fmt.Errorf("not a single word: %.80q", word)
		}
	}
	for _, word := range m.Formats {
		if !isWord(word) {
			return fmt.Errorf("not a single word: %.80q", word)
		}
	}
	if !isText(m.Title) {
		return fmt.Errorf("a line end or NUL in %.80q", m.Title)
	}
	return check(m.Bandwidths, m.Attributes)
}

func check(bandwidths []Bandwidth, attributes []Attribute) error {
	for _, b := range bandwidths {
		if !isWord(b.Type) || strings.Contains(b.Type, ":") {
			return fmt.Errorf("not a bandwidth type: %.80q", b.Type)
		}
	}
	for _, a := range attributes {
		if a.Name == "" || strings.Contains(a.Name, ":") || !isText(a.Name) {
			return fmt.Errorf("not an attribute name: %.80q", a.Name)
		}
		if !isText(a.Value) {
			return fmt.Errorf("a line end or NUL in %.80q", a.Value)
		}
	}
	return nil
}

// isText reports whether s may be the end of a line.
func isText(s string) bool { return !strings.ContainsAny(s, "\r\n\x00") }

// isWord reports whether s may be one of several words of a line.
func isWord(s string) bool { return s != "" && !strings.ContainsAny(s, "\r\n\x00 \t") }

func addressType(address string) string {
	if strings.Contains(address, ":") {
		return "IP6"
	}
	return "IP4"
}

func connection(address string) *sdp.ConnectionInformation {
	if address == "" {
		return nil
	}
	return &sdp.ConnectionInformation{
		NetworkType: "IN",
		AddressType: addressType(address),
		Address:     &sdp.Address{Address: address},
	}
}

func bandwidths(list []Bandwidth) []sdp.Bandwidth {
	if len(list) == 0 {
		return nil
	}
	out := make([]sdp.Bandwidth, len(list))
	for i, b := range list {
		out[i] = sdp.Bandwidth{Type: b.Type, Bandwidth: b.Value}
	}
	return out
}

// attributes are those of the list and then the direction, unless it is "".
func attributes(list []Attribute, direction string) []sdp.Attribute {
	out := make([]sdp.Attribute, len(list), len(list)+1)
	for i, a := range list {
		out[i] = sdp.Attribute{Key: a.Name, Value: a.Value}
	}
	if direction != "" {
		out = append(out, sdp.Attribute{Key: direction})
	}
	return out
}

func optional(s *string) *string {
	if *s == "" {
		return nil
	}
	return s
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
