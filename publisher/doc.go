// Package publisher publishes events straight to Redis, for workers in Go. It is a thin layer over the
// public contract that any Redis client can use:
//
//	FCALL tw_publish 1 tw:{jobs:42} '{"type":"job.progress",…}' id=worker-3/01JD…
//
// Main path: [New] a [Publisher] over the worker's own go-redis client, and [Publisher.Publish]. It adds
// what is easy to get wrong by hand: the channel's key, a check of the event before it is sent, an
// idempotency key, and repetitions that cannot append an event twice.
//
// The functions are loaded into Redis by every gateway and by `tallywire doctor --load`; a publisher
// does not load them, so that it needs no right to.
package publisher
