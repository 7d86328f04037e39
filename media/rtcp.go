package media

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/pion/rtcp"
)

// The RTCP transmission interval (RFC 3550 section 6.2).
const (
	rtcpMinimum      = 5 * time.Second
	rtcpBandwidth    = 80000 / 8 * 0.05 // octets a second: 5 % of G.711 with its headers
	rtcpCompensation = 2.71828 - 1.5    // for timer reconsideration (appendix A.7)
	udpHeaders       = 28               // octets of IP and UDP that count (section 6.2)
)

// rtcpInterval returns the time to the next report, spread by random, from 0
// up to 1 (RFC 3550 section 6.3.1 and appendix A.7). A member is a participant
// heard of, ourselves included; a sender one that sends RTP.
func rtcpInterval(members, senders int, weSent, initial bool, size, random float64) time.Duration {
	least := rtcpMinimum
	if initial {
		least /= 2
	}
	n, bandwidth := float64(members), rtcpBandwidth
	if float64(senders) <= n/4 {
		if weSent {
			n, bandwidth = float64(senders), bandwidth/4
		} else {
			n, bandwidth = n-float64(senders), bandwidth*3/4
		}
	}
	t := max(time.Duration(size*n/bandwidth*float64(time.Second)), least)
	return time.Duration(float64(t) * (random + 0.5) / rtcpCompensation)
}

// An rtcpTimer decides when a report is sent (RFC 3550 section 6.3). It reads
// no clock.
type rtcpTimer struct {
	last, next time.Time
	size       float64 // the average size of compound packets
	reported   bool    // a report was sent
}

func (t *rtcpTimer) interval(members, senders int, weSent bool) time.Duration {
	return rtcpInterval(members, senders, weSent, !t.reported, t.size, rand.Float64())
}

// expire reports whether to send now. The interval is drawn again from what is
// known now, and the timer set on if it has become longer (section 6.3.6).
func (t *rtcpTimer) expire(now time.Time, members, senders int, weSent bool) bool {
	if t.next.IsZero() {
		t.last, t.size = now, 120
		t.next = now.Add(t.interval(members, senders, weSent))
		return false
	}
	if now.Before(t.next) {
		return false
	}
	t.next = t.last.Add(t.interval(members, senders, weSent))
	return !t.next.After(now)
}

// sent takes note of a report.
func (t *rtcpTimer) sent(now time.Time, octets, members, senders int, weSent bool) {
	t.seen(octets)
	t.last, t.reported = now, true
	t.next = now.Add(t.interval(members, senders, weSent))
}

// seen takes a packet sent or received into the average (section 6.3.3).
func (t *rtcpTimer) seen(octets int) { t.size += (float64(octets+udpHeaders) - t.size) / 16 }

// ntpTime returns now as NTP has it: seconds since 1900 in 32.32 bits.
func ntpTime(now time.Time) uint64 {
	const epoch = 2208988800 // of 1970, in seconds since 1900
	return uint64(now.Unix()+epoch)<<32 | uint64(now.Nanosecond())<<32/uint64(time.Second)
}

// roundTrip returns the time from our report to its echo: last is the middle
// of its NTP time, delay how long the peer held it, in 1/65536 s
// (RFC 3550 section 6.4.1).
func roundTrip(now time.Time, last, delay uint32) (time.Duration, bool) {
	d := int32(uint32(ntpTime(now)>>16) - last - delay)
	if last == 0 || d < 0 {
		return 0, false
	}
	return time.Duration(d) * time.Second / 65536, true
}

// An rtcpReport is what a compound packet says that we listen to.
type rtcpReport struct {
	sender  uint32 // the SSRC of the first report
	ntp     uint64 // of a sender report; 0: none
	blocks  []rtcp.ReceptionReport
	goodbye []uint32
}

var errRTCP = errors.New("media: malformed RTCP packet")

// parseRTCP checks a compound packet (RFC 3550 appendix A.2) and reads its
// reports. Packets of other types are stepped over by their length alone.
func parseRTCP(b []byte) (r rtcpReport, err error) {
	if len(b) == 0 {
		return r, errRTCP
	}
	for first := true; len(b) > 0; first = false {
		var h rtcp.Header
		if h.Unmarshal(b) != nil {
			return r, errRTCP
		}
		n := 4 * (int(h.Length) + 1)
		if n > len(b) || h.Padding && n < len(b) { // only the last one may be padded
			return r, errRTCP
		}
		p := b[:n]
		b = b[n:]
		if h.Padding {
			pad := int(p[n-1])
			if pad == 0 || pad%4 != 0 || pad > n-4 {
				return r, errRTCP
			}
			p = append([]byte(nil), p[:n-pad]...)
			p[0] &^= 0x20
			binary.BigEndian.PutUint16(p[2:], uint16(len(p)/4-1))
		}
		switch {
		case h.Type == rtcp.TypeSenderReport:
			var sr rtcp.SenderReport
			if sr.Unmarshal(p) != nil {
				return r, errRTCP
			}
			r.sender, r.ntp = sr.SSRC, sr.NTPTime
			r.blocks = append(r.blocks, sr.Reports...)
		case h.Type == rtcp.TypeReceiverReport:
			var rr rtcp.ReceiverReport
			if rr.Unmarshal(p) != nil {
				return r, errRTCP
			}
			if first {
				r.sender = rr.SSRC
			}
			r.blocks = append(r.blocks, rr.Reports...)
		case first: // a compound packet begins with a report (section 6.1)
			return r, errRTCP
		case h.Type == rtcp.TypeGoodbye:
			var bye rtcp.Goodbye
			if bye.Unmarshal(p) != nil {
				return r, errRTCP
			}
			r.goodbye = append(r.goodbye, bye.Sources...)
		case h.Type == rtcp.TypeSourceDescription:
			var sdes rtcp.SourceDescription
			if sdes.Unmarshal(p) != nil {
				return r, errRTCP
			}
		}
	}
	return r, nil
}
