// Package test runs whole clusters: gateways as processes of their own, real Redis servers, clients over
// real sockets, and faults. What each client received is judged by the same checker.
package test
