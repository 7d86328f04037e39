package sip

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// The example of RFC 3840 section 5 and RFC 3841 section 8, and what is off
// the grammar.
func TestFeature(t *testing.T) {
	inf := math.Inf(1)
	token := func(s string) FeatureValue { return FeatureValue{Text: s} }
	for _, c := range []struct {
		text Feature
		want []FeatureValue
	}{
		{"", []FeatureValue{token("TRUE")}},
		{"fixed", []FeatureValue{token("fixed")}},
		{"!presence,message-summary", []FeatureValue{{Not: true, Text: "presence"}, token("message-summary")}},
		{"en, de,", []FeatureValue{token("en"), token("de")}},
		{"<PC>", []FeatureValue{{Kind: FeatureString, Text: "PC"}}},
		{"<a, !b #=1>", []FeatureValue{{Kind: FeatureString, Text: "a, !b #=1"}}},
		{"<>", []FeatureValue{{Kind: FeatureString}}},
		{"#-4:+5.125", []FeatureValue{{Kind: FeatureNumber, Min: -4, Max: 5.125}}},
		{"#>=2.5,!#<=-3.,#=7", []FeatureValue{{Kind: FeatureNumber, Min: 2.5, Max: inf},
			{Kind: FeatureNumber, Not: true, Min: -inf, Max: -3}, {Kind: FeatureNumber, Min: 7, Max: 7}}},
		{",,", nil},
		// No values, and equal to none.
		{"#", []FeatureValue{token("#")}},
		{"#5", []FeatureValue{token("#5")}},
		{"#1:", []FeatureValue{token("#1:")}},
		{"#:1", []FeatureValue{token("#:1")}},
		{"#=1e9,#=NaN,#=0x1,#=+-1,#=.5", []FeatureValue{token("#=1e9"), token("#=NaN"), token("#=0x1"), token("#=+-1"), token("#=.5")}},
		{"!", []FeatureValue{token("!")}},
		{"!!a", []FeatureValue{token("!!a")}},
		{"!<PC>", []FeatureValue{token("!<PC>")}},
	} {
		if got := slices.Collect(c.text.All()); !slices.Equal(got, c.want) {
			t.Errorf("%s is %+v, want %+v", c.text, got, c.want)
		}
	}
	for v := range Feature("#=1" + string(make([]byte, 400))).All() {
		expect(t, "the kind of a number that is none", v.Kind, FeatureToken)
	}
}

// Which parameters of a Contact are of RFC 3840.
func TestFeaturesOfContact(t *testing.T) {
	c, err := Contact{}.ParseValue(`<sip:user@example.com>;Audio;q=0.5;mobility="fixed";+sip.message="TRUE";other-param=66372;` +
		`methods="INVITE,OPTIONS,BYE,CANCEL,ACK";schemes="sip,http";expires=60;description="<A \"PC\">"`)
	if err != nil {
		t.Fatal(err)
	}
	var got []Field
	for name, f := range c.Params.Features() {
		got = append(got, Field{name, string(f)})
	}
	want := []Field{{"Audio", ""}, {"mobility", "fixed"}, {"+sip.message", "TRUE"}, {"methods", "INVITE,OPTIONS,BYE,CANCEL,ACK"},
		{"schemes", "sip,http"}, {"description", `<A "PC">`}}
	if !slices.Equal(got, want) {
		t.Errorf("Features() = %q, want %q", got, want)
	}
	for range c.Params.Features() {
		break
	}
	if f, ok := c.Params.Feature("Methods"); !ok || len(slices.Collect(f.All())) != 5 {
		t.Errorf("Feature(methods) = %s, %v", f, ok)
	}
	if _, ok := c.Params.Feature("video"); ok {
		t.Error("a feature that is not there was found")
	}
}

// The base tags have no plus (RFC 3840 section 9).
func TestBaseFeatures(t *testing.T) {
	const base = "audio automata class duplex data control mobility description events priority methods " +
		"extensions schemes application video language type isfocus actor text"
	for name := range strings.FieldsSeq(base) {
		for _, name := range []string{name, strings.ToUpper(name), "+" + name} {
			n := 0
			for range Params(";" + name).Features() {
				n++
			}
			if n != 1 {
				t.Errorf("%s is no feature parameter", name)
			}
		}
	}
	for got := range Params(";q=1;expires=60;reg-id=1;isfocu;isfocuss").Features() {
		t.Errorf("%s is a feature parameter", got)
	}
}

func TestWithFeature(t *testing.T) {
	p := Params(";q=1;methods=\"BYE\"").WithFeature("audio", "").WithFeature("methods", "INVITE").WithFeature("description", `<A "PC">`)
	expect(t, "the parameters", p, Params(`;q=1;audio;methods="INVITE";description="<A \"PC\">"`))
	// A name that is none makes parameters that no parser takes.
	if err := checkParams(string(Params("").WithFeature("x;tag=1", "y")), ""); err == nil {
		t.Error("a name with another parameter in it was taken")
	}
}
