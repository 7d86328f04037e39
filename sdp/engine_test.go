package sdp

import (
	"errors"
	"strings"
	"testing"
)

var (
	pcmu   = Format{PayloadType: 0, Name: "PCMU", ClockRate: 8000, Channels: 1}
	pcma   = Format{PayloadType: 8, Name: "PCMA", ClockRate: 8000, Channels: 1}
	events = Format{PayloadType: 101, Name: "telephone-event", ClockRate: 8000, Channels: 1, Params: "0-15"}
)

func audio(d Direction, formats ...Format) *Media {
	m := &Media{Type: "audio", Port: 9000, Proto: "RTP/AVP", Direction: d}
	m.SetRTP(formats)
	return m
}

func video() *Media {
	m := &Media{Type: "video", Port: 9002, Proto: "RTP/AVP"}
	m.SetRTP([]Format{{PayloadType: 97, Name: "H264", ClockRate: 90000}})
	return m
}

// A pair of engines in a call with one audio section.
func call(t *testing.T) (alice, bob *Engine) {
	t.Helper()
	alice = NewEngine(&Config{Username: "alice", SessionID: 1, Address: "192.0.2.1"})
	bob = NewEngine(&Config{Username: "bob", SessionID: 2, Address: "192.0.2.2"})
	exchange(t, alice, bob, []*Media{audio(SendRecv, pcmu, events)}, []*Media{audio(SendRecv, pcmu, events)})
	return alice, bob
}

// exchange is one offer of a's and its answer by b.
func exchange(t *testing.T, a, b *Engine, offer, answer []*Media) (ofA, ofB []Pair, offerBody, answerBody string) {
	t.Helper()
	offerBody, err := a.Offer(offer)
	if err != nil {
		t.Fatalf("Offer: %v", err)
	}
	if _, err := b.ReceiveOffer(offerBody); err != nil {
		t.Fatalf("ReceiveOffer: %v", err)
	}
	answerBody, ofB, err = b.Answer(answer)
	if err != nil {
		t.Fatalf("Answer: %v", err)
	}
	ofA, err = a.ReceiveAnswer(answerBody)
	if err != nil {
		t.Fatalf("ReceiveAnswer: %v", err)
	}
	return ofA, ofB, offerBody, answerBody
}

func version(t *testing.T, body string) uint64 {
	t.Helper()
	s, err := Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	return s.Origin.Version
}

// Bob refuses the video: its line stays, with port 0, for as long as the
// dialog lasts, and its place can be taken by something else.
func TestRefusedLineKeepsItsPlace(t *testing.T) {
	alice := NewEngine(&Config{Address: "192.0.2.1"})
	bob := NewEngine(&Config{Address: "192.0.2.2"})
	agreed, _, _, answer := exchange(t, alice, bob, []*Media{audio(SendRecv, pcmu), video()}, []*Media{audio(SendRecv, pcmu), nil})
	if !strings.Contains(answer, "m=video 0 RTP/AVP 97\r\n") {
		t.Errorf("answer\n%s\nwant the video refused", answer)
	}
	if !agreed[0].Active() || agreed[1].Active() {
		t.Errorf("active %v %v, want true false", agreed[0].Active(), agreed[1].Active())
	}

	again, err := alice.Offer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(again, "m=video 0 RTP/AVP 97\r\n") {
		t.Errorf("offer again\n%s\nwant the video still refused", again)
	}
	alice.Rollback()

	if _, err := alice.Offer([]*Media{audio(SendRecv, pcmu)}); err == nil {
		t.Error("an offer with a line less was made")
	}
	if _, err := alice.Offer([]*Media{audio(SendRecv, pcmu), nil, nil}); err == nil {
		t.Error("an offer with a new line of nothing was made")
	}
	chat := &Media{Type: "message", Port: 7000, Proto: "TCP/MSRP", Formats: []string{"*"}}
	agreed, _, _, _ = exchange(t, alice, bob, []*Media{nil, chat, video()}, []*Media{nil, chat, video()})
	if agreed[0].Active() || !agreed[1].Active() || agreed[1].Local.Type != "message" || !agreed[2].Active() {
		t.Errorf("agreed %+v, want the audio ended, the chat in the second place, the video after it", agreed)
	}
}

