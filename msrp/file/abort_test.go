package file_test

import (
	"bytes"
	"context"
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

// The sender gives up: the message ends with "#", and the receiver keeps what is there (RFC 5547 section
// 8.4).
func TestSenderAborts(t *testing.T) {
	octets := content(1, 4<<20)
	inbox := root(t)
	story(t, takes(inbox, nil, 1), func(p *place) {
		ctx, cancel := context.WithCancelCause(p.ctx)
		enough := errors.New("enough")
		push := p.push(written(t, "a.bin", octets), &file.SendOptions{Progress: func(sent, size int64) {
			if sent >= size/2 {
				cancel(enough)
			}
		}})
		call := p.calls(push)
		if err := push.Wait(ctx); !errors.Is(err, enough) {
			t.Errorf("Wait: %v, want %v", err, enough)
		}
		if r := <-p.got; !errors.Is(r.err, msrp.ErrAborted) {
			t.Errorf("Wait of the receiver: %v, want ErrAborted", r.err)
		}
		if err := push.Wait(p.ctx); !errors.Is(err, enough) {
			t.Errorf("Wait again: %v, want %v", err, enough)
		}
		// The section is ended by an offer that says what it was.
		if err := call.Renegotiate(p.ctx); err != nil {
			t.Error(err)
		}
		if id := "a=file-transfer-id:" + push.Description().ID; !p.said(p.alice, "m=message 0 TCP/MSRP *", id) {
			t.Errorf("no offer says with port 0 %s", id)
		}
		p.hangup(call)
		if got := parts(t, inbox); len(got) != 1 || got[0] < 1<<20 {
			t.Errorf("parts of %d octets, want one of more than 1 MiB", got)
		}
	})
}

// The receiver has enough, and the sender hears 413 (RFC 5547 section 8.4, figure 5).
func TestReceiverAborts(t *testing.T) {
	octets := content(1, 4<<20)
	inbox := root(t)
	enough := errors.New("enough")
	story(t, func(p *place, ctx context.Context, inv *ua.Invitation) {
		mine, cancel := context.WithCancelCause(p.ctx)
		in := file.Receive(p.bob.ep, inbox, &file.ReceiveOptions{Progress: func(received, size int64) {
			if received >= size/2 {
				cancel(enough)
			}
		}})
		call, err := inv.Answer(ctx, in)
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := in.Wait(mine); !errors.Is(err, enough) {
			t.Errorf("Wait: %v, want %v", err, enough)
		}
		<-call.Done()
		_, err = in.Wait(p.ctx)
		p.got <- receipt{err: err}
	}, func(p *place) {
		push := p.push(written(t, "a.bin", octets), &file.SendOptions{Session: msrp.SessionConfig{MaxChunk: 8192}})
		call := p.calls(push)
		if err := push.Wait(p.ctx); !errors.Is(err, frame.StatusStop) {
			t.Errorf("Wait of the sender: %v, want 413", err)
		}
		p.hangup(call)
		if r := <-p.got; !errors.Is(r.err, enough) {
			t.Errorf("Wait again: %v, want %v", r.err, enough)
		}
		if got := parts(t, inbox); len(got) != 1 || got[0] < 1<<20 {
			t.Errorf("parts of %d octets, want one of more than 1 MiB", got)
		}
	})
}

// A disk that takes no more ends the message, and what is there stays.
func TestDiskError(t *testing.T) {
	octets := content(1, 1<<20)
	inbox := root(t)
	full := errors.New("disk full")
	story(t, func(p *place, ctx context.Context, inv *ua.Invitation) {
		in := file.Receive(p.bob.ep, inbox, nil)
		file.FailWrites(in, 300_000, full)
		if _, err := inv.Answer(ctx, in); err != nil {
			t.Error(err)
			return
		}
		_, err := in.Wait(p.ctx)
		p.got <- receipt{err: err}
	}, func(p *place) {
		push := p.push(written(t, "a.bin", octets), &file.SendOptions{Session: msrp.SessionConfig{MaxChunk: 8192}})
		call := p.calls(push)
		if err := push.Wait(p.ctx); !errors.Is(err, frame.StatusStop) {
			t.Errorf("Wait of the sender: %v, want 413", err)
		}
		if r := <-p.got; !errors.Is(r.err, full) {
			t.Errorf("Wait: %v, want %v", r.err, full)
		}
		p.hangup(call)
		if got := parts(t, inbox); len(got) != 1 || got[0] != 300_000 {
			t.Errorf("parts of %d octets, want one of 300000", got)
		}
	})
}

// A call that ends before the file is there ends the transfer.
func TestHangupBeforeTheEnd(t *testing.T) {
	inbox := root(t)
	story(t, takes(inbox, nil, 1), func(p *place) {
		half := make(chan bool)
		push := p.push(written(t, "a.bin", content(1, 4<<20)), &file.SendOptions{Progress: func(sent, size int64) {
			if sent == size/2 {
				close(half)
			}
		}})
		call := p.calls(push)
		<-half
		p.hangup(call)
		if err := push.Wait(p.ctx); !errors.Is(err, file.ErrEnded) {
			t.Errorf("Wait: %v, want ErrEnded", err)
		}
		if r := <-p.got; r.err == nil {
			t.Error("the file is there")
		}
	})
}

// A holder is a Receiver whose user does not want to receive for a while.
type holder struct {
	*file.Receiver
	held bool
}

func (h *holder) Offer(ctx context.Context) (*sdp.Media, error) {
	m, err := h.Receiver.Offer(ctx)
	if err == nil && h.held {
		m.Direction = sdp.Inactive
	}
	return m, err
}

// A transfer that is put on hold stands still, and goes on under the same identifier (RFC 4975 section 8.9,
// RFC 5547 section 8.1).
func TestHoldDuringTransfer(t *testing.T) {
	octets := content(1, 4<<20)
	inbox := root(t)
	story(t, func(p *place, ctx context.Context, inv *ua.Invitation) {
		some, received := make(chan bool, 1), make(chan int64, 1000)
		in := &holder{Receiver: file.Receive(p.bob.ep, inbox, &file.ReceiveOptions{Progress: func(n, _ int64) {
			select {
			case some <- true:
			default:
			}
			received <- n
		}})}
		call, err := inv.Answer(ctx, in)
		if err != nil {
			t.Error(err)
			return
		}
		<-some
		in.held = true
		if err := call.Renegotiate(p.ctx); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second) // of the bubble: what is on its way
		for len(received) > 0 {
			<-received
		}
		time.Sleep(2 * time.Minute)
		if n := len(received); n > 0 {
			t.Errorf("%d pieces came while the transfer was held", n)
		}
		in.held = false
		if err := call.Renegotiate(p.ctx); err != nil {
			t.Error(err)
		}
		path, err := in.Wait(p.ctx)
		p.got <- receipt{path, in.Description(), err}
	}, func(p *place) {
		push := p.push(written(t, "a.bin", octets), nil)
		call := p.calls(push)
		if err := push.Wait(p.ctx); err != nil {
			t.Error(err)
		}
		if r := <-p.got; r.err != nil {
			t.Error(r.err)
		}
		p.hangup(call)
		holds(t, inbox, map[string][]byte{"a.bin": octets})
	})
}

