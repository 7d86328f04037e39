// Package cpim reads and writes message/cpim, the envelope of instant messages.
//
// A [Message] says who sent what to whom and when, whichever protocol carries it:
// MSRP, where a chat room tells its participants apart by it, or SIP MESSAGE. It has
// two headers, one above the other: that of the message, with a grammar of its own,
// and the MIME header of what is in it. Other specifications add headers, each in a
// namespace, which is a URI; what prefix a message has for it does not matter. What
// a message requires, its recipient has to understand, and [Message.CheckRequire]
// tells.
//
//	m, err := cpim.Parse(body)
//	if err != nil {
//		return err // refuse with 400
//	}
//	if err := m.CheckRequire(imdn.Namespace); err != nil {
//		return err // refuse with 415
//	}
//	fmt.Println(m.From.Name, m.ContentType, len(m.Content))
//
// Nothing here has been proved: From is what the sender says. Whoever passes
// messages on compares it with who the sender is (RFC 7701 section 6.1).
//
// It implements RFC 3862, and of RFC 2045 the headers of an entity.
//
// It does not decode the transfer encoding of the content, take multipart content
// apart, or sign and encrypt (RFC 3862 section 5.2). A message that is read and
// written is no longer the same octet for octet: who passes one on unchanged, as
// section 6 has it, passes on the text.
package cpim
