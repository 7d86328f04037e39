// Package differential reads the same text with Parley and with the parser of
// github.com/emiago/sipgo, and judges where they disagree.
//
// The judge is a third reading: the grammar of RFC 3261 section 25.1 as regular
// expressions, slow and plain (grammar.go). Every disagreement must fall into a
// class that says which of the two is right and by which section of which RFC
// (classes.go). One that falls into none is a fault of Parley until somebody
// shows that it is not, and so is whatever Parley reads otherwise than the judge:
// FuzzAgainstSipgo looks for both.
package differential
