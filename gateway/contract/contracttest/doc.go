// Package contracttest holds what goes over the wire against the documents of a contract. A [Traffic] is
// shown every request, answer and message of a test; it fails the test for what the documents do not
// describe, and says in the end what they describe and nobody saw.
package contracttest
