package sdp

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// own are answers that number or choose formats in their own way, as they may
// (RFC 3264 section 6.1): AnswerFormats would answer otherwise.
var own = map[string]string{
	"rfc4317-08-s2.3-Answer.sdp":        "iLBC is 97 in the offer and 99 in the answer",
	"rfc4317-30-s3.2-Second_Answer.sdp": "lists PCMU, which was not offered",
}

// TestGoldenDialogs plays the offers and answers of RFC 3264 section 10 and
// RFC 4317 between two engines.
func TestGoldenDialogs(t *testing.T) {
	all := samples(t)
	dialogs := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f := strings.SplitN(strings.TrimSuffix(name, ".sdp"), "-", 4)
		if f[0] == "rfc4317" || f[0] == "rfc3264" && f[2] != "s9" {
			id := f[0] + " section " + f[2][1:]
			dialogs[id] = append(dialogs[id], name)
		}
	}
	if len(dialogs) != 18 {
		t.Fatalf("%d dialogs, want 18", len(dialogs))
	}
	for id, names := range dialogs {
		t.Run(id, func(t *testing.T) {
			engines := map[string]*Engine{}
			for i := 0; i+1 < len(names); i += 2 {
				offer, answer := example(t, all, names[i]), example(t, all, names[i+1])
				for _, s := range []*Session{offer, answer} {
					if engines[s.Origin.Username] == nil {
						engines[s.Origin.Username] = NewEngine(&Config{
							Username: s.Origin.Username, SessionID: s.Origin.SessionID, Address: s.Origin.Address,
						})
					}
				}
				play(t, engines[offer.Origin.Username], engines[answer.Origin.Username], offer, answer)
				for j, m := range answer.Media {
					if own[names[i+1]] != "" || m.Port == 0 {
						continue
					}
					supported := m.RTP()
					slices.Reverse(supported)
					for k := range supported {
						supported[k].PayloadType = uint8(20 + k) // the offer's will be used
					}
					got := AnswerFormats(offer.Media[j].RTP(), supported)
					if want := m.RTP(); !slices.Equal(got, want) {
						t.Errorf("%s: AnswerFormats = %v, want %v", names[i+1], got, want)
					}
				}
			}
		})
	}
}

func example(t *testing.T, all map[string]string, name string) *Session {
	t.Helper()
	s, err := Parse(all[name])
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

// play makes the offerer and the answerer say what the example has them say.
func play(t *testing.T, offerer, answerer *Engine, offer, answer *Session) {
	t.Helper()
	body, err := offerer.Offer(offer.Media)
	if err != nil {
		t.Fatalf("Offer: %v", err)
	}
	says(t, body, offer)
	offered, err := answerer.ReceiveOffer(body)
	if err != nil {
		t.Fatalf("ReceiveOffer: %v", err)
	}
	if len(offered) != len(offer.Media) {
		t.Fatalf("%d sections offered, want %d", len(offered), len(offer.Media))
	}
	accepted := slices.Clone(answer.Media)
	for i, m := range accepted {
		if m.Port == 0 {
			accepted[i] = nil
		}
	}
	body, theirs, err := answerer.Answer(accepted)
	if err != nil {
		t.Fatalf("Answer: %v", err)
	}
	// Two answers of RFC 4317 (sections 3.2 and 5.2) are sendrecv to a sendonly
	// offer, against RFC 3264 section 6.1. Ours keep to what is left.
	for i, m := range answer.Media {
		m.Direction = offer.Media[i].Direction.Answer(m.Direction)
	}
	says(t, body, answer)
	ours, err := offerer.ReceiveAnswer(body)
	if err != nil {
		t.Fatalf("ReceiveAnswer: %v", err)
	}
	if len(ours) != len(theirs) {
		t.Fatalf("%d sections agreed here, %d there", len(ours), len(theirs))
	}
	for i := range ours {
		if got, want := ours[i].Active(), answer.Media[i].Port != 0; got != want {
			t.Errorf("section %d: Active() = %v, want %v", i, got, want)
		}
		if got, want := ours[i].Local.Direction, theirs[i].Remote.Direction; ours[i].Active() && got != want {
			t.Errorf("section %d: offerer is %v for itself and %v for the answerer", i, got, want)
		}
	}
}

// says checks that a body describes the same sections as the example.
func says(t *testing.T, body string, want *Session) {
	t.Helper()
	got, err := Parse(body)
	if err != nil {
		t.Fatalf("own body: %v\n%s", err, body)
	}
	for _, s := range []*Session{got, want} {
		for i, m := range s.Media {
			m = m.Clone()
			m.Inherited = nil
			if m.Port == 0 { // the formats do not count
				m = &Media{Type: m.Type, Proto: m.Proto}
			}
			s.Media[i] = m
		}
	}
	if diff := cmp.Diff(want.Media, got.Media); diff != "" {
		t.Errorf("own body (+) is not the example (-):\n%s", diff)
	}
}
