//go:build !race

package test

// seenPace is by how much the pace of those who come back may exceed the drain's, as they see it themselves.
const seenPace = 1.1
