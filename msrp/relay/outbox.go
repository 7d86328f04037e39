package relay

import (
	"slices"
	"sync"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/link"
)

// Bounds of what waits for a connection.
const (
	maxWaiting = 1 << 20   // bytes of chunks; more has the reading of those wait who send them
	maxLetters = 256 << 10 // bytes of other frames; what does not fit is lost
	blockSize  = 64 << 10  // bytes of one sender that are passed to the link in one go
	maxLinked  = 256 << 10 // bytes that are passed to the link and not written, beside those of open chunks
	combined   = 8 << 10   // bytes in a chunk that is made of shorter ones: what other relays take
	minTaken   = 32 << 10  // bytes that a receiver takes in stallTime, or it is given up; they count by writes of the link
)

// An outbox is what waits for a connection: chunks, those of each connection they come on in a
// queue of their own, which take turns, and other frames, which do not wait for chunks. The
// goroutines that pass them to the link run while there is something.
type outbox struct {
	c *connection

	mu       sync.Mutex
	room     sync.Cond // for who waits until less is waiting
	link     *link.Conn
	isOver   bool
	under    []*passage // begun, and not all written
	flows    map[*connection]*flow
	turns    []*flow // that have something, in the order of their turns
	size     int     // bytes that wait
	writing  bool    // write runs
	waiters  int
	watch    *time.Timer // while there are some
	progress time.Time   // since when the connection has taken less than minTaken
	taken    int         // that is how much, with heads
	refuse   time.Time   // until when it gets nothing, after it was too slow

	letters []letter
	weight  int  // of them, in bytes
	posting bool // deliver runs

	linked  []linked  // passed to the link up to their ends
	bytes   int       // of them
	less    sync.Cond // for write, until they are less
	reaping bool      // reap runs
}

// A linked passage is for the link to write.
type linked struct {
	p      *passage
	stream *link.Stream
	bytes  int
}

// A flow is what one connection sends to another.
type flow struct {
	blocks []*block
	queued bool     // in outbox.turns
	open   *passage // whose Stream an item goes on with
	next   *passage // of that item
}

// A block is a part of a flow: parts of passages.
type block struct {
	items []item
	data  []byte
}

var blocks = sync.Pool{New: func() any { return new(block) }}

func (b *block) free() {
	clear(b.items)
	b.items, b.data = b.items[:0], b.data[:0]
	blocks.Put(b)
}

// An item is n bytes of a passage in the data of a block, and its end if there is a flag.
type item struct {
	p   *passage
	n   int
	end frame.Flag
}

func (o *outbox) init(c *connection) {
	o.c, o.flows = c, map[*connection]*flow{}
	o.room.L, o.less.L = &o.mu, &o.mu
}

// open says that there is a link now.
func (o *outbox) open(l *link.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.link = l
	o.wake()
}

func (o *outbox) opened() *link.Conn {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.link
}

func (o *outbox) isClosed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.isOver
}

// wake has the goroutines run that have something to do. As long as the outbox is not over, its
// connection is a task of the relay, and so Close waits for these as well. The lock is held.
func (o *outbox) wake() {
	if o.link == nil || o.isOver {
		return
	}
	if !o.writing && len(o.turns) > 0 {
		o.writing = true
		o.c.r.tasks.Go(o.write)
	}
	if !o.posting && len(o.letters) > 0 {
		o.posting = true
		o.c.r.tasks.Go(o.deliver)
	}
}

// close fails what waits. The link is lost, or there never was one.
func (o *outbox) close() {
	o.mu.Lock()
	if o.isOver {
		o.mu.Unlock()
		return
	}
	o.isOver = true
	under, letters := o.under, o.letters
	o.under, o.flows, o.turns, o.letters, o.linked, o.size = nil, nil, nil, nil, nil, 0
	if o.watch != nil {
		o.watch.Stop()
	}
	o.room.Broadcast()
	o.less.Signal()
	under = slices.DeleteFunc(under, func(p *passage) bool { return p.stream != nil && p.isWritten() }) // the link answers for it
	o.mu.Unlock()
	for _, p := range under {
		p.fail(p.rt.gone(), p.all())
	}
	for _, l := range letters {
		if l.owner != nil {
			l.owner.Answered(frame.Range{}, nil, link.ErrClosed)
		}
	}
}

// begin takes a passage. It waits until there is room.
func (o *outbox) begin(p *passage) frame.Status {
	o.mu.Lock()
	defer o.mu.Unlock()
	room := o.wait(p)
	switch {
	case o.isOver:
		return p.rt.gone()
	case !room, !o.refuse.IsZero() && time.Now().Before(o.refuse):
		return frame.StatusTimeout
	}
	o.c.used.Store(p.c.used.Load())
	o.under = append(o.under, p)
	p.place = len(o.under)
	return 0
}

