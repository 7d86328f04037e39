package confinfo

import "time"

// MediaType is the type of a document in Content-Type and Accept (section 3.4). The
// name of the event package is "conference" (section 3.1).
const MediaType = "application/conference-info+xml"

// State says how much of an element a document has (section 4.4).
type State string

// The empty State is Full, but for elements that a partial document has or has not.
const (
	Full    State = "full"    // all of it
	Partial State = "partial" // what has changed in it
	Deleted State = "deleted" // it is no longer there
)

// A Conference is a conference with those who are in it, or what has changed in one
// (section 5.2). Of text, empty is the same as not there, everywhere in this package.
//
// What a document has and this package has no field for, as extensions do, is kept
// and written again, at the end of the element that it is in.
type Conference struct {
	// Entity is the URI of the conference, which is who watches subscribes to.
	Entity string
	State  State
	// Version is one more in each document that tells one subscriber of a change.
	Version uint32

	Description Description
	HostInfo    HostInfo
	Activity    Activity

	// Users are who is in the conference. UsersState is how much of them a partial
	// document has: empty if it has none of <users>.
	Users      []User
	UsersState State

	// SidebarsByRef are conferences beside this one, to which one can subscribe
	// (section 5.9.1), and SidebarsByVal such with what there is to tell of them
	// (section 5.9.2). Their states are as UsersState. Of a sidebar the version means
	// nothing.
	SidebarsByRef      []URI
	SidebarsByRefState State
	SidebarsByVal      []Conference
	SidebarsByValState State

	other other
	cost  int // of the partial documents that Apply has made this of
}

// Description is the <conference-description> (section 5.3).
type Description struct {
	DisplayText    string
	Subject        string
	FreeText       string
	Keywords       []string
	ConfURIs       []URI   // with purpose "participation" or "streaming"
	ServiceURIs    []URI   // with purpose "web-page", "recording" or "event"
	MaxUserCount   *uint32 // nil: it is not said
	AvailableMedia []Medium

	other other
}

// A URI is an entry of a list of URIs, with what is said of it.
type URI struct {
	URI         string
	DisplayText string
	Purpose     string
	Modified    Execution

	other other
}

// A Medium is an entry of the media that a conference offers (section 5.3.4).
type Medium struct {
	Label       string // of the stream, as in a=label
	DisplayText string
	Type        string // "audio", "video", "text", "message"
	Status      string // "sendrecv", "sendonly", "recvonly", "inactive", as participants see it

	other other
}

// HostInfo is who hosts the conference, <host-info> (section 5.4).
type HostInfo struct {
	DisplayText string
	WebPage     string
	URIs        []URI

	other other
}

// Activity is the <conference-state> (section 5.5). What is nil is not said.
type Activity struct {
	UserCount *uint32 // who takes part, which may be more than Users lists
	Active    *bool   // whether one could join now
	Locked    *bool   // whether nobody can be added

	other other
}

// Execution is when, why and by whom something was done.
type Execution struct {
	When   time.Time
	Reason string // as in the header field Reason: `SIP;cause=415;text="Unsupported Media Type"`
	By     string // a URI

	other other
}
