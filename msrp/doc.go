// Package msrp is instant messages in sessions: chats and files of any size, between two programs
// or by way of relays (RFC 4975).
package msrp