// put takes a piece of a passage, or its end. For a piece it waits until there is room.
func (o *outbox) put(p *passage, piece []byte, end frame.Flag) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		if len(piece) > 0 && !o.wait(p) {
			o.mu.Unlock()
			p.fail(frame.StatusTimeout, p.all())
			o.mu.Lock()
		}
		if p.done || o.isOver {
			if end != 0 {
				o.settle(p)
			}
			return
		}
		if end != 0 {
			p.end = end
			o.size += p.cost
		}
		f := o.flows[p.c]
		if f == nil {
			f = &flow{}
			o.flows[p.c] = f
		}
		b := f.room()
		n := min(len(piece), blockSize-len(b.data))
		b.data, piece = append(b.data, piece[:n]...), piece[n:]
		o.size += n
		if k := len(b.items) - 1; k >= 0 && b.items[k].p == p {
			b.items[k].n += n
			b.items[k].end = end
		} else {
			b.items = append(b.items, item{p, n, end})
		}
		if end != 0 || len(b.data) == blockSize || !o.c.ws && !p.isShort() {
			o.queue(f)
		}
		if len(piece) == 0 {
			break
		}
	}
	o.wake()
}

// room returns the block at the end of the flow, which has room. The lock is held.
func (f *flow) room() *block {
	if n := len(f.blocks); n > 0 && len(f.blocks[n-1].data) < blockSize {
		return f.blocks[n-1]
	}
	b := blocks.Get().(*block)
	f.blocks = append(f.blocks, b)
	return b
}

// queue has a flow take its turn. A chunk that ends soon goes with its end, and one for a WebSocket,
// where none stays open, as soon as there is enough. The lock is held.
func (o *outbox) queue(f *flow) {
	if !f.queued && len(f.blocks) > 0 {
		f.queued = true
		o.turns = append(o.turns, f)
	}
}

// wait waits until there is room, or p is to be passed over. It returns false where nobody waits: for
// a user who has had others wait in vain, if the hop before has something for others, too. The lock is
// held.
func (o *outbox) wait(p *passage) bool {
	for o.size >= maxWaiting && !p.done && !o.isOver {
		if p.rt.shared && p.rt.payer().isDistrusted() {
			return false
		}
		if o.watch == nil {
			o.progress, o.taken = time.Now(), 0
			o.watch = time.AfterFunc(stallTime, o.look)
		}
		for _, f := range o.flows {
			o.queue(f)
		}
		o.wake()
		o.waiters++
		o.room.Wait()
		o.waiters--
	}
	return true
}

// look fails everything if the connection has taken too little while others wait, and what they send to
// others as well: one that takes a byte now and then is no better than one that takes nothing.
func (o *outbox) look() {
	o.mu.Lock()
	if o.watch = nil; o.waiters == 0 || o.isOver {
		o.mu.Unlock()
		return
	}
	if left := stallTime - time.Since(o.progress); left > 0 {
		o.watch = time.AfterFunc(left, o.look)
		o.mu.Unlock()
		return
	}
	o.refuse = time.Now().Add(stallTime)
	under := o.under
	o.under, o.flows, o.turns, o.size = nil, map[*connection]*flow{}, nil, 0
	payers := map[*account]bool{}
	for _, p := range under {
		o.drop(p)
		payers[p.rt.payer()] = true
	}
	if len(payers) == 1 { // else it is a relay, or who else has many, and they may all be innocent
		for a := range payers {
			a.distrust.Store(time.Now().Add(distrustTime).UnixNano())
		}
	}
	o.room.Broadcast()
	o.mu.Unlock()
	o.c.r.log.Info("relay: receiver takes too little", "peer", o.c.link.RemoteAddr(), "messages", len(under))
	for _, p := range under {
		p.fail(frame.StatusTimeout, p.all())
	}
}

// abandon has the rest of a passage passed over.
func (o *outbox) abandon(p *passage) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drop(p)
	o.room.Broadcast()
}

// drop is called with the lock.
func (o *outbox) drop(p *passage) {
	p.done = true
	if p.stream != nil {
		p.stream.End(frame.Aborted)
	}
}

// settle says that nothing of a passage waits any more. The lock is held.
func (o *outbox) settle(p *passage) {
	at, last := p.place-1, len(o.under)-1
	if at < 0 || at > last || o.under[at] != p {
		return // it is settled, or given up
	}
	o.under[at] = o.under[last]
	o.under[at].place = at + 1
	o.under[last] = nil
	o.under, p.place = o.under[:last], 0
	if p.end != 0 {
		o.size -= p.cost
		o.room.Broadcast()
	}
}