// An answer with fewer or more lines, or of another kind, is an error that
// leaves the offer waiting; after Rollback the call goes on as before.
func TestAnswerThatDoesNotFit(t *testing.T) {
	for name, answer := range map[string]string{
		"no line":          head,
		"fewer lines":      head + "m=audio 9000 RTP/AVP 0\r\n",
		"more lines":       head + "m=audio 9000 RTP/AVP 0\r\nm=video 0 RTP/AVP 97\r\nm=video 0 RTP/AVP 97\r\n",
		"other order":      head + "m=video 9000 RTP/AVP 97\r\nm=audio 9000 RTP/AVP 0\r\n",
		"no offered codec": head + "m=audio 9000 RTP/AVP 18\r\nm=video 0 RTP/AVP 97\r\n",
		"other protocol":   head + "m=audio 9000 RTP/SAVP 0\r\nm=video 0 RTP/AVP 97\r\n",
	} {
		alice, bob := call(t)
		offer := []*Media{audio(SendRecv, pcmu, events), video()}
		if _, err := alice.Offer(offer); err != nil {
			t.Fatal(err)
		}
		_, err := alice.ReceiveAnswer(answer)
		var mismatch *MismatchError
		if !errors.As(err, &mismatch) {
			t.Errorf("%s: error %v, want a *MismatchError", name, err)
		}
		alice.Rollback()
		// The second answer to a failed negotiation.
		if _, err := alice.ReceiveAnswer(answer); !errors.Is(err, ErrNoOffer) {
			t.Errorf("%s: after Rollback: error %v, want ErrNoOffer", name, err)
		}
		if got := alice.Agreed(); len(got) != 1 || !got[0].Active() {
			t.Errorf("%s: agreed %v, want what was agreed before", name, got)
		}
		exchange(t, bob, alice, nil, []*Media{audio(SendRecv, pcmu)})
	}
}

// A peer that leaves out an ended line at the end of its next offer gets an
// answer of its length, and our own offers keep all the lines.
func TestReofferWithFewerLines(t *testing.T) {
	alice, bob := call(t)
	exchange(t, alice, bob, []*Media{audio(SendRecv, pcmu), video()}, []*Media{audio(SendRecv, pcmu), video()})
	offered, err := bob.ReceiveOffer(head + "m=audio 9000 RTP/AVP 0\r\n")
	if err != nil || len(offered) != 1 {
		t.Fatalf("ReceiveOffer = %v, %v", offered, err)
	}
	body, agreed, err := bob.Answer([]*Media{audio(SendRecv, pcmu)})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(body, "m="); got != 1 {
		t.Errorf("%d lines answered, want 1", got)
	}
	if len(agreed) != 2 || agreed[1].Active() || !agreed[1].Changed {
		t.Errorf("agreed %+v, want the video ended", agreed)
	}
	next, err := bob.Offer(nil)
	if err != nil || strings.Count(next, "m=") != 2 {
		t.Errorf("next offer %q, %v, want two lines", next, err)
	}
}

// An offer of no section at all ends them all, though RFC 3264 section 8 wants
// every line kept; the dialog goes on, and may have them back.
func TestReofferWithNothing(t *testing.T) {
	_, b := call(t)
	offered, err := b.ReceiveOffer("v=0")
	if err != nil || len(offered) != 0 {
		t.Fatalf("ReceiveOffer(v=0) = %v, %v, want no sections", offered, err)
	}
	_, agreed, err := b.Answer(nil)
	if err != nil || len(agreed) != 1 || agreed[0].Active() || !agreed[0].Changed {
		t.Errorf("Answer() = %+v, %v, want the section ended", agreed, err)
	}
}

