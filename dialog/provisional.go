package dialog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// reliable is what the caller knows of the reliable provisional responses to an
// INVITE, as far as they came in this dialog (RFC 3262 section 4).
type reliable struct {
	seq   uint32     // of the INVITE
	last  sip.RSeq   // of the last one in order
	racks []sip.RAck // of those that have no PRACK yet
	again sip.RAck   // of the one whose PRACK was refused last; zero: none
}

// offers100rel reports whether who sent an INVITE knows reliable provisional
// responses.
func offers100rel(invite *sip.Request) bool {
	return lists[sip.Supported](invite, sip.Option100rel) || lists[sip.Require](invite, sip.Option100rel)
}

// The responses whose PRACK is not answered yet are bounded, in a dialog and in all branches
// of an INVITE together: who sends them says where the PRACKs go, and need not wait for each
// (RFC 3262 section 3). Those beyond are passed over: the peer sends them again.
const (
	maxRacks       = 16
	maxInviteRacks = 64
)

// unanswered returns how many of them there are. It is called with s.mu held.
func (s *Session) unanswered() int {
	n := s.pracks
	if s.rel1xx != nil && !s.over {
		n += len(s.rel1xx.racks)
	}
	return n
}

// provisional takes a provisional response to an INVITE of ours and reports whether
// it is to be looked at: a reliable one that came before, or too early, is not, nor is one
// too many. crowded says that it is one in any case.
func (s *Session) provisional(resp *sip.Response, offered100rel, crowded bool) bool {
	rseq, err := sip.Get[sip.RSeq](resp)
	acknowledge := err == nil && offered100rel && lists[sip.Require](resp, sip.Option100rel)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.learn(resp)
	if !acknowledge {
		return true
	}
	cseq := resp.CSeq()
	r := s.rel1xx
	if r == nil || r.seq != cseq.Seq {
		r = &reliable{seq: cseq.Seq}
	} else if rseq != r.last+1 {
		return false
	}
	if crowded || s.unanswered() >= maxRacks {
		return false
	}
	s.rel1xx = r
	r.last = rseq
	r.racks = append(r.racks, sip.RAck{RSeq: rseq, CSeq: sip.CSeq{Seq: cseq.Seq, Method: sip.INVITE}})
	s.d.refresh(resp) // RFC 6141 section 4.7
	s.offers.response(remote, cseq, resp.Status(), describes(resp), true)
	return true
}

// nextRack returns the oldest response that has no PRACK, or else the one whose PRACK was
// refused. It is called with s.mu held.
func (s *Session) nextRack() (sip.RAck, bool) {
	r := s.rel1xx
	switch {
	case r != nil && len(r.racks) > 0:
		return r.racks[0], true
	case r != nil && r.again.RSeq != 0:
		return r.again, true
	}
	return sip.RAck{}, false
}

// acknowledge notes that there is a PRACK for that.
func (r *reliable) acknowledge() {
	if len(r.racks) > 0 {
		r.racks = r.racks[1:]
	} else {
		r.again = sip.RAck{}
	}
}

// takeBack undoes what a PRACK of ours has done that was challenged: it is to come again,
// and its response waits for it. One that was refused otherwise may come again, without
// its offer (RFC 6337 section 2.3). It is called with s.mu held.
func (s *Session) takeBack(prack *sip.Request, challenged bool) {
	rack, err := sip.Get[sip.RAck](prack)
	r := s.rel1xx
	switch {
	case err != nil, r == nil, r.seq != rack.CSeq.Seq:
		return
	case !challenged:
		r.again = sip.RAck{RSeq: rack.RSeq, CSeq: sip.CSeq{Seq: r.seq, Method: sip.INVITE}} // of no message
		return
	}
	r.racks = append(r.racks, rack)
	slices.SortFunc(r.racks, func(a, b sip.RAck) int { return cmp.Compare(a.RSeq, b.RSeq) })
	if s.inviting {
		s.offers.challenged(local, describes(prack), r.seq)
	}
}

