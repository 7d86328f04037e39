package resolve

import (
	"container/list"
	"strings"
)

// How many questions are asked at once, which is how many sockets are open: in
// all, and of them for names that end in the same two labels. Whoever has a
// domain whose servers say nothing can have names below it asked for without
// end; he has a share of the places, and others go on. Names with the same three
// labels have a share of that share: the whole of evil.example is one
// stranger's, while co.uk is shared by many, of whom evil.co.uk is one.
const (
	maxQuestions = 200
	maxOfTwo     = 60
)

// maxFlights is how many questions there are in all, with those that wait for
// their turn. Of the room that is left, those that wait for names with the same
// two labels may fill a part, and those with the same three a smaller one. The
// parts shrink with the room, so that however many domains are silent there is
// some for the next.
const (
	maxFlights  = 4096
	partOfTwo   = 4
	partOfThree = 16
)

// A share is what the names with some last labels have of the places: the root
// has all, those below it belong to two labels, those below these to three. It
// is there for as long as it has questions. cache.mu guards it.
type share struct {
	parent  *share // nil for the root
	labels  string
	below   map[string]*share
	limit   int // how many are asked at once
	asked   int // how many are
	waiting int // how many wait for their turn
	part    int // of the room for those that wait

	queue list.List     // of *flight that wait, or of *share below in which some do
	el    *list.Element // in the parent's queue; nil when none waits
}

func newTurns() *share { return &share{limit: maxQuestions} }

// lastLabels returns the last labels of a name, n at most.
func lastLabels(name string, n int) string {
	name = strings.TrimSuffix(name, ".")
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '.' {
			if n--; n == 0 {
				return name[i+1:]
			}
		}
	}
	return name
}

// refuses reports whether a question for a name would wait with too many of its
// kind, if there is room for so many in all.
func (s *share) refuses(name string, room int) bool {
	for n := 2; n <= 3; n++ {
		if s = s.below[lastLabels(name, n)]; s == nil {
			return false
		}
		if s.waiting > room/s.part {
			return true
		}
	}
	return false
}

// child returns the share of some labels, which it makes if there is none.
func (s *share) child(labels string, part int) *share {
	below := s.below[labels]
	if below == nil {
		below = &share{parent: s, labels: labels, limit: maxOfTwo, part: part}
		if s.below == nil {
			s.below = make(map[string]*share)
		}
		s.below[labels] = below
	}
	return below
}

// enter has a question wait for its turn, which may be at once.
func (s *share) enter(f *flight) {
	name := f.key.name
	f.share = s.child(lastLabels(name, 2), partOfTwo).child(lastLabels(name, 3), partOfThree)
	f.el = f.share.queue.PushBack(f)
	for at := f.share; at != s; at = at.parent {
		at.waiting++
		if at.el == nil {
			at.el = at.parent.queue.PushBack(at)
		}
	}
	s.serve()
}

// leave is for a question that is over, or does not wait any longer. Its place
// goes to the next.
func (s *share) leave(f *flight) {
	if f.el != nil {
		f.stopWaiting()
	} else {
		for at := f.share; at != nil; at = at.parent {
			at.asked--
		}
	}
	for at := f.share; at != s && at.asked == 0 && at.waiting == 0; at = at.parent {
		delete(at.parent.below, at.labels)
	}
	s.serve()
}

// serve lets those begin whose turn it is.
func (s *share) serve() {
	for f := s.next(); f != nil; f = s.next() {
		f.stopWaiting()
		for at := f.share; at != nil; at = at.parent {
			at.asked++
		}
		close(f.turn)
	}
}

// isFull reports whether a share has to wait. It may always have one place, and
// then half as many as are left for the others, so that these find one however
// many shares are full of silence, up to nearly as many as there are places.
func (s *share) isFull() bool {
	if s.parent != nil && s.asked > 0 && s.asked >= (s.parent.limit-s.parent.asked)/2 {
		return true
	}
	return s.asked >= s.limit
}

// next returns the question whose turn it is, or nil. Shares take turns. Those
// that have to be passed over hold a place each, so they are no more than that.
func (s *share) next() *flight {
	if s.isFull() {
		return nil
	}
	for el := s.queue.Front(); el != nil; el = el.Next() {
		below, ok := el.Value.(*share)
		if !ok {
			return el.Value.(*flight)
		}
		if f := below.next(); f != nil {
			s.queue.MoveToBack(el)
			return f
		}
	}
	return nil
}

// stopWaiting takes a question out of the queue.
func (f *flight) stopWaiting() {
	f.share.queue.Remove(f.el)
	f.el = nil
	for at := f.share; at.parent != nil; at = at.parent {
		if at.waiting--; at.waiting == 0 {
			at.parent.queue.Remove(at.el)
			at.el = nil
		}
	}
}
