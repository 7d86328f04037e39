// Package bench measures Parley beside other SIP stacks on the same messages in
// the same run. It is a module of its own, so that nothing here becomes a
// dependency of the library.
//
//	go test -bench . -count 6
package bench
