package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
)

// SendOptions are the options of Push and Serve. nil will do.
type SendOptions struct {
	// Progress is told how many octets of the file have gone out, of how many, when a transfer begins,
	// with those that are not sent again, and then at least every 64 KiB; by the goroutine that sends
	// them, and is not to wait for the call. nil: nobody is told.
	Progress func(sent, size int64)

	// Disposition is "attachment" for a file that is not to be shown before the user wants
	// that; "" is "render" (RFC 5547 section 7).
	Disposition string

	// Icon is a preview of what Push sends, sip.Body{Type: "image/jpeg", Content: jpeg} say. It goes
	// into the request beside the offer, so it is to be small: a few KiB. A peer that takes no such
	// requests gets the offer without it (RFC 5547 section 8.8), and so does one that gets the offer in a
	// response. Zero: none.
	Icon sip.Body

	// Range is which octets Push sends to a peer that has the others, as the program knows; zero: all.
	// A peer that we do not know that of asks for it (Receiver.Resume).
	Range Range

	// Session has what the session is to be, apart from what it takes: TLS, CEMA, MaxChunk.
	Session msrp.SessionConfig
}

// A Sender is the side of a call that sends a file (RFC 5547 section 8.2.1 and 8.3.2): a ua.Stream.
// Its methods other than Wait and Description are for the call.
type Sender struct {
	stream
	opts   SendOptions
	iconID sip.ContentID // "": there is no icon
	find   func(context.Context, Description) (*os.File, error)
	source *source   // nil: nobody has asked for a file yet
	opened []*source // to be closed
}

// A source is a file that is sent.
type source struct {
	f    *os.File
	file Description // zero: not hashed yet
}

// Push returns a stream that offers to send a file. The file is opened, and hashed when it is
// offered. A peer may ask for it as well, when it has a part of it.
//
// The error is a [*fs.PathError].
func Push(e *msrp.Endpoint, path string, opts *SendOptions) (*Sender, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, notRegular(path) // to open a FIFO would wait for somebody who writes
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := newSender(e, opts)
	if err := s.use(f); err != nil {
		return nil, err
	}
	return s, nil
}

// Serve returns a stream that sends a file to a peer who asks for it. find chooses it by what the
// peer has said, see [InDir], and says whether this peer may have it: an error refuses. The file is closed
// with the stream.
func Serve(e *msrp.Endpoint, find func(ctx context.Context, wanted Description) (*os.File, error), opts *SendOptions) *Sender {
	s := newSender(e, opts)
	s.find = find
	return s
}

func newSender(e *msrp.Endpoint, opts *SendOptions) *Sender {
	s := &Sender{}
	if opts != nil {
		s.opts = *opts
	}
	if s.opts.Icon != (sip.Body{}) {
		s.iconID = sip.ContentID(newID() + "@icon.invalid")
	}
	s.init(e, s.opts.Session, s.send)
	return s
}

func notRegular(path string) error {
	return &os.PathError{Op: "send", Path: path, Err: errors.New("not a regular file")}
}

// use makes f the file that is sent.
func (s *Sender) use(f *os.File) error {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = notRegular(f.Name())
	}
	if err != nil {
		f.Close()
		return err
	}
	s.source = &source{f: f}
	s.opened = append(s.opened, s.source)
	return nil
}

// describe hashes the file, once.
func (s *Sender) describe(ctx context.Context) (Description, error) {
	from := s.source
	if from.file.Selector.Name != "" {
		return from.file, nil
	}
	info, err := from.f.Stat()
	if err != nil {
		return Description{}, err
	}
	selector, err := Describe(from.f.Name(), &reader{ctx, io.NewSectionReader(from.f, 0, info.Size())})
	if err != nil {
		return Description{}, err
	}
	from.file = Description{Direction: sdp.SendOnly, Selector: selector, Modified: info.ModTime(), Disposition: s.opts.Disposition}
	if s.iconID != "" {
		from.file.Icon = s.iconID.URI().String()
	}
	return from.file, nil
}

