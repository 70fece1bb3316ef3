// Package relay is a gateway's in-memory tail of the channels that its clients read.
//
// A [Hub] takes what the broker hears and keeps one [Relay] for each channel that somebody reads. A
// relay puts the channel's entries in order, notices holes and forks, settles both by reading the
// stream, and keeps the recent events, each encoded once. Readers are cursors ([Position]) into it:
// they are woken through a [Listener] and then pull with [Relay.Pull]; a reader that is too far behind
// fetches pages of the stream with [Relay.Fetch], one read for all who need the same page.
//
// Main path: Hub.Deliver → Relay.deliver → log.accept → Listener.Wake … Relay.Pull → Batch. In doubt:
// Relay.deliver → Relay.repair → broker.Read → log.accept, or a reset that every reader concerned gets
// from its next Pull.
package relay
