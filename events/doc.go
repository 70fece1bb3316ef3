// Package events holds what an event is: its envelope, the names of channels, the patterns that give
// permission for them, and the registry of event types.
//
// An event is a CloudEvents 1.0 event in the JSON format, one object of at most [MaxEventBytes]. Only
// its `type` is required. What is absent has a meaning all the same: `id` defaults to the event's
// cursor, `source` to its channel, `time` to its stamp, and `specversion` to "1.0".
//
// Main path: [Scan] looks once at the bytes of an event, makes sure that they may be relayed to anyone
// (valid JSON, valid UTF-8, bounded size and depth, sane attributes), and returns the [Envelope];
// [Registry.Check] then holds the event's `data` against the JSON Schema of its type. Both return an
// [*InvalidError], which says where the event is wrong and what would be right. Publishers and clients
// in Go use [Event].
//
// The package keeps no state outside a [Registry], and imports nothing of the project.
package events
