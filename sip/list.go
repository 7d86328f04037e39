package sip

import "reflect"

// List sets a header field to several values, in order: in one line with commas
// if the header field is a comma list, in a line for each value if it is one
// like WWW-Authenticate, whose values are never combined (RFC 3261 section
// 7.3.1), or one that this package does not know, unless its type has a method
// CommaList as Parser says. With no values it removes the header field. Inside
// of Push and Add, the values come in front of or behind those that are there.
//
// The values are checked as if each was an edit by itself. More than one of a
// header field that has one value, values of different header fields, and more
// than 200 of a comma list are refused. The list is not copied, so it must not
// change until the message is made.
func List[H Edit](values ...H) Edit { return listEdit[H](values) }

type listEdit[H Edit] []H

// HeaderName returns the name that the values have, or would have.
func (l listEdit[H]) HeaderName() string {
	var zero H
	t := reflect.TypeFor[H]()
	switch {
	case len(l) > 0:
		zero = l[0]
	case t.Kind() == reflect.Interface:
		return "" // anything
	case t.Kind() == reflect.Pointer:
		zero = reflect.New(t.Elem()).Interface().(H)
	}
	return zero.HeaderName()
}

// AppendValue appends the values with commas between them.
func (l listEdit[H]) AppendValue(b []byte) []byte {
	for i, h := range l {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = h.AppendValue(b)
	}
	return b
}

func (l listEdit[H]) len() int      { return len(l) }
func (l listEdit[H]) at(i int) Edit { return l[i] }

// several is a listEdit of any type.
type several interface {
	Edit
	len() int
	at(i int) Edit
}

// applyList makes the edit op with all values of a list.
func (w *rewriter) applyList(op editOp, l several) {
	n := l.len()
	for i := range n {
		e := l.at(i)
		if _, ok := e.(asBody); ok && lookupHeader(e.HeaderName()) == idContentType {
			w.err = fail(StatusBadRequest, "Content-Type", 0, "expected a body by itself and not in a list")
			return
		}
		switch e.(type) {
		case nil, ReasonPhrase, *ReasonPhrase, RequestURI, *RequestURI, popEdit, delEdit, several, placedEdit:
			w.err = fail(StatusBadRequest, "header section", 0, "expected a list of values of a header field")
			return
		}
	}
	name := l.HeaderName()
	id := lookupHeader(name)
	if n == 0 && (op == set || !isToken(name)) {
		w.change(del, l)
	}
	if n == 0 {
		return
	}
	for i := 1; i < n; i++ {
		if other := l.at(i).HeaderName(); !equalFold(other, name) && (id == 0 || lookupHeader(other) != id) {
			w.err = fail(StatusBadRequest, headerName(name), 0, "expected values of the same header field")
			return
		}
	}
	k := kindOf(id, l.at(0))
	switch {
	case n == 1:
		w.change(op, l.at(0))
	case k == single, headerName(name) == "Privacy":
		// A Privacy has all its values already, with semicolons between them.
		w.err = fail(StatusBadRequest, headerName(name), 0, "expected one value")
	case k.commas(), k == tokens:
		w.change(op, l)
	case op == push:
		for i := n - 1; i >= 0; i-- {
			w.change(push, l.at(i))
		}
	default:
		w.change(op, l.at(0))
		for i := 1; i < n; i++ {
			w.change(add, l.at(i))
		}
	}
}

// appendValues appends the values of a comma list. Each of them is checked, and
// that a reader of the line finds the same ones.
func (w *rewriter) appendValues(b []byte, id headerID, name string, l several) []byte {
	bad := func(msg string) []byte {
		w.err = fail(StatusBadRequest, headerName(name), 0, msg)
		return b
	}
	if l.len() > maxValues {
		return bad("expected no more than 200 values")
	}
	start := len(b)
	ends := make([]int, l.len()) // where each value ends
	for i := range l.len() {
		if i > 0 {
			b = append(b, ", "...)
		}
		if b = w.appendValue(b, id, name, l.at(i)); w.err != nil {
			return b
		}
		ends[i] = len(b)
	}
	all, count, k := trimWS(view(b[start:])), 0, kindOf(id, l.at(0))
	rest := all
	for i := range l.len() {
		left := 0 // what is to follow this value
		if i+1 < l.len() {
			left = len(trimWS(view(b[ends[i]+len(", "):])))
		}
		for more := true; more; more = len(rest) > left { // a Field may be several
			var first string
			if first, rest = k.split(rest); first == "" {
				return bad("expected no empty value in a list")
			}
			count++
		}
		if len(rest) != left {
			return bad(msgOf(errOther))
		}
	}
	if count > maxValues {
		return bad("expected no more than 200 values")
	}
	if id != 0 {
		if err := checkEdit(id, l, all); err != nil {
			return bad(msgOf(err))
		}
	}
	return b
}
