package test

import (
	"testing"

	"github.com/tallywire/tallywire/internal/programtest"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) { programtest.Main(m, &binary) }
