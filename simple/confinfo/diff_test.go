package confinfo

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What has changed is in the document, and nothing else is.
func TestDiff(t *testing.T) {
	const host = `<conference-description/><host-info><display-text>a</display-text></host-info>`
	for _, tt := range []struct {
		name, old, now string
		state          State
		want           string // of the document; empty: there is none
	}{
		{"nothing", alice, alice, "", ""},
		{"another order of users", `<users><user entity="a"/><user entity="b"/></users>`, `<users><user entity="b"/><user entity="a"/></users>`, "", ""},
		{"one joins", `<users/>`, alice, Partial, strings.Replace(alice, "<users>", `<users state="partial">`, 1)},
		{"one leaves", alice, `<users/>`, Partial, `<users state="partial"><user entity="sip:alice@example.com" state="deleted"/></users>`},
		{"a name", alice, strings.Replace(alice, "Alice<", "Al<", 1), Partial,
			`<users state="partial"><user entity="sip:alice@example.com" state="partial"><display-text>Al</display-text></user></users>`},
		{"a name goes, which a part of a user cannot say", `<users><user entity="a"><display-text>x</display-text><languages>en</languages></user></users>`,
			`<users><user entity="a"><languages>en</languages></user></users>`, Partial,
			`<users state="partial"><user entity="a"><languages>en</languages></user></users>`},
		{"an endpoint", alice, strings.Replace(alice, "pending", "connected", 1), Partial,
			`<users state="partial"><user entity="sip:alice@example.com" state="partial"><endpoint entity="sip:alice@192.0.2.1" state="partial"><status>connected</status></endpoint></user></users>`},
		{"a stream", alice, strings.Replace(alice, ">video<", ">text<", 1), Partial,
			`<users state="partial"><user entity="sip:alice@example.com" state="partial"><endpoint entity="sip:alice@192.0.2.1" state="partial"><media id="2"><type>text</type></media></endpoint></user></users>`},
		{"a stream goes, which a part of an endpoint cannot say", alice, strings.Replace(alice, `<media id="2"><type>video</type></media>`, "", 1), Partial,
			`<users state="partial"><user entity="sip:alice@example.com" state="partial"><endpoint entity="sip:alice@192.0.2.1"><status>pending</status><joining-method>dialed-in</joining-method><media id="1"><type>audio</type></media></endpoint></user></users>`},
		{"an endpoint goes", alice, alice[:strings.Index(alice, "<endpoint")] + "</user></users>", Partial,
			`<users state="partial"><user entity="sip:alice@example.com" state="partial"><endpoint entity="sip:alice@192.0.2.1" state="deleted"/></user></users>`},
		{"users without a key", `<users><user/><user/></users>`, `<users><user/></users>`, Partial, `<users><user entity=""/></users>`},
		{"the last user without a key", `<users><user/></users>`, `<users/>`, Partial, `<users state="deleted"/>`},
		{"the host", host + alice, strings.Replace(host, ">a<", ">b<", 1) + alice, Partial, `<host-info><display-text>b</display-text></host-info>`},
		{"the host goes, which has no state", host + `<users/>`, `<users/>`, Full, `<conference-description/><users/>`},
		{"an extension", `<users/>`, `<users/><x xmlns="n"/>`, Full, `<conference-description/><users/><x xmlns="n"/>`},
		{"a sidebar by reference", `<users/>`, `<users/><sidebars-by-ref><entry><uri>a</uri></entry></sidebars-by-ref>`, Partial, `<sidebars-by-ref state="partial"><entry><uri>a</uri></entry></sidebars-by-ref>`},
		{"a sidebar by reference goes", `<users/><sidebars-by-ref><entry><uri>a</uri></entry><entry><uri>b</uri></entry></sidebars-by-ref>`,
			`<users/><sidebars-by-ref><entry><uri>b</uri></entry></sidebars-by-ref>`, Partial, `<sidebars-by-ref><entry><uri>b</uri></entry></sidebars-by-ref>`},
		{"one joins a sidebar", `<users/><sidebars-by-val><entry entity="s"/></sidebars-by-val>`, `<users/><sidebars-by-val><entry entity="s"><users><user entity="a"/></users></entry></sidebars-by-val>`, Partial,
			`<sidebars-by-val state="partial"><entry entity="s" state="partial"><users state="partial"><user entity="a"/></users></entry></sidebars-by-val>`},
		{"a sidebar ends", `<users/><sidebars-by-val><entry entity="s"/></sidebars-by-val>`, `<users/>`, Partial, `<sidebars-by-val state="partial"><entry entity="s" state="deleted"/></sidebars-by-val>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			old, now := mustApply(t, doc(Full, 3, tt.old)), mustApply(t, doc(Full, 9, tt.now))
			got := Diff(old, now)
			if got == nil {
				if tt.want != "" {
					t.Errorf("Diff = nil, want %s", tt.want)
				}
				return
			}
			text := string(got.Append(nil))
			_, text, _ = strings.Cut(text, "\n")
			_, text, _ = strings.Cut(text, ">")
			if text = strings.TrimSuffix(text, "</conference-info>"); text != tt.want {
				t.Errorf("Diff = %s, want %s", text, tt.want)
			}
			if got.State != tt.state || got.Version != 4 {
				t.Errorf("state %s, version %d, want %s, 4", got.State, got.Version, tt.state)
			}
			reaches(t, old, now)
		})
	}
}

// A nickname is an attribute, and the algorithm of section 4.6 does not say what one
// of a partial element does: who follows it to the letter would not see another one.
func TestDiffOfANicknameIsTheWholeUser(t *testing.T) {
	user := User{Entity: "a", Nickname: "x", DisplayText: "A"}
	other := user
	other.Nickname = "y"
	got := Diff(&Conference{Users: []User{user}}, &Conference{Users: []User{other}})
	if u := got.Users[0]; u.State == Partial || u.Nickname != "y" || u.DisplayText != "A" {
		t.Errorf("Diff = %+v, want all of the user", u)
	}
}

// The end of a conference is told once, and that there is one again as a whole.
func TestDiffDeleted(t *testing.T) {
	c := mustApply(t, doc(Full, 3, alice))
	over := &Conference{Entity: c.Entity, State: Deleted, Version: 4}
	if got := Diff(c, over); got == nil || got.State != Deleted || got.Version != 4 || len(got.Users) != 0 {
		t.Errorf("the end: %+v, want it deleted", got)
	}
	if got := Diff(over, over); got != nil {
		t.Errorf("the end again: %+v, want nil", got)
	}
	if got := Diff(over, c); got == nil || got.State != Full || got.Version != 5 || len(got.Users) != 1 {
		t.Errorf("the beginning: %+v, want all of it", got)
	}
}

// A watcher who was told something that was told to it again, by way of a program that
// keeps what it has received, as a cascaded focus does, is told of changes alone.
func TestDiffOfWhatWasReceived(t *testing.T) {
	before := mustApply(t, read(t, "rfc4575-7.1.xml"))
	after, err := Apply(before, `<c:conference-info xmlns:c="`+space+`" xmlns:x="urn:example" entity="sips:conf233@example.com" state="partial" version="2">`+
		`<c:users state="partial"><c:user entity="sip:alice@example.com" state="deleted"/></c:users></c:conference-info>`)
	if err != nil {
		t.Fatal(err)
	}
	got := Diff(before, after)
	if got.State != Partial || len(got.Users) != 1 || got.Users[0].State != Deleted || got.Description.Subject != "" {
		t.Errorf("Diff = %s, want that one has left", got.Append(nil))
	}
}

// sorted is c as a document, without what does not count: the order of what has keys,
// the version, prefixes.
func sorted(c *Conference) string {
	c = new(*c)
	c.Version, c.other.prefixes = 0, nil
	c.Users = slices.Clone(c.Users)
	for i := range c.Users {
		u := &c.Users[i]
		u.Endpoints = slices.Clone(u.Endpoints)
		for j := range u.Endpoints {
			e := &u.Endpoints[j]
			e.Media = slices.Clone(e.Media)
			slices.SortFunc(e.Media, func(a, b Media) int { return strings.Compare(a.ID, b.ID) })
		}
		slices.SortFunc(u.Endpoints, func(a, b Endpoint) int { return strings.Compare(a.Entity, b.Entity) })
	}
	slices.SortFunc(c.Users, func(a, b User) int { return strings.Compare(a.Entity, b.Entity) })
	c.SidebarsByRef = slices.Clone(c.SidebarsByRef)
	slices.SortFunc(c.SidebarsByRef, func(a, b URI) int { return strings.Compare(a.URI, b.URI) })
	list := c.SidebarsByVal
	c.SidebarsByVal = nil
	text := string(c.Append(nil))
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Conference) int { return strings.Compare(a.Entity, b.Entity) })
	for i := range list {
		text += sorted(&list[i])
	}
	return text
}

// reaches checks that who knows old and is told what has changed knows now.
func reaches(t *testing.T, old, now *Conference) {
	t.Helper()
	d := Diff(old, now)
	if d == nil {
		if got, want := sorted(old), sorted(now); got != want {
			t.Errorf("Diff = nil, but of\n%s it does not make\n%s", got, want)
		}
		return
	}
	text := string(d.Append(nil))
	got, err := Apply(old, text)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if now.State == Deleted {
		if got.State != Deleted {
			t.Errorf("state %s after %s, want %s", got.State, text, Deleted)
		}
		return
	}
	if s, want := sorted(got), sorted(now); s != want {
		t.Errorf("%s\nmakes of\n%s\nthis:\n%s, want\n%s", text, sorted(old), s, want)
	}
	if again := Diff(got, now); again != nil {
		t.Errorf("there is still %s", again.Append(nil))
	}
}

// FuzzDiff has random conferences follow each other: who is told of each change knows
// each of them.
func FuzzDiff(f *testing.F) {
	for i := range uint64(100) {
		f.Add(i)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := random{rand.New(rand.NewPCG(seed, 1))}
		first := r.conference(2)
		c, err := Apply(nil, string(first.Append(nil)))
		if err != nil {
			t.Fatal(err)
		}
		reaches(t, c, &first) // which is nothing
		for range 5 {
			next := r.conference(2)
			if r.IntN(2) == 0 { // one in which less changes
				half := *c
				r.change(&half)
				next = half
			}
			next.Entity = first.Entity
			reaches(t, c, &next)
			d := Diff(c, &next)
			if d == nil {
				continue
			}
			if c, err = Apply(c, string(d.Append(nil))); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// random makes conferences of few keys, so that they have some in common.
type random struct{ *rand.Rand }

func (r random) word() string {
	return []string{"", "", "a", "b", "c d", "<&>", " e "}[r.IntN(7)]
}

// token is a word around which there is no white space.
func (r random) token() string { return strings.TrimSpace(r.word()) }

func (r random) keys(n int) (keys []string) {
	for i := range n {
		if r.IntN(2) == 0 {
			keys = append(keys, strconv.Itoa(i))
		}
	}
	r.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return keys
}

func (r random) uris() (list []URI) {
	for _, k := range r.keys(3) {
		list = append(list, URI{URI: k, DisplayText: r.word(), Modified: r.execution()})
	}
	return list
}

func (r random) execution() Execution {
	x := Execution{Reason: r.word(), By: r.token()}
	if r.IntN(3) == 0 {
		x.When = time.Unix(int64(r.IntN(3)), 0).UTC()
	}
	return x
}

func (r random) conference(depth int) Conference {
	c := Conference{Entity: "sip:room@example.com", Users: r.users()}
	r.change(&c)
	c.SidebarsByRef = r.uris()
	if depth > 0 {
		for _, k := range r.keys(2) {
			side := r.conference(depth - 1)
			side.Entity = k
			c.SidebarsByVal = append(c.SidebarsByVal, side)
		}
	}
	return c
}

// change changes some of a conference, without writing to what it shares.
func (r random) change(c *Conference) {
	switch r.IntN(4) {
	case 0:
		c.Description = Description{Subject: r.word(), Keywords: strings.Fields(r.word()), ConfURIs: r.uris()}
	case 1:
		c.HostInfo = HostInfo{DisplayText: r.word(), URIs: r.uris()}
	case 2:
		c.Activity = Activity{UserCount: new(r.Uint32N(3)), Locked: new(r.IntN(2) == 0)}
	}
	c.Users = slices.Clone(c.Users)
	for i := range c.Users {
		if r.IntN(3) > 0 {
			continue
		}
		u := &c.Users[i]
		switch r.IntN(4) {
		case 0:
			u.DisplayText = r.word()
		case 1:
			u.Endpoints = r.endpoints()
		case 2:
			u.Endpoints = slices.Clone(u.Endpoints)
			for j := range u.Endpoints {
				u.Endpoints[j].Status = r.token()
			}
		case 3:
			u.Nickname = r.word()
		}
	}
}

func (r random) users() (list []User) {
	for _, k := range r.keys(5) {
		u := User{Entity: k, Nickname: r.word(), DisplayText: r.word(), CascadedFocus: r.token(), Languages: strings.Fields(r.word())}
		if r.IntN(2) == 0 {
			u.AssociatedAORs = r.uris()
			u.Roles = r.keys(3)
			u.Endpoints = r.endpoints()
		}
		list = append(list, u)
	}
	return list
}

func (r random) endpoints() (list []Endpoint) {
	for _, k := range r.keys(3) {
		e := Endpoint{Entity: k, DisplayText: r.word(), Status: r.token(), Referred: r.execution(), JoiningInfo: r.execution(),
			DisconnectionMethod: r.token(), CallInfo: CallInfo{CallID: r.word()}}
		for _, k := range r.keys(3) {
			e.Media = append(e.Media, Media{ID: k, Type: r.token()})
		}
		list = append(list, e)
	}
	return list
}
