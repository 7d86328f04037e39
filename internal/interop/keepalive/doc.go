// Package keepalive holds the tests that wait for minutes while a NAT forgets
// what it is not reminded of. Every one of them has networks of its own, so
// they run beside each other and beside the rest of the interop suite.
//
// It has nothing for a program to use.
package keepalive
