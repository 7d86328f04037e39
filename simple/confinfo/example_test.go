package confinfo_test

import (
	"errors"
	"fmt"
	"slices"

	"github.com/goparley/parley/simple/confinfo"
	"github.com/goparley/parley/sip"
)

// A chat room with two people in it, of which a watcher has seen all. A third joins:
// what is sent, and what the watcher makes of it.
func Example() {
	room := &confinfo.Conference{
		Entity:      "sip:room@chat.example.com",
		Version:     1,
		Description: confinfo.Description{Subject: "Gophers"},
		Activity:    confinfo.Activity{UserCount: new(uint32(2))},
		Users: []confinfo.User{
			{Entity: "sip:alice@example.com", Nickname: "Alice the great"},
			{Entity: confinfo.Anonymous(1), Nickname: "Nobody"},
		},
	}
	// The NOTIFY after the SUBSCRIBE has all of it.
	seen, err := confinfo.Apply(nil, string(room.Append(nil)))
	if err != nil {
		fmt.Println(err)
		return
	}

	sent := room // to this watcher
	room = new(*room)
	room.Users = append(slices.Clip(room.Users), confinfo.User{
		Entity:   "sip:bob@example.com",
		Nickname: "Dopey Donkey",
		Endpoints: []confinfo.Endpoint{{
			Entity: "sip:bob@192.0.2.4", Status: "connected", JoiningMethod: "dialed-in",
			Media: []confinfo.Media{{ID: "1", Type: "message", Status: "sendrecv"}},
		}},
	})
	room.Activity.UserCount = new(uint32(3))

	update := confinfo.Diff(sent, room)
	room.Version = update.Version
	// This is what State of a ua.Package returns, for the NOTIFY.
	body := sip.Body{Type: confinfo.MediaType, Content: string(update.Append(nil))}
	fmt.Println(body.Content)

	seen, err = confinfo.Apply(seen, body.Content)
	if errors.Is(err, confinfo.ErrRefresh) {
		fmt.Println("refresh the subscription")
	}
	for _, u := range seen.Users {
		fmt.Println(u.Nickname, u.Entity)
	}
	// Output:
	// <?xml version="1.0" encoding="UTF-8"?>
	// <conference-info xmlns:xcon="urn:ietf:params:xml:ns:xcon-conference-info" xmlns="urn:ietf:params:xml:ns:conference-info" entity="sip:room@chat.example.com" state="partial" version="2"><conference-state><user-count>3</user-count></conference-state><users state="partial"><user entity="sip:bob@example.com" xcon:nickname="Dopey Donkey"><endpoint entity="sip:bob@192.0.2.4"><status>connected</status><joining-method>dialed-in</joining-method><media id="1"><type>message</type><status>sendrecv</status></media></endpoint></user></users></conference-info>
	// Alice the great sip:alice@example.com
	// Nobody sip:anonymous1@anonymous.invalid
	// Dopey Donkey sip:bob@example.com
}

// One who leaves, and one who takes another nickname.
func ExampleDiff() {
	before := &confinfo.Conference{Version: 7, Users: []confinfo.User{
		{Entity: "sip:alice@example.com", Nickname: "Alice the great"},
		{Entity: "sip:bob@example.com", Nickname: "Dopey Donkey"},
	}}
	now := &confinfo.Conference{Users: []confinfo.User{
		{Entity: "sip:alice@example.com", Nickname: "Queen of Hearts"},
	}}
	update := confinfo.Diff(before, now)
	fmt.Println(update.State, update.Version)
	for _, u := range update.Users {
		fmt.Printf("%s %q %s\n", u.Entity, u.Nickname, u.State)
	}
	// Output:
	// partial 8
	// sip:bob@example.com "" deleted
	// sip:alice@example.com "Queen of Hearts"
}
