// Package bench drives a running gateway over real sockets and says what it costs: CPU a delivery,
// latency, memory a connection, how fast it takes publishes and how it stands a storm of clients that
// resume.
//
// Entry point: [Run], which [Command] puts on the command line. Main path of a scenario:
//
//	Run → start a server pinned to one core → fleet.open (connect, subscribe) → drive → Figures → report
//
// The load comes from one goroutine on a thread of its own: non-blocking sockets in one epoll set, a
// client side of WebSocket that masks with a zero key, and no JSON parser. An event carries the time of
// its publication as "ts" and 19 digits, and a delivery is one such stamp found in what arrives, so that
// any server is measured alike.
//
// Where a rate is given the load is open loop: event n is due at start + n/rate, carries that time
// whatever happens before it is sent, and its latency counts from there. What has not arrived at the
// deadline is counted as missed, and enters the histogram with the time that it has been waited for.
//
// Every scenario that has a counterpart also runs against package floor in the same call: ratios of
// figures from one call are what means something on another machine.
//
// The load generator needs Linux (epoll, /proc).
package bench
