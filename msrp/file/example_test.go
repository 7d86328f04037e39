package file_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"strings"
	"testing/fstest"

	"github.com/goparley/parley/msrp/file"
	"github.com/goparley/parley/sdp"
)

// Alice sends a file, and Bob takes it.
func Example() {
	selector, err := file.Describe("notes.json", strings.NewReader(`{"a": 1}`))
	if err != nil {
		log.Fatal(err)
	}
	push := file.Description{Direction: sdp.SendOnly, Selector: selector, ID: "Q6LMoGymJdh0IKIgD6wD0jkcfgva4xvE"}
	offer := &sdp.Media{Type: "message", Port: 7654, Proto: "TCP/MSRP", Formats: []string{"*"}}
	if err := push.Set(offer); err != nil {
		log.Fatal(err)
	}

	// Bob has got the offer.
	var answer *sdp.Media
	var known []file.Description // of this call
	kind, offered, err := file.Read(offer, known)
	switch {
	case err != nil || kind == file.KindPush && offered.Selector.Size > 1<<20:
		answer = file.Refuse(offer)
	case kind == file.KindPush:
		fmt.Printf("Bob gets %s of %d octets\n", file.SafeName(offered.Selector.Name), offered.Selector.Size)
		known = append(known, offered)
		answer = &sdp.Media{Type: "message", Port: 8888, Proto: "TCP/MSRP", Formats: []string{"*"}}
		err = offered.AcceptPush().Set(answer)
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Direction)
	for _, a := range answer.Attributes {
		fmt.Printf("%s %.48s\n", a.Name, a.Value)
	}

	// Alice has got the answer.
	if _, err := file.ReadAnswer(answer, push); errors.Is(err, file.ErrRefused) {
		fmt.Println("Bob does not want it")
	}

	// A refresh of the session says it all again.
	kind, _, _ = file.Read(offer, known)
	fmt.Println(kind)
	// Output:
	// Bob gets notes.json of 8 octets
	// recvonly
	// file-selector name:"notes.json" type:application/json size:8 h
	// file-transfer-id Q6LMoGymJdh0IKIgD6wD0jkcfgva4xvE
	// same
}

// Bob has files, and Alice asks for one of which she knows the name.
func ExampleDescription_AcceptPull() {
	files := fstest.MapFS{
		"a.json": {Data: []byte("[1]")},
		"b.json": {Data: []byte("[2]")},
	}
	offered := file.Description{Direction: sdp.RecvOnly, Selector: file.Selector{Name: "b.json"}, ID: "aCQYuBRVoUPGVsFZkCK98vzcX2FXDIk2"}

	names, err := fs.Glob(files, "*")
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range names {
		f, err := files.Open(name)
		if err != nil {
			log.Fatal(err)
		}
		selector, err := file.Describe(name, f)
		f.Close()
		if err != nil {
			log.Fatal(err)
		}
		if !offered.Selector.Matches(selector) {
			continue
		}
		accepted, err := offered.AcceptPull(selector)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s goes as %s\n", name, accepted.Selector.Type)
	}
	// Output:
	// b.json goes as application/json
}

// What was broken off after 2048 octets is resumed, as a new transfer.
func ExampleRange() {
	resumed := file.Description{
		Direction: sdp.RecvOnly,
		Selector:  file.Selector{Name: "film.mp4", Size: 32349},
		ID:        file.NewID(),
		Range:     file.Range{Start: 2049},
	}
	fmt.Println(resumed.Range)
	// Output: 2049-*
}

// The program answers OPTIONS with what it could do.
func ExampleSetCapability() {
	m := &sdp.Media{Type: "message", Proto: "TCP/MSRP", Formats: []string{"*"}}
	file.SetCapability(m)
	kind, _, _ := file.Read(m, nil)
	fmt.Println(kind)
	// Output: capability
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

func ExampleCreate() {
	path, err := os.MkdirTemp("", "received")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(path)
	dir, err := os.OpenRoot(path)
	if err != nil {
		log.Fatal(err)
	}
	defer dir.Close()
	for range 2 {
		f, err := file.Create(dir, "../picture.jpg")
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(strings.TrimPrefix(f.Name(), path+"/"))
		f.Close()
	}
	// Output:
	// picture.jpg
	// picture (2).jpg
}
