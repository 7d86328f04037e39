package ua

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/goparley/parley/sip"
)

// maxReferences is how many references of one description are followed.
const maxReferences = 32

// references yields the cid URLs that are values of attributes of a description.
func references(description string) iter.Seq[string] {
	return func(yield func(string) bool) {
		n := 0
		for line := range strings.Lines(description) {
			_, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
			if !strings.HasPrefix(line, "a=") || len(value) <= 4 || !strings.EqualFold(value[:4], "cid:") {
				continue
			}
			if n++; n > maxReferences || !yield(value) {
				return
			}
		}
	}
}

// refersTo reports whether a description refers to a part.
func refersTo(description string, p *sip.Part) bool {
	if p == nil {
		return false // which is an error of sip.Multipart
	}
	for reference := range references(description) {
		if _, err := sip.FindID(p, reference); err == nil {
			return true
		}
	}
	return false
}

// use is what a part is, and for what.
type use struct {
	sip.ContentType
	sip.ContentDisposition
}

// described returns what the parts are that the description in a request refers to. The reference
// says what they are for (RFC 5621 section 9.3): they are the stream's to understand.
func described(req *sip.Request) (uses []use) {
	text, _ := description(req)
	for reference := range references(text) {
		part, err := sip.FindID(req, reference)
		if err != nil {
			continue
		}
		t, err := sip.MediaType(part)
		d, bad := sip.Disposition(part)
		if err == nil && bad == nil {
			uses = append(uses, use{t, d})
		}
	}
	return uses
}

// wrap returns the body of a request, of the type "" if it has none, with further parts beside
// it in a multipart/mixed. If it is an offer, the parts that it refers to, and those of streams are
// among them, go with it in a multipart/related, of which it is the root (RFC 5547 section 8.8).
func (m *media) wrap(body sip.Body, others []*sip.Part) (sip.Body, error) {
	if body.Type == sdpType {
		parts, err := m.attach(body.Content)
		if err != nil {
			return body, err
		}
		isNamed := func(p *sip.Part) bool { return refersTo(body.Content, p) }
		for _, p := range others {
			if isNamed(p) {
				parts = append(parts, p)
			}
		}
		others = slices.DeleteFunc(slices.Clone(others), isNamed)
		if len(parts) > 0 {
			parts = slices.Insert(parts, 0, sip.NewPart(body))
			if body, err = sip.Multipart(`multipart/related;type="`+sdpType+`"`, parts...); err != nil {
				return body, err
			}
		}
	}
	if len(others) == 0 {
		return body, nil
	}
	if body.Type != "" {
		others = append([]*sip.Part{sip.NewPart(body)}, others...)
	}
	return sip.Multipart("multipart/mixed", others...)
}

// attach returns the parts of streams that an offer refers to.
func (m *media) attach(offer string) (parts []*sip.Part, err error) {
	done, err := m.lock(m.ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	streams := m.offered
	if streams == nil {
		streams = m.streams
	}
	for _, h := range streams {
		if h == nil || m.plain {
			continue
		}
		if a, ok := h.Stream.(attacher); ok {
			for _, p := range a.Parts() {
				if err := p.Err(); err != nil {
					return nil, err
				}
				if refersTo(offer, p) {
					parts = append(parts, p)
				}
			}
		}
	}
	m.attached = len(parts) > 0
	return parts, nil
}

// detach has offers go without parts of streams, and reports whether the last one had some: a peer
// that answers 415 is to get it once more without (RFC 5547 section 8.8).
func (m *media) detach() bool {
	done, err := m.lock(m.ctx)
	if err != nil {
		return false
	}
	defer done()
	had := m.attached
	m.attached, m.plain = false, m.plain || had
	return had
}

// FindID returns what the section that a stream is asked to answer refers to by a cid URL: a part of
// the message that the offer is in, an icon say (RFC 5547 section 8.8). ctx is that of
// Stream.Answer or Config.OnStream. The error is that of sip.FindID, sip.ErrMissing if there
// is nothing of that name or ctx is another one.
func FindID(ctx context.Context, reference string) (sip.Entity, error) {
	if m, ok := ctx.Value(messageKey{}).(sip.Message); ok {
		return sip.FindID(m, reference)
	}
	return nil, sip.ErrMissing
}

// messageKey is the key of the message, in a context, that an offer came in.
type messageKey struct{}

// withMessage returns ctx with the message that an offer came in.
func withMessage(ctx context.Context, m sip.Message) context.Context {
	return context.WithValue(ctx, messageKey{}, m)
}
