package file_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/file"
	"github.com/goparley/parley/sdp"
)

// A replacer offers one transfer after the other of a file of 1,000,000 octets, of which Bob has the first
// 900,000.
type replacer struct {
	*place
	inbox  *os.Root
	in     *file.Receiver
	octets []byte
	says   file.Selector
}

// replaces runs a test with a replacer.
func replaces(t *testing.T, tell func(r *replacer)) {
	t.Helper()
	octets := content(1, 1_000_000)
	sum := sha1.Sum(octets)
	inbox := root(t)
	story(t, nil, func(p *place) {
		r := &replacer{place: p, inbox: inbox, octets: octets, says: file.Selector{Name: "a.bin", Type: "text/plain", Size: 1_000_000,
			Hashes: []file.Hash{{Algorithm: file.SHA1, Sum: sum[:]}}}}
		r.in = file.Receive(p.bob.ep, inbox, nil)
		s, agree := r.offers(file.Range{})
		agree()
		r.writes(r.begins(s), octets[:900_000])
		s.Close()
		r.in.Close()
		if got := parts(t, inbox); len(got) != 1 || got[0] != 900_000 {
			t.Fatalf("parts of %d octets, want one of 900000", got)
		}
		r.in = file.Receive(p.bob.ep, inbox, nil)
		tell(r)
		r.in.Close()
	})
}

// offers offers another transfer, which is answered and not agreed on before agree is called.
func (r *replacer) offers(octets file.Range) (s *msrp.Session, agree func()) {
	r.t.Helper()
	l := r.liar(r.says)
	l.says.Range = octets
	offer, err := l.Offer(r.ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	return l.Session, r.answered(l.Session, offer)
}

func (r *replacer) answered(s *msrp.Session, offer *sdp.Media) (agree func()) {
	r.t.Helper()
	answer, err := r.in.Answer(r.ctx, offer)
	if err != nil || answer == nil || answer.Port == 0 {
		r.t.Fatalf("Answer: %v, %v", answer, err)
	}
	return func() {
		if err := s.Update(r.ctx, offer, answer); err != nil {
			r.t.Error(err)
		}
		if err := r.in.Update(r.ctx, answer, offer); err != nil {
			r.t.Error(err)
		}
	}
}

func (r *replacer) begins(s *msrp.Session) *msrp.Writer {
	r.t.Helper()
	w, err := s.Create(r.ctx, &msrp.Message{ContentType: "text/plain"})
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

// writes sends octets, and waits until Bob has done with them what he does.
func (r *replacer) writes(w *msrp.Writer, octets []byte) {
	r.t.Helper()
	if _, err := w.Write(octets); err != nil {
		r.t.Error(err)
	}
	time.Sleep(time.Second) // of the bubble
}

// waits has Bob wait for the file.
func (r *replacer) waits() {
	go func() { // ends with the transfer
		path, err := r.in.Wait(r.ctx)
		r.got <- receipt{path: path, err: err}
	}()
	synctest.Wait()
}

// What is hashed is what is there when the transfer begins, and not what was there when it was offered: until
// then the one before may go on to write (RFC 5547 section 8.1).
func TestTransferWritesUntilItIsReplaced(t *testing.T) {
	evil := bytes.Repeat([]byte("EVIL"), 200_000)
	for name, replace := range map[string]func(r *replacer, first *msrp.Writer) *msrp.Session{
		"by an offer of the sender": func(r *replacer, first *msrp.Writer) *msrp.Session {
			s, agree := r.offers(file.Range{Start: 900_001})
			r.writes(first, evil)
			agree()
			return s
		},
		"by one that the sender has refused before": func(r *replacer, first *msrp.Writer) *msrp.Session {
			var asked *sdp.Media
			r.in.Resume(r.ctx, func(ctx context.Context) (err error) {
				if asked, err = r.in.Offer(ctx); err != nil {
					r.t.Error(err)
				}
				return errors.New("not now")
			})
			r.writes(first, evil)
			d := file.Description{Direction: sdp.SendOnly, Selector: r.says, Range: file.Range{Start: 900_001}}
			d.ID, _ = asked.Attribute("file-transfer-id")
			if r, _ := asked.Attribute("file-range"); r != "900001-*" {
				t.Errorf("Bob asks for %q", r)
			}
			s := r.liar(r.says).Session
			offer, err := s.Offer(r.ctx)
			if err == nil {
				err = d.Set(offer)
			}
			if err != nil {
				r.t.Fatal(err)
			}
			r.answered(s, offer)()
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			replaces(t, func(r *replacer) {
				r.waits()
				first, agree := r.offers(file.Range{})
				agree()
				s := replace(r, r.begins(first))
				if err := s.Send(r.ctx, &msrp.Message{ContentType: "text/plain", Body: bytes.NewReader(r.octets[900_000:])}); err != nil {
					t.Error(err)
				}
				if got := <-r.got; !errors.Is(got.err, file.ErrOtherFile) {
					t.Errorf("Wait: %q, %v, want ErrOtherFile", got.path, got.err)
				}
				holds(t, r.inbox, nil)
			})
		})
	}
}

// A transfer that was to go on behind octets that the one before has removed fails, and one that has finished
// the file leaves nothing to do.
func TestTransferEndsBeforeItIsReplaced(t *testing.T) {
	octets := content(1, 1_000_000)
	for name, test := range map[string]struct {
		octets []byte // of the first transfer
		there  map[string][]byte
	}{
		"with the file":    {octets, map[string][]byte{"a.bin": octets}},
		"with another one": {make([]byte, 1_000_001), nil},
	} {
		t.Run(name, func(t *testing.T) {
			replaces(t, func(r *replacer) {
				r.waits()
				first, agree := r.offers(file.Range{})
				agree()
				w := r.begins(first)
				_, agree = r.offers(file.Range{Start: 900_001})
				w.Write(test.octets)
				w.Close()
				<-r.got
				agree()
				if _, err := r.in.Wait(r.ctx); !errors.Is(err, file.ErrRange) {
					t.Errorf("Wait for the second: %v, want ErrRange", err)
				}
				r.in.Close()
				holds(t, r.inbox, test.there)
			})
		})
	}
}

// To hash what is there of a large file ends when its user has enough, or the call is over.
func TestHashOfWhatIsThereIsCancelled(t *testing.T) {
	replaces(t, func(r *replacer) {
		names, err := filepath.Glob(filepath.Join(r.inbox.Name(), ".*.part"))
		if err != nil || len(names) != 1 {
			t.Fatalf("parts %q, %v", names, err)
		}
		if err := os.Truncate(names[0], 1<<38); err != nil { // minutes
			t.Fatal(err)
		}
		for name, end := range map[string]func(cancel context.CancelFunc){
			"Wait": func(context.CancelFunc) {
				ctx, cancel := context.WithCancel(r.ctx)
				cancel()
				r.in.Wait(ctx)
			},
			"call": func(cancel context.CancelFunc) { cancel() },
		} {
			r.says.Size = 1 << 39
			r.in = file.Receive(r.bob.ep, r.inbox, &file.ReceiveOptions{MaxSize: 1 << 40})
			l := r.liar(r.says)
			offer, err := l.Offer(r.ctx)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := r.in.Answer(r.ctx, offer)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(r.ctx)
			go end(cancel)                        // ends at once
			err = r.in.Update(ctx, answer, offer) // returns, that is
			if name == "Wait" {
				_, err = r.in.Wait(r.ctx)
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v, want Canceled", name, err)
			}
			cancel()
			r.in.Close()
		}
		os.Truncate(names[0], 900_000)
	})
}
