package msrp

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/link"
	"github.com/goparley/parley/sdp"
)

// A DataChannel names a WebRTC data channel that carries one session, in the section of the association that it is in:
// m=application with webrtc-datachannel (RFC 8873 section 4, RFC 8864 section 5).
type DataChannel struct {
	ID    uint16 // of the SCTP stream: even for the client of DTLS, odd for the server
	Label string // "" none
}

// Attributes returns the attributes of the association's section that describe a session as the section for MSRP does,
// which Session.Offer and Session.Answer return: dcmap, and dcsa for each attribute.
func (d DataChannel) Attributes(section *sdp.Media) []sdp.Attribute {
	id := strconv.Itoa(int(d.ID))
	value := id + " "
	if d.Label != "" {
		value += "label=" + quote(d.Label) + ";"
	}
	list := []sdp.Attribute{{Name: "dcmap", Value: value + `subprotocol="msrp"`}}
	embed := func(line string) { list = append(list, sdp.Attribute{Name: "dcsa", Value: id + " " + line}) }
	if section.Direction != sdp.SendRecv {
		embed(section.Direction.String())
	}
	for _, a := range section.Attributes {
		if a.Value == "" {
			embed(a.Name)
		} else {
			embed(a.Name + ":" + a.Value)
		}
	}
	return list
}

// Section returns the section for MSRP that the dcsa attributes for the channel make, for Session.Answer and
// Session.Update. Its port is 0, as that of a section that is refused or ended, if the association has no such channel
// for MSRP, or is itself refused.
func (d DataChannel) Section(association *sdp.Media) *sdp.Media {
	m := &sdp.Media{Type: "message", Proto: "TCP/TLS/MSRP", Formats: []string{"*"}, Address: association.Address}
	if !slices.ContainsFunc(DataChannels(association), func(c DataChannel) bool { return c.ID == d.ID }) {
		return m
	}
	m.Port = 9
	for _, a := range association.Attributes {
		id, line, _ := strings.Cut(a.Value, " ")
		if n, ok := streamID(id); a.Name != "dcsa" || !ok || n != d.ID {
			continue
		}
		name, value, _ := strings.Cut(strings.TrimLeft(line, " "), ":")
		switch name {
		case "sendrecv":
			m.Direction = sdp.SendRecv
		case "sendonly":
			m.Direction = sdp.SendOnly
		case "recvonly":
			m.Direction = sdp.RecvOnly
		case "inactive":
			m.Direction = sdp.Inactive
		case "":
		default:
			m.Attributes = append(m.Attributes, sdp.Attribute{Name: name, Value: value})
		}
	}
	// The scheme is always msrps (RFC 8873 section 4.2), but RFC 8864 prints the other one.
	if path, _ := m.Attribute("path"); strings.HasPrefix(strings.ToLower(strings.TrimSpace(path)), "msrp:") {
		m.Proto = "TCP/MSRP"
	}
	return m
}

// DataChannels returns the channels for MSRP in the section of an association: those with this subprotocol that lose
// nothing and keep the order (RFC 8873 section 3.1). There are none in a section that is refused.
func DataChannels(association *sdp.Media) (list []DataChannel) {
	if _, bundled := association.Attribute("bundle-only"); association.Port == 0 && !bundled {
		return nil
	}
	for _, a := range association.Attributes {
		if a.Name != "dcmap" {
			continue
		}
		d, ok := parseMap(a.Value)
		if ok && !slices.ContainsFunc(list, func(c DataChannel) bool { return c.ID == d.ID }) {
			list = append(list, d)
		}
	}
	return list
}

// parseMap reads the value of a dcmap (RFC 8864 section 5.1.1). ok is false for what is none, or none for MSRP.
func parseMap(value string) (d DataChannel, ok bool) {
	id, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	if d.ID, ok = streamID(id); !ok {
		return d, false
	}
	msrp := false
	for rest = strings.TrimSpace(rest); rest != ""; {
		var name, text string
		name, rest, _ = strings.Cut(rest, "=")
		if quoted, is := strings.CutPrefix(rest, `"`); is {
			if text, rest, is = strings.Cut(quoted, `"`); !is {
				return d, false
			}
			text = unquote(text)
			rest = strings.TrimPrefix(rest, ";")
		} else {
			text, rest, _ = strings.Cut(rest, ";")
		}
		switch strings.TrimSpace(name) {
		case "label":
			d.Label = text
		case "subprotocol":
			msrp = strings.EqualFold(text, "msrp")
		case "ordered":
			if text == "false" {
				return d, false
			}
		case "max-retr", "max-time":
			return d, false
		}
	}
	return d, msrp
}

