// Package redispresence keeps presence in Redis: package presence's contract over the functions of
// functions/tallywire_presence.lua, whose head describes the keys.
//
// Main path: [New], [Tracker.Run]; changes come by the broker's doorbell, whose hook is [Tracker.Hear].
// What a tracker does, and when, is in presence/internal/engine; what it means is in the functions.
//
// Keys of one function call share a slot, and steps that touch several slots are safe in any order in
// which they can be broken off: an incarnation is indexed before it writes, a channel is listed before
// it is written to.
package redispresence
