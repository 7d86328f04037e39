package sip

import (
	"iter"
	"math"
	"strconv"
	"strings"
)

// Feature is what a feature parameter says of a user agent (RFC 3840 section 9):
// values with commas between them, of which any may hold. It is the text between
// the quotes:
//
//	INVITE,BYE          one of these
//	!presence           anything but this
//	#>=2.5 #-4:5 #=3    a number, of these
//	<PC>                a string, compared with regard to case
//
// "" and "TRUE" mean the same.
type Feature string

// FeatureValue is one of the values of a Feature.
type FeatureValue struct {
	Kind     FeatureKind
	Not      bool    // anything but this; never for a string
	Text     string  // the token, or the string without its angle brackets
	Min, Max float64 // the number is one of these; infinite where there is no limit
}

// FeatureKind says what a FeatureValue is, and so how two of them compare
// (RFC 3841 section 7.2.4).
type FeatureKind uint8

// The kinds of feature values.
const (
	FeatureToken  FeatureKind = iota // Text, compared without regard to case
	FeatureString                    // Text, compared with regard to case
	FeatureNumber                    // from Min to Max
)

// All yields the values in order, for "" the token TRUE. Text that is none of
// them is yielded as it is, as a token that equals no other.
func (f Feature) All() iter.Seq[FeatureValue] {
	return func(yield func(FeatureValue) bool) {
		s := string(f)
		if len(s) >= 2 && s[0] == '<' && s[len(s)-1] == '>' {
			yield(FeatureValue{Kind: FeatureString, Text: s[1 : len(s)-1]})
			return
		}
		if s == "" {
			s = "TRUE"
		}
		for value := range strings.SplitSeq(s, ",") {
			if value = trimWS(value); value != "" && !yield(parseFeatureValue(value)) {
				return
			}
		}
	}
}

// parseFeatureValue reads a tag-value.
func parseFeatureValue(s string) FeatureValue {
	rest, not := strings.CutPrefix(s, "!")
	if number, ok := strings.CutPrefix(rest, "#"); ok {
		if low, high, ok := parseFeatureRange(number); ok {
			return FeatureValue{Kind: FeatureNumber, Not: not, Min: low, Max: high}
		}
	} else if isToken(rest) && rest[0] != '!' {
		return FeatureValue{Not: not, Text: rest}
	}
	return FeatureValue{Text: s}
}

// parseFeatureRange reads what follows the "#" of a number.
func parseFeatureRange(s string) (low, high float64, ok bool) {
	low, high = math.Inf(-1), math.Inf(1)
	from, to, isRange := strings.Cut(s, ":")
	switch {
	case isRange:
		low, ok = parseDecimal(from)
		if ok {
			high, ok = parseDecimal(to)
		}
	case strings.HasPrefix(s, ">="):
		low, ok = parseDecimal(s[2:])
	case strings.HasPrefix(s, "<="):
		high, ok = parseDecimal(s[2:])
	case strings.HasPrefix(s, "="):
		low, ok = parseDecimal(s[1:])
		high = low
	}
	return low, high, ok
}

// parseDecimal reads [ "+" / "-" ] 1*DIGIT [ "." 0*DIGIT ].
func parseDecimal(s string) (float64, bool) {
	digits := strings.TrimPrefix(s, "+")
	if len(digits) == len(s) {
		digits = strings.TrimPrefix(s, "-")
	}
	whole, part, _ := strings.Cut(digits, ".")
	if whole == "" || countDigits(whole) < len(whole) || countDigits(part) < len(part) {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}

// countDigits returns how many digits s begins with.
func countDigits(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

// Feature returns the feature parameter with that name: one of the base tags as
// it is, "methods", any other with a plus, "+sip.message" (RFC 3840 section 5).
func (p Params) Feature(name string) (f Feature, ok bool) {
	v, ok := p.Get(name)
	return Feature(v), ok
}

// Features yields the feature parameters in order and leaves out the others
// (RFC 3841 section 7.2.1).
func (p Params) Features() iter.Seq2[string, Feature] {
	return func(yield func(name string, f Feature) bool) {
		for name, value := range p.All() {
			if isFeature(name) && !yield(name, Feature(value)) {
				return
			}
		}
	}
}

// WithFeature returns the parameters with a feature parameter set, at their end
// and always in quotes, as RFC 3840 section 9 asks for. "" makes one without a
// value.
func (p Params) WithFeature(name string, f Feature) Params {
	p = p.Without(name).With(name, "")
	if f == "" {
		return p
	}
	return Params(appendQuoted(append([]byte(p), '='), string(f)))
}

// baseFeatures are the feature parameters without a plus.
var baseFeatures = [...]string{
	"audio", "automata", "class", "duplex", "data", "control", "mobility", "description", "events", "priority",
	"methods", "schemes", "application", "video", "language", "type", "isfocus", "actor", "text", "extensions",
}

func isFeature(name string) bool {
	if name[0] == '+' {
		return true
	}
	for _, base := range baseFeatures {
		if equalFold(name, base) {
			return true
		}
	}
	return false
}
