package sip

import "testing"

// A parameter is found however it is spelled, with white space where RFC 3261
// section 25.1 lets it be, and is read without its quotes.
func TestParamsGet(t *testing.T) {
	for _, c := range []struct {
		params Params
		want   string
		ok     bool
	}{
		{";x=y", "y", true},
		{";x=y ", "y", true},
		{";x=y;z=1", "y", true},
		{";x=y ;z=1", "y", true},
		{";x= y", "y", true},
		{";x =y", "y", true},
		{"; x = y ; z", "y", true},
		{`;x="y"`, "y", true},
		{`;x= "y"`, "y", true},
		{";x=\t\"y\"", "y", true},
		{`;x = "y" ;z`, "y", true},
		{`;x="y;z"`, "y;z", true},
		{`;x= "y;x=z"`, "y;x=z", true},
		{`;x=""`, "", true},
		{`;x="\"y\""`, `"y"`, true},
		{";X=y", "y", true},
		{";x", "", true},
		{";x;z=1", "", true},
		{";z=1;x=y", "y", true},
		{`;z="1;x=2";x=y`, "y", true},
		{";x=1;x=2", "1", true},
		{";xx=y", "", false},
		{";z=x", "", false},
		{`;z=";x=y"`, "", false},
		{"", "", false},
	} {
		if err := checkParams(string(c.params), ""); err != nil {
			t.Errorf("%q: %v", c.params, err)
		}
		if got, ok := c.params.Get("x"); got != c.want || ok != c.ok {
			t.Errorf("Get of x in %q = %q, %v, want %q, %v", c.params, got, ok, c.want, c.ok)
		}
		all := ""
		for name, value := range c.params.All() {
			if equalFold(name, "x") {
				all = value
				break
			}
		}
		if all != c.want {
			t.Errorf("All of %q has x = %q, want %q", c.params, all, c.want)
		}
	}
}

// A quoted string has no control character, DEL included, but in a quoted-pair
// (RFC 3261 section 25.1).
func TestQuotedControls(t *testing.T) {
	for text, want := range map[string]string{"a b": `"a b"`, "a\x7fb": "\"a\\\x7fb\"", "a\x01b": "\"a\\\x01b\"", `a"\`: `"a\"\\"`} {
		if got := string(Params("").With("x", text)); got != ";x="+want {
			t.Errorf("%q is written %q, want %q", text, got, ";x="+want)
		}
		name := Contact{Display: text, URI: URI{Scheme: "sip", Host: "a.example"}}
		if got := string(name.AppendValue(nil)); got != want+" <sip:a.example>" {
			t.Errorf("the name %q is written %q, want %q", text, got, want)
		}
	}
}
