package media

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// ErrClosed is returned by what waits on an [Audio] that is closed.
var ErrClosed = errors.New("media: closed")

// ErrBusy is returned by Play and SendDigits while an earlier call is not over.
var ErrBusy = errors.New("media: busy with an earlier call")

// Packet times, in samples.
const (
	defaultFrame = SampleRate / 50  // 20 ms (RFC 3551 section 4.2)
	minFrame     = SampleRate / 100 // 10 ms
	maxFrame     = SampleRate * 60 / 1000
)

// An agreement is what both descriptions come down to.
type agreement struct {
	rtp, rtcp netip.AddrPort // where the peer receives; zero: nowhere
	sends     bool           // by the direction of our description
	receives  bool
	codec     *codec // what we send; nil: nothing
	number    uint8  // the peer's payload type for it
	frame     int    // samples in a packet we send
	events    int    // the peer's payload type for telephone-event; -1: none
	eventSet  uint16 // the digits it takes, a bit each
	accepts   [128]accepted
}

// accepted is what a payload type of our description stands for.
type accepted struct {
	codec *codec
	event bool
}

// A session is an RTP session with one peer (RFC 3550). It has at most four
// goroutines: two that read the sockets, from open until close closes them;
// and from the first update, one that sends and one that plays what was
// received, until close ends done.
type session struct {
	play   Source // nil: silence
	record Sink   // nil: what is received is only counted
	cname  string
	start  time.Time // the origin of arrival times
	pair   *socketPair

	done    chan struct{} // closed by close
	loops   sync.WaitGroup
	readers sync.WaitGroup
	digits  chan rune // received

	mu        sync.Mutex // never held while a Source or Sink runs
	running   bool
	closed    bool
	recording bool
	agreed    agreement
	media     latch
	control   controlLatch
	out       sender
	in        inbound
	reports   reports
	playing   *playing
	dialing   *dialing
	counts    Stats
	failure   error // of play or record
}

func newSession(play Source, record Sink, policy LatchPolicy, delay time.Duration) *session {
	s := &session{
		play: play, record: record, recording: record != nil,
		cname: cname(), start: time.Now(),
		done: make(chan struct{}), digits: make(chan rune, digitsPending),
		media: latch{policy: policy}, out: newSender(),
	}
	s.in.playout.delay = uint32(sampleCount(delay))
	return s
}

// cname returns a canonical name that lasts as long as the session and tells
// nothing about the host (RFC 7022 section 4.2).
func cname() string {
	var b [12]byte
	rand.Read(b[:])
	return base64.StdEncoding.EncodeToString(b[:])
}

func random32() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint32(b[:])
}

// open takes the sockets. What arrives before the first update is dropped.
func (s *session) open(p *socketPair) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		p.close()
		return ErrClosed
	}
	s.pair = p
	s.readers.Add(2)
	go s.readRTP()  // ends when close closes the socket
	go s.readRTCP() // ends when close closes the socket
	return nil
}

// update puts an agreement in force.
func (s *session) update(a agreement) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.agreed = a
	s.media.describe(a.rtp)
	s.control.describe(a.rtcp)
	if !s.running {
		s.running = true
		s.loops.Add(1)
		go s.sendLoop() // ends with done
		if s.record != nil {
			s.loops.Add(1)
			go s.playLoop() // ends with done, or when the sink fails
		}
	}
	return nil
}

// close says goodbye, closes the sockets and waits for all goroutines.
func (s *session) close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.loops.Wait()
		s.readers.Wait()
		return nil
	}
	s.closed = true
	pair := s.pair
	s.mu.Unlock()
	close(s.done)
	s.loops.Wait() // the last thing the send loop sends is BYE
	var err error
	if pair != nil {
		err = pair.close()
	}
	s.readers.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endPlaying(ErrClosed)
	s.endDialing(ErrClosed)
	return errors.Join(s.failure, err)
}

// fail keeps the first failure of the program's source or sink.
func (s *session) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil {
		s.failure = err
	}
}

// again reports whether to read a socket again after so many failures in a
// row. Some systems tell of a datagram too long, or refused by the peer, in
// this way; a socket that keeps failing is tried a hundred times a second.
func (s *session) again(err error, failures int) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	if failures < 10 {
		return true
	}
	t := time.NewTimer(10 * time.Millisecond)
	defer t.Stop()
	select {
	case <-s.done:
		return false
	case <-t.C:
		return true
	}
}
