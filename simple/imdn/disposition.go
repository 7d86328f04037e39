package imdn

import "strings"

// A Disposition is a set of what a sender can ask to be told
// (RFC 5438 section 7.1.1.3).
type Disposition uint8

const (
	PositiveDelivery Disposition = 1 << iota // that the message was delivered
	NegativeDelivery                         // that it could not be delivered
	Processing                               // what somebody in between did with it
	Display                                  // that it was shown to the user
)

// dispositions are the words for the bits, from the lowest on.
var dispositions = [...]string{"positive-delivery", "negative-delivery", "processing", "display"}

// String returns the set as the header has it: "positive-delivery, display".
func (d Disposition) String() string {
	var words []string
	for i, word := range dispositions {
		if d&(1<<i) != 0 {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}
