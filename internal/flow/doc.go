// Package flow plays call flows of RFCs in tests, and writes down what went over
// the wire as a transcript that a SIP engineer can read.
//
// A [Story] has a cast, the ladder that the RFC prints, and a func in which people
// do things: Alice calls, Bob's phone rings, he answers after two seconds. [Test]
// plays it in fake time, on an in-memory network where a packet takes 10 ms to
// the next host, and compares three things. What was sent is, in this order, what
// the ladder of the RFC has. Each message is like the one of that label that the RFC
// prints, in what routes it and what it carries. And the transcript is that of the
// golden file, to the byte. Then it plays the story again on networks that lose
// datagrams, double and reorder them, where the ladder is another one each time, and
// looks at how it ended: each request has its final response, each 2xx its ACK, each
// call its BYE. What people have to find at the end, such as an error or a new address,
// Play itself checks, in all of these runs.
//
//	func TestFlow3665Direct(t *testing.T) {
//		flow.Test(t, flow.Story{
//			RFC: 3665, Section: "3.1", Title: "Successful Session Establishment",
//			Cast: []flow.Actor{flow.Alice, flow.Bob},
//			Show: []string{"From", "To", "CSeq", "Contact", "SDP"},
//			Flow: `
//				F1 INVITE Alice -> Bob
//				F2 180    Bob -> Alice
//				F3 200    Bob -> Alice
//				F4 ACK    Alice -> Bob
//				F5 BYE    Bob -> Alice
//				F6 200    Alice -> Bob`,
//			Play: func(f *flow.Flow) {
//				alice, bob := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, flow.Bob, ua.Config{})
//				f.Note("Alice calls Bob.")
//				call := alice.place(flow.Bob.AOR)
//				in := bob.invited()
//				in.ring()
//				f.Pass(2 * time.Second)
//				f.Note("Bob answers.")
//				theirs, ours := in.answer(), call.answered()
//				f.Pass(10 * time.Second)
//				f.Note("Bob hangs up.")
//				hangup(f, theirs, ours)
//			},
//		})
//	}
//
// newPhone and what it returns are those of ua/flow_scene_test.go, which also has
// servers: a registrar with a proxy, with and without passwords.
//
// # How to read one
//
// A transcript is the ladder, and below it the messages, with the labels of the RFC;
// one that the RFC does not show has that of the message before, and a letter. Arrows
// are drawn with "-" for datagrams and with "=" for connections, at the time at which
// they leave. One that ends in an "x" is lost, one that says "again" is the same to the
// byte as one before. SDP marks a session description. Between the arrows is what
// people do.
//
// # How to write one
//
// Copy the ladder from the titles of the message details of the RFC ("F5 INVITE
// Proxy 1 -> Proxy 2"), and write Play. Run it; what is not as in the RFC is an
// error that shows the ladder as it was. Where we are right, say so: a message
// that we send and the RFC does not show is a line with "+" in Flow, one that we do
// not send a line with "-", each with its reason; what else is different of a
// message is in Differs. Then go test -update writes testdata/flows/3665-3.1.txt.
// Read it, every line.
//
// A story that is printed nowhere has no Flow: its messages are numbered as they
// come, and the golden file is all there is to compare with.
//
// # What keeps it the same in every run
//
// Tags, branches, Call-IDs, nonces, session ids and what depends on them have
// names: "alice-1" is the first tag of Alice. They are found wherever they stand,
// so a Replaces shows the names as well. What is sent by several at the same time is
// put into the order of the RFC, or else of the columns. Times are exact: a story has to
// keep clear of what waits for a random time, as the refresh of a registration and
// the retry after a 491 do, or to end before it. Packets to and from whoever is not of
// the Cast, such as a name server, belong to it too: better there are none.
//
// What people do has to be in an order as well: who calls a method of an agent does so
// when the other side has come to rest, after a Pass or in answer to something. Play
// runs in one goroutine, and starts another one for what blocks.
//
// A run with loss that fails shows its ladder, with what was lost and what was sent
// again. Its fault is that of the seed: the same datagrams are lost whenever it is
// run. -seeds=1000 looks for others. None is bad luck: no datagram is lost more than
// twice, and who sends one three times is heard.
//
// The package defines the flags -update and -seeds; a package that has one of these
// itself cannot use it. It is for tests alone, as layers_test.go says.
package flow
