package file_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/msrp/file"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/ua"
)

// Alice sends a file and Bob gets it: RFC 5547 section 9.1.
func TestSection9_1InACall(t *testing.T) {
	octets := content(1, 300_000)
	inbox := root(t)
	story(t, func(p *place, ctx context.Context, inv *ua.Invitation) {
		in := file.Receive(p.bob.ep, inbox, nil)
		call, err := inv.Answer(ctx, in)
		if err != nil {
			p.got <- receipt{err: err}
			return
		}
		path, err := in.Wait(p.ctx)
		if want := filepath.Join(inbox.Name(), "My cool picture.jpg"); path != want {
			t.Errorf("the path is %q, %v, want %q", path, err, want)
		}
		if d := in.Description(); d.Selector.Type != "image/jpeg" || d.Disposition != "attachment" || d.Modified.IsZero() {
			t.Errorf("the file is described as %+v", d)
		}
		<-call.Done()
		p.got <- receipt{err: err}
	}, func(p *place) {
		push := p.push(written(t, "My cool picture.jpg", octets), &file.SendOptions{Disposition: "attachment"})
		call := p.calls(push)
		if err := push.Wait(p.ctx); err != nil {
			t.Error(err)
		}
		if err := call.Hangup(p.ctx); err != nil {
			t.Error(err)
		}
		if r := <-p.got; r.err != nil {
			t.Error(r.err)
		}
		sum := sha1.Sum(octets)
		if d := push.Description(); d.Selector.Size != int64(len(octets)) || !bytes.Equal(d.Selector.Hashes[0].Sum, sum[:]) {
			t.Errorf("the description is %+v", d)
		}
		holds(t, inbox, map[string][]byte{"My cool picture.jpg": octets})
	})
}

// Alice asks for a file of which she knows the hash, and then sends one in the same call: RFC 5547 section
// 9.2. The second has an m= line of its own, in place of the one that is not in use any more.
func TestSection9_2InACall(t *testing.T) {
	photo, sunset := content(1, 70_000), content(2, 4096)
	shelf, inbox, hers := root(t), root(t), root(t)
	shelf.WriteFile("My cool photo.jpg", photo, 0o600)
	shelf.WriteFile("another.jpg", content(3, 70_000), 0o600)
	cfg := &ua.Config{}
	storyWith(t, cfg, func(p *place, ctx context.Context, inv *ua.Invitation) {
		serve := file.Serve(p.bob.ep, file.InDir(shelf), nil)
		if _, err := inv.Answer(ctx, serve); err != nil {
			t.Error(err)
			return
		}
		if err := serve.Wait(p.ctx); err != nil {
			t.Error(err)
		}
	}, func(p *place) {
		sum := sha1.Sum(photo)
		pull := file.Pull(p.alice.ep, hers, file.Selector{Hashes: []file.Hash{{Algorithm: file.SHA1, Sum: sum[:]}}}, nil)
		call := p.calls(pull)
		path, err := pull.Wait(p.ctx)
		if filepath.Base(path) != "My cool photo.jpg" || err != nil {
			t.Errorf("got %q, %v", path, err)
		}
		if d := pull.Description(); d.Selector.Type != "image/jpeg" || d.Modified.IsZero() {
			t.Errorf("the file is described as %+v", d)
		}
		push := p.push(written(t, "sunset.jpg", sunset), nil)
		if err := call.Add(p.ctx, push); err != nil {
			t.Fatal(err)
		}
		if err := push.Wait(p.ctx); err != nil {
			t.Error(err)
		}
		if r := <-p.got; r.err != nil {
			t.Error(r.err)
		}
		p.hangup(call)
		holds(t, hers, map[string][]byte{"My cool photo.jpg": photo})
		holds(t, inbox, map[string][]byte{"sunset.jpg": sunset})
	}, func(p *place) {
		cfg.OnStream = func(_ context.Context, _ *ua.Call, remote *sdp.Media) ua.Stream {
			if kind, _, err := file.Read(remote, nil); kind != file.KindPush {
				t.Errorf("the section is %v, %v, want a push", kind, err)
			}
			in := file.Receive(p.bob.ep, inbox, nil)
			go func() { // ends with the transfer
				path, err := in.Wait(p.ctx)
				p.got <- receipt{path, in.Description(), err}
			}()
			return in
		}
	})
}

