package file

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/simple/cpim"
)

// send sends the octets of a transfer in one message (RFC 5547 section 8.7).
func (s *Sender) send(t *transfer) error {
	go t.refuse()
	size := t.source.file.Selector.Size
	at, stop := max(t.said.Range.Start, 1)-1, size
	if t.said.Range.Stop > 0 {
		stop = t.said.Range.Stop
	}
	w, err := s.create(t, stop-at)
	if err != nil {
		return err
	}
	s.progress(at, size)
	octets := io.NewSectionReader(t.source.f, at, stop-at)
	for buf := make([]byte, 64<<10); ; {
		err := s.resumed(t)
		n := 0
		if err == nil {
			n, err = octets.Read(buf)
		}
		if n > 0 {
			if _, err = w.Write(buf[:n]); err == nil {
				at += int64(n)
				s.progress(at, size)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			s.mu.Lock()
			t.gone = true
			s.mu.Unlock()
			return w.Close()
		case err != nil:
			w.Abort()
			return err
		}
	}
}

func (s *Sender) progress(sent, size int64) {
	if s.opts.Progress != nil {
		s.opts.Progress(sent, size)
	}
}

// create begins the message, in an envelope where the peer takes the file in one alone.
func (s *Sender) create(t *transfer, octets int64) (*msrp.Writer, error) {
	disposition, err := t.file.contentDisposition()
	if err != nil {
		return nil, err
	}
	m := &msrp.Message{ContentType: t.file.Selector.Type, Size: octets, SuccessReport: t.relays,
		Fields: []frame.Field{{Name: "Content-Disposition", Value: disposition}}}
	w, err := s.createMessage(t, m)
	if !errors.Is(err, frame.StatusUnsupportedType) {
		return w, err
	}
	// The two are those of the call, which are not known here.
	somebody := cpim.Address{URI: "sip:anonymous@anonymous.invalid"}
	envelope := &cpim.Message{From: somebody, To: []cpim.Address{somebody}, DateTime: time.Now(), ContentType: m.ContentType,
		ContentHeaders: []cpim.Field{{Name: "Content-Disposition", Value: disposition}}}
	header, err := envelope.Append(nil)
	if err != nil {
		return nil, err
	}
	m.ContentType, m.Size, m.Fields = cpim.ContentType, octets+int64(len(header)), nil
	if w, err = s.createMessage(t, m); err == nil {
		_, err = w.Write(header)
	}
	return w, err
}

// createMessage begins a message as soon as the peer wants to receive.
func (s *Sender) createMessage(t *transfer, m *msrp.Message) (*msrp.Writer, error) {
	for {
		if err := s.resumed(t); err != nil {
			return nil, err
		}
		w, err := t.session.Create(t.ctx, m)
		if !errors.Is(err, msrp.ErrHeld) {
			return w, err
		}
	}
}

// resumed waits while the peer does not want to receive, which is no longer than nine minutes within
// a message.
func (s *Sender) resumed(t *transfer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.held && t.ctx.Err() == nil {
		s.changed.Wait()
	}
	return context.Cause(t.ctx)
}
