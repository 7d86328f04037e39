package sip

// maxMisses is how many lines lessUsual may leave before it is no more asked: it
// was not made for such messages.
const maxMisses = 5

// lessUsual takes header lines as quickLines does, also with names that are not
// those of the table to the letter, with no value or no space before it, and
// with folds, which it counts. A message that has one such line may have many.
func (m *message) lessUsual(k *marks, fields []field, pos, folds int) ([]field, int, int) {
	s := k.s
	ends := k.at(&k.control, pos)
	for len(fields) < maxFields {
		id, n := lessUsualName(k, pos)
		if n == 0 {
			break
		}
		value, eol := pos+n+1, ends.pos()
		if value < eol && s[value] == ' ' {
			value++
		}
		if !endsLine(s, eol) || eol < value || value < eol && (s[value] <= ' ' || s[eol-1] <= ' ') {
			break
		}
		next, more := eol+2, 0
		for isWS(s[next]) {
			if folds+more == maxFolds {
				return fields, next, maxFolds + 1
			}
			ends = k.next(&k.control, ends) // the line feed
			ends = k.next(&k.control, ends)
			if !endsLine(s, ends.pos()) {
				break
			}
			next = ends.pos() + 2
			more++
		}
		if isWS(s[next]) {
			break
		}
		f := field{uint16(pos), uint8(value - pos), id}
		if id != 0 && id < numHot {
			if m.first[id] == 0 && more == 0 {
				m.quick(k, id, value, eol)
			}
			if m.note(f, len(fields)) != nil {
				break
			}
		}
		if more > 0 {
			folds += more
			m.folded = true
			if value == eol {
				f.value = 0
			}
		}
		if len(fields) == cap(fields) {
			fields = m.grow(fields)
		}
		fields = append(fields, f)
		pos = next
		ends = k.next(&k.control, ends) // the line feed
		ends = k.next(&k.control, ends)
	}
	return fields, pos, folds
}

// lessUsualName finds at this place a name that is followed at once by its colon,
// and its length.
func lessUsualName(k *marks, pos int) (headerID, int) {
	if pos+1 < len(k.s) && k.s[pos+1] == ':' && is(k.s[pos], charToken) {
		return compactForms[k.s[pos]], 1
	}
	if id, n := usualName(k.s, pos); n > 0 {
		return id, n
	}
	p := k.at(&k.special, pos).pos()
	if n := p - pos; n > 0 && n < 250 && p < len(k.s) && k.s[p] == ':' {
		return lookupHeader(k.s[pos:p]), n
	}
	return 0, 0
}

// endsLine reports whether a header line ends there, and another one follows.
func endsLine(s string, eol int) bool {
	return eol+2 < len(s) && eol+2 <= maxHead && s[eol] == '\r' && s[eol+1] == '\n'
}
