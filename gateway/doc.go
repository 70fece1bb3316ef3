// Package gateway terminates client connections and relays channels to them: the path from socket to
// relay.
//
// Entry points: [New] makes a [Gateway], [Gateway.Run] runs it, [Gateway.Handler] is its HTTP side.
//
// A client's command goes
//
//	socket → conn.readLoop → session.command → validate → authorise → broker
//
// and an event goes
//
//	broker → relay.Hub → relay.Relay → tap.Wake → flusher → conn (a reader with a cursor) → socket
//
// A connection has one goroutine, its reader. Writing is done by a few flushers, each of which owns the
// write side of a share of the connections: it collects what is new in the relays that its connections
// read and writes at most one frame to each per flush interval, without blocking. A socket that is full
// gets a goroutine with a deadline until that one frame is out.
//
// A subscribe goes: subscribe at the broker, then read the stream after the cursor, then go live;
// package relay settles whatever falls between.
package gateway