// A reader reads as long as ctx lasts.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}

// Offer offers the file.
func (s *Sender) Offer(ctx context.Context) (*sdp.Media, error) {
	s.dropNext()
	if s.current == nil {
		if s.source == nil {
			return nil, errors.New("file: nobody has asked for a file yet")
		}
		file, err := s.describe(ctx)
		if err != nil {
			return nil, err
		}
		file.ID, file.Range = newID(), s.opts.Range
		if !file.Range.in(file.Selector.Size) {
			return nil, ErrRange
		}
		s.propose(file, file).source = s.source
	}
	return s.offer(ctx, s.current)
}

// Parts returns the icon, which the offer of a file refers to (RFC 5547 section 8.8). Who has no use
// for it passes it over.
func (s *Sender) Parts() []*sip.Part {
	if s.iconID == "" {
		return nil
	}
	return []*sip.Part{sip.NewPart(s.opts.Icon, s.iconID, sip.ContentDisposition{Type: "icon", Params: ";handling=optional"})}
}

// Answer takes a section that asks for the file, and refuses others.
func (s *Sender) Answer(ctx context.Context, remote *sdp.Media) (*sdp.Media, error) {
	kind, wanted, err := Read(remote, s.known())
	switch t := s.named(wanted.ID); {
	case err != nil && remote.Direction == sdp.RecvOnly, kind == KindSame && t == nil:
		return refuse(remote), nil
	case kind == KindSame:
		return s.answer(ctx, t, remote)
	case kind != KindPull:
		return nil, nil
	}
	said, err := s.choose(ctx, wanted)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return refuse(remote), nil
	}
	file := s.source.file
	file.ID, file.Range = wanted.ID, wanted.Range
	t := s.propose(said, file)
	t.source = s.source
	return s.answer(ctx, t, remote)
}

// choose finds the file that is asked for, and returns what to say of it.
func (s *Sender) choose(ctx context.Context, wanted Description) (Description, error) {
	if len(s.past) >= maxTransfers {
		return Description{}, ErrRefused
	}
	was := s.source
	if s.source == nil || s.find != nil && !wanted.Selector.Matches(s.source.file.Selector) {
		if s.find == nil {
			return Description{}, ErrOtherFile
		}
		f, err := s.find(ctx, wanted)
		if err == nil {
			err = s.use(f)
		}
		if err != nil {
			return Description{}, err
		}
	}
	file, err := s.describe(ctx)
	if err == nil {
		if file, err = wanted.acceptPull(file.Selector); err == nil {
			file.Disposition = s.opts.Disposition
			return file, nil
		}
	}
	if s.source != was {
		s.source.f.Close()
		s.source, s.opened = was, s.opened[:len(s.opened)-1]
	}
	return Description{}, err
}

// Wait waits until the file has arrived: each chunk is acknowledged and, where relays are on the way,
// the peer has reported that it has all of it. Then the call may be hung up (RFC 5547 section 8.7). When ctx
// ends the transfer is aborted.
//
// The error is ErrRefused; a frame.Status if the peer has stopped it, frame.StatusStop for one that is too large
// say; ErrEnded if the call is over; msrp.ErrLost, the error of ctx, or that of the file.
func (s *Sender) Wait(ctx context.Context) error {
	if err := s.wait(ctx); err != nil {
		return fmt.Errorf("send %s: %w", s.name(), err)
	}
	return nil
}

func (s *Sender) name() string {
	if name := s.Description().Selector.Name; name != "" {
		return name
	}
	return "file"
}

// Close ends the transfer. The call does that, or who has not got as far as a call.
func (s *Sender) Close() error {
	s.end(ErrEnded)
	for _, from := range s.opened {
		from.f.Close()
	}
	s.opened = nil
	return nil
}
