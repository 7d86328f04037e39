package sip

import "testing"

func TestUserToUser(t *testing.T) {
	reads(t,
		// RFC 7433 section 4.1.
		reading[UserToUser]{"56a390f3d2b7310023a2;encoding=hex;purpose=foo;content=bar", UserToUser{"56a390f3d2b7310023a2", ";encoding=hex;purpose=foo;content=bar"}, ""},
		reading[UserToUser]{`"342342EF34" ; encoding=hex`, UserToUser{"342342EF34", "; encoding=hex"}, "342342EF34; encoding=hex"},
		reading[UserToUser]{`"a \"b\", c";encoding=x`, UserToUser{`a "b", c`, ";encoding=x"}, ""},
		reading[UserToUser]{"SGVsbG8/IQ==;encoding=base64", UserToUser{"SGVsbG8/IQ==", ";encoding=base64"}, `"SGVsbG8/IQ==";encoding=base64`},
		reading[UserToUser]{`""`, UserToUser{}, ""},
	)
	refuses[UserToUser](t, "", ";encoding=hex", "a b", `"a`, `"a"b`, "00;", "00,11")
	wontWrite(t, UserToUser{"00", ", 11"})
	writes(t, UserToUser{"00", " ;encoding=hex "})

	m := mustParse(t, tweak("", "User-to-User: 00ff;encoding=HEX;content=x, \"0A\";purpose=y", "User-to-User: 0g, 41;encoding=ascii, 4"))
	list := values[UserToUser](t, m)
	for i, want := range []string{"\x00\xff", "\n", "", "", ""} {
		b, err := list[i].Bytes()
		if string(b) != want || (err == nil) != (want != "") {
			t.Errorf("%v stands for %q, %v, want %q", list[i], b, err, want)
		}
	}
	if list[0].Purpose() != "isdn-uui" || list[1].Purpose() != "y" || list[0].Content() != "x" || list[1].Content() != "" {
		t.Errorf("purposes %q and %q, contents %q and %q", list[0].Purpose(), list[1].Purpose(), list[0].Content(), list[1].Content())
	}
}