// Of several files in one call each has a section and may be refused: RFC 5547 sections 8.2.3 and 8.3. What
// is refused is named in the answer.
func TestSeveralFilesInACall(t *testing.T) {
	inbox := root(t)
	asked := 0
	answer := takes(inbox, &file.ReceiveOptions{Accept: func(_ context.Context, d file.Description) error {
		if asked++; d.Selector.Name == "b.txt" {
			return errors.New("no text, please")
		}
		return nil
	}}, 2)
	story(t, answer, func(p *place) {
		var pushes []*file.Sender
		var streams []ua.Stream
		want := map[string][]byte{}
		for i, name := range []string{"a.jpg", "b.txt", "c.pdf"} {
			octets := content(uint64(i), 100_000*(i+1))
			if name != "b.txt" {
				want[name] = octets
			}
			push := p.push(written(t, name, octets), nil)
			pushes, streams = append(pushes, push), append(streams, push)
		}
		call := p.calls(streams...)
		for i, refused := range []error{nil, file.ErrRefused, nil} {
			if err := pushes[i].Wait(p.ctx); !errors.Is(err, refused) {
				t.Errorf("file %d: %v, want %v", i, err, refused)
			}
		}
		for range 2 {
			if r := <-p.got; r.err != nil {
				t.Error(r.err)
			}
		}
		p.hangup(call)
		if asked != 3 {
			t.Errorf("Bob was asked %d times, want 3", asked)
		}
		holds(t, inbox, want)
		d := pushes[1].Description()
		refusal := fmt.Sprintf("m=message 0 TCP/MSRP *\r\na=file-selector:%s\r\na=file-transfer-id:%s\r\n", d.Selector, d.ID)
		if !p.said(p.bob, refusal) {
			t.Errorf("no answer says\n%s", refusal)
		}
	})
}

// A call that offers one file alone is refused with it: RFC 5547 section 8.3.2.
func TestOnlyFileIsRefused(t *testing.T) {
	answer := takes(root(t), &file.ReceiveOptions{MaxSize: 999}, 1)
	story(t, answer, func(p *place) {
		push := p.push(written(t, "a.bin", content(1, 1000)), nil)
		_, err := p.alice.Invite(p.ctx, "sip:bob@192.0.2.2;transport=tcp", &ua.InviteOptions{Streams: []ua.Stream{push}})
		if err == nil {
			t.Error("the call is answered")
		}
		if r := <-p.got; !errors.Is(r.err, ua.ErrNoStream) {
			t.Errorf("Bob's error: %v, want ErrNoStream", r.err)
		}
		if err := push.Wait(p.ctx); !errors.Is(err, file.ErrEnded) {
			t.Errorf("Wait: %v, want ErrEnded", err)
		}
	})
}

// Both send a file at once, in one call.
func TestFilesBothWays(t *testing.T) {
	to, fro := content(1, 1<<20), content(2, 1<<20)
	hers, his := root(t), root(t)
	story(t, func(p *place, ctx context.Context, inv *ua.Invitation) {
		shelf := root(t)
		shelf.WriteFile("fro.bin", fro, 0o600)
		in, out := file.Receive(p.bob.ep, his, nil), file.Serve(p.bob.ep, file.InDir(shelf), nil)
		if _, err := inv.Answer(ctx, in, out); err != nil {
			t.Error(err)
		}
		_, err := in.Wait(p.ctx)
		p.got <- receipt{err: err}
		p.got <- receipt{err: out.Wait(p.ctx)}
	}, func(p *place) {
		push := p.push(written(t, "to.bin", to), nil)
		pull := file.Pull(p.alice.ep, hers, file.Selector{Name: "fro.bin"}, nil)
		call := p.calls(pull, push)
		if err := push.Wait(p.ctx); err != nil {
			t.Error(err)
		}
		if _, err := pull.Wait(p.ctx); err != nil {
			t.Error(err)
		}
		for range 2 {
			if r := <-p.got; r.err != nil {
				t.Error(r.err)
			}
		}
		p.hangup(call)
		holds(t, hers, map[string][]byte{"fro.bin": fro})
		holds(t, his, map[string][]byte{"to.bin": to})
	})
}

