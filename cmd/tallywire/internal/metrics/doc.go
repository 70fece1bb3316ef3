// Package metrics tells Prometheus how a gateway is doing.
//
// Main path: [New] makes a registry with one collector, which reads at each scrape what the parts of a
// gateway count themselves; nothing is counted twice. Only what nobody else counts is counted here: round
// trips to Redis ([Redis], a hook of its client) and dead letters by their code ([Dead]).
//
// Labels hold what the gateway itself chooses among few: transports, close codes and reasons of the
// gateway's, results. Never a channel, a user, a namespace, an event type or a code that a client has sent.
// Every combination is there from the start, at zero, so that rates see the first of its kind.
package metrics