// The version grows by one when the text changed and not when it did not, so
// that a session refresh changes nothing on the other side.
func TestVersionTellsOfChange(t *testing.T) {
	alice, bob := call(t)
	agreed, theirs, first, _ := exchange(t, alice, bob, nil, []*Media{audio(SendRecv, pcmu, events)})
	if version(t, first) != 1 {
		t.Errorf("version %d of the first description, want 1", version(t, first))
	}
	if agreed[0].Changed || theirs[0].Changed {
		t.Error("a refresh changed something")
	}
	agreed, theirs, second, answer := exchange(t, alice, bob, []*Media{audio(SendRecv, pcmu)}, []*Media{audio(SendRecv, pcmu)})
	if version(t, second) != 2 || version(t, answer) != 2 {
		t.Errorf("versions %d and %d, want 2 and 2", version(t, second), version(t, answer))
	}
	if !agreed[0].Changed || !theirs[0].Changed {
		t.Error("less formats changed nothing")
	}
	s1, _ := Parse(first)
	s2, _ := Parse(second)
	if s1.Origin.SessionID != s2.Origin.SessionID || s1.Origin.Address != s2.Origin.Address {
		t.Errorf("o= was %v and is %v", s1.Origin, s2.Origin)
	}
	// An offer that failed was sent all the same: the next is another one.
	third, err := alice.Offer([]*Media{audio(SendOnly, pcmu)})
	if err != nil || version(t, third) != 3 {
		t.Errorf("version %d, want 3 (%v)", version(t, third), err)
	}
	alice.Rollback()
	fourth, err := alice.Offer(nil)
	if err != nil || version(t, fourth) != 4 {
		t.Errorf("version %d, want 4 (%v)", version(t, fourth), err)
	}
}

