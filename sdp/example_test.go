package sdp_test

import (
	"fmt"
	"strings"

	"github.com/goparley/parley/sdp"
)

func ExampleParse() {
	s, err := sdp.Parse("v=0\r\n" +
		"o=alice 2890844526 2890844526 IN IP4 192.0.2.1\r\n" +
		"s=-\r\n" +
		"c=IN IP4 192.0.2.1\r\n" +
		"t=0 0\r\n" +
		"m=audio 49170 RTP/AVP 0 101\r\n" +
		"a=rtpmap:101 telephone-event/8000\r\n" +
		"a=fmtp:101 0-15\r\n" +
		"a=sendonly\r\n")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range s.Media {
		fmt.Println(m.Type, m.Address, m.Port, m.Direction)
		for _, f := range m.RTP() {
			fmt.Printf("%d %s/%d %q\n", f.PayloadType, f.Name, f.ClockRate, f.Params)
		}
	}
	// Output:
	// audio 192.0.2.1 49170 sendonly
	// 0 PCMU/8000 ""
	// 101 telephone-event/8000 "0-15"
}

// Alice offers audio, Bob answers it. Each sends by the other's payload types.
func ExampleEngine() {
	supported := []sdp.Format{
		{PayloadType: 8, Name: "PCMA", ClockRate: 8000},
		{PayloadType: 0, Name: "PCMU", ClockRate: 8000},
		{PayloadType: 101, Name: "telephone-event", ClockRate: 8000, Params: "0-15"},
	}

	alice := sdp.NewEngine(&sdp.Config{Address: "192.0.2.1"})
	audio := &sdp.Media{Type: "audio", Port: 49170, Proto: "RTP/AVP"}
	audio.SetRTP(supported)
	offer, err := alice.Offer([]*sdp.Media{audio})
	if err != nil {
		fmt.Println(err)
		return
	}

	bob := sdp.NewEngine(&sdp.Config{Username: "bob", SessionID: 7, Address: "192.0.2.2"})
	offered, err := bob.ReceiveOffer(offer)
	if err != nil {
		fmt.Println(err)
		return
	}
	accepted := &sdp.Media{Port: 3456}
	accepted.SetRTP(sdp.AnswerFormats(offered[0].RTP(), supported[1:]))
	answer, _, err := bob.Answer([]*sdp.Media{accepted})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(strings.ReplaceAll(answer, "\r\n", "\n"))

	agreed, err := alice.ReceiveAnswer(answer)
	if err != nil {
		fmt.Println(err)
		return
	}
	remote := agreed[0].Remote
	send := sdp.SendFormats(remote.RTP(), supported)
	fmt.Printf("Alice sends %s to %s:%d\n", send[0].Name, remote.Address, remote.Port)
	// Output:
	// v=0
	// o=bob 7 1 IN IP4 192.0.2.2
	// s=-
	// c=IN IP4 192.0.2.2
	// t=0 0
	// m=audio 3456 RTP/AVP 0 101
	// a=rtpmap:0 PCMU/8000
	// a=rtpmap:101 telephone-event/8000
	// a=fmtp:101 0-15
	// a=sendrecv
	// Alice sends PCMU to 192.0.2.2:3456
}
