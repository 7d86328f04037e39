package sdp

import (
	"strings"
	"testing"
)

// A section that is offered with port 0 is answered with port 0, whatever the
// answerer has for it (RFC 3264 section 6).
func TestSectionOfferedWithPortZero(t *testing.T) {
	bob := NewEngine(&Config{Address: "192.0.2.2"})
	offered, err := bob.ReceiveOffer(head + "m=audio 9000 RTP/AVP 0\r\nm=video 0 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := offered[1].Port; got != 0 {
		t.Errorf("the video is offered with port %d, want 0", got)
	}
	answer, agreed, err := bob.Answer([]*Media{audio(SendRecv, pcmu), video()})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(answer, "m=audio 9000 ") || !strings.Contains(answer, "m=video 0 RTP/AVP 97\r\n") {
		t.Errorf("answer\n%s\nwant the audio, and the video with port 0", answer)
	}
	if !agreed[0].Active() || agreed[1].Active() || agreed[1].Local.Port != 0 {
		t.Errorf("active %v %v, want true false", agreed[0].Active(), agreed[1].Active())
	}
}
