package msrp

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/link"
)

// Do sends a request of another method than SEND and REPORT, without a body, and returns when it is
// answered by the peer. A refusal is a frame.Status; other errors are those of Send.
func (s *Session) Do(ctx context.Context, method frame.Method, fields ...frame.Field) error {
	l, c, err := s.ready(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	h := l.head(method)
	s.mu.Unlock()
	h.Fields = fields
	resp, err := c.ask(ctx, h)
	if err != nil {
		return err
	}
	if resp.Status/100 != 2 {
		return resp.Status
	}
	return nil
}

// SetNickname asks a chat room for a nickname (RFC 7701 section 7.1); "" gives back the one that there is. A
// refusal is frame.StatusNicknameInUse, frame.StatusBadNickname, frame.StatusForbidden if the room does not want
// it, or frame.StatusUnknownMethod where there is no room.
func (s *Session) SetNickname(ctx context.Context, name string) error {
	quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	return s.Do(ctx, frame.NICKNAME, frame.Field{Name: "Use-Nickname", Value: quoted})
}

// ask sends a request and waits for its response.
func (c *connection) ask(ctx context.Context, h *frame.Head) (*frame.Head, error) {
	done := make(asked, 1)
	if err := c.link.Request(h, nil, done); err != nil {
		if c.link.Err() != nil {
			err = lostWith(err)
		}
		return nil, err
	}
	select {
	case a := <-done:
		switch {
		case errors.Is(a.err, link.ErrNoAnswer):
			return nil, frame.StatusTimeout
		case a.err != nil:
			return nil, lostWith(a.err)
		}
		return a.h, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func lostWith(err error) error { return fmt.Errorf("%w: %w", ErrLost, err) }

// asked hears what becomes of a request.
type asked chan answer

type answer struct {
	h   *frame.Head
	err error
}

func (a asked) Answered(_ frame.Range, h *frame.Head, err error) {
	if h != nil {
		h = h.Clone()
	}
	a <- answer{h, err}
}
