package dialog

// Left returns how much the tables hold.
func (l *Layer) Left() (dialogs, invites int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.dialogs), len(l.answers) + len(l.unsettled)
}

// LatePRACKs returns how many PRACKs may come of calls that were refused.
func (l *Layer) LatePRACKs() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.late)
}

// Asking returns how many SUBSCRIBEs and REFERs NOTIFYs may answer.
func (l *Layer) Asking() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.asking)
}

// Tie makes two dialogs the legs of one call, as Relay does.
func Tie(a, b *Dialog) { tie(a, b) }
