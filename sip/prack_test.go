package sip

import "testing"

func TestRSeqAndRAck(t *testing.T) {
	reads(t,
		reading[RSeq]{text: "988789", want: 988789}, // RFC 3262 section 7.1
		reading[RSeq]{text: "1", want: 1},
		reading[RSeq]{text: "4294967295", want: 1<<32 - 1},
		reading[RSeq]{text: "007", want: 7, wrote: "7"},
	)
	refuses[RSeq](t, "", "0", "4294967296", "-1", "1 2", "x")
	wontWrite(t, RSeq(0))
	reads(t,
		reading[RAck]{text: "776656 1 INVITE", want: RAck{776656, CSeq{1, INVITE}}}, // RFC 3262 section 7.2
		reading[RAck]{text: "1\t 2147483647  x", want: RAck{1, CSeq{1<<31 - 1, "x"}}, wrote: "1 2147483647 x"},
	)
	refuses[RAck](t, "", "776656", "776656 1", "776656 INVITE", "0 1 INVITE", "1 2147483648 INVITE", "1 1 INVITE x", "1 1INVITE", "1;1 INVITE", "4294967296 1 INVITE")
	wontWrite(t, RAck{}, RAck{0, CSeq{1, INVITE}}, RAck{1, CSeq{1 << 31, INVITE}}, RAck{1, CSeq{1, ""}}, RAck{1, CSeq{1, "A B"}})
}

// A PRACK belongs to the response that has its RSeq and its CSeq.
func TestPrackMatches(t *testing.T) {
	invite := mustParse(t, string(readMessage(t, "invite.sip"))).(*Request)
	ringing := invite.Reply(StatusRinging, RSeq(776656))
	rseq, err := Get[RSeq](ringing)
	if err != nil {
		t.Fatal(err)
	}
	prack := NewRequest(PRACK, invite.URI(), RAck{rseq, ringing.CSeq()})
	if got, err := Get[RAck](prack); err != nil || got != (RAck{776656, invite.CSeq()}) {
		t.Errorf("RAck = %v, %v", got, err)
	}
}
