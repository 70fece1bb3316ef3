// Package receipttest is the suite that every receipt.Book passes.
//
// Main path: [Run] with a function that makes an empty [Backend].
package receipttest
