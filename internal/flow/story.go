package flow

import (
	"flag"
	"fmt"
	"testing"
	"testing/synctest"
)

// A Story is one call flow: what the RFC has of it, and what people do.
type Story struct {
	// RFC and Section say where the flow is printed: 3665 and "3.1". The
	// transcript is testdata/flows/3665-3.1.txt. A second one of the same
	// section has a letter, as "3.1b": its messages are not compared.
	RFC     int
	Section string
	Title   string

	// Cast are the columns of the ladder, from left to right.
	Cast []Actor

	// Flow is the ladder of the RFC, a line for each message in the order of
	// time, with the RFC's label, if it has one:
	//
	//	F1 INVITE Alice -> Bob
	//	F2 180    Bob -> Alice
	//
	// A line with a "+" in front is a message that we send and the RFC does not
	// show, one with a "-" the opposite; both end with the reason, after "//".
	// What several send at the same time may be in any order. "" compares
	// nothing.
	Flow string

	// Show are the header fields that the transcript has of each message:
	// those that matter in this flow. "SDP" are the lines of a session
	// description that say what is agreed on: c=, m= and directions. "o=" is
	// the version of the description. "body" is any other body.
	Show []string

	// Differs says in what the messages are not like those of the same label
	// that the RFC prints, and why: "F8 Via" for one of them, "Via" for all, and
	// "F9 status" where even that is another one. Like means that they have as
	// many Via, Record-Route and Route, a Contact, a tag in the To, challenges,
	// credentials and a session description if those of the RFC have them.
	Differs map[string]string

	// Silent are those of Cast who never answer. Requests to others do not
	// remain without a final response.
	Silent []string

	// Lossless leaves out the runs with loss, as for a flow over TCP alone.
	Lossless bool

	// Play is what people do, and what they find: it checks what each of them
	// has at the end, whether packets are lost or not. It runs in a bubble of
	// testing/synctest, once for the transcript and once for each seed.
	Play func(f *Flow)
}

var seeds = flag.Uint64("seeds", 16, "how many runs with loss a story has in package flow")

// Test plays a story: on a network that loses nothing, whose transcript is compared
// with the golden file, with the ladder of the RFC and with its messages, and on some
// that lose a quarter of what goes from one end to the other, and double and reorder
// as much. In all of them each request has a final response in the end, each 2xx of an INVITE its ACK, and each call
// its BYE.
func Test(t *testing.T, s Story) {
	t.Helper()
	expected, err := parseLadder(s.Flow, s.Cast)
	if err != nil {
		t.Fatalf("RFC %d section %s: %v", s.RFC, s.Section, err)
	}
	t.Run("transcript", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFlow(t, s, 0)
			messages := f.play()
			f.fail(settled(messages, s.Silent))
			if err := expected.label(messages); err != nil {
				t.Errorf("%v\n%s", err, f.numbered(messages))
				return
			}
			f.fail(s.compare(messages))
			f.golden(messages)
		})
	})
	if s.Lossless {
		return
	}
	for seed := range *seeds {
		t.Run(fmt.Sprintf("loss/%d", seed+1), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFlow(t, s, seed+1)
				defer func() {
					if t.Failed() { // also by t.Fatal in Play
						t.Logf("what was sent:\n%s", f.numbered(f.record()))
					}
				}()
				f.fail(settled(f.play(), s.Silent))
			})
		})
	}
}

// fail fails with each of these.
func (f *Flow) fail(faults []string) {
	f.Helper()
	for _, fault := range faults {
		f.Error(fault)
	}
}