// A picky receiver is a session that takes messages of some types.
type picky struct{ *msrp.Session }

// Who takes an envelope alone gets the file in one, and who has never heard of RFC 5547 gets it, too
// (sections 4 and 8.7).
func TestReceiversOfOtherTypes(t *testing.T) {
	octets := content(1, 300_000)
	for _, test := range []struct {
		types []string
		want  string // Content-Type of the message
	}{
		{[]string{"message/cpim"}, "message/cpim"},
		{[]string{"message/cpim", "text/plain"}, "message/cpim"},
		{[]string{"message/cpim", "image/*"}, "image/png"},
		{[]string{"image/png"}, "image/png"},
	} {
		t.Run(test.want, func(t *testing.T) {
			story(t, func(p *place, ctx context.Context, inv *ua.Invitation) {
				s := msrp.NewSession(p.bob.ep, &msrp.SessionConfig{AcceptTypes: test.types, AcceptWrappedTypes: []string{"*"}})
				if _, err := inv.Answer(ctx, picky{s}); err != nil {
					t.Error(err)
					return
				}
				for m, err := range s.Messages(p.ctx) {
					if err != nil {
						t.Error(err)
						return
					}
					if m.ContentType != test.want {
						t.Errorf("a message of %s, want %s", m.ContentType, test.want)
					}
					got, err := io.ReadAll(m)
					if err == nil && !bytes.HasSuffix(got, octets) {
						err = errors.New("another file")
					}
					p.got <- receipt{err: err}
					return
				}
			}, func(p *place) {
				push := p.push(written(t, "a.png", octets), nil)
				call := p.calls(push)
				if err := push.Wait(p.ctx); err != nil {
					t.Error(err)
				}
				if r := <-p.got; r.err != nil {
					t.Error(r.err)
				}
				p.hangup(call)
			})
		})
	}
}

// A Receiver takes a file out of its envelope, and what is said of it there (RFC 5547 section 9.1).
func TestFileInAnEnvelope(t *testing.T) {
	inbox := root(t)
	story(t, takes(inbox, nil, 1), func(p *place) {
		l := p.liar(file.Selector{Type: "image/jpeg"})
		l.contentType = "message/cpim"
		call := p.calls(l)
		text := "To: Bob <sip:bob@example.com>\r\nFrom: Alice <sip:alice@example.com>\r\nDateTime: 2006-05-15T15:02:31-03:00\r\n\r\n" +
			"Content-Disposition: attachment; filename=\"My cool picture.jpg\"; creation-date=\"Mon, 15 May 2006 15:01:31 +0300\"; size=4\r\n" +
			"Content-Type: image/jpeg\r\n\r\njpeg"
		if err := l.sends(p.ctx, bytes.NewReader([]byte(text)), 0); err != nil {
			t.Error(err)
		}
		r := <-p.got
		if r.err != nil || r.file.Disposition != "attachment" || r.file.Created.Year() != 2006 || r.file.Selector.Size != 4 {
			t.Errorf("got %+v, %v", r.file, r.err)
		}
		p.hangup(call)
		holds(t, inbox, map[string][]byte{"My cool picture.jpg": []byte("jpeg")})
	})
}
