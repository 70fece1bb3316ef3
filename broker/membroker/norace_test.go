//go:build !race

package membroker_test

const raceEnabled = false
