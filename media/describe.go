package media

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/goparley/parley/sdp"
)

// eventNumber is the payload type we offer for telephone-event, as most do.
const eventNumber = 101

// codecOf returns the codec a format stands for, or nil.
func codecOf(f sdp.Format) *codec {
	for _, c := range codecs {
		if f.Is(c.format()) {
			return c
		}
	}
	return nil
}

func firstCodec(formats []sdp.Format) *codec {
	for _, f := range formats {
		if c := codecOf(f); c != nil {
			return c
		}
	}
	return nil
}

func (c *codec) format() sdp.Format {
	return sdp.Format{PayloadType: c.static, Name: c.name, ClockRate: SampleRate}
}

// eventFormat is telephone-event with the DTMF digits (RFC 4733 section 2.4.1).
func eventFormat(number uint8) sdp.Format {
	return sdp.Format{PayloadType: number, Name: eventName, ClockRate: SampleRate, Params: "0-15"}
}

// formats returns what we offer and accept. A codec that has been agreed keeps
// its number, and no number we ever described gets another meaning
// (RFC 3264 section 8.3.2).
func (a *Audio) formats() ([]sdp.Format, error) {
	var list []sdp.Format
	for _, name := range a.config.Codecs {
		f := sdp.Format{Name: name, ClockRate: SampleRate}
		c := codecOf(f)
		if c == nil {
			return nil, fmt.Errorf("media: no codec %q", name)
		}
		list = append(list, c.format())
	}
	if list == nil {
		for _, c := range codecs {
			list = append(list, c.format())
		}
	}
	list = append(list, eventFormat(eventNumber))
	now := a.meant // and what this description makes the numbers mean
	for i := range list {
		for _, l := range a.local {
			if l.Is(list[i]) {
				list[i].PayloadType = l.PayloadType
				now[l.PayloadType&0x7f] = l
			}
		}
	}
	for i := range list {
		f := &list[i]
		taken := func(number uint8) bool { return now[number].Name != "" && !now[number].Is(*f) }
		for n := uint8(96); n < 128 && taken(f.PayloadType); n++ {
			f.PayloadType = n
		}
		now[f.PayloadType] = *f
	}
	return list, nil
}

// describe returns our section, and remembers what its numbers mean.
func (a *Audio) describe(proto string, formats []sdp.Format) *sdp.Media {
	m := &sdp.Media{
		Type: "audio", Port: int(a.pair.local.Port()), Proto: proto,
		Address: a.address.String(), Direction: a.direction,
	}
	m.SetRTP(formats)
	for _, f := range formats {
		a.meant[f.PayloadType&0x7f] = f
	}
	m.Attributes = append(m.Attributes, sdp.Attribute{Name: "ptime", Value: "20"})
	return m
}

// ErrNoCodec is returned by Update if the descriptions share no codec: at most
// telephone-event, which only goes along with one.
var ErrNoCodec = errors.New("media: no audio codec in common")

// agree works out what two descriptions come down to.
func agree(local, remote *sdp.Media) (agreement, error) {
	g := agreement{events: -1, frame: frameOf(remote)}
	if local.Port == 0 || remote.Port == 0 {
		return g, nil // the section is refused or ended
	}
	if remote.Port < 0 || remote.Port > 65535 {
		return g, fmt.Errorf("media: update: the peer has port %d", remote.Port)
	}
	own := local.RTP()
	for _, f := range own {
		g.accepts[f.PayloadType&0x7f] = accepted{codec: codecOf(f), event: f.Is(eventFormat(0))}
	}
	for _, f := range sdp.SendFormats(remote.RTP(), own) {
		if c := codecOf(f); c != nil && g.codec == nil {
			g.codec, g.number = c, f.PayloadType
		}
		if f.Is(eventFormat(0)) && g.events < 0 {
			g.events, g.eventSet = int(f.PayloadType), eventSet(f.Params)
		}
	}
	if g.codec == nil {
		return g, ErrNoCodec
	}
	g.sends = local.Direction.Sends() && remote.Direction.Receives()
	g.receives = local.Direction.Receives()
	addr, err := parseAddr(remote.Address)
	if err != nil {
		return g, err
	}
	if addr.IsUnspecified() {
		return g, nil // on hold as RFC 2543 had it: RTP and RTCP go nowhere
	}
	g.rtp = netip.AddrPortFrom(addr, uint16(remote.Port))
	g.rtcp = rtcpAddress(remote, g.rtp)
	return g, nil
}

// frameOf returns how many samples the peer would like in a packet: 10 to
// 60 ms in steps of 10, else the default.
func frameOf(remote *sdp.Media) int {
	d := remote.PacketTime()
	if n := int(sampleCount(d)); d%(10*time.Millisecond) == 0 && n >= minFrame && n <= maxFrame {
		return n
	}
	return defaultFrame
}

// parseAddr reads the address of a c= line: a unicast IP address, or
// unspecified for none.
func parseAddr(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(s)
	addr = addr.Unmap()
	if err != nil || addr.IsMulticast() || addr.Zone() != "" || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return netip.Addr{}, fmt.Errorf("media: %.100q is not the IP address of a host", s)
	}
	return addr, nil
}

// rtcpAddress returns where the peer receives RTCP: on the port after RTP's,
// or where an rtcp attribute says (RFC 3605 section 2.1). One that cannot be
// is passed over.
func rtcpAddress(m *sdp.Media, rtp netip.AddrPort) netip.AddrPort {
	addr, port := rtp.Addr(), rtp.Port()+1
	value, _ := m.Attribute("rtcp")
	f := strings.Fields(value)
	if len(f) > 0 {
		if n, err := strconv.ParseUint(f[0], 10, 16); err == nil {
			port = uint16(n)
		}
	}
	if len(f) >= 4 {
		if a, err := parseAddr(f[3]); err == nil && a.Is4() == addr.Is4() && !a.IsUnspecified() {
			addr = a
		}
	}
	if port == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr, port)
}
