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
	answer := make(request, 1)
	if err := c.link.Request(h, nil, answer); err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A request gets what became of it.
type request chan error

func (r request) Answered(_ frame.Range, h *frame.Head, err error) {
	switch {
	case errors.Is(err, link.ErrNoAnswer):
		r <- frame.StatusTimeout
	case err != nil:
		r <- fmt.Errorf("%w: %w", ErrLost, err)
	case h.Status/100 != 2:
		r <- h.Status
	default:
		r <- nil
	}
}

// SetNickname asks a chat room for a nickname (RFC 7701 section 7.1); "" gives back the one that there is. A
// refusal is frame.StatusNicknameInUse, frame.StatusBadNickname, frame.StatusForbidden if the room does not want
// it, or frame.StatusUnknownMethod where there is no room.
func (s *Session) SetNickname(ctx context.Context, name string) error {
	quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	return s.Do(ctx, frame.NICKNAME, frame.Field{Name: "Use-Nickname", Value: quoted})
}
