// Package interop starts other people's SIP programs, so that tests can call
// them: Kamailio as registrar, as proxy and as MSRP relay, baresip, Linphone and
// Twinkle as telephones, SIPp as a script, a browser with JsSIP, sip-dig with a name
// server, and Wireshark's dissectors as a judge of what was on the wire. It also makes
// networks with a NAT between them.
//
// Each peer is a function that takes the test, starts the program on free ports
// of 127.0.0.1 and ::1 with its state in the test's own folder, and returns when
// it is ready. It is stopped when the test ends, however the test ends, and what it
// wrote is part of the test's log if the test failed.
//
//	func TestRegister(t *testing.T) {
//		interop.Need(t)
//		proxy := interop.StartKamailio(t, nil)
//		bob := interop.StartBaresip(t, &interop.BaresipOptions{User: "bob", Proxy: proxy.Addr, Tone: 440})
//		...
//		if level := media.ToneLevel(bob.Recording(t), 600); level < 0.9 { ... }
//	}
//
// The tests run where PARLEY_INTEROP=1 is set. There a peer that is not
// installed is a failure, not a reason to pass.
//
// It does not install anything, and it uses /proc, so it runs on Linux.
package interop
