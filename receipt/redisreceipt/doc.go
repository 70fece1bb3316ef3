// Package redisreceipt keeps receipts in Redis: package receipt's contract over the functions of
// functions/tallywire_receipt.lua, whose head describes the key.
//
// Main path: [New], [Book.Open], [Book.Close]. There is nothing to run.
package redisreceipt
