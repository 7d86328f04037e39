package sdp

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

const head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"

// TestHostile is bad and odd input with what becomes of it: an error that
// names the line, or the sections that can be used.
func TestHostile(t *testing.T) {
	for _, tt := range []struct {
		name string
		text string
		err  string   // part of the error; "" for none
		want []string // the sections: type port direction payload types
	}{
		{name: "nothing", err: "no v= line"},
		{name: "only v=0", text: "v=0"},
		{name: "not SDP", text: "<html></html>", err: "not a type=value line"},
		{name: "another version", text: "v=1\r\n", err: "not version 0"},
		{name: "v= missing", text: head[5:], err: "want one v= line, and it first"},
		{name: "v= twice", text: head + "v=0\r\n", err: "want one v= line, and it first"},
		{name: "o= missing", text: "v=0\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n",
			want: []string{"audio 9000 sendrecv [0]"}},
		{name: "o= too short", text: "v=0\r\no=- 1 1\r\n", err: "not <username>"},
		{name: "o= name with a space", text: "v=0\r\no=Bob Doe 1 1 IN IP4 192.0.2.1\r\n"},
		{name: "o= id beyond 2^64", text: "v=0\r\no=- 99999999999999999999999 -1 IN IP4 192.0.2.1\r\n"},
		{name: "lines out of order", text: "v=0\r\nt=0 0\r\nc=IN IP4 192.0.2.1\r\ns=x\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 9000 RTP/AVP 0\r\n",
			want: []string{"audio 9000 sendrecv [0]"}},
		{name: "LF only", text: strings.ReplaceAll(head+"m=audio 9000 RTP/AVP 0\r\na=sendonly", "\r\n", "\n"),
			want: []string{"audio 9000 sendonly [0]"}},
		{name: "CR only", text: strings.ReplaceAll(head+"m=audio 9000 RTP/AVP 0\r\n", "\r\n", "\r"),
			want: []string{"audio 9000 sendrecv [0]"}},
		{name: "NUL", text: head + "a=x\x00y\r\n", err: "NUL"},
		{name: "blank and unknown lines", text: head + "\r\n \r\nx=1\r\nm=audio 9000 RTP/AVP 0\r\ny=2\r\n",
			want: []string{"audio 9000 sendrecv [0]"}},
		{name: "no last line end", text: head + "m=audio 9000 RTP/AVP 0", want: []string{"audio 9000 sendrecv [0]"}},
		{name: "0 formats", text: head + "m=audio 9000 RTP/AVP\r\n", err: "no format"},
		{name: "0 formats and refused", text: head + "m=audio 0 RTP/AVP\r\n", want: []string{"audio 0 sendrecv []"}},
		{name: "256 formats", text: head + "m=audio 9000 RTP/AVP" + strings.Repeat(" 0", 256) + "\r\n", err: "more than 128 formats"},
		{name: "port 2^16", text: head + "m=audio 65536 RTP/AVP 0\r\n", err: "not a port"},
		{name: "port negative", text: head + "m=audio -1 RTP/AVP 0\r\n", err: "not a port"},
		{name: "2^31 ports", text: head + "m=audio 9000/2147483648 RTP/AVP 0\r\n", err: "not a number of ports"},
		{name: "more ports than there are", text: head + "m=audio 65535/2 RTP/AVP 0\r\n", err: "not a number of ports"},
		{name: "c= TTL 2^31", text: "v=0\r\nc=IN IP4 224.2.1.1/2147483648\r\n", err: "not a multicast address"},
		{name: "c= count 2^31", text: "v=0\r\nc=IN IP4 224.2.1.1/127/2147483648\r\n", err: "not a multicast address"},
		{name: "c= with no address", text: "v=0\r\nc=IN IP4\r\n", err: "not <nettype>"},
		{name: "c= of the telephone network", text: "v=0\r\nc=PSTN E164 +15551234567\r\nm=audio 9 PSTN -\r\n", want: []string{"audio 9 sendrecv []"}},
		{name: "payload type 128 and beyond", text: head + "m=audio 9000 RTP/AVP 128 0 4294967296 x -1\r\n", want: []string{"audio 9000 sendrecv [0]"}},
		{name: "payload type twice", text: head + "m=audio 9000 RTP/AVP 0 0 8\r\n", want: []string{"audio 9000 sendrecv [0 8]"}},
		{name: "rtpmap twice", text: head + "m=audio 9000 RTP/AVP 97\r\na=rtpmap:97 iLBC/8000\r\na=rtpmap:97 opus/48000/2\r\n",
			want: []string{"audio 9000 sendrecv [97]"}},
		{name: "rtpmap without slash", text: head + "m=audio 9000 RTP/AVP 97 0\r\na=rtpmap:97 iLBC\r\na=rtpmap:0 PCMU\r\n",
			want: []string{"audio 9000 sendrecv [0]"}},
		{name: "rtpmap of nonsense", text: head + "m=audio 9000 RTP/AVP 97 98 99 100\r\na=rtpmap:97 x/0\r\na=rtpmap:98 x/99999999999\r\na=rtpmap:99 x/8000/256\r\na=rtpmap:100 /8000\r\na=rtpmap\r\na=rtpmap:\r\n",
			want: []string{"audio 9000 sendrecv []"}},
		{name: "fmtp without payload type", text: head + "m=audio 9000 RTP/AVP 0\r\na=fmtp:\r\na=fmtp:mode=20\r\na=fmtp\r\n",
			want: []string{"audio 9000 sendrecv [0]"}},
		{name: "1000 m= lines", text: head + strings.Repeat("m=audio 9000 RTP/AVP 0\r\n", 1000), err: "more than 128 m= sections"},
		{name: "10000 attributes", text: head + strings.Repeat("a=x\r\n", 10000), err: "more than 2048 lines"},
		{name: "65 a=crypto", text: head + "m=audio 9000 RTP/SAVP 0\r\n" + strings.Repeat("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n", 65),
			want: []string{"audio 9000 sendrecv [0]"}},
		{name: "a=candidate of 10 kB", text: head + "m=audio 9000 RTP/AVP 0\r\na=candidate:" + strings.Repeat("x", 10000) + "\r\n", err: "longer than 8 KiB"},
		{name: "more than 64 KiB", text: head + strings.Repeat("a="+strings.Repeat("x", 1000)+"\r\n", 70), err: "longer than 64 KiB"},
		{name: "a=mid twice", text: head + "m=audio 9000 RTP/AVP 0\r\na=mid:1\r\nm=audio 9002 RTP/AVP 0\r\na=mid:1\r\n",
			want: []string{"audio 9000 sendrecv [0]", "audio 9002 sendrecv [0]"}},
		{name: "group of unknown mids", text: head + "a=group:BUNDLE a b\r\nm=audio 9000 RTP/AVP 0\r\na=mid:1\r\n",
			want: []string{"audio 9000 sendrecv [0]"}},
		{name: "bundle-only with port 0", text: head + "m=audio 9000 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\na=bundle-only\r\n",
			want: []string{"audio 9000 sendrecv [0]", "video 0 sendrecv [31]"}},
		{name: "protocol not ASCII", text: head + "m=audio 9000 RTP/\xc3\xa9\xff 0\r\nm=\xc2\xa0 9000 \xc2\x85 0\r\n",
			want: []string{"audio 9000 sendrecv [0]", "\xc2\xa0 9000 sendrecv []"}},
		{name: "bandwidth negative or no number", text: head + "b=AS:-1\r\nb=X-foo:abc\r\nb=AS\r\nb=:1\r\nm=audio 9000 RTP/AVP 0\r\nb=AS:99999999999999999999\r\n",
			want: []string{"audio 9000 sendrecv [0]"}},
		{name: "T.38", text: head + "m=image 4000 udptl t38\r\na=T38FaxVersion:0\r\n", want: []string{"image 4000 sendrecv []"}},
		{name: "attributes with no name", text: head + "a=\r\na=:x\r\na= :x\r\nm=audio 9000 RTP/AVP 0\r\na=sendonly:\r\na=SENDONLY\r\n",
			want: []string{"audio 9000 sendonly [0]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Parse(tt.text)
			if tt.err != "" {
				var syntax *SyntaxError
				if !errors.As(err, &syntax) || !strings.Contains(syntax.Msg, tt.err) {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				if len(err.Error()) > 400 {
					t.Errorf("an error of %d bytes", len(err.Error()))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range s.Media {
				var pts []uint8
				for _, f := range m.RTP() {
					pts = append(pts, f.PayloadType)
				}
				got = append(got, fmt.Sprint(m.Type, " ", m.Port, " ", m.Direction, " ", pts))
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("sections %v, want %v", got, tt.want)
			}
			stable(t, tt.name, s)
		})
	}
}

// An engine that gets any of it as an offer can refuse it line by line.
func TestHostileOffersAreRefused(t *testing.T) {
	for name, text := range samples(t) {
		e := NewEngine(&Config{Address: "192.0.2.9"})
		offered, err := e.ReceiveOffer(text)
		if err != nil {
			if fragments[name] == "" {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		body, agreed, err := e.Answer(make([]*Media, len(offered)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := strings.Count(body, "\r\nm="); got != len(offered) {
			t.Errorf("%s: %d lines answered, want %d", name, got, len(offered))
		}
		for i, p := range agreed {
			if p.Active() {
				t.Errorf("%s: section %d is active", name, i)
			}
		}
	}
}

func TestNoAddressAnywhere(t *testing.T) {
	e := NewEngine(&Config{Address: "192.0.2.9"})
	_, err := e.ReceiveOffer("v=0\r\nm=audio 9000 RTP/AVP 0\r\n")
	var syntax *SyntaxError
	if !errors.As(err, &syntax) {
		t.Fatalf("RTP to nowhere: error %v, want a *SyntaxError", err)
	}
	// In every section is as good as at the session level; MSRP says it in
	// a=path, and what is refused needs none.
	_, err = e.ReceiveOffer("v=0\r\nm=audio 9000 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\nm=message 7000 TCP/MSRP *\r\nm=video 0 RTP/AVP 31\r\n")
	if err != nil {
		t.Error(err)
	}
}

func TestPacketTime(t *testing.T) {
	for value, want := range map[string]string{
		"20": "20ms", "0": "0s", "2147483648": "0s", "-1": "0s", "x": "0s", "NaN": "0s", "Inf": "0s", "1e99": "0s", "2.5": "2.5ms",
	} {
		m := Media{Attributes: []Attribute{{"ptime", value}}}
		if got := m.PacketTime().String(); got != want {
			t.Errorf("ptime %s: %s, want %s", value, got, want)
		}
	}
}

// What a program puts in cannot become a line of its own.
func TestWriterRefusesInjection(t *testing.T) {
	for _, s := range []*Session{
		{Name: "x\r\na=evil"},
		{Address: "192.0.2.1\n"},
		{Origin: Origin{Username: "a b"}},
		{Attributes: []Attribute{{"a", "b\x00"}}},
		{Attributes: []Attribute{{"", "b"}}},
		{Attributes: []Attribute{{"a:b", "c"}}},
		{Media: []*Media{{Type: "audio video", Proto: "RTP/AVP"}}},
		{Media: []*Media{{Type: "audio", Port: 9000, Proto: "RTP/AVP"}}},
		{Media: []*Media{{Type: "audio", Port: 65536, Proto: "RTP/AVP", Formats: []string{"0"}}}},
		{Media: []*Media{{Type: "audio", Port: 9000, Proto: "RTP/AVP", Formats: []string{"0\r\na=x"}}}},
		{Media: []*Media{{Type: "audio", Proto: "RTP/AVP", Bandwidths: []Bandwidth{{"A S", 1}}}}},
	} {
		if text, err := s.AppendText(nil); err == nil {
			t.Errorf("wrote %q", text)
		}
		if got := s.String(); got != "" {
			t.Errorf("String() = %q, want none", got)
		}
	}
}
