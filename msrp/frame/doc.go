// Package frame is MSRP as it stands on the wire: URIs and paths, and the frames that
// requests, responses and chunks of messages are.
//
// A frame is a [Head], the start line with the header fields, and for most SENDs a body,
// which ends where the transaction identifier of the start line comes again. A [Reader]
// finds that in a stream, however it is cut into pieces, and gives out the body as it comes,
// so that a chunk of any size takes no more memory than the buffer of the Reader. A Head
// writes itself, and refuses what would not be read back.
//
//	r := frame.NewReader(conn)
//	for {
//		head, err := r.Next()
//		if err != nil {
//			return err
//		}
//		for {
//			piece, err := r.Body() // until io.EOF
//			...
//		}
//		fmt.Println(head.Method, head.MessageID, r.Flag())
//	}
//
// The package follows RFC 4975 sections 6, 7.1, 7.2 and 9, and knows the header fields and
// the status codes of RFC 4976 and RFC 7701. It does no I/O but through a Reader, keeps no
// transactions and puts no message together: that is what package msrp does.
package frame
