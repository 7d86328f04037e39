package sdp

import "testing"

const phone = "v=0\r\n" +
	"o=alice 2890844526 2890844526 IN IP4 192.0.2.1\r\n" +
	"s=-\r\n" +
	"c=IN IP4 192.0.2.1\r\n" +
	"t=0 0\r\n" +
	"m=audio 49170 RTP/AVP 0 8 9 101\r\n" +
	"a=rtpmap:0 PCMU/8000\r\n" +
	"a=rtpmap:8 PCMA/8000\r\n" +
	"a=rtpmap:9 G722/8000\r\n" +
	"a=rtpmap:101 telephone-event/8000\r\n" +
	"a=fmtp:101 0-15\r\n" +
	"a=ptime:20\r\n" +
	"a=sendrecv\r\n"

// answerPhone reads an offer and answers it.
func answerPhone(tb testing.TB) {
	e := NewEngine(&Config{Address: "192.0.2.2"})
	offered, err := e.ReceiveOffer(phone)
	if err != nil {
		tb.Fatal(err)
	}
	m := &Media{Port: 4000}
	m.SetRTP(AnswerFormats(offered[0].RTP(), []Format{pcmu, pcma, events}))
	if _, _, err := e.Answer([]*Media{m}); err != nil {
		tb.Fatal(err)
	}
}

func TestAllocations(t *testing.T) {
	if got, limit := testing.AllocsPerRun(100, func() { Parse(phone) }), 8.0; got > limit {
		t.Errorf("Parse: %v allocations, want at most %v", got, limit)
	}
	if got, limit := testing.AllocsPerRun(100, func() { answerPhone(t) }), 45.0; got > limit {
		t.Errorf("Parse and answer: %v allocations, want at most %v", got, limit)
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Parse(phone)
	}
}

func BenchmarkParseAndAnswer(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		answerPhone(b)
	}
}
