package relay

import (
	"maps"
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
	inOrder    = 32 << 10  // bytes of a chunk that the link writes in one go, at least
)

// An outbox is what waits for a connection: chunks, those of each connection they come on in a
// queue of their own, which take turns, and other frames, which do not wait for chunks. Two
// goroutines pass them to the link, each of which runs while there is something.
type outbox struct {
	c *connection

	mu       sync.Mutex
	room     sync.Cond // for who waits until less is waiting
	link     *link.Conn
	isOver   bool
	under    map[*passage]struct{} // begun, and not all written
	flows    map[*connection]*flow
	turns    []*flow // that have something, in the order of their turns
	size     int     // bytes that wait
	spare    *block
	writing  bool // write runs
	waiters  int
	progress time.Time // when the connection last took something
	watch    *time.Timer
	refuse   time.Time // until when it gets nothing, after it has taken nothing for too long

	letters []letter
	weight  int  // of them, in bytes
	posting bool // deliver runs

	// Of the goroutine that writes.
	linked []linked // passed to the link up to their ends
	bytes  int      // of them
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
	last   linked   // the Stream before
}

// A block is a part of a flow: parts of passages.
type block struct {
	items []item
	data  []byte
}

// An item is n bytes of a passage in the data of a block, and its end if there is a flag.
type item struct {
	p   *passage
	n   int
	end frame.Flag
}

// A letter is a whole frame: a response, or a request whose response the owner waits for.
type letter struct {
	head  *frame.Head
	body  []byte
	owner link.Owner
}

func (l *letter) weigh() int { return 512 + len(l.head.To) + len(l.head.From) + len(l.body) }

func (o *outbox) init(c *connection) {
	o.c, o.under, o.flows, o.progress = c, map[*passage]struct{}{}, map[*connection]*flow{}, time.Now()
	o.room.L = &o.mu
}

