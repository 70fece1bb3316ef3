//go:build race

package test

// seenPace is by how much the pace of those who come back may exceed the drain's, as they see it themselves: two
// thousand clients under the race detector are late by what else it does, and then together.
const seenPace = 2.0
