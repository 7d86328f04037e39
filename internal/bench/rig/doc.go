// Package rig has what the commands beside it share that measure servers: processes
// and their CPU time, SIPp as the load, tables of what came of it, and the servers
// that several of them measure.
package rig
