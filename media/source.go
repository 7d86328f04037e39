package media

import (
	"io"
	"sync"
	"time"
)

// SampleRate is the number of samples in a second of all audio here: that of
// the telephone (ITU-T G.711).
const SampleRate = 8000

// A Source is what is played to the peer: mono samples of 16 bits,
// [SampleRate] of them a second.
//
// ReadSamples fills p, of 20 ms in most calls, and returns how many samples it
// has put there. With fewer than len(p) the rest is silence. At the end it
// returns 0, [io.EOF]. It should return at once: what comes late is sent late.
type Source interface {
	ReadSamples(p []int16) (n int, err error)
}

// A Sink is given what the peer plays: mono samples of 16 bits, [SampleRate]
// of them a second, from the first packet heard until the end, with silence
// where nothing was received.
//
// WriteSamples must not keep p. After an error it is not called again.
type Sink interface {
	WriteSamples(p []int16) error
}

// A Clip is audio in memory: mono samples, [SampleRate] a second. A clip is
// not changed by being played, so that many calls can play the same one.
type Clip []int16

// Duration returns how long it takes to play the clip.
func (c Clip) Duration() time.Duration { return sampleTime(int64(len(c))) }

// Once returns a source that plays the clip and ends.
func (c Clip) Once() Source { return &clipSource{clip: c} }

// Loop returns a source that plays the clip over and over. An empty clip
// ends at once.
func (c Clip) Loop() Source { return &clipSource{clip: c, loop: true} }

type clipSource struct {
	clip Clip
	next int
	loop bool
}

// ReadSamples copies the next samples of the clip.
func (s *clipSource) ReadSamples(p []int16) (n int, err error) {
	for n < len(p) {
		if s.next == len(s.clip) {
			if !s.loop || len(s.clip) == 0 {
				break
			}
			s.next = 0
		}
		k := copy(p[n:], s.clip[s.next:])
		n, s.next = n+k, s.next+k
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// A Recorder is a sink that keeps the last of what it was given in memory.
// The zero value is ready to use and may be read while it records.
type Recorder struct {
	// Keep is how much is kept; zero is one minute. It must not be changed
	// after the first sample.
	Keep time.Duration

	mu   sync.Mutex
	ring []int16
	next int // where in a full ring the oldest sample is
}

// WriteSamples adds p to the recording.
func (r *Recorder) WriteSamples(p []int16) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := int(sampleCount(r.Keep))
	if size <= 0 {
		size = 60 * SampleRate
	}
	if n := min(size-len(r.ring), len(p)); n > 0 {
		r.ring, p = append(r.ring, p[:n]...), p[n:]
	}
	for len(p) > 0 {
		n := copy(r.ring[r.next:], p)
		p, r.next = p[n:], (r.next+n)%size
	}
	return nil
}

// Clip returns a copy of what is kept, the oldest sample first.
func (r *Recorder) Clip() Clip {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := make(Clip, 0, len(r.ring))
	return append(append(c, r.ring[r.next:]...), r.ring[:r.next]...)
}

// sampleTime returns how long n samples last, without adding up rounding.
func sampleTime(n int64) time.Duration {
	return time.Duration(n/SampleRate)*time.Second + time.Duration(n%SampleRate)*time.Second/SampleRate
}

// sampleCount returns how many samples d lasts.
func sampleCount(d time.Duration) int64 {
	return int64(d/time.Second)*SampleRate + int64(d%time.Second)*SampleRate/int64(time.Second)
}
