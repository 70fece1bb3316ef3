// Package server puts a gateway together and runs it: the one place that chooses implementations.
//
// Main path: [New] opens the store, the registry and the keys that the settings name; [Server.Run] listens,
// serves until its context ends, drains, and returns when everything that it started has ended.
package server
