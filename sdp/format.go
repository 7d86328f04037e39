package sdp

import (
	"strconv"
	"strings"
	"time"
)

// A Format is one RTP payload format of a section: a number from the m= line
// with its rtpmap and fmtp (RFC 8866 sections 6.6 and 6.15), or the meaning
// RFC 3551 section 6 gives the number.
type Format struct {
	PayloadType uint8  // 0 to 127
	Name        string // the encoding name: "PCMU", "telephone-event"; case does not matter
	ClockRate   int    // in Hz; more than 0
	Channels    int    // 0 and 1 mean one
	Params      string // the fmtp line after the number; "" none
}

// static are the formats of RFC 3551 section 6, which need no rtpmap.
var static = [...]Format{
	{0, "PCMU", 8000, 1, ""},
	{3, "GSM", 8000, 1, ""},
	{4, "G723", 8000, 1, ""},
	{5, "DVI4", 8000, 1, ""},
	{6, "DVI4", 16000, 1, ""},
	{7, "LPC", 8000, 1, ""},
	{8, "PCMA", 8000, 1, ""},
	{9, "G722", 8000, 1, ""}, // samples at 16 kHz: RFC 3551 section 4.5.2
	{10, "L16", 44100, 2, ""},
	{11, "L16", 44100, 1, ""},
	{12, "QCELP", 8000, 1, ""},
	{13, "CN", 8000, 1, ""},
	{14, "MPA", 90000, 0, ""},
	{15, "G728", 8000, 1, ""},
	{16, "DVI4", 11025, 1, ""},
	{17, "DVI4", 22050, 1, ""},
	{18, "G729", 8000, 1, ""},
	{25, "CelB", 90000, 0, ""},
	{26, "JPEG", 90000, 0, ""},
	{28, "nv", 90000, 0, ""},
	{31, "H261", 90000, 0, ""},
	{32, "MPV", 90000, 0, ""},
	{33, "MP2T", 90000, 0, ""},
	{34, "H263", 90000, 0, ""},
}

// isRTP reports whether the section is RTP of any profile, over anything.
func (m *Media) isRTP() bool { return strings.Contains(m.Proto, "RTP/") }

// RTP returns the payload formats of an RTP section, in order of preference.
// It leaves out what cannot be used: numbers beyond 127, a number named again,
// and numbers that neither an rtpmap nor RFC 3551 gives a meaning. Of several
// rtpmap or fmtp for one number the first counts.
func (m *Media) RTP() []Format {
	if !m.isRTP() {
		return nil
	}
	list := make([]Format, 0, len(m.Formats))
	var at [128]uint8 // where in list, from 1
	for _, f := range m.Formats {
		n, ok := number(f)
		if !ok || n > 127 || at[n] != 0 {
			continue
		}
		list = append(list, Format{PayloadType: uint8(n)})
		at[n] = uint8(len(list))
	}
	for _, a := range m.Attributes {
		if a.Name != "rtpmap" && a.Name != "fmtp" {
			continue
		}
		pt, value := word(trim(a.Value))
		n, ok := number(pt)
		if !ok || n > 127 || at[n] == 0 {
			continue
		}
		switch f := &list[at[n]-1]; {
		case a.Name == "fmtp":
			set(&f.Params, value)
		case f.Name == "":
			f.rtpmap(value)
		}
	}
	usable := list[:0]
	for _, f := range list {
		for i := 0; f.Name == "" && i < len(static); i++ {
			if s := static[i]; s.PayloadType == f.PayloadType {
				f.Name, f.ClockRate, f.Channels = s.Name, s.ClockRate, s.Channels
			}
		}
		if f.Name != "" {
			usable = append(usable, f)
		}
	}
	return usable
}

// rtpmap reads name/rate/channels; it leaves f alone if that cannot be.
func (f *Format) rtpmap(value string) {
	name, rest, _ := strings.Cut(value, "/")
	rate, channels, _ := strings.Cut(rest, "/")
	hz, ok := number(trim(rate))
	if !ok || hz == 0 || hz > 1<<30 || !isWord(name) {
		return
	}
	n, ok := number(trim(channels))
	if channels == "" {
		n, ok = 0, true
	}
	if !ok || n > 255 {
		return
	}
	f.Name, f.ClockRate, f.Channels = name, int(hz), int(n)
}

// SetRTP makes the formats those of the section, in order of preference: the
// m= line's list and the rtpmap and fmtp attributes, of static formats too
// (RFC 3264 section 5.1). They take the place of those it had; the other
// attributes stay, after them.
func (m *Media) SetRTP(formats []Format) {
	m.Formats = make([]string, len(formats))
	attributes := make([]Attribute, 0, 2*len(formats)+len(m.Attributes))
	for i, f := range formats {
		pt := strconv.Itoa(int(f.PayloadType))
		m.Formats[i] = pt
		rtpmap := pt + " " + f.Name + "/" + strconv.Itoa(f.ClockRate)
		if f.Channels > 1 {
			rtpmap += "/" + strconv.Itoa(f.Channels)
		}
		attributes = append(attributes, Attribute{"rtpmap", rtpmap})
		if f.Params != "" {
			attributes = append(attributes, Attribute{"fmtp", pt + " " + f.Params})
		}
	}
	for _, a := range m.Attributes {
		if a.Name != "rtpmap" && a.Name != "fmtp" {
			attributes = append(attributes, a)
		}
	}
	m.Attributes = attributes
}

// PacketTime returns the ptime attribute: how much media the describing side
// would like in a packet (RFC 8866 section 6.4). It is 0 if there is none or
// none that makes sense: less than 1 ms or more than 1 s.
func (m *Media) PacketTime() time.Duration {
	value, _ := m.Attribute("ptime")
	ms, err := strconv.ParseFloat(trim(value), 64)
	if err != nil || !(ms >= 1 && ms <= 1000) {
		return 0
	}
	return time.Duration(ms * float64(time.Millisecond))
}
