// Package redisconn turns a Redis URL into a client whose settings are safe for a log.
//
// Main path: [Parse] a URL into a [Target], then [Target.Client]. A Target's text never holds a
// password, so it may be logged and wrapped into errors.
package redisconn
