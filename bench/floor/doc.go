// Package floor is the least that a broadcast over coder/websocket can cost: a server that keeps a set
// of connections per channel and calls Conn.Write for each of them and every event. It has no log, no
// resume, no batching, no permissions and no limits. It speaks enough of the gateway's wire for the load
// generator of package bench to drive both alike, so that a figure of the gateway can be given as a
// ratio to it.
//
// Entry point: [Serve], or [New] for a handler.
package floor
