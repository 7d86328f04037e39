package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/simple/cpim"
)

// slack is how much longer a message may be than the file in it: for an envelope, and for what
// waits in the session, as a file that is too large is to be noticed here.
const slack = 1 << 20

var errTooLarge = errors.New("larger than the limit")

// receive takes the message of a transfer, which is the first.
func (r *Receiver) receive(t *transfer) error {
	for m, err := range t.session.Messages(t.ctx) {
		if err != nil {
			return err
		}
		if t.rest && r.isThere() {
			_, err := io.Copy(io.Discard, m)
			return err
		}
		if err = r.store(t, m); err == nil {
			return r.finish(t)
		}
		m.Reject(frame.StatusStop) // has no effect on one that is over
		// What is not the file, or too much, is no part of it.
		if isOther(err) {
			r.discard()
		}
		return err
	}
	return ErrEnded
}

// isOther reports whether an error is that what has come is not the file, or too much.
func isOther(err error) bool {
	return errors.Is(err, ErrOtherFile) || errors.Is(err, errTooLarge)
}

// store writes the octets of a message.
func (r *Receiver) store(t *transfer, m *msrp.Incoming) error {
	stop := context.AfterFunc(t.ctx, func() { m.Reject(frame.StatusStop) })
	defer stop()
	r.mu.Lock()
	r.path = ""
	r.mu.Unlock()
	octets, err := r.unwrap(t, m)
	if err != nil {
		return err
	}
	size := t.file.Selector.Size
	r.progress(t.to.size, size)
	for buf := make([]byte, 64<<10); ; {
		r.hold(t)
		n, err := octets.Read(buf)
		switch all := t.to.size + int64(n); {
		case size > 0 && all > size:
			return fmt.Errorf("%w: more than %d octets", ErrOtherFile, size)
		case all > r.opts.MaxSize:
			return fmt.Errorf("%w of %d octets: %w", errTooLarge, r.opts.MaxSize, frame.StatusStop)
		}
		if n > 0 {
			if _, err := t.to.Write(buf[:n]); err != nil {
				return err
			}
			r.progress(t.to.size, size)
		}
		switch {
		case errors.Is(err, io.EOF):
			return t.to.check(t.file.Selector)
		case err != nil:
			return err
		}
	}
}

func (r *Receiver) progress(received, size int64) {
	if r.opts.Progress != nil {
		r.opts.Progress(received, size)
	}
}

// unwrap takes a file out of its envelope, if it is in one, and what is said of it there (RFC 5547 section 8.3.2).
func (r *Receiver) unwrap(t *transfer, m *msrp.Incoming) (io.Reader, error) {
	octets, contentType, disposition := io.Reader(m), m.ContentType, ""
	for _, f := range m.Fields {
		if strings.EqualFold(f.Name, "Content-Disposition") {
			disposition = f.Value
		}
	}
	if base, _, _ := strings.Cut(contentType, ";"); strings.EqualFold(strings.TrimSpace(base), cpim.ContentType) {
		envelope, content, err := cpim.ReadHeader(m)
		if err != nil {
			return nil, err
		}
		octets, contentType, disposition = content, envelope.ContentType, envelope.ContentHeader("Content-Disposition")
	}
	d := t.file
	d.addContentDisposition(disposition)
	if d.Selector.Type == "" {
		d.Selector.Type = contentType
	}
	r.mu.Lock()
	t.file = d
	r.mu.Unlock()
	return octets, nil
}

// finish gives the file its name.
func (r *Receiver) finish(t *transfer) error {
	r.mu.Lock()
	p := r.part
	r.part = nil
	d := t.file
	r.mu.Unlock()
	path, err := p.finish(d.Selector.Name, t.to.size)
	if err != nil {
		return err
	}
	d.Selector.Size, d.Selector.Hashes = t.to.size, t.to.hashes()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.path, t.file = path, d
	return nil
}

// discard removes what is there of the file.
func (r *Receiver) discard() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.part.discard()
	r.part = nil
}
