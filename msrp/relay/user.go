package relay

// An account is what one user has of what the relay has for all. Nobody may have more than a tenth, so
// that one user, or who knows the password of one, does not shut out the others.
type account struct {
	uris    int
	dialing int // connections that are being made
}

// account returns that of a user. The lock is held.
func (r *Relay) account(user string) *account {
	a := r.users[user]
	if a == nil {
		a = new(account)
		r.users[user] = a
	}
	return a
}

// settle forgets a user who has nothing. The lock is held.
func (r *Relay) settle(user string) {
	if a := r.users[user]; a != nil && *a == (account{}) {
		delete(r.users, user)
	}
}

// share is the part of n that one user may have.
func share(n int) int { return max(1, n/10) }
