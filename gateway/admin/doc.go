// Package admin is the operators' side of a gateway: an API that answers for the whole cluster from any
// gateway, and a console that shows it in a browser.
//
// Main path of a request: [New]'s handler → bearer token of the admin audience → bind → ask the gateways
// ([Cluster.Ask]), the store, or both → merge → answer. A gateway's own share of an answer comes from its
// [Responder], which [Alone] asks directly and package redisask over Redis. What could not be asked is
// named in every answer, never left out.
//
// The API only takes bearer tokens, so that no page of another site can act with what a browser keeps.
// Every call is logged with its actor. openapi.json is the contract, and tests hold every answer against it.
package admin
