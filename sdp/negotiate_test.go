package sdp

import (
	"slices"
	"testing"
)

func TestAnswerAndSendFormats(t *testing.T) {
	opus := Format{PayloadType: 111, Name: "opus", ClockRate: 48000, Channels: 2, Params: "useinbandfec=1"}
	wideEvents := Format{PayloadType: 110, Name: "telephone-event", ClockRate: 48000, Channels: 1, Params: "0-15"}
	pt := func(f Format, n uint8) Format { f.PayloadType = n; return f }
	params := func(f Format, p string) Format { f.Params = p; return f }
	h264 := Format{Name: "H264", ClockRate: 90000}
	for _, tt := range []struct {
		name                       string
		offered, ours, answer, out []Format
	}{
		{
			name:    "the offer's order and numbers, our params",
			offered: []Format{pcma, pcmu, params(pt(events, 96), "0-16")},
			ours:    []Format{pcmu, pcma, events},
			answer:  []Format{pcma, pcmu, pt(events, 96)},
			out:     []Format{pcma, pcmu, params(pt(events, 96), "0-16")},
		},
		{
			name:    "names in any case, one channel said or not",
			offered: []Format{{PayloadType: 97, Name: "pcmu", ClockRate: 8000}},
			ours:    []Format{pcmu},
			answer:  []Format{pt(pcmu, 97)},
			out:     []Format{{PayloadType: 97, Name: "pcmu", ClockRate: 8000}},
		},
		{
			name:    "two channels are not one",
			offered: []Format{{PayloadType: 97, Name: "opus", ClockRate: 48000}, pcmu},
			ours:    []Format{opus, pcmu},
			answer:  []Format{pcmu},
			out:     []Format{pcmu},
		},
		{
			name:    "events go with the clock of a codec",
			offered: []Format{opus, pcmu, wideEvents, events},
			ours:    []Format{pcmu, events, wideEvents},
			answer:  []Format{pcmu, events},
			out:     []Format{pcmu, events},
		},
		{
			name:    "events alone are no audio",
			offered: []Format{{PayloadType: 18, Name: "G729", ClockRate: 8000}, events},
			ours:    []Format{pcmu, events},
		},
		{
			name:    "unless nothing else was offered",
			offered: []Format{events},
			ours:    []Format{pcmu, events},
			answer:  []Format{events},
			out:     []Format{events},
		},
		{
			name:    "of the same codec that with the same params",
			offered: []Format{params(pt(h264, 97), "packetization-mode=1"), params(pt(h264, 98), "packetization-mode=0")},
			ours:    []Format{params(pt(h264, 120), "packetization-mode=0"), params(pt(h264, 121), "packetization-mode=1")},
			answer:  []Format{params(pt(h264, 97), "packetization-mode=1"), params(pt(h264, 98), "packetization-mode=0")},
			out:     []Format{params(pt(h264, 97), "packetization-mode=1"), params(pt(h264, 98), "packetization-mode=0")},
		},
		{name: "nothing shared", offered: []Format{pcma}, ours: []Format{pcmu}},
		{name: "nothing at all"},
	} {
		if got := AnswerFormats(tt.offered, tt.ours); !slices.Equal(got, tt.answer) {
			t.Errorf("%s: AnswerFormats = %v, want %v", tt.name, got, tt.answer)
		}
		if got := SendFormats(tt.offered, tt.ours); !slices.Equal(got, tt.out) {
			t.Errorf("%s: SendFormats = %v, want %v", tt.name, got, tt.out)
		}
	}
}

// What SetRTP writes, RTP reads.
func TestSetRTP(t *testing.T) {
	opus := Format{PayloadType: 111, Name: "opus", ClockRate: 48000, Channels: 2, Params: "useinbandfec=1"}
	m := &Media{Proto: "RTP/AVP", Attributes: []Attribute{{"rtpmap", "5 x/1"}, {"ptime", "20"}, {"fmtp", "5 y"}}}
	want := []Format{opus, pcmu, events}
	m.SetRTP(want)
	got := m.RTP()
	for i := range got {
		got[i].Channels = max(got[i].Channels, 1)
	}
	if !slices.Equal(got, want) {
		t.Errorf("RTP() = %v, want %v", got, want)
	}
	if last := m.Attributes[len(m.Attributes)-1]; len(m.Attributes) != 6 || last.Name != "ptime" {
		t.Errorf("attributes %v, want three rtpmap, two fmtp and the ptime", m.Attributes)
	}
}

// Static payload types need no rtpmap (RFC 3551 section 6), and other kinds of
// sections have no payload types.
func TestStaticPayloadTypes(t *testing.T) {
	m := &Media{Proto: "RTP/AVP", Formats: []string{"0", "8", "9", "18", "19", "96"}}
	var got []string
	for _, f := range m.RTP() {
		got = append(got, f.Name)
	}
	if want := []string{"PCMU", "PCMA", "G722", "G729"}; !slices.Equal(got, want) {
		t.Errorf("RTP() = %v, want %v", got, want)
	}
	m.Proto = "TCP/MSRP"
	if got := m.RTP(); got != nil {
		t.Errorf("RTP() of MSRP = %v, want none", got)
	}
}
