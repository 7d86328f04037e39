package main

import (
	"context"

	"github.com/goparley/parley/sdp"
)

// voice is audio that is negotiated and has no sockets.
type voice struct{}

var pcmu = []sdp.Format{{PayloadType: 0, Name: "PCMU", ClockRate: 8000}}

func (voice) Offer(context.Context) (*sdp.Media, error) {
	m := &sdp.Media{Type: "audio", Port: 34506, Proto: "RTP/AVP"}
	m.SetRTP(pcmu)
	return m, nil
}

func (v voice) Answer(ctx context.Context, remote *sdp.Media) (*sdp.Media, error) {
	if remote.Type != "audio" || remote.Proto != "RTP/AVP" {
		return nil, nil
	}
	formats := sdp.AnswerFormats(remote.RTP(), pcmu)
	if len(formats) == 0 {
		return nil, nil
	}
	m := &sdp.Media{Type: "audio", Port: 34506, Proto: "RTP/AVP"}
	m.SetRTP(formats)
	return m, nil
}

func (voice) Update(context.Context, *sdp.Media, *sdp.Media) error { return nil }

func (voice) Close() error { return nil }
