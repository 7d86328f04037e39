package file_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/file"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// directory makes a directory that is gone when the example is over.
func directory() (dir *os.Root, remove func()) {
	path, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	if dir, err = os.OpenRoot(path); err != nil {
		log.Fatal(err)
	}
	return dir, func() {
		dir.Close()
		os.RemoveAll(path)
	}
}

// someone makes an agent and what their files go over.
func someone(cfg ua.Config) (*ua.Agent, *msrp.Endpoint) {
	ep, err := msrp.New(&msrp.Config{Listen: []string{"tcp:127.0.0.1:0"}})
	if err != nil {
		log.Fatal(err)
	}
	cfg.Listen, cfg.Logger = []string{"tcp:127.0.0.1:0"}, slog.New(slog.DiscardHandler)
	agent, err := ua.New("sip:someone@127.0.0.1", &cfg)
	if err != nil {
		log.Fatal(err)
	}
	return agent, ep
}

// Alice sends a file, and Bob takes it.
func Example() {
	ctx := context.Background()
	inbox, remove := directory()
	defer remove()
	desk, clear := directory()
	defer clear()
	desk.WriteFile("notes.json", []byte(`{"a": 1}`), 0o600)

	var theirs *msrp.Endpoint
	done := make(chan bool)
	bob, theirs := someone(ua.Config{OnInvite: func(ctx context.Context, inv *ua.Invitation) {
		defer close(done)
		in := file.Receive(theirs, inbox, &file.ReceiveOptions{
			MaxSize: 10 << 20,
			Accept: func(_ context.Context, offered file.Description) error {
				fmt.Printf("Bob is offered %s of %d octets\n", offered.Selector.Name, offered.Selector.Size)
				return nil
			},
		})
		call, err := inv.Answer(ctx, in)
		if err != nil {
			log.Print(err)
			return
		}
		if err := in.Resume(ctx, call.Renegotiate); err != nil { // if a part of it is here from before
			log.Print(err)
		}
		path, err := in.Wait(ctx)
		fmt.Println("Bob has got", filepath.Base(path), err)
		<-call.Done()
	}})
	defer bob.Close()
	defer theirs.Close()
	alice, ours := someone(ua.Config{})
	defer alice.Close()
	defer ours.Close()

	push, err := file.Push(ours, desk.Name()+"/notes.json", nil)
	if err != nil {
		log.Fatal(err)
	}
	call, err := alice.Invite(ctx, "sip:bob@"+bob.Addr("tcp").String()+";transport=tcp", &ua.InviteOptions{Streams: []ua.Stream{push}})
	if err != nil {
		log.Fatal(err)
	}
	if err := push.Wait(ctx); err != nil { // all of it is there
		log.Fatal(err)
	}
	call.Hangup(ctx)
	<-done
	// Output:
	// Bob is offered notes.json of 8 octets
	// Bob has got notes.json <nil>
}

// A picture goes with a small one, which Bob looks at to decide.
func Example_icon() {
	ctx := context.Background()
	inbox, remove := directory()
	defer remove()
	desk, clear := directory()
	defer clear()
	desk.WriteFile("cat.jpg", []byte("a large picture"), 0o600)

	var theirs *msrp.Endpoint
	done := make(chan bool)
	bob, theirs := someone(ua.Config{OnInvite: func(ctx context.Context, inv *ua.Invitation) {
		defer close(done)
		inv.Answer(ctx, file.Receive(theirs, inbox, &file.ReceiveOptions{
			Accept: func(ctx context.Context, offered file.Description) error {
				if part, err := ua.FindID(ctx, offered.Icon); err == nil {
					icon, err := sip.Content(part)
					fmt.Println("Bob sees", icon, err)
				}
				return errors.New("not another cat")
			},
		}))
	}})
	defer bob.Close()
	defer theirs.Close()
	alice, ours := someone(ua.Config{})
	defer alice.Close()
	defer ours.Close()

	push, err := file.Push(ours, desk.Name()+"/cat.jpg", &file.SendOptions{
		Icon: sip.Body{Type: "image/jpeg", Content: "a small picture"},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = alice.Invite(ctx, "sip:bob@"+bob.Addr("tcp").String()+";transport=tcp", &ua.InviteOptions{Streams: []ua.Stream{push}})
	fmt.Println(errors.Is(err, sip.StatusNotAcceptableHere))
	<-done
	// Output:
	// Bob sees a small picture <nil>
	// true
}

// Bob has files, and Alice asks for the one of which she knows the hash.
func ExamplePull() {
	ctx := context.Background()
	shelf, remove := directory()
	defer remove()
	shelf.WriteFile("a.json", []byte("[1]"), 0o600)
	shelf.WriteFile("b.json", []byte("[2]"), 0o600)

	var theirs *msrp.Endpoint
	find := file.InDir(shelf) // for all calls
	bob, theirs := someone(ua.Config{OnInvite: func(ctx context.Context, inv *ua.Invitation) {
		out := file.Serve(theirs, find, nil)
		call, err := inv.Answer(ctx, out)
		if err == nil {
			out.Wait(ctx)
			call.Hangup(ctx)
		}
	}})
	defer bob.Close()
	defer theirs.Close()
	alice, ours := someone(ua.Config{})
	defer alice.Close()
	defer ours.Close()

	inbox, clear := directory()
	defer clear()
	wanted, err := file.Describe("", strings.NewReader("[2]"))
	if err != nil {
		log.Fatal(err)
	}
	pull := file.Pull(ours, inbox, file.Selector{Hashes: wanted.Hashes}, nil)
	_, err = alice.Invite(ctx, "sip:bob@"+bob.Addr("tcp").String()+";transport=tcp", &ua.InviteOptions{Streams: []ua.Stream{pull}})
	if err != nil {
		log.Fatal(err)
	}
	path, err := pull.Wait(ctx)
	fmt.Println(filepath.Base(path), pull.Description().Selector.Type, err)
	// Output: b.json application/json <nil>
}

// A program says that it could transfer files, and another one asks.
func ExampleSetCapability() {
	ctx := context.Background()
	could := &sdp.Media{Type: "message", Proto: "TCP/MSRP", Formats: []string{"*"}, Attributes: []sdp.Attribute{{Name: "accept-types", Value: "*"}}}
	file.SetCapability(could)
	bob, theirs := someone(ua.Config{Sections: []*sdp.Media{could}})
	defer bob.Close()
	defer theirs.Close()
	alice, ours := someone(ua.Config{})
	defer alice.Close()
	defer ours.Close()

	resp, err := alice.Options(ctx, "sip:bob@"+bob.Addr("tcp").String()+";transport=tcp")
	if err != nil {
		log.Fatal(err)
	}
	session, err := sdp.Parse(resp.Body())
	if err != nil {
		log.Fatal(err)
	}
	for _, section := range session.Media {
		kind, _, err := file.Read(section, nil)
		fmt.Println(kind, err)
	}
	// Output: capability <nil>
}

// What was broken off after 2048 octets is resumed there.
func ExampleRange() {
	fmt.Println(file.Range{Start: 2049})
	// Output: 2049-*
}

func ExampleSafeName() {
	for _, name := range []string{"My cool picture.jpg", "../../.ssh/authorized_keys", `C:\autoexec.bat`, "NUL.txt", "\u202etxt.exe"} {
		fmt.Println(file.SafeName(name))
	}
	// Output:
	// My cool picture.jpg
	// authorized_keys
	// autoexec.bat
	// _NUL.txt
	// txt.exe
}