// open says that there is a link now.
func (o *outbox) open(l *link.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.link, o.progress = l, time.Now()
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
	o.under, o.flows, o.turns, o.letters, o.spare, o.size = nil, nil, nil, nil, nil, 0
	if o.watch != nil {
		o.watch.Stop()
	}
	o.room.Broadcast()
	for p := range under {
		if p.stream != nil && p.isWritten() {
			delete(under, p) // the link answers for it
		}
	}
	o.mu.Unlock()
	for p := range under {
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
	o.wait(p)
	switch {
	case o.isOver:
		return p.rt.gone()
	case time.Now().Before(o.refuse):
		return frame.StatusTimeout
	}
	o.under[p] = struct{}{}
	return 0
}

// put takes a piece of a passage, or its end. For a piece it waits until there is room.
func (o *outbox) put(p *passage, piece []byte, end frame.Flag) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		if len(piece) > 0 {
			o.wait(p)
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
		b := f.room(o)
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
func (f *flow) room(o *outbox) *block {
	if n := len(f.blocks); n > 0 && len(f.blocks[n-1].data) < blockSize {
		return f.blocks[n-1]
	}
	b := o.spare
	if o.spare = nil; b == nil {
		b = &block{}
	}
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

// wait waits until there is room, or p is to be passed over. The lock is held.
func (o *outbox) wait(p *passage) {
	for o.size >= maxWaiting && !p.done && !o.isOver {
		if o.watch == nil {
			o.watch = time.AfterFunc(max(0, stallTime-time.Since(o.progress)), o.look)
		}
		for _, f := range o.flows {
			o.queue(f)
		}
		o.wake()
		o.waiters++
		o.room.Wait()
		o.waiters--
	}
}

// look fails everything if the connection has taken nothing for too long while others wait.
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
	o.under, o.flows, o.turns, o.size = map[*passage]struct{}{}, map[*connection]*flow{}, nil, 0
	for p := range under {
		o.drop(p)
	}
	o.room.Broadcast()
	o.mu.Unlock()
	o.c.r.log.Info("relay: receiver takes nothing", "peer", o.c.link.RemoteAddr(), "messages", len(under))
	for p := range under {
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
	if _, ok := o.under[p]; ok && p.end != 0 {
		o.size -= p.cost
	}
	delete(o.under, p)
}

// write is the goroutine that passes chunks to the link. It ends when none wait and all are written,
// or with the link.
func (o *outbox) write() {
	for {
		o.mu.Lock()
		if o.isOver || len(o.turns) == 0 && len(o.linked) == 0 {
			o.writing, o.spare = false, nil
			maps.DeleteFunc(o.flows, func(_ *connection, f *flow) bool {
				return len(f.blocks) == 0 && (f.open == nil || f.open.done)
			})
			o.mu.Unlock()
			return
		}
		if len(o.turns) == 0 || o.bytes > maxLinked {
			o.mu.Unlock()
			if !o.written() {
				return
			}
			continue
		}
		f := o.turns[0]
		o.turns = o.turns[1:]
		b := f.blocks[0]
		f.blocks, f.queued = f.blocks[1:], false
		o.queue(f)
		o.size -= len(b.data)
		if o.waiters > 0 {
			o.room.Broadcast()
		}
		o.mu.Unlock()
		at := 0
		for i, it := range b.items {
			var next *passage
			if i+1 < len(b.items) {
				next = b.items[i+1].p
			} else {
				next = o.next(f)
			}
			o.pass(f, it, b.data[at:at+it.n], next)
			at += it.n
		}
		clear(b.items)
		b.items, b.data = b.items[:0], b.data[:0]
		o.mu.Lock()
		o.spare = b
		o.mu.Unlock()
	}
}

// written waits until the first of what the link has is written. It returns false when the link is
// lost.
func (o *outbox) written() bool {
	l := o.linked[0]
	_, err := l.stream.Wait()
	if o.link.Err() != nil {
		o.close()
		return false
	}
	o.linked[0] = linked{}
	o.linked, o.bytes = o.linked[1:], o.bytes-l.bytes
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(l.p)
	if err == nil {
		o.moved()
	}
	return true
}

// next returns the passage that is to come in a flow, nil if there is none yet.
func (o *outbox) next(f *flow) *passage {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(f.blocks) == 0 {
		return nil
	}
	return f.blocks[0].items[0].p
}

// moved says that the connection takes something. The lock is held.
func (o *outbox) moved() {
	if o.progress, o.refuse = time.Now(), (time.Time{}); o.waiters > 0 {
		o.room.Broadcast()
	}
}

// pass passes a part of a passage to the link. next is what comes behind it in the flow, if that is
// known.
func (o *outbox) pass(f *flow, it item, data []byte, next *passage) {
	p := it.p
	lead := f.open
	if lead == nil || f.next != p { // another one: that was abandoned
		if lead = p; !o.start(f, p) {
			if it.end != 0 {
				o.finish(p)
			}
			return
		}
	}
	cut := false
	if len(data) > 0 {
		_, err := lead.stream.Write(data)
		if cut = err != nil; !cut { // else it is abandoned, or the link lost
			o.took()
		}
	}
	if lead.load += len(data); it.end != 0 {
		lead.load += p.cost
	}
	if lead != p {
		lead.n.Add(int64(len(data)))
	}
	switch {
	case it.end == 0 && !cut:
		f.open, f.next = lead, p
		return
	case it.end == frame.Continued && next != nil && !cut && lead.goesOn(p, next):
		f.open, f.next = lead, next
	default:
		if it.end != 0 {
			lead.stream.End(it.end)
		}
		f.open, f.next, f.last = nil, nil, linked{lead, lead.stream, lead.load}
		o.linked, o.bytes = append(o.linked, f.last), o.bytes+f.last.bytes
	}
	if lead != p {
		o.member(p, cut, it.end != 0)
	}
}

// member says what has become of a passage on the Stream of another one.
func (o *outbox) member(p *passage, cut, ended bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p.done = p.done || cut
	if ended {
		o.settle(p)
	}
}

// start begins a Stream. It returns false for a passage that is to be passed over.
func (o *outbox) start(f *flow, p *passage) bool {
	if f.last.bytes > inOrder {
		f.last.stream.Wait() // for chunks stay in their order
	}
	o.mu.Lock()
	done, whole := p.done, p.end == frame.Continued
	o.mu.Unlock()
	if done {
		return false
	}
	head := p.head
	head.To, head.From = p.rt.to, p.rt.from
	cfg := link.StreamConfig{Head: &head, Limit: int64(o.c.r.cfg.MaxChunk)}
	if n := p.n.Load(); whole && n > 0 && (cfg.Limit == 0 || n < cfg.Limit) {
		// What goes on with it goes out in chunks of this size, too: maybe somebody down the way
		// takes no larger ones.
		cfg.Limit, p.sized = n, true
	}
	if head.FailureReport != frame.FailureReportNo {
		cfg.Owner = p
	}
	stream, err := o.link.NewStream(&cfg)
	if err != nil {
		p.fail(frame.StatusBadRequest, p.all())
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if p.done {
		return false
	}
	p.stream = stream
	return true
}

func (o *outbox) finish(p *passage) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(p)
}

func (o *outbox) took() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.moved()
}

// post takes a whole frame. It does not wait: a REPORT that finds no room is lost, as REPORTs may be,
// and a request has no answer.
func (o *outbox) post(l letter) {
	o.mu.Lock()
	if !o.isOver && o.weight < maxLetters {
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
