// Package memreceipt keeps receipts in this process: package receipt's contract for one gateway, without
// Redis. What is kept is lost with the process.
//
// Main path: [New], [Book.Open], [Book.Close]. There is nothing to run: what has expired is removed by the
// next call.
package memreceipt
