// Package operate is the admin API for people at a terminal: it asks, and prints tables or the answer as it is.
//
// Main path: [Client.Get] asks a gateway; [Gateways], [Channels], [Members], [Sessions] and [Explanation] print what
// has come; [Top] does both again and again.
package operate
