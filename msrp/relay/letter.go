package relay

import (
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/link"
)

// A letter is a whole frame: a response, or a request whose response the owner waits for.
type letter struct {
	head  *frame.Head
	body  []byte
	owner link.Owner
}

func (l *letter) weigh() int { return 512 + len(l.head.To) + len(l.head.From) + len(l.body) }

// post takes a whole frame. It does not wait: a REPORT that finds no room is lost, as REPORTs may be,
// and a request has no answer.
func (o *outbox) post(l letter) {
	o.mu.Lock()
	if !o.isOver && o.weight < maxLetters {
		o.c.touch()
		o.letters = append(o.letters, l)
		o.weight += l.weigh()
		o.wake()
		o.mu.Unlock()
		return
	}
	o.mu.Unlock()
	if l.owner != nil {
		l.owner.Answered(frame.Range{}, nil, link.ErrNoAnswer)
	}
}

// deliver is the goroutine that passes whole frames to the link. It ends when none wait.
func (o *outbox) deliver() {
	for {
		o.mu.Lock()
		if len(o.letters) == 0 {
			o.posting = false
			o.mu.Unlock()
			return
		}
		l := o.letters[0]
		o.letters[0] = letter{}
		o.letters = o.letters[1:]
		o.mu.Unlock()
		var err error
		if l.head.Method == "" {
			err = o.link.Respond(l.head)
		} else {
			err = o.link.Request(l.head, l.body, l.owner)
		}
		if err != nil && l.owner != nil {
			l.owner.Answered(frame.Range{}, nil, err)
		}
		o.mu.Lock()
		o.weight -= l.weigh()
		o.mu.Unlock()
	}
}
