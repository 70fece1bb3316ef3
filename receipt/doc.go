// Package receipt is the contract for batches of commands that come one request at a time and may be
// repeated at any gateway: each batch of a session has a sequence number, is done in that order, and is done
// once, whatever becomes of the request that brought it.
//
// Main path: [Book.Open] before the first command of a batch, [Book.Close] with the answer after the last.
// Implementations are memreceipt (one process) and redisreceipt; both pass the suite in receipttest.
//
// What is promised holds as long as a session's state is kept ([Options].TTL after its last Open or Close) and
// a batch takes no longer than its lease. A batch whose lease is over counts as abandoned by a gateway that
// died, and may be begun again: commands in it that were done are then done twice, unless they are harmless to
// repeat, as a publish with an id is.
package receipt
