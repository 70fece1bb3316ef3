// Package goclient is the Go client of a gateway: it subscribes, publishes, and keeps doing both across
// lost connections.
//
// Main path: [New] a [Client], [Client.Subscribe] with a [Handler], and [Client.Run] it. Within a
// channel's retention a handler receives every event once, in order, whatever happens to connections;
// or it receives a [Reset], which says why events may be missing and from where on. The client checks
// what a gateway sends: an event that neither follows the one before nor was received already is
// counted ([Client.Violations]), told to OnError, and repaired by resuming from the last good cursor.
//
// How it works inside: Run connects (connect.go) and keeps one current [link]; each link has a reader
// and a writer (link.go). The writer pulls what is due from the client (outbox.go), the reader resolves
// answers (call.go) and hands the rest to one dispatcher (dispatch.go), which asks the track of the
// subscription (track.go) whether to deliver, and runs the handler.
//
// A client may also be present in channels ([Client.Presence]), which it enters again on every new
// connection, and watch who else is (SubscribeOptions.Presence).
//
// Programs that speak frames themselves, such as load generators, use [Dial] and [Conn].
package goclient
