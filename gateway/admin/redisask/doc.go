// Package redisask asks the gateways of a cluster over the Redis that they share.
//
// Main path: [Cluster.Ask] publishes a question on <prefix>:_ask, every gateway's [Cluster.Run] hears it and
// publishes its answer on the asker's <prefix>:_ask:<name>, and Ask collects until everybody who is expected
// has answered or the time is over. Whoever is expected and has not answered is named.
//
// Questions and answers are JSON with a version. They are trusted as far as Redis lets their sender publish:
// that is what its access list is for. They go by pub/sub, so that nothing is left behind by whoever dies; a
// question that reaches a gateway after its time, by Redis's clock, is not answered and not acted on.
package redisask
