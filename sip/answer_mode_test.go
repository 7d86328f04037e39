package sip

import "testing"

func TestAnswerMode(t *testing.T) {
	reads(t,
		reading[AnswerMode]{"Auto", AnswerMode{Mode: "Auto"}, ""},
		reading[AnswerMode]{"Manual ; require", AnswerMode{"Manual", "; require"}, "Manual; require"},
	)
	reads(t, reading[PrivAnswerMode]{"Auto;require;x=1", PrivAnswerMode{"Auto", ";require;x=1"}, ""})
	refuses[AnswerMode](t, "", "Auto Manual", ";require", "Auto;", `"Auto"`)
	refuses[PrivAnswerMode](t, "", "Auto, Manual")
	wontWrite(t, AnswerMode{}, AnswerMode{Mode: "Auto;require"}, AnswerMode{"Auto", "matic"})
	wontWrite(t, PrivAnswerMode{}, PrivAnswerMode{"Auto", ", Manual"})
	expect(t, "Require", AnswerMode{"Auto", ";Require"}.Require(), true)
	expect(t, "Require of none", PrivAnswerMode{"Auto", ";required"}.Require(), false)
}