// unpracked is a reliable provisional response of ours that has no PRACK yet. Should
// none come but the ACK of the 2xx, it stays as long as the call: the message does not.
type unpracked struct {
	rack      sip.RAck
	described bool          // it has an offer or an answer
	repeat    bool          // of one that had its PRACK, in which the program has no part
	acked     chan struct{} // closed when the PRACK has come
	served    chan struct{} // closed when that has its answer
	again     *unpracked    // that was a challenge: this waits for the PRACK with credentials
	late      bool          // it has come after one that was refused: nobody waits for either
}

func newUnpracked(invite *sip.Request, rseq sip.RSeq, resp *sip.Response) *unpracked {
	cseq := sip.CSeq{Seq: invite.CSeq().Seq, Method: sip.INVITE} // of no message
	return unprackedFor(sip.RAck{RSeq: rseq, CSeq: cseq}, describes(resp))
}

func unprackedFor(rack sip.RAck, described bool) *unpracked {
	return &unpracked{rack: rack, described: described, acked: make(chan struct{}), served: make(chan struct{})}
}

// ringAgain is how often a provisional response is sent again, lest a proxy
// take the call for dead (RFC 3261 section 13.3.1.1), and with a PRACK each time
// how often (RFC 3262 section 3).
const (
	ringInterval         = time.Minute
	ringIntervalReliably = 150 * time.Second
)

// Provisional sends a provisional response, 101 to 199. The last one is sent
// again every minute until the INVITE is answered. A peer that requires provisional
// responses to be reliable gets them as from Reliable, which waits for the PRACK, up to
// 64*T1, 32 seconds, and whose errors there are then, such as ErrNoPRACK.
func (in *Invitation) Provisional(status sip.Status, edits ...sip.Edit) error {
	if lists[sip.Require](in.req, sip.Option100rel) {
		return in.Reliable(status, edits...)
	}
	resp, err := in.provisional(status, edits...)
	if err != nil {
		return err
	}
	if err := in.tx.Respond(resp); err != nil {
		return err
	}
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	in.keepRinging(resp)
	return nil
}

func (in *Invitation) provisional(status sip.Status, edits ...sip.Edit) (*sip.Response, error) {
	if status <= sip.StatusTrying || status.Final() {
		return nil, fmt.Errorf("provisional response %d: %w", status, transaction.ErrStatus)
	}
	resp := in.reply(status, edits)
	return resp, resp.Err()
}

// Reliable sends a provisional response, 101 to 199, again and again until the peer
// has acknowledged it with PRACK (RFC 3262), and returns then. One with an offer or
// an answer may so begin the session before the call is answered. The PRACK is given
// to Config.OnRequest like any other request, with the offer or answer that it may
// have.
//
// The error is Err100rel if the peer does not support that, and ErrNoPRACK if
// nothing came within 64*T1, 32 seconds: then the call is refused with 504. If it is
// answered or refused meanwhile it is transaction.ErrCompleted, and if the peer gives
// up the cause of that. A response waits until the PRACK of the one before is answered:
// in the handler of that, answer first. If that takes longer than T2, 4 seconds, it is
// an error.
func (in *Invitation) Reliable(status sip.Status, edits ...sip.Edit) error {
	u, resp, err := in.reliable(status, edits, in.tx.Layer().Timers().T2)
	if err != nil {
		return err
	}
	defer in.endTurn()
	return in.sendUntilPRACK(u, resp)
}

// ringReliably does so, and returns when the PRACK has come: its answer is that of
// somebody else, who may be gone when another branch of a fork answers.
func (in *Invitation) ringReliably(status sip.Status, edits []sip.Edit) error {
	u, resp, err := in.reliable(status, edits, 64*in.tx.Layer().Timers().T1)
	if err != nil {
		return err
	}
	over := make(chan error, 1)
	go func() { // ends with the answer to the PRACK, the INVITE, or 64*T1
		defer in.endTurn()
		over <- in.sendUntilPRACK(u, resp)
	}()
	select {
	case err := <-over:
		return err
	case <-u.acked:
		return nil
	}
}

// reliable makes a reliable provisional response when it has its turn, which is to be
// ended. answer is how long the PRACK of the one before may take.
func (in *Invitation) reliable(status sip.Status, edits []sip.Edit, answer time.Duration) (*unpracked, *sip.Response, error) {
	if !offers100rel(in.req) {
		return nil, nil, Err100rel
	}
	resp, err := in.provisional(status, edits...)
	if err != nil {
		return nil, nil, err
	}
	return in.inTurn(resp, answer)
}

