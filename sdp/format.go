package sdp

// A Format is one RTP payload format of a section: a number from the m= line
// with its rtpmap and fmtp (RFC 8866 sections 6.6 and 6.15), or the meaning
// RFC 3551 section 6 gives the number.
type Format struct {
	PayloadType uint8  // 0 to 127
	Name        string // the encoding name: "PCMU", "telephone-event"; case does not matter
	ClockRate   int    // in Hz; more than 0
	Channels    int    // 0 and 1 mean one
	Params      string // the fmtp line after the number; "" none
}
