package file_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/file"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/ua"
)

// A liar is a sender that says what it likes of what it sends.
type liar struct {
	*msrp.Session
	says file.Description
	// type and header fields of the message
	contentType, disposition string
}

func (l *liar) Offer(ctx context.Context) (*sdp.Media, error) {
	m, err := l.Session.Offer(ctx)
	if err == nil {
		err = l.says.Set(m)
	}
	return m, err
}

func (p *place) liar(says file.Selector) *liar {
	return &liar{Session: msrp.NewSession(p.alice.ep, &msrp.SessionConfig{AcceptTypes: []string{"*"}, MaxChunk: 8192}), contentType: "application/octet-stream",
		says: file.Description{Direction: sdp.SendOnly, Selector: says, ID: file.NewID()}}
}

// sends sends octets as the file.
func (l *liar) sends(ctx context.Context, octets io.Reader, size int64) error {
	m := &msrp.Message{ContentType: l.contentType, Body: octets, Size: size}
	if l.disposition != "" {
		m.Fields = []frame.Field{{Name: "Content-Disposition", Value: l.disposition}}
	}
	return l.Send(ctx, m)
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// What is not the file that was said is stopped as soon as that shows, and removed (RFC 5547 sections 8.3.1
// and 10).
func TestLiars(t *testing.T) {
	octets := content(1, 100_000)
	sum := sha1.Sum(octets)
	hash := []file.Hash{{Algorithm: file.SHA1, Sum: sum[:]}}
	other := append(bytes.Clone(octets[:99_999]), octets[99_999]^1)
	for _, test := range []struct {
		name string
		says file.Selector
		body io.Reader
		want error // of the receiver
		sent error // of the sender
	}{
		{"another file", file.Selector{Name: "a", Size: 100_000, Hashes: hash}, bytes.NewReader(other), file.ErrOtherFile, nil},
		{"too short", file.Selector{Name: "a", Size: 100_000, Hashes: hash}, bytes.NewReader(octets[:99_999]), file.ErrOtherFile, nil},
		{"too short, without a hash", file.Selector{Name: "a", Size: 100_000}, bytes.NewReader(octets[:99_999]), file.ErrOtherFile, nil},
		{"nothing", file.Selector{Name: "a", Size: 100_000}, bytes.NewReader(nil), file.ErrOtherFile, nil},
		{"too long", file.Selector{Name: "a", Size: 99_999, Hashes: hash}, bytes.NewReader(octets), file.ErrOtherFile, nil},
		{"without end", file.Selector{Name: "a", Size: 100_000, Hashes: hash}, endless{}, file.ErrOtherFile, frame.StatusStop},
		{"without end and without a size", file.Selector{Name: "a", Type: "text/plain"}, endless{}, frame.StatusStop, frame.StatusStop},
	} {
		t.Run(test.name, func(t *testing.T) {
			inbox := root(t)
			story(t, takes(inbox, &file.ReceiveOptions{MaxSize: 200_000}, 1), func(p *place) {
				l := p.liar(test.says)
				call := p.calls(l)
				// Where all is sent it depends on which is sooner: the last answer, or that it was too much.
				if err := l.sends(p.ctx, test.body, 0); !errors.Is(err, test.sent) && (test.sent != nil || !errors.Is(err, frame.StatusStop)) {
					t.Errorf("Send: %v, want %v", err, test.sent)
				}
				if r := <-p.got; !errors.Is(r.err, test.want) {
					t.Errorf("Wait: %v, want %v", r.err, test.want)
				}
				p.hangup(call)
				holds(t, inbox, nil)
			})
		})
	}
}

// Who hangs up when all is sent, while it is checked, has not sent the file that was said, and the rest of it is not
// asked for.
func TestLiarHangsUpDuringTheCheck(t *testing.T) {
	octets := content(1, 100_000)
	sum := sha1.Sum(octets)
	octets[99_999] ^= 1
	inbox := root(t)
	answer := func(p *place, ctx context.Context, inv *ua.Invitation) {
		in := file.Receive(p.bob.ep, inbox, &file.ReceiveOptions{Progress: func(received, size int64) {
			if received == size {
				time.Sleep(time.Second) // of a slow disk
			}
		}})
		if _, err := inv.Answer(ctx, in); err != nil {
			t.Error(err)
		}
		_, err := in.Wait(p.ctx)
		in.Resume(p.ctx, func(context.Context) error {
			t.Error("the rest is asked for")
			return nil
		})
		p.got <- receipt{err: err}
	}
	story(t, answer, func(p *place) {
		l := p.liar(file.Selector{Name: "a", Size: 100_000, Hashes: []file.Hash{{Algorithm: file.SHA1, Sum: sum[:]}}})
		call := p.calls(l)
		if err := l.sends(p.ctx, bytes.NewReader(octets), 0); err != nil {
			t.Errorf("Send: %v", err)
		}
		p.hangup(call)
		if r := <-p.got; !errors.Is(r.err, file.ErrOtherFile) {
			t.Errorf("Wait: %v, want ErrOtherFile", r.err)
		}
		holds(t, inbox, nil)
	})
}

// A message that says to be too large is refused before it comes (RFC 4975 section 10.5).
func TestMessageThatSaysToBeTooLarge(t *testing.T) {
	inbox := root(t)
	story(t, takes(inbox, &file.ReceiveOptions{MaxSize: 200_000}, 1), func(p *place) {
		l := p.liar(file.Selector{Name: "a", Type: "text/plain"})
		call := p.calls(l)
		if err := l.sends(p.ctx, endless{}, 1<<40); !errors.Is(err, frame.StatusStop) {
			t.Errorf("Send: %v, want 413", err)
		}
		p.hangup(call)
		if r := <-p.got; !errors.Is(r.err, file.ErrEnded) && !errors.Is(r.err, msrp.ErrLost) { // which of the two is heard first
			t.Errorf("Wait: %v, want ErrEnded", r.err)
		}
		holds(t, inbox, nil)
	})
}

// Names are those of files in the directory, whatever a peer says (RFC 5547 sections 6 and 10).
func TestHostileNamesInACall(t *testing.T) {
	for name, want := range map[string]string{
		"../../etc/passwd":       "passwd",
		`C:\Windows\system.ini`:  "system.ini",
		".bashrc":                "bashrc",
		"..":                     "file",
		"CON":                    "_CON",
		"evil\u202Egpj.exe":      "evilgpj.exe",
		"a\r\nb\x00c":            "abc",
		"-rf":                    "rf",
		".0123456789abcdef.part": "0123456789abcdef.part",
	} {
		t.Run(want, func(t *testing.T) {
			inbox := root(t)
			story(t, takes(inbox, nil, 1), func(p *place) {
				l := p.liar(file.Selector{Name: name, Size: 1})
				call := p.calls(l)
				if err := l.sends(p.ctx, bytes.NewReader([]byte("x")), 0); err != nil {
					t.Error(err)
				}
				if r := <-p.got; r.err != nil {
					t.Error(r.err)
				}
				p.hangup(call)
				holds(t, inbox, map[string][]byte{want: []byte("x")})
			})
		})
	}
}

// Who is asked for a file learns its name by what comes with it, which is no better.
func TestHostileNameInContentDisposition(t *testing.T) {
	inbox := root(t)
	story(t, takes(inbox, nil, 1), func(p *place) {
		l := p.liar(file.Selector{Type: "text/plain"})
		l.disposition = `render; filename="../../.ssh/authorized_keys"`
		call := p.calls(l)
		if err := l.sends(p.ctx, bytes.NewReader([]byte("x")), 0); err != nil {
			t.Error(err)
		}
		if r := <-p.got; r.err != nil {
			t.Error(r.err)
		}
		p.hangup(call)
		holds(t, inbox, map[string][]byte{"authorized_keys": []byte("x")})
	})
}

// There is one file in a session (RFC 5547 section 8.7).
func TestSecondFileInASession(t *testing.T) {
	inbox := root(t)
	story(t, takes(inbox, nil, 1), func(p *place) {
		l := p.liar(file.Selector{Name: "a", Size: 2})
		call := p.calls(l)
		for _, want := range []error{nil, frame.StatusForbidden} {
			body := &slow{ctx: p.ctx, data: []byte("xy")}
			if err := l.sends(p.ctx, body, 0); !errors.Is(err, want) {
				t.Errorf("Send: %v, want %v", err, want)
			}
		}
		if r := <-p.got; r.err != nil {
			t.Error(r.err)
		}
		p.hangup(call)
		holds(t, inbox, map[string][]byte{"a": []byte("xy")})
	})
}

// slow gives out an octet a second.
type slow struct {
	ctx  context.Context
	data []byte
}

func (s *slow) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
	if len(s.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:1], s.data)
	s.data = s.data[n:]
	return n, nil
}
