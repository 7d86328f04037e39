package msrp_test

import (
	"errors"
	"testing"

	"github.com/goparley/parley/msrp/frame"
)

// A nickname is asked for in quotes, by a request that has no body and wants no reports (RFC 7701 section 7.1).
func TestNicknameIsAskedFor(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.called(nil)
		for name, want := range map[string]string{`Alice "the" \great`: `"Alice \"the\" \\great"`, "": `""`} {
			done := make(chan error, 1)
			go func() { done <- x.SetNickname(s.Context(), name) }()
			f := p.next()
			if got, _ := f.Get("Use-Nickname"); f.Method != frame.NICKNAME || got != want || f.HasBody || f.SuccessReport || f.FailureReport != frame.FailureReportYes {
				s.Errorf("SetNickname(%q) has sent %v with Use-Nickname: %s, want %s", name, f.Head, got, want)
			}
			p.answer(f, 425)
			if err := <-done; !errors.Is(err, frame.StatusNicknameInUse) {
				s.Errorf("SetNickname(%q) = %v, want 425", name, err)
			}
		}
	})
}

// What is no success is a refusal, of whatever class: who knows no NICKNAME says 501 (RFC 4975 section 10).
func TestRequestIsRefused(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.called(nil)
		for _, status := range []frame.Status{200, 299, 100, 300, 424, 481, 501, 506, 600} {
			done := make(chan error, 1)
			go func() { done <- x.SetNickname(s.Context(), "Alice") }()
			p.answer(p.next(), status)
			if err := <-done; status/100 == 2 && err != nil || status/100 != 2 && !errors.Is(err, status) {
				s.Errorf("SetNickname() = %v where the answer is %d", err, int(status))
			}
		}
	})
}
