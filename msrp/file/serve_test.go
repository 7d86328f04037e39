package file_test

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/msrp/file"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// Which file of a directory a selector is about: the one that all of it fits (RFC 5547 section 8.3.2).
func TestFileInADirectory(t *testing.T) {
	shelf, outside := root(t), root(t)
	for name, text := range map[string]string{"a.json": "[1]", "b.json": "[2]", "c.json": "[1]", "d.txt": "four", ".hidden": "hidden"} {
		shelf.WriteFile(name, []byte(text), 0o600)
	}
	outside.WriteFile("secret.html", []byte("secret"), 0o600)
	shelf.Mkdir("sub.pdf", 0o700)
	if err := os.Symlink(outside.Name()+"/secret.html", shelf.Name()+"/secret.html"); err != nil {
		t.Fatal(err)
	}
	hash := func(text string) []file.Hash {
		sum := sha1.Sum([]byte(text))
		return []file.Hash{{Algorithm: file.SHA1, Sum: sum[:]}}
	}
	find := file.InDir(shelf)
	for range 2 { // the second time with the hashes of the first
		for _, test := range []struct {
			want file.Selector
			name string
			err  error
		}{
			{file.Selector{Name: "a.json"}, "a.json", nil},
			{file.Selector{Hashes: hash("[2]")}, "b.json", nil},
			{file.Selector{Type: "text/plain"}, "d.txt", nil},
			{file.Selector{Size: 4}, "d.txt", nil},
			{file.Selector{Name: "a.json", Hashes: hash("[1]")}, "a.json", nil},
			{file.Selector{Name: "a.json", Hashes: hash("[2]")}, "", fs.ErrNotExist},
			{file.Selector{Hashes: hash("[1]")}, "", file.ErrOtherFile},
			{file.Selector{Type: "application/json"}, "", file.ErrOtherFile},
			{file.Selector{Hashes: hash("[3]")}, "", fs.ErrNotExist},
			{file.Selector{Name: ".hidden"}, "", fs.ErrNotExist},
			{file.Selector{Name: "sub.pdf"}, "", fs.ErrNotExist},
			{file.Selector{Name: "../" + "x"}, "", fs.ErrNotExist},
			{file.Selector{Name: "secret.html"}, "", fs.ErrNotExist},
			{file.Selector{Type: "text/html"}, "", fs.ErrNotExist},
			{file.Selector{}, "", fs.ErrNotExist},
		} {
			f, err := find(t.Context(), file.Description{Selector: test.want})
			if !errors.Is(err, test.err) {
				t.Errorf("%v: %v, want %v", test.want, err, test.err)
			}
			if err == nil {
				if got := f.Name(); !strings.HasSuffix(got, test.name) {
					t.Errorf("%v: %s, want %s", test.want, got, test.name)
				}
				f.Close()
			}
		}
	}
	shelf.WriteFile("b.json", []byte("[2,3]"), 0o600)
	if _, err := find(t.Context(), file.Description{Selector: file.Selector{Hashes: hash("[2]")}}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the hash of a file that is another one now: %v, want ErrNotExist", err)
	}
}

// A file that is not there is refused, and so is one that the program does not give away.
func TestPullIsRefused(t *testing.T) {
	shelf, hers := root(t), root(t)
	shelf.WriteFile("a.txt", []byte("text"), 0o600)
	find := file.InDir(shelf)
	story(t, func(p *place, ctx context.Context, inv *ua.Invitation) {
		_, err := inv.Answer(ctx, file.Serve(p.bob.ep, func(ctx context.Context, wanted file.Description) (*os.File, error) {
			if wanted.Selector.Name == "a.txt" {
				return nil, sip.StatusForbidden
			}
			return find(ctx, wanted)
		}, nil))
		p.got <- receipt{err: err}
	}, func(p *place) {
		for _, name := range []string{"a.txt", "b.txt"} {
			pull := file.Pull(p.alice.ep, hers, file.Selector{Name: name}, nil)
			_, err := p.alice.Invite(p.ctx, "sip:bob@192.0.2.2;transport=tcp", &ua.InviteOptions{Streams: []ua.Stream{pull}})
			if !errors.Is(err, sip.StatusNotAcceptableHere) {
				t.Errorf("%s: %v, want 488", name, err)
			}
			if r := <-p.got; !errors.Is(r.err, ua.ErrNoStream) {
				t.Errorf("Bob's error: %v, want ErrNoStream", r.err)
			}
		}
	})
}

// A relayed peer is a script that is reached by a relay, both at one address.
type relayed struct {
	l  net.Listener
	on func(conn net.Conn, h *frame.Head)
}

func (r *relayed) Offer(context.Context) (*sdp.Media, error) { return nil, nil }

func (r *relayed) Answer(_ context.Context, remote *sdp.Media) (*sdp.Media, error) {
	return &sdp.Media{Type: "message", Port: 2855, Proto: "TCP/MSRP", Formats: []string{"*"}, Direction: sdp.RecvOnly, Attributes: []sdp.Attribute{
		{Name: "path", Value: "msrp://192.0.2.2:2855/relay;tcp msrp://192.0.2.2:2855/bob;tcp"},
		{Name: "accept-types", Value: "*"}, {Name: "setup", Value: "passive"}}}, nil
}

func (r *relayed) Update(context.Context, *sdp.Media, *sdp.Media) error {
	go func() { // ends with the connection
		conn, err := r.l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		frames := frame.NewReader(conn)
		for {
			h, err := frames.Next()
			if err != nil {
				return
			}
			r.on(conn, h.Clone())
		}
	}()
	return nil
}

func (r *relayed) Close() error { return r.l.Close() }

// By way of a relay the answers are those of the relay, so that the file has arrived when its receiver says so:
// RFC 4975 section 7.1.3.
func TestSenderWaitsForTheReport(t *testing.T) {
	story(t, func(p *place, ctx context.Context, inv *ua.Invitation) {
		l, err := p.bob.host.Listen(ctx, "tcp", "192.0.2.2:2855")
		if err != nil {
			t.Error(err)
			return
		}
		inv.Answer(ctx, &relayed{l: l, on: func(conn net.Conn, h *frame.Head) {
			from, _, _ := strings.Cut(h.To, " ")
			fmt.Fprintf(conn, "MSRP %s 200 OK\r\nTo-Path: %s\r\nFrom-Path: %s\r\n-------%[1]s$\r\n", h.ID, h.From, from)
			if h.HasBody && h.SuccessReport && h.Range.Start == 1 {
				go func() {
					time.Sleep(3 * time.Second) // of the bubble
					fmt.Fprintf(conn, "MSRP report1 REPORT\r\nTo-Path: %s\r\nFrom-Path: %s\r\nMessage-ID: %s\r\nByte-Range: 1-1000/1000\r\nStatus: 000 200 OK\r\n-------report1$\r\n",
						h.From, h.To, h.MessageID)
				}()
			}
		}})
	}, func(p *place) {
		push := p.push(written(t, "a.bin", content(1, 1000)), nil)
		call := p.calls(push)
		answered := time.Now()
		if err := push.Wait(p.ctx); err != nil {
			t.Error(err)
		}
		if waited := time.Since(answered); waited < 3*time.Second {
			t.Errorf("Wait has returned after %v, and the report came after 3 s", waited)
		}
		p.hangup(call)
	})
}
