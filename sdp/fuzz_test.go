package sdp

import (
	"strings"
	"testing"

	pion "github.com/pion/sdp/v3"
)

func seed(f *testing.F) {
	for _, text := range samples(f) {
		f.Add(text)
	}
	f.Add("v=0")
	f.Add("v=0\no=a b c 1 -1 IN IP6 x\nc=IN IP4 224.0.0.1/1/2\nb=X-a:1\nm=x 1/2 y z\nm=audio 0 RTP/AVP\na=sendonly :\nc=PSTN x y\n")
}

// FuzzParse checks that what is read can be written, reads back the same, and
// can be refused line by line.
func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		stable(t, "fuzz", s)
		for _, m := range s.Media {
			formats := m.RTP()
			if got := SendFormats(formats, formats); len(got) > len(formats) {
				t.Errorf("%d formats to send of %d", len(got), len(formats))
			}
			m.PacketTime()
		}
		e := NewEngine(&Config{Address: "192.0.2.1", SessionID: 1})
		offered, err := e.ReceiveOffer(text)
		if err != nil {
			return
		}
		body, agreed, err := e.Answer(offered)
		if err != nil || len(agreed) != len(offered) || strings.Count(body, "\r\nm=") != len(offered) {
			t.Errorf("answer %q to %d sections: %v", body, len(offered), err)
		}
		if _, err := e.Offer(nil); err != nil {
			t.Errorf("offer after the answer: %v", err)
		}
		e.ReceiveAnswer(text)
	})
}

// FuzzPion checks that what pion's parser takes, ours takes, with the same m=
// lines.
func FuzzPion(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, text string) {
		var theirs pion.SessionDescription
		if theirs.UnmarshalString(text) != nil || odd(text, &theirs) {
			return
		}
		ours, err := Parse(text)
		if err != nil {
			t.Fatalf("pion takes %q, we do not: %v", text, err)
		}
		if len(ours.Media) != len(theirs.MediaDescriptions) {
			t.Fatalf("%d sections, pion has %d", len(ours.Media), len(theirs.MediaDescriptions))
		}
		for i, m := range ours.Media {
			p := theirs.MediaDescriptions[i].MediaName
			if m.Type != p.Media || m.Port != p.Port.Value || m.Proto != strings.Join(p.Protos, "/") ||
				strings.Join(m.Formats, " ") != strings.Join(p.Formats, " ") {
				t.Errorf("section %d: %s %d %s %v, pion has %v", i, m.Type, m.Port, m.Proto, m.Formats, p)
			}
		}
	})
}

// odd reports what pion's parser takes and ours rightly does not: nothing at
// all, NUL bytes, more than our limits, lines cut off or with fewer or more
// words than they have, another version, a section in use with no format; and
// what ours holds to a range and pion does not: numbers of ports, multicast
// addresses. A CR alone ends a line for ours, and for pion some lines only.
func odd(text string, s *pion.SessionDescription) bool {
	if len(text) > maxText || strings.ContainsRune(text, 0) || !strings.Contains(text, "v=0") ||
		strings.Count(text, "\n")+strings.Count(text, "\r") > maxLines || len(s.MediaDescriptions) > maxMedia {
		return true
	}
	if strings.Contains(strings.ReplaceAll(text, "\r\n", "\n"), "\r") {
		return true
	}
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\r' || r == '\n' }) {
		if line = trim(line); line == "" {
			continue
		}
		if len(line) < 2 || line[1] != '=' || len(line) > maxLine {
			return true
		}
		words := len(fields(line[2:]))
		switch line[0] {
		case 'v':
			if trim(line[2:]) != "0" {
				return true
			}
		case 'o':
			if words != 6 {
				return true
			}
		case 't':
			for _, n := range fields(line[2:]) {
				if _, ok := number(n); !ok { // pion lets it overflow
					return true
				}
			}
			if words != 2 {
				return true
			}
		case 'c':
			if words != 3 || strings.Contains(line, "/") {
				return true
			}
		case 'm':
			if words < 3 {
				return true
			}
			// A port is digits (RFC 8866 section 9), and pion takes a sign.
			port, _, _ := strings.Cut(fields(line[2:])[1], "/")
			if _, ok := number(port); !ok {
				return true
			}
		}
	}
	for _, m := range s.MediaDescriptions {
		n := m.MediaName
		if len(n.Formats) > maxFormats || n.Port.Value != 0 && len(n.Formats) == 0 || n.Port.Range != nil {
			return true
		}
	}
	return false
}
