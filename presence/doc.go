// Package presence is the contract for who is here: members of channels, sessions of users, and the
// gateways that hold them.
//
// A [Tracker] is one gateway's part in it. The gateway tells it which sessions are in which channels
// ([Tracker.Enter], [Tracker.Leave]); the tracker keeps that true in the store for as long as the gateway
// lives, and its [Sink] hears what changes in the channels, from whichever gateway. [Directory] is the
// on-call's view of the same: where a user is connected, and which gateways there are. Implementations
// are mempresence (one process) and redispresence; both pass the suite in presencetest.
//
// # Members
//
// A member is a user in a channel, however many sessions (tabs, devices) it has there. The first session
// makes a join, the last one's end a leave. A session whose connection is gone stays for its grace
// period; if it is back within it, at this gateway or another, nobody sees a leave or a join.
//
// # Leases
//
// A gateway holds one lease, refreshed at a third of its lifetime with one command however many members
// it has. Sessions are marked with the gateway and its incarnation, which is the lease's number. When a
// lease ends, the other gateways reap: each member whose last session that was leaves, once, when its
// grace is over, which counts from the last refresh. A gateway that was frozen finds its incarnation
// void, takes a new one and enters again what is still connected to it; nothing else comes back. Only
// the store's clock decides.
//
// A grace that is not longer than the lease's lifetime is over when the lease ends: the members of a
// gateway that died are gone within that lifetime and a second. After an outage of the store, which may
// have ended everyone's lease, a gateway first waits for the lifetime of a lease, so that the others can
// take new ones, and then reaps.
//
// # Changes and snapshots
//
// Every change of a channel has a version, and the version before it. A snapshot has the version at
// which it was taken. Whoever wants to follow a channel subscribes to it at the broker first, then takes
// a snapshot with [Tracker.Members], and then applies the change whose Prev is the version it has. A
// change whose Version is not greater is in the snapshot already; any other means that something is
// missing, and a new snapshot settles it. [Roster] does exactly this.
package presence
