package confinfo

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"
)

func read(tb testing.TB, name string) string {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func mustParse(t *testing.T, doc string) *Conference {
	t.Helper()
	c, err := Parse(doc)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The example of RFC 4575 section 7.1, to the last field.
func TestParseBasic(t *testing.T) {
	at := time.Date(2005, 3, 4, 20, 0, 0, 0, time.UTC)
	got := mustParse(t, read(t, "rfc4575-7.1.xml"))
	want := &Conference{
		Entity: "sips:conf233@example.com", State: Full, Version: 1,
		Description: Description{
			Subject:     "Agenda: This month's goals",
			ServiceURIs: []URI{{URI: "http://sharepoint/salesgroup/", Purpose: "web-page"}},
		},
		Activity:   Activity{UserCount: new(uint32(33))},
		UsersState: Full,
		Users: []User{
			{Entity: "sip:bob@example.com", State: Full, DisplayText: "Bob Hoskins", Endpoints: []Endpoint{{
				Entity: "sip:bob@pc33.example.com", State: Full, DisplayText: "Bob's Laptop",
				Status: "disconnected", DisconnectionMethod: "departed",
				DisconnectionInfo: Execution{When: at, Reason: "bad voice quality", By: "sip:mike@example.com"},
				Media:             []Media{{ID: "1", DisplayText: "main audio", Type: "audio", Label: "34567", SrcID: "432424", Status: "sendrecv"}},
			}}},
			{Entity: "sip:alice@example.com", State: Full, DisplayText: "Alice", Endpoints: []Endpoint{{
				Entity: "sip:4kfk4j392jsu@example.com;grid=433kj4j3u", State: Full,
				Status: "connected", JoiningMethod: "dialed-out",
				JoiningInfo: Execution{When: at, By: "sip:mike@example.com"},
				Media:       []Media{{ID: "1", DisplayText: "main audio", Type: "audio", Label: "34567", SrcID: "534232", Status: "sendrecv"}},
			}}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Parse =\n%s, want\n%s", got.Append(nil), want.Append(nil))
	}
}

// That of section 7.2, which has every element.
func TestParseRich(t *testing.T) {
	at := time.Date(2005, 3, 4, 20, 0, 0, 0, time.UTC)
	got := mustParse(t, read(t, "rfc4575-7.2.xml"))
	want := &Conference{
		Entity: "sips:conf233@example.com", State: Partial, Version: 5,
		Description: Description{
			DisplayText: "Weekly Sales Meeting", Subject: "Agenda: This month's goals",
			FreeText: "We will start strict on time", Keywords: []string{"sales", "meeting", "weekly"},
			ConfURIs: []URI{
				{URI: "tel:+18005671234", DisplayText: "TTI Bridge", Purpose: "participation"},
				{URI: "h323:conf545@h323.example.com", Purpose: "participation"},
				{URI: "http://real.streaming.com/54634/live.ram", Purpose: "streaming"},
			},
			ServiceURIs: []URI{
				{URI: "http://sharepoint/salesgroup/", Purpose: "web-page"},
				{URI: "http://quicktime.com/54634/recording.mov", DisplayText: "Quicktime", Purpose: "recording"},
			},
			MaxUserCount: new(uint32(100)),
			AvailableMedia: []Medium{
				{Label: "34567", DisplayText: "main audio", Type: "audio", Status: "sendrecv"},
				{Label: "34569", DisplayText: "main video", Type: "video", Status: "inactive"},
			},
		},
		HostInfo: HostInfo{
			DisplayText: "Sales Host", WebPage: "http://sharepoint/salesgroup/hosts/",
			URIs: []URI{{URI: "sip:sales@example.com"}},
		},
		Activity:   Activity{UserCount: new(uint32(32)), Active: new(true), Locked: new(false)},
		UsersState: Full,
		Users: []User{{
			Entity: "sip:bob@example.com", State: Full, DisplayText: "Bob Hoskins",
			AssociatedAORs: []URI{{URI: "mailto:bob@example.com", DisplayText: "email"}},
			Roles:          []string{"participant"}, Languages: []string{"en"},
			Endpoints: []Endpoint{{
				Entity: "sip:bob@pc33.example.com", State: Full, DisplayText: "Bob's Laptop",
				Referred: Execution{When: at, Reason: "expert required", By: "sip:mike@example.com"},
				Status:   "disconnecting", JoiningMethod: "dialed-out",
				JoiningInfo:         Execution{When: at, Reason: "invitation", By: "sip:mike@example.com"},
				DisconnectionMethod: "booted",
				DisconnectionInfo:   Execution{When: at, Reason: "bad voice quality", By: "sip:mike@example.com"},
				Media:               []Media{{ID: "1", DisplayText: "main audio", Type: "audio", Label: "34567", SrcID: "432424", Status: "sendrecv"}},
				CallInfo:            CallInfo{DisplayText: "full info", CallID: "hsjh8980vhsb78", FromTag: "vav738dvbs", ToTag: "8954jgjg8432"},
			}},
		}},
		SidebarsByRef: []URI{
			{URI: "sips:conf233@example.com;grid=45", DisplayText: "sidebar with Carol"},
			{URI: "sips:conf233@example.com;grid=21", DisplayText: "private with Peter"},
		},
		SidebarsByRefState: Partial,
		SidebarsByVal: []Conference{{
			Entity: "sips:conf233@example.com;grid=77", State: Partial, UsersState: Full,
			Users: []User{
				{Entity: "sip:bob@example.com", State: Full}, {Entity: "sip:mark@example.com", State: Full},
				{Entity: "sip:dan@example.com", State: Full},
			},
		}},
		SidebarsByValState: Partial,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Parse =\n%s, want\n%s", got.Append(nil), want.Append(nil))
	}
}

// The document of RFC 7701 section 9.6.
func TestNicknames(t *testing.T) {
	c := mustApply(t, read(t, "rfc7701-9.6.xml"))
	for i, want := range []string{"Dopey Donkey", "Alice the great"} {
		if got := c.Users[i].Nickname; got != want {
			t.Errorf("Nickname = %q, want %q", got, want)
		}
	}
	update := `<users state="partial"><user entity="sip:bob@example.com" state="partial" xmlns:x="` + xconSpace + `"%s/></users>`
	c, err := Apply(c, doc(Partial, 2, strings.Replace(update, "%s", ` x:nickname="Bob"`, 1)))
	if err != nil || c.Users[0].Nickname != "Bob" || c.Users[0].DisplayText != "Bob Hoskins" {
		t.Errorf("another nickname: %+v, %v, want Bob", c.Users[0], err)
	}
	c, err = Apply(c, doc(Partial, 3, strings.Replace(update, "%s", "", 1)))
	if err != nil || c.Users[0].Nickname != "Bob" {
		t.Errorf("no word of it: %+v, %v, want Bob", c.Users[0], err)
	}
	if got, want := string(c.Append(nil)), `:nickname="Bob"`; strings.Count(got, want) != 1 {
		t.Errorf("Append = %s, want one %s", got, want)
	}
}

// extended has what an extension may add, everywhere.
const extended = `<?xml version="1.0" encoding="UTF-8"?>
<conference-info xmlns:e="urn:example" xmlns="urn:ietf:params:xml:ns:conference-info" entity="sip:room@example.com" state="full" version="1" e:a="1">` +
	`<conference-description e:b="2"><display-text xml:lang="de">Raum</display-text><keywords e:k="v">x</keywords>` +
	`<conf-uris e:c="3"><entry e:d="4"><uri>sip:1@example.com</uri><modified e:m="1"><by>sip:x@example.com</by><e:why/></modified><e:x type="e:name">a <b xmlns="">b</b> c</e:x></entry></conf-uris>` +
	`<available-media e:m="5"><entry label="1" e:l="6"><type>audio</type><e:codec/></entry></available-media><e:floor/></conference-description>` +
	`<host-info e:h="7"><uris e:u="8"><entry><uri>sip:h@example.com</uri></entry></uris><e:host/></host-info>` +
	`<conference-state e:s="9"><user-count>1</user-count><e:recording>on</e:recording></conference-state>` +
	`<users e:t="10"><user entity="sip:a@example.com" e:v="11"><associated-aors e:w="12"><entry><uri>sip:b@example.com</uri></entry></associated-aors><roles e:r="13"><entry>host</entry></roles>` +
	`<endpoint entity="1" e:y="14"><referred e:z="15"><reason>x</reason></referred><media id="1" e:i="16"><type>audio</type><e:volume>3</e:volume></media>` +
	`<call-info e:q="17"><sip e:p="18"><call-id>1</call-id><e:branch/></sip><e:xmpp/></call-info><e:battery/></endpoint><hand raised="yes"/></user><e:group/></users>` +
	`<sidebars-by-val><entry entity="sip:s@example.com" e:o="19"><e:topic/></entry></sidebars-by-val><e:end/></conference-info>`

// What extensions add is written again, with its namespaces.
func TestUnknownIsKept(t *testing.T) {
	d := extended
	if got := string(mustParse(t, d).Append(nil)); got != d {
		t.Errorf("Parse and Append =\n%s, want\n%s", got, d)
	}
	if got := string(mustApply(t, d).Append(nil)); got != d {
		t.Errorf("Apply and Append =\n%s, want\n%s", got, d)
	}
}

// A name that is kept does not keep the document that it came in.
func TestParseSharesNoMemory(t *testing.T) {
	for _, d := range []string{extended, read(t, "rfc4575-7.1.xml"), read(t, "rfc4575-7.2.xml"), read(t, "rfc7701-9.6.xml")} {
		d = strings.Clone(d)
		applied, err := Apply(&Conference{Version: mustParse(t, d).Version - 1}, d)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []*Conference{mustParse(t, d), applied} {
			eachString(reflect.ValueOf(c), func(s string) {
				at, begin := uintptr(unsafe.Pointer(unsafe.StringData(s))), uintptr(unsafe.Pointer(unsafe.StringData(d)))
				if s != "" && at >= begin && at < begin+uintptr(len(d)) {
					t.Errorf("%q is a piece of the document", s)
				}
			})
		}
	}
}

// eachString calls f for every string that v holds.
func eachString(v reflect.Value, f func(string)) {
	switch v.Kind() {
	case reflect.String:
		f(v.String())
	case reflect.Pointer:
		if v.Type() != reflect.TypeFor[*time.Location]() && !v.IsNil() {
			eachString(v.Elem(), f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			eachString(v.Field(i), f)
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachString(v.Index(i), f)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			eachString(k, f)
			eachString(v.MapIndex(k), f)
		}
	}
}

// A document that says of itself what it is not, or is none, is refused.
func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ name, doc, want string }{
		{"nothing", "", "expected an element"},
		{"no XML", "v=0", "expected an element"},
		{"another document", `<presence xmlns="urn:ietf:params:xml:ns:pidf"/>`, "expected conference-info"},
		{"another namespace", `<conference-info version="1"/>`, "expected conference-info"},
		{"no version", `<conference-info xmlns="` + space + `"/>`, "expected a version"},
		{"a version below 0", doc(Full, -1, ""), "expected a version"},
		{"a version beyond 32 bits", doc(Full, 1<<32, ""), "expected a version"},
		{"another state", doc("whole", 1, ""), "expected a state"},
		{"another state of a user", doc(Full, 1, `<users><user state="FULL"/></users>`), "expected a state"},
		{"a document type", `<!DOCTYPE conference-info>` + doc(Full, 1, ""), "document type"},
		{"UTF-16", "\xFF\xFE<\x00c\x00", "not in UTF-8"},
		{"UTF-16, it says", `<?xml version="1.0" encoding="UTF-16"?>` + doc(Full, 1, ""), "not in UTF-8"},
		{"elements within each other", doc(Full, 1, strings.Repeat("<sidebars-by-val><entry>", 20)), "more than 32"},
		{"a MiB", doc(Full, 1, strings.Repeat("x", 1<<20)), "longer than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse(tt.doc)
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || !strings.Contains(syntax.Msg, tt.want) {
				t.Fatalf("Parse = %v, %v, want an error that says %q", c, err, tt.want)
			}
			if len(err.Error()) > 300 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

// A value that is not what it should be is no reason to see nothing of a conference.
func TestParseLeavesOutBadValues(t *testing.T) {
	c := mustParse(t, doc(Full, 1, `<conference-description><maximum-user-count>many</maximum-user-count></conference-description>`+
		`<conference-state><user-count>-1</user-count><active>yes</active><locked> 1 </locked></conference-state>`+
		`<users><user entity=" sip:a@example.com "><endpoint entity="e"><joining-info><when>yesterday</when><by> sip:b@example.com </by></joining-info>`+
		`<disconnection-info><when>2005-03-04T21:00:00.5+01:00</when></disconnection-info><referred><when>2005-03-04T20:00:00</when></referred></endpoint></user></users>`))
	if c.Description.MaxUserCount != nil || c.Activity.UserCount != nil || c.Activity.Active != nil {
		t.Errorf("Parse = %+v, %+v, want no values", c.Description, c.Activity)
	}
	if c.Activity.Locked == nil || !*c.Activity.Locked {
		t.Errorf("Locked = %v, want true", c.Activity.Locked)
	}
	e := c.Users[0].Endpoints[0]
	if c.Users[0].Entity != "sip:a@example.com" || !e.JoiningInfo.When.IsZero() || e.JoiningInfo.By != "sip:b@example.com" {
		t.Errorf("user %q, %+v, want no time and trimmed URIs", c.Users[0].Entity, e.JoiningInfo)
	}
	at := time.Date(2005, 3, 4, 20, 0, 0, 0, time.UTC)
	if got := e.DisconnectionInfo.When; !got.Equal(at.Add(time.Second / 2)) {
		t.Errorf("When = %v, want half a second after %v", got, at)
	}
	if got := e.Referred.When; !got.Equal(at) {
		t.Errorf("When = %v, want %v", got, at)
	}
}

// Text that would not fit into a document, such as a nickname that somebody has
// chosen, does not spoil it for the others.
func TestAppendAnyText(t *testing.T) {
	c := &Conference{Users: []User{{Entity: `sip:"<&'>`, Nickname: "a\x00\n\"b", DisplayText: "]]>\xff</user>"}}}
	got := mustParse(t, string(c.Append(nil))).Users[0]
	if got.Entity != `sip:"<&'>` || got.Nickname != "a\ufffd\n\"b" || got.DisplayText != "]]>\ufffd</user>" {
		t.Errorf("User = %+v, want what was written", got)
	}
}

// The host of those who are not to be known is one that there cannot be (section 5.6).
func TestAnonymous(t *testing.T) {
	if got, want := Anonymous(7), "sip:anonymous7@anonymous.invalid"; got != want {
		t.Errorf("Anonymous(7) = %s, want %s", got, want)
	}
}