// inTurn numbers a response when it has its turn.
func (in *Invitation) inTurn(resp *sip.Response, answer time.Duration) (*unpracked, *sip.Response, error) {
	if err := in.awaitTurn(answer); err != nil {
		return nil, nil, err
	}
	u, resp, err := in.number(resp)
	if err != nil {
		in.endTurn()
	}
	return u, resp, err
}

var errPRACK = errors.New("dialog: the PRACK of the response before is not answered")

// awaitTurn waits until the response before is done with. Should its PRACK be here, it
// waits for the answer of that only so long: the one who is to give it may be waiting here.
func (in *Invitation) awaitTurn(answer time.Duration) error {
	turn := in.reliably()
	var late <-chan time.Time
	in.s.mu.Lock()
	if in.s.pracking != nil {
		late = time.After(answer)
	}
	in.s.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return nil
	case <-in.ctx.Done():
		return in.ctx.why()
	case <-late:
		return errPRACK
	}
}

func (in *Invitation) endTurn() { <-in.turn }

// reliably makes what reliable responses take, and returns turn.
func (in *Invitation) reliably() chan struct{} {
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	in.reliablyLocked()
	return in.turn
}

func (in *Invitation) reliablyLocked() {
	if in.turn != nil {
		return
	}
	in.turn, in.done = make(chan struct{}, 1), make(chan struct{})
	if in.final {
		close(in.done)
	}
}

// number gives a response its RSeq, and makes it the one that a PRACK is waited for.
func (in *Invitation) number(resp *sip.Response) (*unpracked, *sip.Response, error) {
	s := in.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.final {
		return nil, nil, transaction.ErrCompleted
	}
	if in.rseq == 0 {
		in.rseq = sip.RSeq(1 + rand.Uint32N(1<<31-1))
	} else {
		in.rseq++
	}
	resp = resp.With(including[sip.Require](resp, sip.Option100rel), in.rseq)
	u := newUnpracked(in.req, in.rseq, resp)
	s.unpracked = u
	in.rings(resp)
	s.d.refresh(in.req) // RFC 6141 section 4.6
	s.offers.response(local, u.rack.CSeq, resp.Status(), u.described, true)
	return u, resp, nil
}

// sendUntilPRACK sends a response at growing intervals, without a limit to them (RFC
// 3262 section 3). What the network does not take goes out with the next one.
func (in *Invitation) sendUntilPRACK(u *unpracked, resp *sip.Response) error {
	if err := in.tx.Respond(resp); err != nil && !errors.Is(err, transaction.ErrTransport) {
		return err // answered or refused: it is not sent any more
	}
	interval := in.tx.Layer().Timers().T1
	giveUp := time.NewTimer(64 * interval)
	defer giveUp.Stop()
	again := time.NewTimer(interval)
	defer again.Stop()
	for {
		select {
		case <-u.acked:
			in.await(u.served)
			in.s.mu.Lock()
			if u.again != nil {
				u = u.again
				in.s.mu.Unlock()
				continue
			}
			defer in.s.mu.Unlock()
			if in.ringing == resp { // none has followed
				in.keepRinging(resp)
			}
			return nil
		case <-again.C:
			if err := in.tx.Respond(resp); err != nil && !errors.Is(err, transaction.ErrTransport) {
				return err
			}
			interval *= 2
			again.Reset(interval)
		case <-giveUp.C:
			in.Reject(sip.StatusServerTimeout)
			in.end(ErrNoPRACK)
			return ErrNoPRACK
		case <-in.done:
			return transaction.ErrCompleted
		case <-in.ctx.Done():
			return in.ctx.why()
		}
	}
}

// challengedPRACK is called in place of that before a PRACK is challenged: its response
// waits for the one with credentials. It is called with s.mu held.
func (s *Session) challengedPRACK(u *unpracked, prack *sip.Request) {
	if s.pracking != u { // another INVITE has come since
		return
	}
	u.again = unprackedFor(u.rack, u.described)
	close(u.served)
	s.pracking, s.unpracked = nil, u.again
	if s.pending != nil {
		s.offers.challenged(remote, describes(prack), u.rack.CSeq.Seq)
	}
}

