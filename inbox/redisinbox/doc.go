// Package redisinbox is the inbox in Redis: package inbox's Store over the stream <prefix>:_inbox and the
// functions of functions/tallywire_inbox.lua, whose head describes the keys.
//
// Main path: [New]; package inbox calls the rest. [Store.Close] closes the connection on which the store waits
// for entries, which is its own; the client stays the caller's.
package redisinbox
