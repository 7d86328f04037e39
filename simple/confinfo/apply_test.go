package confinfo

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// doc returns a document with the given state and version.
func doc(state State, version int64, content string) string {
	return fmt.Sprintf(`<conference-info xmlns="%s" entity="sip:room@example.com" state="%s" version="%d">%s</conference-info>`,
		space, state, version, content)
}

// mustApply applies documents one after the other.
func mustApply(t *testing.T, docs ...string) *Conference {
	t.Helper()
	var c *Conference
	for _, d := range docs {
		var err error
		if c, err = Apply(c, d); err != nil {
			t.Fatalf("%v: %s", err, d)
		}
	}
	return c
}

// content is what a conference has, without the XML around it.
func content(c *Conference) string {
	s := string(c.Append(nil))
	_, s, _ = strings.Cut(s, "\n")
	_, s, _ = strings.Cut(s, ">")
	s = strings.TrimSuffix(s, "</conference-info>")
	return strings.TrimPrefix(s, "<conference-description/>")
}

const alice = `<users><user entity="sip:alice@example.com"><display-text>Alice</display-text><languages>en</languages>` +
	`<endpoint entity="sip:alice@192.0.2.1"><status>pending</status><joining-method>dialed-in</joining-method>` +
	`<media id="1"><type>audio</type></media><media id="2"><type>video</type></media></endpoint></user></users>`

