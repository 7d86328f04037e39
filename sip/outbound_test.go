package sip

import "testing"

func TestFlowTimer(t *testing.T) {
	reads(t, reading[FlowTimer]{"120", 120, ""}, reading[FlowTimer]{"0004294967295", 4294967295, "4294967295"})
	refuses[FlowTimer](t, "", "-1", "4294967296", "120;x", "2 minutes")
}

// RFC 5626 section 9.2 and RFC 5627 section 9.
func TestContactOfARegistration(t *testing.T) {
	const urn = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
	c, err := Contact{}.ParseValue(`<sip:callee@192.0.2.1;transport=tcp;ob>;reg-id=2;pub-gruu="sip:callee@example.com;gr=` + urn + `"` +
		`;temp-gruu="sip:tgruu.7hs==jd7vnzga5w7fajsc7-ajd6fabz0f8g5@example.com;gr";+sip.instance="<` + urn + `>";expires=3600;q=0.7`)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "Instance", c.Instance(), urn)
	expect(t, "RegID", c.RegID(), 2)
	expect(t, "Q", c.Q(), 0.7)
	pub, ok := c.PubGRUU()
	expect(t, "PubGRUU", pub.String(), "sip:callee@example.com;gr="+urn)
	expect(t, "whether there is a PubGRUU", ok, true)
	temp, ok := c.TempGRUU()
	expect(t, "TempGRUU", temp.String(), "sip:tgruu.7hs==jd7vnzga5w7fajsc7-ajd6fabz0f8g5@example.com;gr")
	expect(t, "whether there is a TempGRUU", ok, true)

	made := Contact{URI: c.URI, Params: ";reg-id=2"}.WithInstance(urn)
	expect(t, "a contact that is made", string(made.AppendValue(nil)), `<sip:callee@192.0.2.1;transport=tcp;ob>;reg-id=2;+sip.instance="<`+urn+`>"`)
	expect(t, "its Instance", made.Instance(), urn)
}

// What cannot be read is not there.
func TestContactParametersThatAreNone(t *testing.T) {
	for _, params := range []Params{"", ";reg-id;pub-gruu;temp-gruu;+sip.instance;q;expires",
		`;reg-id=2147483648;pub-gruu="http://a";temp-gruu=sip;+sip.instance="urn:x";q=2;expires=4294967296`,
		`;reg-id=-1;pub-gruu="<sip:a>";temp-gruu="sip:";+sip.instance="<";q=x;expires=x`} {
		c := Contact{Params: params}
		_, pub := c.PubGRUU()
		_, temp := c.TempGRUU()
		_, expires := c.Expires()
		if c.Instance() != "" || c.RegID() != 0 || pub || temp || expires || c.Q() != 1 {
			t.Errorf("%s: instance %q, reg-id %d, GRUUs %v and %v, expires %v, q %v", params, c.Instance(), c.RegID(), pub, temp, expires, c.Q())
		}
	}
}

// An expires parameter has 32 bits (RFC 3261 section 20.10).
func TestContactExpires(t *testing.T) {
	for text, want := range map[Params]uint32{"0": 0, "3600": 3600, "4294967295": 1<<32 - 1, `"60"`: 60} {
		if got, ok := (Contact{Params: ";expires=" + text}).Expires(); got != want || !ok {
			t.Errorf("expires=%s is %d, %v, want %d", text, got, ok, want)
		}
		made := Contact{Params: ";q=1"}.WithExpires(want)
		if got, ok := made.Expires(); got != want || !ok {
			t.Errorf("%s is %d, %v, want %d", made.Params, got, ok, want)
		}
	}
}

func TestPreference(t *testing.T) {
	for text, want := range map[Params]float64{"": 1, "0": 0, "1": 1, "0.5": 0.5, "0.123": 0.123, "1.000": 1, "0.": 0, ".5": 0.5, "0.33333": 0.33333,
		"0.00000000000001": 0, // and what is none
		"1.001":            1, "2": 1, "-0.5": 1, ".": 1, "0.5.5": 1, "0,5": 1, "x": 1, "0.x": 1} {
		if got := (";q=" + text).preference(); got != want {
			t.Errorf("q=%s is %v, want %v", text, got, want)
		}
	}
}
