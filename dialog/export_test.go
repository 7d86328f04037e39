package dialog

// Left returns how much the tables hold.
func (l *Layer) Left() (sessions, invites int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sessions), len(l.answers)
}
