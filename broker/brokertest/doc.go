// Package brokertest is the suite that every implementation of [broker.Broker] passes.
//
// Main path: implement [Backend], and those of [Cutter], [Forker], [Expirer] and [Staller] that the
// store can do, and call [Run]. [Sink] is the recording sink; tests of what stands on a broker use it too.
package brokertest
