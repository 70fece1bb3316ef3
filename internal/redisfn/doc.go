// Package redisfn loads libraries of Redis Functions and keeps them loaded: gateways of different versions
// share one Redis, and whoever has the newer library wins.
package redisfn
