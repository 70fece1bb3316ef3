// Package contract makes the two documents that say what a gateway speaks: OpenAPI 3.1 for the HTTP API,
// AsyncAPI 3.0 for frames and channels. Both are made when the gateway starts, of what the code itself
// uses: the shapes of the frames and the codes in gateway/wire, the Go types of the gateway's bodies, and
// the registered event types. Tests hold them against their meta-schemas, the gateway's routes, and
// recorded traffic.
//
// Main path: [New] makes a [Contract]; its two [Document]s are HTTP handlers. schemas.go turns Go types
// into JSON Schemas, paths_*.go are the tables of what the API has, openapi.go and asyncapi.go write them
// down.
package contract