// answersUnacknowledged reports whether a description in a provisional response of
// ours waits for its PRACK: before that there may be no further offer (RFC 3311 section
// 5.1). It is called with s.mu held.
func (s *Session) answersUnacknowledged() bool {
	return s.pending != nil && s.unpracked != nil && s.unpracked.described
}

// awaitPRACK waits for the PRACK of a response with a description: before that there
// may be no 2xx (RFC 3262 section 3). The PRACK is answered first, for it may have an
// offer, unless that takes the program longer than T1.
func (in *Invitation) awaitPRACK() {
	for {
		in.s.mu.Lock()
		u := in.s.pracking
		if u == nil && in.s.unpracked != nil && in.s.unpracked.described {
			u = in.s.unpracked
		}
		in.s.mu.Unlock()
		if u == nil || !in.awaitServed(u) {
			return
		}
	}
}

// awaitServed reports whether a PRACK came and has its answer, which may be a challenge.
func (in *Invitation) awaitServed(u *unpracked) bool {
	in.await(u.acked)
	soon, cancel := context.WithTimeout(&in.ctx, in.tx.Layer().Timers().T1)
	defer cancel()
	select {
	case <-u.served:
		return true
	case <-in.done:
	case <-soon.Done():
	}
	return false
}

// await waits for what becomes of a PRACK, unless it is not needed any more.
func (in *Invitation) await(prack chan struct{}) {
	select {
	case <-prack:
	case <-in.done:
	case <-in.ctx.Done():
	}
}

// rings notes the last provisional response, and sends the one before no more. It
// is called with the lock of the Session held.
func (in *Invitation) rings(resp *sip.Response) {
	in.hush()
	in.ringing = resp
}

// keepRinging sends a provisional response again from time to time until the next
// one, unless a reliable one is sent again and again meanwhile. It is called with the
// lock of the Session held.
func (in *Invitation) keepRinging(resp *sip.Response) {
	if in.final || in.s.unpracked != nil {
		return
	}
	in.ringing = resp
	after := ringInterval
	if isNumbered(resp) {
		after = ringIntervalReliably
	}
	in.wake(after)
}

// ringAgain sends the last provisional response again. A reliable one gets another
// number; that ends with its PRACK.
func (in *Invitation) ringAgain() {
	in.s.mu.Lock()
	resp := in.ringing
	in.s.mu.Unlock()
	switch {
	case resp == nil: // answered in this moment
		return
	case isNumbered(resp):
		in.ringAgainReliably(resp)
		return
	case in.tx.Respond(resp) != nil:
		return
	}
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	if in.ringing == resp {
		in.keepRinging(resp)
	}
}

// ringAgainReliably says again what a response has said of who sends it: that holds for the
// whole INVITE (RFC 6086 section 5.2.3). What it has said of the session stands (RFC 3261
// section 13.2.1), and where we are reached may have changed.
func (in *Invitation) ringAgainReliably(resp *sip.Response) {
	in.s.mu.Lock()
	contact := in.s.contactField()
	in.s.mu.Unlock()
	resp = resp.With(contact, sip.Body{}, sip.Del("Content-Disposition"))
	u, resp, err := in.inTurn(resp, in.tx.Layer().Timers().T2)
	if err != nil {
		return
	}
	defer in.endTurn()
	in.s.mu.Lock()
	u.repeat = true
	in.s.mu.Unlock()
	in.sendUntilPRACK(u, resp)
}

// isRepeated reports whether a PRACK that was taken is for a response which was not of the
// program's making, and has nothing to say to that. Passed on to the other leg of a call it
// would be for a response that has come there meanwhile.
func (t *Server) isRepeated() bool {
	t.d.mu.Lock()
	defer t.d.mu.Unlock()
	return t.prack != nil && t.prack.repeat && !describes(t.Request())
}

// isNumbered reports whether a provisional response was sent reliably.
func isNumbered(resp *sip.Response) bool {
	_, err := sip.Get[sip.RSeq](resp)
	return err == nil
}
