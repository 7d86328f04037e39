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

// A file that is not transferred any more, or not at all, is known by its
// selector and identifier still: whoever ends its section keeps them in this
// offer and those after it, and the answer mirrors them (RFC 5547 section 8.1).
func TestEndedFileIsNamed(t *testing.T) {
	file := "a=file-selector:size:1\r\na=file-transfer-id:one\r\n"
	open, ended := "m=message 9002 TCP/MSRP *\r\n", "m=message 0 TCP/MSRP *\r\n"
	bob := NewEngine(&Config{Address: "192.0.2.2"})
	voice := "m=audio 9000 RTP/AVP 0\r\n"
	if _, err := bob.ReceiveOffer(head + voice + open + file + "a=path:msrp://a;tcp\r\n"); err != nil {
		t.Fatal(err)
	}
	message := &Media{Type: "message", Proto: "TCP/MSRP", Port: 9003, Formats: []string{"*"}, Attributes: []Attribute{
		{"file-selector", "size:1"}, {"file-transfer-id", "one"}, {"path", "msrp://b;tcp"}}}
	if _, _, err := bob.Answer([]*Media{audio(SendRecv, pcmu), message}); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.ReceiveOffer(strings.Replace(head, "1 1", "1 2", 1) + voice + ended + file + "a=path:msrp://a;tcp\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, _, err := bob.Answer([]*Media{audio(SendRecv, pcmu), nil})
	if err != nil || !strings.HasSuffix(answer, ended+file) {
		t.Errorf("answer\n%s(%v)\nwant it to end with\n%s", answer, err, ended+file)
	}
	offer, err := bob.Offer([]*Media{audio(SendRecv, pcmu), nil})
	if err != nil || !strings.HasSuffix(offer, ended+file) {
		t.Errorf("the next offer is\n%s(%v)\nwant it to end with\n%s", offer, err, ended+file)
	}
}

// Who refuses a section may say in the answer what it is that they refuse: for a
// file that is its selector and identifier (RFC 5547 section 8.3).
func TestRefusalWithAttributes(t *testing.T) {
	bob := NewEngine(&Config{Address: "192.0.2.2"})
	if _, err := bob.ReceiveOffer(head + "m=audio 9000 RTP/AVP 0\r\nm=message 9002 TCP/MSRP *\r\na=file-transfer-id:one\r\na=path:msrp://a;tcp\r\n"); err != nil {
		t.Fatal(err)
	}
	refusal := &Media{Type: "message", Proto: "TCP/MSRP", Formats: []string{"*"}, Attributes: []Attribute{{"file-transfer-id", "one"}}}
	answer, agreed, err := bob.Answer([]*Media{audio(SendRecv, pcmu), refusal})
	if err != nil {
		t.Fatal(err)
	}
	if want := "m=message 0 TCP/MSRP *\r\na=file-transfer-id:one\r\n"; !strings.HasSuffix(answer, want) {
		t.Errorf("answer\n%s\nwant it to end with\n%s", answer, want)
	}
	if agreed[1].Active() {
		t.Error("the file is agreed on")
	}
	refusal.Attributes[0].Value = "two"
	if id, _ := agreed[1].Local.Attribute("file-transfer-id"); id != "one" {
		t.Errorf("the engine has the caller's own list: %q", id)
	}
}