func streamID(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && len(s) <= 5
}

// quote writes a quoted-string (RFC 8864 section 5.1.1).
func quote(s string) string {
	b := []byte{'"'}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '%' {
			b = fmt.Appendf(b, "%%%02X", c)
		} else {
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

func unquote(s string) string {
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(n))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// newChannelLeg makes URIs for a session over a data channel. Nobody connects to them (RFC 8873 section 4.4).
func (s *Session) newChannelLeg() (*leg, error) {
	e := s.e
	l := &leg{s: s, given: true, secure: true, local: frame.URI{Secure: true, Host: nowhere, Port: 9,
		SessionID: frame.NewSessionID(), Transport: "dc"}}
	if e.cfg.Host != "" {
		l.local.Host = e.cfg.Host
	}
	l.from, l.path = l.local.String(), frame.Path{l.local}
	if err := e.register(l); err != nil {
		return nil, err
	}
	return l, nil
}

const (
	usualMessage = 64 << 10 // bytes of an SCTP message if a description does not say (RFC 8841 section 6.1)
	leastMessage = 1 << 10  // in which any head fits
	mostMessage  = 1 << 20  // that is read
)

// Open gives a session with SessionConfig.DataChannel its channel, when that is open on both sides: Read of it returns
// one message, and Write sends one, as those of pion's detached data channels do. theirs and ours are the max-message-size
// of the two descriptions in bytes; 0 is 65,536. The session closes the channel when it ends, and has ended when the
// channel does (RFC 8873 section 5). The session must have described itself. After an error the channel is not the session's.
func (s *Session) Open(channel io.ReadWriteCloser, theirs, ours int) error {
	if theirs == 0 {
		theirs = usualMessage
	}
	if ours == 0 {
		ours = usualMessage
	}
	if theirs < leastMessage || ours < leastMessage {
		return fmt.Errorf("msrp: a data channel for messages of %d and %d bytes: less than %d", theirs, ours, leastMessage)
	}
	e := s.e
	c := e.blank(&peerKey{})
	c.link = link.NewMessages(&messages{rwc: channel, limit: theirs, buf: make([]byte, min(ours, mostMessage))}, theirs, c)
	e.mu.Lock()
	s.mu.Lock()
	l := s.next
	if l == nil {
		l = s.current
	}
	var err error
	switch {
	case !s.cfg.DataChannel:
		err = errors.New("msrp: not a session over a data channel")
	case s.closed || e.closed:
		err = ErrClosed
	case l == nil:
		err = ErrNotConnected
	case l.err != nil:
		err = l.err
	case l.conn != nil:
		err = errors.New("msrp: the session has a data channel")
	default:
		l.conn, c.legs[l] = c, struct{}{}
		e.open.Store(c, nil)
	}
	s.mu.Unlock()
	e.mu.Unlock()
	if err != nil {
		return err
	}
	c.link.Start()
	return l.open()
}

// messages are those of a data channel.
type messages struct {
	rwc   io.ReadWriteCloser
	limit int
	buf   []byte
}

func (m *messages) ReadMessage() ([]byte, error) {
	for range 100 {
		if n, err := m.rwc.Read(m.buf); n > 0 || err != nil {
			return m.buf[:n], err
		}
	}
	return nil, io.ErrNoProgress
}

func (m *messages) WriteMessage(data []byte) error {
	if len(data) > m.limit {
		return fmt.Errorf("msrp: a frame of %d bytes for a data channel that takes %d", len(data), m.limit)
	}
	_, err := m.rwc.Write(data)
	return err
}

func (m *messages) Close() error { return m.rwc.Close() }
