// Package inbox takes what workers have put into the inbox, one stream for all channels, and publishes it: for
// workers whose Redis client, proxy or ACL cannot call functions.
//
// Main path: [New], [Inbox.Run]. Any number of gateways run one; a lease makes one of them the active one
// (docs/adr/0009). A term as the active one is a reader, which takes entries in the order in which they were
// added, first those that somebody else has taken and not finished; a dispatcher, which publishes the entries of
// each channel one after another and those of different channels at the same time; and an acknowledger.
//
// What is promised: an entry that was added is published to its channel at least once, or goes to the dead
// letters with the reason. Entries of one channel are published in the order in which they were added. An entry
// is repeated where a gateway died, or lost its lease, between publishing and acknowledging it; its idempotency
// key makes the repetition harmless within the namespace's dedupe window.
//
// [Store] is the inbox itself; redisinbox is the implementation.
package inbox