// An offer that says again what was agreed begins nothing: RFC 5547 section 8.1. When the file is there, the
// offerer says so with port 0 and the same identifier.
func TestRefreshIsNoTransfer(t *testing.T) {
	octets := content(1, 2<<20)
	inbox := root(t)
	started := 0
	answer := takes(inbox, &file.ReceiveOptions{Accept: func(context.Context, file.Description) error {
		started++
		return nil
	}}, 1)
	story(t, answer, func(p *place) {
		half := make(chan bool, 1)
		push := p.push(written(t, "a.bin", octets), &file.SendOptions{Progress: func(sent, size int64) {
			if sent >= size/2 && len(half) == 0 {
				half <- true
			}
		}})
		call := p.calls(push)
		<-half
		if err := call.Renegotiate(p.ctx); err != nil {
			t.Error(err)
		}
		if err := push.Wait(p.ctx); err != nil {
			t.Error(err)
		}
		if r := <-p.got; r.err != nil {
			t.Error(r.err)
		}
		if err := call.Renegotiate(p.ctx); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if err := push.Wait(p.ctx); err != nil {
			t.Errorf("after the section has ended: %v", err)
		}
		p.hangup(call)
		if started != 1 {
			t.Errorf("Bob was asked %d times, want once", started)
		}
		holds(t, inbox, map[string][]byte{"a.bin": octets})
		ended := "a=file-selector:" + push.Description().Selector.String() + "\r\na=file-transfer-id:" + push.Description().ID
		if !p.said(p.alice, "m=message 0 TCP/MSRP *", ended) {
			t.Errorf("no offer says with port 0\n%s", ended)
		}
		if !p.said(p.bob, "m=message 0 TCP/MSRP *\r\n"+ended) {
			t.Errorf("no answer says with port 0\n%s", ended)
		}
	})
}

// An empty file is a file.
func TestEmptyFile(t *testing.T) {
	inbox := root(t)
	answer := takes(inbox, nil, 1)
	story(t, answer, func(p *place) {
		push := p.push(written(t, "empty.txt", nil), nil)
		call := p.calls(push)
		if err := push.Wait(p.ctx); err != nil {
			t.Error(err)
		}
		if r := <-p.got; r.err != nil {
			t.Error(r.err)
		}
		p.hangup(call)
		holds(t, inbox, map[string][]byte{"empty.txt": {}})
		rest := p.push(written(t, "empty.txt", nil), &file.SendOptions{Range: file.Range{Start: 100}})
		defer rest.Close()
		if _, err := rest.Offer(p.ctx); !errors.Is(err, file.ErrRange) {
			t.Errorf("octets from 100 on of an empty file are offered: %v, want ErrRange", err)
		}
	})
}

// The same file twice is two files, and none is overwritten.
func TestSameNameTwice(t *testing.T) {
	inbox := root(t)
	answer := takes(inbox, nil, 1)
	story(t, answer, func(p *place) {
		for i := range 2 {
			push := p.push(written(t, "a.txt", content(uint64(i), 100)), nil)
			call := p.calls(push)
			if err := push.Wait(p.ctx); err != nil {
				t.Error(err)
			}
			if r := <-p.got; r.err != nil {
				t.Error(r.err)
			}
			p.hangup(call)
		}
		holds(t, inbox, map[string][]byte{"a.txt": content(0, 100), "a (2).txt": content(1, 100)})
	})
}

// In a section that is under way another file is refused, and the one under way arrives; when it is there the
// section may be used for another (RFC 5547 sections 8.6 and 8.7).
func TestAnotherFileInTheSection(t *testing.T) {
	octets := content(1, 2<<20)
	inbox := root(t)
	story(t, takes(inbox, nil, 1), func(p *place) {
		begun := make(chan bool, 1)
		first := p.push(written(t, "a.bin", octets), &file.SendOptions{Progress: func(int64, int64) {
			select {
			case begun <- true:
			default:
			}
		}})
		second := p.push(written(t, "b.bin", octets[:1000]), nil)
		both := &both{Sender: first}
		call := p.calls(both)
		<-begun
		both.other = second
		if err := call.Renegotiate(p.ctx); err == nil {
			t.Error("another file was taken in the section of one that is under way")
		}
		if err := first.Wait(p.ctx); err != nil {
			t.Error(err)
		}
		if r := <-p.got; r.err != nil {
			t.Error(r.err)
		}
		if err := call.Renegotiate(p.ctx); err != nil {
			t.Errorf("another file in the section of one that is there: %v", err)
		}
		if err := second.Wait(p.ctx); err != nil {
			t.Error(err)
		}
		p.hangup(call)
		second.Close()
		holds(t, inbox, map[string][]byte{"a.bin": octets, "b.bin": octets[:1000]})
	})
}

// both is a section of one file that becomes one of another.
type both struct {
	*file.Sender
	other *file.Sender
}

func (b *both) Offer(ctx context.Context) (*sdp.Media, error) {
	if b.other != nil {
		return b.other.Offer(ctx)
	}
	return b.Sender.Offer(ctx)
}

func (b *both) Update(ctx context.Context, local, remote *sdp.Media) error {
	if id, _ := local.Attribute("file-transfer-id"); b.other != nil && id == b.other.Description().ID {
		return b.other.Update(ctx, local, remote)
	}
	return b.Sender.Update(ctx, local, remote)
}
