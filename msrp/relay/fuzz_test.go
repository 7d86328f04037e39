package relay_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/internal/goroutine"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

// FuzzRelay has a stranger and a client send anything to a relay. In it, OURS is the URI of that client, and
// THEIRS a path to another one. The session of two others goes on, and nothing is left behind.
func FuzzRelay(f *testing.F) {
	files, err := filepath.Glob("testdata/*.msrp")
	if err != nil || len(files) == 0 {
		f.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	paths := "\nTo-Path: OURS THEIRS\nFrom-Path: msrp://mallory.invalid:9/m;tcp\nMessage-ID: 1\n"
	for _, text := range []string{
		"MSRP aaaa SEND" + paths + "Byte-Range: 1-*/*\nContent-Type: a/b\n\nhello\n-------aaaa+\n",
		"MSRP aaaa SEND" + paths + "Byte-Range: 999-*/999999999999\nContent-Type: a/b\n\nhello\n-------aaaa#\n",
		"MSRP aaaa SEND" + paths + "Content-Type: a/b\n\nhello and no end",
		"MSRP aaaa SEND" + paths + "-------aaaa$\n",
		"MSRP aaaa REPORT" + paths + "Status: 000 413 Stop\n-------aaaa$\n",
		"MSRP aaaa NICKNAME" + paths + "Use-Nickname: x\n-------aaaa$\n",
		"MSRP aaaa SEND\nTo-Path: THEIRS\nFrom-Path: msrp://mallory.invalid:9/m;tcp\nMessage-ID: 1\nContent-Type: a/b\n\nx\n-------aaaa$\n",
		"MSRP aaaa AUTH\nTo-Path: OURS\nFrom-Path: msrp://m.invalid:9/m;tcp\nExpires: 4294967296\nAuthorization: Digest username=\"x\"\n-------aaaa$\n",
		"MSRP aaaa AUTH" + paths + "-------aaaa$\n",
		"MSRP aaaa 200 OK" + paths + "-------aaaa$\n",
	} {
		f.Add(strings.ReplaceAll(text, "\n", "\r\n"))
	}

	w := newWorld(f)
	w.relay(example, relay.Config{})
	alice, a := w.client("alice", example)
	bob, b := w.client("bob", example)
	chat := func(t *testing.T) {
		t.Helper()
		alice.write(send("chat", a+" "+b+" "+bob.ours, alice.ours, "", "goes on"))
		alice.response("chat", frame.StatusOK)
		for {
			g := bob.read()
			if g.Method != frame.REPORT {
				bob.answer(g, frame.StatusOK)
			}
			if g.From == b+" "+a+" "+alice.ours {
				return
			}
		}
	}
	before := goroutine.Count()
	f.Fuzz(func(t *testing.T, data string) {
		w.t, alice.t, bob.t = t, t, t
		stranger := w.dial("stranger", example)
		mallory, m := w.client("carol", example)
		data = strings.NewReplacer("OURS", m, "THEIRS", b+" "+bob.ours).Replace(data)
		for _, p := range []*raw{stranger, mallory} {
			go io.Copy(io.Discard, p.nc) // ends with the connection
			p.nc.SetWriteDeadline(time.Now().Add(5 * time.Second))
			io.WriteString(p.nc, data)
		}
		chat(t)
		stranger.nc.Close()
		mallory.nc.Close()
		chat(t)
		for try := 0; goroutine.Count() > before+8; try++ {
			if try == 1000 {
				t.Fatalf("%d goroutines, %d before", goroutine.Count(), before)
			}
			time.Sleep(time.Millisecond)
		}
	})
}
