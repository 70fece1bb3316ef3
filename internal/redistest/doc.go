// Package redistest starts real redis-server processes for tests, on loopback and on free ports, and
// ends exactly those it started.
//
// Main path: [Start] a server, or [StartSentinel] a primary with replicas and sentinels. Where no
// redis-server is found, tests are skipped; with CI set in the environment they fail instead.
package redistest
