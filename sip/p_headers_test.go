package sip

import (
	"slices"
	"testing"
)

// Who is called, who is served and where to look them up.
func TestIMSUsers(t *testing.T) {
	alice := mustURI(t, "sip:alice@example.com")
	reads(t,
		reading[PAssociatedURI]{"<sip:alice@example.com>", PAssociatedURI{URI: alice}, ""},
		reading[PAssociatedURI]{`"Alice" <tel:+1-2>;x=y`, PAssociatedURI{"Alice", mustURI(t, "tel:+1-2"), ";x=y"}, ""},
		reading[PAssociatedURI]{"", PAssociatedURI{}, ""},
	)
	refuses[PAssociatedURI](t, "alice", "<sip:alice@example.com", "<sip:a@b> c")
	wontWrite(t, PAssociatedURI{Display: "x"}, PAssociatedURI{URI: alice, Params: ", <sip:b>"})
	reads(t,
		// RFC 7315 section 4.2.
		reading[PCalledPartyID]{"<sip:user1-business@example.com>", PCalledPartyID{URI: mustURI(t, "sip:user1-business@example.com")}, ""},
		reading[PCalledPartyID]{"sip:alice@example.com ;x", PCalledPartyID{URI: alice, Params: ";x"}, "<sip:alice@example.com>;x"},
	)
	refuses[PCalledPartyID](t, "", "alice")
	wontWrite(t, PCalledPartyID{})
	reads(t, reading[PServedUser]{"<sip:alice@example.com>;sescase=orig;regstate=unreg", PServedUser{"", alice, ";sescase=orig;regstate=unreg"}, ""})
	refuses[PServedUser](t, "", "<sip:alice@example.com>;sescase=")
	wontWrite(t, PServedUser{})
	reads(t, reading[PProfileKey]{"<sip:chatroom-!.*!@example.com>", PProfileKey{URI: mustURI(t, "sip:chatroom-!.*!@example.com")}, ""})
	refuses[PProfileKey](t, "", "<chatroom>")
	wontWrite(t, PProfileKey{})
	reads(t, reading[PUserDatabase]{"<aaa://hss.example.com;transport=tcp>;x=y", PUserDatabase{mustURI(t, "aaa://hss.example.com;transport=tcp"), ";x=y"}, ""})
	refuses[PUserDatabase](t, "", "HSS <aaa://hss.example.com>", "<hss>")
	wontWrite(t, PUserDatabase{})
	writes(t, PAssociatedURI{"", alice, " ;x "})
	writes(t, PCalledPartyID{"", alice, " ;x "})
	writes(t, PServedUser{"", alice, " ;x "})
	writes(t, PProfileKey{"", alice, " ;x "})
	writes(t, PUserDatabase{alice, " ;x "})

	served := PServedUser{"", alice, ";sescase=term;REGSTATE=reg"}
	if served.SessionCase() != "term" || served.RegState() != "reg" || (PServedUser{}).SessionCase() != "" {
		t.Errorf("%v is served in the case %q, %q", served, served.SessionCase(), served.RegState())
	}
	// A registrar that has no other URI for the user.
	if got := values[PAssociatedURI](t, mustParse(t, tweak("", "P-Associated-URI:"))); !slices.Equal(got, []PAssociatedURI{{}}) {
		t.Errorf("P-Associated-URI is %v", got)
	}
}

// Where a user agent is.
func TestIMSNetworks(t *testing.T) {
	reads(t,
		reading[PAccessNetworkInfo]{"3GPP-UTRAN-TDD; utran-cell-id-3gpp=234151D0FCE11", PAccessNetworkInfo{"3GPP-UTRAN-TDD", "; utran-cell-id-3gpp=234151D0FCE11"}, ""},
		reading[PAccessNetworkInfo]{"ADSL2+;dsl-location=\"a, b\";network-provided", PAccessNetworkInfo{"ADSL2+", ";dsl-location=\"a, b\";network-provided"}, ""},
	)
	refuses[PAccessNetworkInfo](t, "", ";np", "3GPP GERAN", "3GPP-GERAN;")
	wontWrite(t, PAccessNetworkInfo{}, PAccessNetworkInfo{"a, b", ""})
	reads(t,
		// RFC 7315 section 4.3.2.3.
		reading[PVisitedNetworkID]{`"Visited network number 1"`, PVisitedNetworkID{"Visited network number 1", ""}, ""},
		reading[PVisitedNetworkID]{`"other.net" ;x`, PVisitedNetworkID{"other.net", ";x"}, "other.net;x"},
	)
	refuses[PVisitedNetworkID](t, "", `""`, `"a`, "Visited network", ";x")
	wontWrite(t, PVisitedNetworkID{})
	reads(t, reading[PPrivateNetworkIndication]{"example.com;x=y", PPrivateNetworkIndication{"example.com", ";x=y"}, ""})
	refuses[PPrivateNetworkIndication](t, "", "a b", "a@b", `"a"`)
	wontWrite(t, PPrivateNetworkIndication{}, PPrivateNetworkIndication{"a;b", ""})
	writes(t, PAccessNetworkInfo{"a", " ;x "})
	writes(t, PVisitedNetworkID{"a b", " ;x "})
	writes(t, PPrivateNetworkIndication{"a", " ;x "})

	list := values[PAccessNetworkInfo](t, mustParse(t, tweak("", "P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=1, 3GPP-WLAN;network-provided")))
	if len(list) != 2 || list[0].NetworkProvided() || !list[1].NetworkProvided() {
		t.Errorf("P-Access-Network-Info is %v", list)
	}
	if list := values[PVisitedNetworkID](t, mustParse(t, tweak("", `P-Visited-Network-ID: other.net,"Visited network number 1"`))); len(list) != 2 {
		t.Errorf("P-Visited-Network-ID is %v", list)
	}
}

