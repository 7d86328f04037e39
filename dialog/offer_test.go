package dialog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/goparley/parley/sip"
)

// The six ways to make an offer and answer it (RFC 6337 table 1), and what must not
// be: each line is what one side sends, and after the colon whose offer is open then,
// and in what. Each script is played from either side.
func TestOffers(t *testing.T) {
	for _, script := range []string{
		`1. the INVITE and its 200
		> INVITE sdp      : > INVITE
		< 183 INVITE sdp  : > INVITE  not reliable: a preview
		< 200 INVITE sdp  : -
		> ACK             : -`,
		`2. the 200 and its ACK
		> INVITE          : -
		< 180 INVITE      : -
		< 200 INVITE sdp  : < INVITE
		> ACK sdp         : -`,
		`3. the INVITE and a reliable 183
		> INVITE sdp          : > INVITE
		< 183 INVITE rel      : > INVITE
		> PRACK 2             : > INVITE
		< 200 PRACK 2         : > INVITE
		< 183 INVITE rel sdp  : -
		> PRACK 3             : -
		< 200 PRACK 3         : -
		< 200 INVITE sdp      : -      the same again
		> ACK                 : -`,
		`4. a reliable 183 and its PRACK
		> INVITE              : -
		< 183 INVITE rel sdp  : < INVITE
		< 180 INVITE rel      : < INVITE
		> PRACK 2 sdp         : -
		< 200 PRACK 2         : -
		< 200 INVITE          : -
		> ACK                 : -`,
		`5. a PRACK and its 200
		> INVITE sdp          : > INVITE
		< 183 INVITE rel sdp  : -
		> PRACK 2 sdp         : > PRACK
		< 200 PRACK 2 sdp     : -
		< 200 INVITE          : -`,
		`6. an UPDATE and its 200
		> UPDATE 2 sdp      : > UPDATE
		< 200 UPDATE 2 sdp  : -
		< UPDATE 7 sdp      : < UPDATE
		> 200 UPDATE 7 sdp  : -`,

		`an answer that never comes
		> INVITE sdp    : > INVITE
		< 200 INVITE    : -
		> UPDATE 2 sdp  : > UPDATE
		< 200 UPDATE 2  : -`,
		`a 200 without the offer that was due
		> INVITE        : -
		< 200 INVITE    : -
		> ACK           : -
		> INVITE sdp    : > INVITE`,
		`the answer to what the PRACK was to answer comes with the ACK
		> INVITE              : -
		< 183 INVITE rel sdp  : < INVITE
		> PRACK 2             : < INVITE
		< 200 INVITE          : < INVITE
		> ACK sdp             : -`,
		`refusals take back what was offered
		> INVITE sdp    : > INVITE
		< 488 INVITE    : -
		> UPDATE 2 sdp  : > UPDATE
		< 491 UPDATE 2  : -
		> INVITE              : -
		< 183 INVITE rel sdp  : < INVITE
		< 486 INVITE          : -
		> INVITE              : -
		< 183 INVITE rel sdp  : < INVITE
		> PRACK 3 sdp         : -
		> PRACK 4 sdp         : > PRACK
		< 481 PRACK 4         : -`,
		`one that was refused has no offer due
		> INVITE              : -
		< 486 INVITE          : -
		< 183 INVITE rel sdp  : -`,
		`an offer while one is open
		> INVITE sdp    : > INVITE
		> UPDATE 2 sdp  : refused
		< UPDATE 1 sdp  : refused
		< INVITE sdp    : refused
		< INVITE        : refused
		> PRACK 3 sdp   : refused
		> UPDATE 4      : > INVITE
		< 200 UPDATE 4  : > INVITE`,
		`an offer while that of the 200 waits for its ACK
		> INVITE          : -
		< 200 INVITE sdp  : < INVITE
		> UPDATE 2 sdp    : refused
		< UPDATE 1 sdp    : refused
		> ACK             : -`,
		`the end of one request says nothing of another
		> INVITE sdp          : > INVITE
		< 183 INVITE rel sdp  : -
		> PRACK 2             : -
		> PRACK 3 sdp         : > PRACK
		< 200 PRACK 2         : > PRACK
		< 200 PRACK 3 sdp     : -
		> UPDATE 4 sdp        : > UPDATE
		> UPDATE 5            : > UPDATE
		< 200 UPDATE 5        : > UPDATE
		< UPDATE 4            : > UPDATE
		> 200 UPDATE 4        : > UPDATE
		< 200 INVITE          : > UPDATE
		> ACK                 : > UPDATE
		< 200 UPDATE 4 sdp    : -`,
		`other methods have none
		> INFO 2 sdp      : -
		< MESSAGE 1 sdp   : -
		> 200 MESSAGE 1 sdp : -`,
	} {
		name, script, _ := strings.Cut(script, "\n")
		for _, mirrored := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " mirrored ", mirrored), func(t *testing.T) {
				var o offers
				for line := range strings.Lines(script) {
					what, want, _ := strings.Cut(strings.TrimSpace(line), ":")
					want, _, _ = strings.Cut(strings.TrimSpace(want), "  ")
					if got := o.play(strings.Fields(what), mirrored); got != want {
						t.Fatalf("after %q the offer is %q, want %q", strings.TrimSpace(what), got, want)
					}
				}
			})
		}
	}
}

// play takes one line, and returns what is open.
func (o *offers) play(fields []string, mirrored bool) string {
	names := map[side]string{local: ">", remote: "<"}
	from := local
	if (fields[0] == "<") != mirrored {
		from = remote
	}
	if mirrored {
		names = map[side]string{local: "<", remote: ">"}
	}
	var status sip.Status
	var cseq sip.CSeq
	var described, reliable bool
	for _, f := range fields[1:] {
		var n uint32
		switch _, err := fmt.Sscan(f, &n); {
		case f == "sdp":
			described = true
		case f == "rel":
			reliable = true
		case err == nil && n >= 100:
			status = sip.Status(n)
		case err == nil:
			cseq.Seq = n
		default:
			cseq.Method = sip.Method(f)
		}
	}
	was := *o
	if status != 0 {
		o.response(from, cseq, status, described, reliable)
	} else if o.request(from, cseq, described) != nil {
		if *o != was {
			return "changed by what was refused"
		}
		return "refused"
	}
	if o.from == nobody {
		return "-"
	}
	return names[o.from] + " " + string(o.by.Method)
}
