// Package redisbroker keeps channel logs in Redis: a stream for the truth, pub/sub for the doorbell.
//
// Main path of a publish: [Broker.Publish] queues it on a lane (lane.go), the lane runs batches of
// FCALL tw_publish in one pipeline each (batch.go), and the function in functions/tallywire.lua appends
// and rings the doorbell in one atomic step. Main path of a delivery: the hub's connection
// (hub.go, doorbell.go) hears it and tells the sink.
//
// What may go wrong is settled in two ways. The prober (probe.go) publishes through the same lane and
// expects its event on the same pub/sub connection within seconds; when it stays away the connection is
// replaced. The audit (audit.go) tells the sink every channel's head every few seconds and after every
// new connection, so that a sink which missed something reads it from the stream.
//
// The library of functions is a public contract: a worker in any language calls tw_publish with its own
// client and needs nothing from this package.
package redisbroker