// The whole table of section 4.6: what was known, what comes, what is known then.
func TestApply(t *testing.T) {
	users := func(s string) string { return `<users state="partial">` + s + `</users>` }
	partialAlice := func(s string) string {
		return users(`<user entity="sip:alice@example.com" state="partial">` + s + `</user>`)
	}
	byVal := func(s string) string {
		return `<sidebars-by-val state="partial">` + s + `</sidebars-by-val>`
	}
	const sidebar = `<sidebars-by-val><entry entity="sip:side@example.com"><users><user entity="sip:a@example.com"/>` +
		`<user entity="sip:b@example.com"/></users></entry></sidebars-by-val>`
	for _, tt := range []struct{ name, before, update, want string }{
		{"nothing", alice, "", alice},
		{"an element without a state is replaced", `<conference-description><subject>a</subject><free-text>b</free-text></conference-description><users/>`,
			`<conference-description><subject>c</subject></conference-description>`, `<conference-description><subject>c</subject></conference-description><users/>`},
		{"an element that is empty is replaced", `<conference-state><user-count>1</user-count></conference-state><users/>`, `<conference-state/>`, `<users/>`},
		{"host and state", `<users/>`, `<host-info><web-page>http://a/</web-page></host-info><conference-state><user-count>0</user-count><active>1</active><locked>false</locked></conference-state>`,
			`<host-info><web-page>http://a/</web-page></host-info><conference-state><user-count>0</user-count><active>true</active><locked>false</locked></conference-state><users/>`},
		{"users without a state are full", alice, `<users><user entity="sip:bob@example.com"/></users>`, `<users><user entity="sip:bob@example.com"/></users>`},
		{"users that are deleted", alice, `<users state="deleted"><user entity="sip:bob@example.com"/></users>`, `<users/>`},
		{"one joins", alice, users(`<user entity="sip:bob@example.com"/>`), strings.Replace(alice, `</users>`, `<user entity="sip:bob@example.com"/></users>`, 1)},
		{"one joins who is partial", `<users/>`, users(`<user entity="sip:bob@example.com" state="partial"><endpoint entity="x" state="deleted"/><roles><entry>host</entry></roles></user>`),
			`<users><user entity="sip:bob@example.com"><roles><entry>host</entry></roles></user></users>`},
		{"one leaves", alice, users(`<user entity="sip:alice@example.com" state="deleted"/>`), `<users/>`},
		{"one leaves with what is ignored", alice, users(`<user entity="sip:alice@example.com" state="deleted"><display-text>x</display-text></user>`), `<users/>`},
		{"one leaves who was not there", alice, users(`<user entity="sip:bob@example.com" state="deleted"/>`), alice},
		{"one leaves and comes again", alice, users(`<user entity="sip:alice@example.com" state="deleted"/><user entity="sip:alice@example.com" state="partial"/>`),
			`<users><user entity="sip:alice@example.com"/></users>`},
		{"keys are compared by their bytes (section 4.5)", alice, users(`<user entity="sip:Alice@example.com" state="deleted"/>`), alice},
		{"a user as a whole", alice, users(`<user entity="sip:alice@example.com"><languages>de fr</languages></user>`),
			`<users><user entity="sip:alice@example.com"><languages>de fr</languages></user></users>`},
		{"a part of a user", alice, partialAlice(`<display-text>Al</display-text>`), strings.Replace(alice, "Alice<", "Al<", 1)},
		{"a part that becomes empty", alice, partialAlice(`<display-text/>`), strings.Replace(alice, "<display-text>Alice</display-text>", "", 1)},
		{"a part that comes new", alice, partialAlice(`<cascaded-focus>sip:f@example.com</cascaded-focus>`),
			strings.Replace(alice, "</languages>", "</languages><cascaded-focus>sip:f@example.com</cascaded-focus>", 1)},
		{"another endpoint", alice, partialAlice(`<endpoint entity="2"/>`), strings.Replace(alice, "</user>", `<endpoint entity="2"/></user>`, 1)},
		{"an endpoint goes", alice, partialAlice(`<endpoint entity="sip:alice@192.0.2.1" state="deleted"/>`), alice[:strings.Index(alice, "<endpoint")] + "</user></users>"},
		{"an endpoint as a whole", alice, partialAlice(`<endpoint entity="sip:alice@192.0.2.1"><status>connected</status></endpoint>`),
			alice[:strings.Index(alice, "<status")] + "<status>connected</status></endpoint></user></users>"},
		{"a part of an endpoint", alice, partialAlice(`<endpoint entity="sip:alice@192.0.2.1" state="partial"><status>connected</status></endpoint>`), strings.Replace(alice, "pending", "connected", 1)},
		{"a stream is replaced as a whole, the other stays", alice, partialAlice(`<endpoint entity="sip:alice@192.0.2.1" state="partial"><media id="1"><status>sendrecv</status></media></endpoint>`),
			strings.Replace(alice, "<type>audio</type>", "<status>sendrecv</status>", 1)},
		{"another stream", alice, partialAlice(`<endpoint entity="sip:alice@192.0.2.1" state="partial"><media id="3"/></endpoint>`), strings.Replace(alice, "</endpoint>", `<media id="3"/></endpoint>`, 1)},
		{"sidebars by reference", `<users/><sidebars-by-ref><entry><uri>sip:1@example.com</uri></entry><entry><uri>sip:2@example.com</uri></entry></sidebars-by-ref>`,
			`<sidebars-by-ref state="partial"><entry><uri>sip:2@example.com</uri><display-text>two</display-text></entry><entry><uri>sip:3@example.com</uri></entry></sidebars-by-ref>`,
			`<users/><sidebars-by-ref><entry><uri>sip:1@example.com</uri></entry><entry><uri>sip:2@example.com</uri><display-text>two</display-text></entry><entry><uri>sip:3@example.com</uri></entry></sidebars-by-ref>`},
		{"no more sidebars by reference", `<users/><sidebars-by-ref><entry><uri>sip:1@example.com</uri></entry></sidebars-by-ref>`, `<sidebars-by-ref state="deleted"/>`, `<users/>`},
		{"one leaves a sidebar", `<users/>` + sidebar, byVal(`<entry entity="sip:side@example.com" state="partial">` + users(`<user entity="sip:a@example.com" state="deleted"/>`) + `</entry>`),
			`<users/>` + strings.Replace(sidebar, `<user entity="sip:a@example.com"/>`, "", 1)},
		{"a sidebar ends", `<users/>` + sidebar, byVal(`<entry entity="sip:side@example.com" state="deleted"/>`), `<users/>`},
		{"a sidebar begins", `<users/>`, byVal(`<entry entity="sip:side@example.com"><users><user entity="sip:a@example.com"/><user entity="sip:b@example.com"/></users></entry>`), `<users/>` + sidebar},
		{"what is not known is replaced by name", `<users/><x xmlns="n">1</x><y xmlns="n">2</y><x xmlns="n">3</x>`, `<x xmlns="n">4</x><z xmlns="n">5</z>`,
			`<users/><y xmlns="n">2</y><x xmlns="n">4</x><z xmlns="n">5</z>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := mustApply(t, doc(Full, 3, tt.before))
			was := string(before.Append(nil))
			after, err := Apply(before, doc(Partial, 4, tt.update))
			if err != nil {
				t.Fatal(err)
			}
			if got := content(after); got != tt.want {
				t.Errorf("after it:\n%s, want\n%s", got, tt.want)
			}
			if after.Version != 4 || after.State != Full {
				t.Errorf("version %d, %s, want 4, %s", after.Version, after.State, Full)
			}
			if got := string(before.Append(nil)); got != was {
				t.Errorf("what was known before has changed to\n%s, was\n%s", got, was)
			}
		})
	}
}

// A version that is equal or older is discarded, whatever the document says; a gap
// before a partial document wants a refresh, before a full one nothing (section 4.6).
func TestApplyVersions(t *testing.T) {
	start := mustApply(t, doc(Full, 10, alice))
	for _, tt := range []struct {
		state   State
		version int64
		err     error
		applied bool
	}{
		{Partial, 9, nil, false},
		{Partial, 10, nil, false},
		{Partial, 11, nil, true},
		{Partial, 12, ErrRefresh, false},
		{Partial, 4294967295, ErrRefresh, false},
		{Full, 9, nil, false},
		{Full, 10, nil, false},
		{Full, 11, nil, true},
		{Full, 12, nil, true},
		{Deleted, 10, nil, false},
		{Deleted, 12, nil, true},
	} {
		t.Run(fmt.Sprint(tt.state, tt.version), func(t *testing.T) {
			c, err := Apply(start, doc(tt.state, tt.version, `<users/>`))
			if err != tt.err {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if got := c != start; got != tt.applied {
				t.Errorf("applied: %v, want %v", got, tt.applied)
			}
			if tt.applied && (c.Version != uint32(tt.version) || len(c.Users) != 0) {
				t.Errorf("version %d with %d users, want %d with none", c.Version, len(c.Users), tt.version)
			}
		})
	}
	if got := len(start.Users); got != 1 {
		t.Errorf("%d users at the start now, want 1", got)
	}
}

// A subscription begins with a full document, or with one that says that there is no
// conference.
func TestApplyFirst(t *testing.T) {
	if c, err := Apply(nil, doc(Partial, 1, alice)); c != nil || err != ErrRefresh {
		t.Errorf("a partial document: %v, %v, want nothing and %v", c, err, ErrRefresh)
	}
	if c, err := Apply(nil, doc(Full, 0, alice)); err != nil || len(c.Users) != 1 {
		t.Errorf("a full document: %v, %v, want one user", c, err)
	}
	if c, err := Apply(nil, doc(Deleted, 0, alice)); err != nil || c.State != Deleted || len(c.Users) != 0 {
		t.Errorf("a conference that is no more: %v, %v, want its state to be %s", c, err, Deleted)
	}
}

// A conference that has ceased to exist has nothing in it, and no part of it changes;
// a full document can have it exist again.
func TestApplyDeleted(t *testing.T) {
	c := mustApply(t, doc(Full, 1, alice), doc(Deleted, 2, alice))
	if c.State != Deleted || c.Version != 2 || c.Entity != "sip:room@example.com" || len(c.Users) != 0 {
		t.Errorf("Apply = %+v, want a conference that is deleted", c)
	}
	if got, err := Apply(c, doc(Partial, 3, "")); got != c || err != ErrRefresh {
		t.Errorf("a part of it: %v, %v, want %v", got, err, ErrRefresh)
	}
	if got, err := Apply(c, doc(Full, 3, alice)); err != nil || len(got.Users) != 1 {
		t.Errorf("all of it: %v, %v, want one user", got, err)
	}
}

// A document that cannot be read changes nothing.
func TestApplyKeepsWhatWasKnown(t *testing.T) {
	c := mustApply(t, doc(Full, 1, alice))
	for _, d := range []string{
		"", "<a/>", doc(Partial, 2, `<users state="partial"><user entity="sip:alice@example.com" state="gone"/></users>`),
		doc(Partial, 2, `<users state="partial"><user entity="sip:alice@example.com" state="deleted"/>`),
	} {
		got, err := Apply(c, d)
		var syntax *SyntaxError
		if got != c || !errors.As(err, &syntax) {
			t.Errorf("Apply(%q) = %p, %v, want %p and a *SyntaxError", d, got, err, c)
		}
	}
}

// In a full document, those of the same key are one, the last; those without a key are
// each their own.
func TestApplySameKeys(t *testing.T) {
	c := mustApply(t, doc(Full, 1, `<users><user entity="a"><display-text>1</display-text></user><user/><user/><user entity="a"><languages>en</languages></user></users>`))
	if got, want := content(c), `<users><user entity="a"><languages>en</languages></user><user entity=""/><user entity=""/></users>`; got != want {
		t.Errorf("users: %s, want %s", got, want)
	}
}

// A focus that adds and adds is asked for all of it again, so that what is kept stays
// within bounds.
func TestApplyIsBounded(t *testing.T) {
	c := mustApply(t, doc(Full, 0, alice))
	name := strings.Repeat("x", 100_000)
	for i := range int64(1000) {
		user := fmt.Sprintf(`<user entity="%d"><display-text>%s</display-text></user>`, i, name)
		next, err := Apply(c, doc(Partial, i+1, `<users state="partial">`+user+`</users>`))
		if err == ErrRefresh {
			if i < 50 {
				t.Errorf("refused after %d documents of 100 kB", i)
			}
			if next, err = Apply(c, doc(Full, i+1, alice)); err != nil || next.cost != 0 {
				t.Errorf("all of it: %v, with a cost of %d, want none", err, next.cost)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		c = next
	}
	t.Errorf("%d users are kept", len(c.Users))
}
