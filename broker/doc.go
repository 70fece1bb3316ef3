// Package broker is the log contract: a channel is an ordered log of events, and a [Cursor] is a
// position in it.
//
// [Broker] is what a gateway needs from the store: publish, read, and a doorbell for what was appended.
// Implementations are membroker (one process) and redisbroker (Redis streams and pub/sub); both pass
// the suite in brokertest. The stream is the truth: what a [Sink] is told may be late, doubled or
// missing, and whoever needs certainty reads from its last good cursor and judges the answer with
// [Page.Check]. Package relay does that for a gateway.
package broker