// What a call costs, and who hears of it.
func TestIMSCharging(t *testing.T) {
	reads(t,
		// RFC 7315 section 4.6.2.3.
		reading[PChargingVector]{"icid-value=1234bc9876e; icid-generated-at=192.0.6.8; orig-ioi=home1.net", PChargingVector{"1234bc9876e", "; icid-generated-at=192.0.6.8; orig-ioi=home1.net"}, ""},
		reading[PChargingVector]{"ICID-Value = \"AyretyU0dm+6O2IrT5tAFrbHLso=023551024\";icid-generated-at=[5555::f5f:e4e:d3d:c2c]",
			PChargingVector{"AyretyU0dm+6O2IrT5tAFrbHLso=023551024", ";icid-generated-at=[5555::f5f:e4e:d3d:c2c]"}, "icid-value=\"AyretyU0dm+6O2IrT5tAFrbHLso=023551024\";icid-generated-at=[5555::f5f:e4e:d3d:c2c]"},
		reading[PChargingVector]{`orig-ioi=a;icid-value=b=c ;transit-ioi="x.1, y.2"`, PChargingVector{"b=c", `;orig-ioi=a;transit-ioi="x.1, y.2"`}, `icid-value="b=c";orig-ioi=a;transit-ioi="x.1, y.2"`},
	)
	refuses[PChargingVector](t, "", "icid-value", "icid-value=", `icid-value=""`, "orig-ioi=a", ";icid-value=a", "icid-value=a;icid-value=b", "orig-ioi=a;icid-value", "icid-value=a b", "orig-ioi=a,icid-value=b")
	wontWrite(t, PChargingVector{}, PChargingVector{"a", "b"})
	writes(t, PChargingVector{"a b", " ;x "})
	reads(t,
		// RFC 7315 section 4.5.2.3.
		reading[PChargingFunctionAddresses]{"ccf=192.0.8.1; ecf=192.0.8.3", PChargingFunctionAddresses{";ccf=192.0.8.1; ecf=192.0.8.3"}, ""},
		reading[PChargingFunctionAddresses]{"ccf=[5555::b99:c88:d77:e66]; ccf=\"aaa://ccf.example;transport=tcp\"", PChargingFunctionAddresses{";ccf=[5555::b99:c88:d77:e66]; ccf=\"aaa://ccf.example;transport=tcp\""}, ""},
	)
	refuses[PChargingFunctionAddresses](t, "", "ccf=", ";ccf=a", "ccf=a b", `ccf="a`)
	wontWrite(t, PChargingFunctionAddresses{}, PChargingFunctionAddresses{";ccf=a, ecf=b"}, PChargingFunctionAddresses{"ccf=a"})
	writes(t, PChargingFunctionAddresses{" ;ccf=a "})
	list := values[PChargingFunctionAddresses](t, mustParse(t, tweak("", "P-Charging-Function-Addresses: ccf=192.0.8.1; ecf=192.0.8.3,", " ccf-2=192.0.8.2; ecf-2=192.0.8.4")))
	if len(list) != 2 || !list[1].Params.Has("ECF-2") {
		t.Errorf("P-Charging-Function-Addresses is %v", list)
	}
}

// What a call is for, and what may flow before it is answered.
func TestIMSServices(t *testing.T) {
	const mmtel = "urn:urn-7:3gpp-service.ims.icsi.mmtel"
	reads(t, reading[PAssertedService]{mmtel, mmtel, ""}, reading[PAssertedService]{"URN:urn-7:a", "URN:urn-7:a", ""})
	reads(t, reading[PPreferredService]{mmtel, mmtel, ""})
	refuses[PAssertedService](t, "", "urn", "urn:", "urn:a:", "mmtel", "url:a:b", "urn:a b", "<urn:a:b>", "urn:a:b;c")
	refuses[PPreferredService](t, "", "<urn:a:b>")
	wontWrite[PAssertedService](t, "", mmtel+", "+mmtel)
	wontWrite[PPreferredService](t, "", mmtel+";x")

	m := mustParse(t, tweak("", "P-Early-Media: sendrecv, gated", "P-Early-Media: supported", "P-Media-Authorization: 0020000100100101706466312E686F6D65312E6E6574, 00ff",
		"P-Asserted-Service: "+mmtel+" , urn:urn-7:x"))
	media, err1 := Get[PEarlyMedia](m)
	tokens, err2 := Get[PMediaAuthorization](m)
	if err1 != nil || err2 != nil || !slices.Equal(media, PEarlyMedia{"sendrecv", "gated", "supported"}) || len(tokens) != 2 || tokens[1] != "00ff" {
		t.Errorf("P-Early-Media is %q, %v, P-Media-Authorization %q, %v", media, err1, tokens, err2)
	}
	if got := values[PAssertedService](t, m); len(got) != 2 {
		t.Errorf("P-Asserted-Service is %q", got)
	}
	if err := with(m, PEarlyMedia{"send recv"}).Err(); err == nil {
		t.Error("With wrote a P-Early-Media that is no token")
	}
	if out := with(m, PEarlyMedia{"inactive"}); out.Err() != nil {
		t.Error(out.Err())
	}
}