// RFC 4976 section 11: messages are offered without TLS, and answered with it. What is offered with TLS is not
// answered without.
func TestAnswerWithTLS(t *testing.T) {
	chat := func(proto string) *Media {
		return &Media{Type: "message", Port: 7000, Address: "192.0.2.1", Proto: proto, Formats: []string{"*"}}
	}
	for _, c := range []struct {
		offered, answered string
		ok                bool
	}{
		{"TCP/MSRP", "TCP/TLS/MSRP", true},
		{"TCP/TLS/MSRP", "TCP/MSRP", false},
		{"RTP/AVP", "RTP/SAVP", false},
	} {
		alice, bob := NewEngine(nil), NewEngine(nil)
		offer, err := alice.Offer([]*Media{chat(c.offered)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bob.ReceiveOffer(offer); err != nil {
			t.Fatal(err)
		}
		if _, _, err := bob.Answer([]*Media{chat(c.answered)}); (err == nil) != c.ok {
			t.Errorf("Answer() with %s to %s = %v, want it made: %v", c.answered, c.offered, err, c.ok)
		}
		_, err = alice.ReceiveAnswer(strings.Replace(offer, c.offered, c.answered, 1))
		if (err == nil) != c.ok {
			t.Errorf("ReceiveAnswer() with %s to %s = %v, want it taken: %v", c.answered, c.offered, err, c.ok)
		}
	}
}

// One offer at a time, whoever's it is.
func TestOneOfferAtATime(t *testing.T) {
	alice, bob := call(t)
	offer, err := bob.Offer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bob.Offer(nil); !errors.Is(err, ErrOfferSent) {
		t.Errorf("second offer of ours: %v, want ErrOfferSent", err)
	}
	if _, err := bob.ReceiveOffer(offer); !errors.Is(err, ErrOfferSent) {
		t.Errorf("glare: %v, want ErrOfferSent", err)
	}
	if _, err := alice.ReceiveOffer(offer); err != nil {
		t.Fatal(err)
	}
	if _, err := alice.Offer(nil); !errors.Is(err, ErrOfferReceived) {
		t.Errorf("offer before the answer: %v, want ErrOfferReceived", err)
	}
	if _, err := alice.ReceiveOffer(offer); !errors.Is(err, ErrOfferReceived) {
		t.Errorf("second offer of theirs: %v, want ErrOfferReceived", err)
	}
	if _, err := alice.ReceiveAnswer(offer); !errors.Is(err, ErrNoOffer) {
		t.Errorf("answer to an offer of theirs: %v, want ErrNoOffer", err)
	}
	if _, _, err := alice.Answer(nil); err == nil {
		t.Error("an answer with too few sections was made")
	}
	if _, _, err := alice.Answer([]*Media{video()}); err == nil {
		t.Error("video was answered to audio")
	}
	answer, _, err := alice.Answer([]*Media{audio(SendRecv, pcmu)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := alice.Answer([]*Media{audio(SendRecv, pcmu)}); !errors.Is(err, ErrNoOffer) {
		t.Errorf("second answer of ours: %v, want ErrNoOffer", err)
	}
	if _, err := bob.ReceiveAnswer(answer); err != nil {
		t.Error(err)
	}
}

// The answer in a 183 counts; the 200 may say it again, and what else it says
// is passed over.
func TestSecondAnswer(t *testing.T) {
	alice := NewEngine(nil)
	if _, err := alice.ReceiveAnswer(head); !errors.Is(err, ErrNoOffer) {
		t.Errorf("answer before any offer: %v, want ErrNoOffer", err)
	}
	offered := audio(SendRecv, pcmu, events)
	offered.Address = "192.0.2.1"
	if _, err := alice.Offer([]*Media{offered}); err != nil {
		t.Fatal(err)
	}
	answer := head + "m=audio 9000 RTP/AVP 0\r\n"
	first, err := alice.ReceiveAnswer(answer)
	if err != nil || !first[0].Changed {
		t.Fatalf("first answer: %v, %v", first, err)
	}
	for _, body := range []string{answer, strings.Replace(answer, "o=- 1 1", "o=- 1 2", 1)} {
		again, err := alice.ReceiveAnswer(body)
		if err != nil || again[0].Changed {
			t.Errorf("the same again: %v, %v", again, err)
		}
	}
	if !first[0].Changed {
		t.Error("what was returned before has changed")
	}
	for _, body := range []string{"", "v=0", strings.Replace(answer, "9000", "9002", 1)} {
		if _, err := alice.ReceiveAnswer(body); !errors.Is(err, ErrAnswered) {
			t.Errorf("another answer %q: %v, want ErrAnswered", body, err)
		}
	}
	if got := alice.Agreed()[0].Remote.Port; got != 9000 {
		t.Errorf("port %d, want that of the first answer", got)
	}
}

// Both hold, and each resumes only its own (RFC 6337 section 5.3).
func TestBothHold(t *testing.T) {
	alice, bob := call(t)
	like := []*Media{audio(SendRecv, pcmu)} // the streams know nothing of hold
	step := func(what string, from, to *Engine, fromWay, toWay Direction) {
		t.Helper()
		ours, theirs, _, _ := exchange(t, from, to, nil, like)
		if got := ours[0].Local.Direction; got != fromWay {
			t.Errorf("%s: offerer is %v, want %v", what, got, fromWay)
		}
		if got := ours[0].Remote.Direction; got != fromWay.Reverse() {
			t.Errorf("%s: offerer sees %v, want %v", what, got, fromWay.Reverse())
		}
		if got := theirs[0].Local.Direction; got != toWay {
			t.Errorf("%s: answerer is %v, want %v", what, got, toWay)
		}
	}
	alice.Hold(SendOnly)
	step("Alice holds", alice, bob, SendOnly, RecvOnly)
	step("Bob refreshes", bob, alice, RecvOnly, SendOnly)
	bob.Hold(SendOnly)
	step("Bob holds too", bob, alice, Inactive, Inactive)
	alice.Hold(SendRecv)
	step("Alice resumes", alice, bob, RecvOnly, SendOnly)
	bob.Hold(SendRecv)
	step("Bob resumes", bob, alice, SendRecv, SendRecv)
	bob.Hold(Inactive)
	step("Bob holds without music", bob, alice, Inactive, Inactive)
}

// The directions an answer may have (RFC 3264 section 6.1).
func TestDirectionAnswer(t *testing.T) {
	for _, tt := range []struct{ offered, own, want Direction }{
		{SendRecv, SendRecv, SendRecv}, {SendRecv, SendOnly, SendOnly}, {SendRecv, RecvOnly, RecvOnly}, {SendRecv, Inactive, Inactive},
		{SendOnly, SendRecv, RecvOnly}, {SendOnly, SendOnly, Inactive}, {SendOnly, RecvOnly, RecvOnly}, {SendOnly, Inactive, Inactive},
		{RecvOnly, SendRecv, SendOnly}, {RecvOnly, SendOnly, SendOnly}, {RecvOnly, RecvOnly, Inactive}, {RecvOnly, Inactive, Inactive},
		{Inactive, SendRecv, Inactive}, {Inactive, SendOnly, Inactive}, {Inactive, RecvOnly, Inactive}, {Inactive, Inactive, Inactive},
	} {
		if got := tt.offered.Answer(tt.own); got != tt.want {
			t.Errorf("%v.Answer(%v) = %v, want %v", tt.offered, tt.own, got, tt.want)
		}
		if got := tt.offered.Reverse().Reverse(); got != tt.offered {
			t.Errorf("%v reversed twice is %v", tt.offered, got)
		}
	}
}

// c=0.0.0.0 is the hold of RFC 2543, and with ICE no hold at all.
func TestLegacyHold(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want Direction
	}{
		"session":         {"v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 9000 RTP/AVP 0\r\n", RecvOnly},
		"section":         {head + "m=audio 9000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n", RecvOnly},
		"and sendonly":    {head + "m=audio 9000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=sendonly\r\n", RecvOnly},
		"and recvonly":    {head + "m=audio 9000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=recvonly\r\n", Inactive},
		"IPv6":            {head + "m=audio 9000 RTP/AVP 0\r\nc=IN IP6 ::\r\n", RecvOnly},
		"ICE":             {head + "m=audio 9 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:x\r\n", SendRecv},
		"ICE, session":    {"v=0\r\na=ice-ufrag:x\r\nm=audio 9 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n", SendRecv},
		"session default": {"v=0\r\nc=IN IP4 192.0.2.1\r\na=sendonly\r\nm=audio 9000 RTP/AVP 0\r\n", RecvOnly},
		"own over it":     {"v=0\r\nc=IN IP4 192.0.2.1\r\na=inactive\r\nm=audio 9000 RTP/AVP 0\r\na=sendrecv\r\n", SendRecv},
	} {
		_, bob := call(t)
		if _, err := bob.ReceiveOffer(tt.body); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, agreed, err := bob.Answer([]*Media{audio(SendRecv, pcmu)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := agreed[0].Local.Direction; got != tt.want {
			t.Errorf("%s: answered %v, want %v", name, got, tt.want)
		}
	}
}

// Some answer sendrecv to a hold. It is a hold all the same.
func TestHoldAnsweredSendRecv(t *testing.T) {
	alice, _ := call(t)
	alice.Hold(SendOnly)
	if _, err := alice.Offer(nil); err != nil {
		t.Fatal(err)
	}
	alice.Hold(SendRecv) // comes into force with the next offer
	agreed, err := alice.ReceiveAnswer(head + "m=audio 9000 RTP/AVP 0\r\na=sendrecv\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := agreed[0]; got.Local.Direction != SendOnly || got.Remote.Direction != RecvOnly {
		t.Errorf("agreed %v and %v, want sendonly and recvonly", got.Local.Direction, got.Remote.Direction)
	}
}

// A payload type keeps its meaning in a section (RFC 3264 section 8.3.2).
func TestPayloadTypeIsNotRemapped(t *testing.T) {
	alice, bob := call(t)
	opus := Format{PayloadType: 101, Name: "opus", ClockRate: 48000, Channels: 2}
	if _, err := alice.Offer([]*Media{audio(SendRecv, pcmu, opus)}); err == nil {
		t.Error("101 became opus")
	}
	if _, err := alice.Offer([]*Media{audio(SendRecv, pcmu)}); err != nil {
		t.Error(err)
	}
	alice.Rollback()
	if _, err := alice.Offer([]*Media{audio(SendRecv, pcmu, opus)}); err == nil {
		t.Error("101 became opus after it was not listed")
	}
	// In the place of an ended section it is another stream.
	exchange(t, alice, bob, []*Media{nil}, []*Media{nil})
	if _, err := alice.Offer([]*Media{audio(SendRecv, pcmu, opus)}); err != nil {
		t.Error(err)
	}
}

// An INVITE that forks has an answer from each phone.
func TestClone(t *testing.T) {
	invite := NewEngine(&Config{Address: "192.0.2.1"})
	offer, err := invite.Offer([]*Media{audio(SendRecv, pcmu, pcma)})
	if err != nil {
		t.Fatal(err)
	}
	one, two := invite.Clone(), invite.Clone()
	for e, pt := range map[*Engine]string{one: "0", two: "8"} {
		if _, err := e.ReceiveAnswer(head + "m=audio 9000 RTP/AVP " + pt + "\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := one.Agreed()[0].Remote.Formats[0], two.Agreed()[0].Remote.Formats[0]; a != "0" || b != "8" {
		t.Errorf("formats %s and %s, want 0 and 8", a, b)
	}
	again, err := one.Offer(nil)
	if err != nil || again != offer {
		t.Errorf("offer again\n%s\nwant\n%s(%v)", again, offer, err)
	}
}

// What the caller does with a section after it gave it away is no concern of
// the engine.
func TestEngineKeepsCopies(t *testing.T) {
	alice, bob := call(t)
	m := audio(SendRecv, pcmu)
	m.Inherited = []Attribute{{"x", "y"}}
	exchange(t, alice, bob, []*Media{m}, []*Media{m})
	m.Formats[0], m.Attributes[0].Value, m.Port = "x", "x", 1
	offer, err := alice.Offer(nil)
	if err != nil || !strings.Contains(offer, "m=audio 9000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n") {
		t.Errorf("offer %q, %v", offer, err)
	}
}

// A section in use must say where it is.
func TestOfferWithoutAddress(t *testing.T) {
	e := NewEngine(nil)
	if _, err := e.Offer([]*Media{audio(SendRecv, pcmu)}); err == nil {
		t.Error("an offer without address was made")
	}
	chat := &Media{Type: "message", Port: 7000, Proto: "TCP/MSRP", Formats: []string{"*"}}
	if _, err := e.Offer([]*Media{chat}); err != nil {
		t.Error(err)
	}
	e.Rollback()
	m := audio(SendRecv, pcmu)
	m.Address = "2001:db8::1"
	body, err := e.Offer([]*Media{chat, m})
	if err != nil || !strings.Contains(body, " IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\n") {
		t.Errorf("offer %q, %v, want the address of the section for the session", body, err)
	}
}

// The answer has the time of the offer (RFC 3264 section 6).
func TestAnswerKeepsTime(t *testing.T) {
	e := NewEngine(&Config{Address: "192.0.2.1"})
	if _, err := e.ReceiveOffer("v=0\r\nt=3034423619 3042462419\r\n"); err != nil {
		t.Fatal(err)
	}
	body, agreed, err := e.Answer(nil)
	if err != nil || len(agreed) != 0 || !strings.Contains(body, "t=3034423619 3042462419\r\n") {
		t.Errorf("answer %q, %v, %v", body, agreed, err)
	}
}
