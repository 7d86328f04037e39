// Package sdp reads and writes session descriptions and negotiates with them.
//
// A [Session] is the description one side gives: a list of [Media], one for
// each m= line, which is one stream. Parse reads whatever the field sends;
// String writes it as RFC 8866 wants it. An [Engine] is the state that the two
// sides of a dialog share: one makes an offer, the other answers it line by
// line, and each m= line keeps its place for as long as the dialog lasts. The
// engine sees to the order of things, to refused lines, to hold and to the
// version; it knows nothing of what the media are. Whoever carries the media
// says what to put into a section. For audio and video over RTP,
// [AnswerFormats] chooses the codecs and [SendFormats] tells what to send.
//
//	eng := sdp.NewEngine(&sdp.Config{Address: "192.0.2.1"})
//	offer, err := eng.Offer([]*sdp.Media{audio}) // into the INVITE
//	...
//	agreed, err := eng.ReceiveAnswer(body) // out of the 200
//
// It implements RFC 8866 (the format), RFC 3264 and RFC 6337 (offer and
// answer), the static payload types of RFC 3551, and what RFC 4733 says of
// the clock rate of telephone events.
//
// It carries the attributes of ICE, DTLS, MSRP and others without acting on
// them. It does not bundle sections (RFC 9143): a group is not answered, so
// that each section has its own port, and bundle-only sections are refused.
// It does not compare format parameters (fmtp) beyond preferring equal ones.
// Lines for announcing broadcasts (r=, z=) and k= are not kept.
package sdp
