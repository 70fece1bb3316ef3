package main

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestCheckTree(t *testing.T) {
	const bubble = `package p
func TestA(t *testing.T) { synctest.Test(t, func(t *testing.T) { go func() { time.Sleep(1) }() }) }
`
	const awake = bubble + `
func TestB(t *testing.T) {
	t.Run("x", func(t *testing.T) { time.Sleep(1) })
}
func helper() { time.Sleep(1) }
`
	tree := fstest.MapFS{
		"a/bubble_test.go":             {Data: []byte(bubble)},
		"a/code.go":                    {Data: []byte("package p\nfunc f() { time.Sleep(1) }\n")}, // the linter's
		"node_modules/x/awake_test.go": {Data: []byte(awake)},
	}
	files, problems, err := checkTree(tree)
	require.NoError(t, err)
	require.Equal(t, 1, files)
	require.Empty(t, problems)

	tree["b/awake_test.go"] = &fstest.MapFile{Data: []byte(awake)}
	files, problems, err = checkTree(tree)
	require.NoError(t, err)
	require.Equal(t, 2, files)
	require.Len(t, problems, 2)
	require.Contains(t, problems[0], "b/awake_test.go:5:")
	require.Contains(t, problems[1], "b/awake_test.go:7:")
}

func TestCheckTreeRefusesWhatIsNoGo(t *testing.T) {
	_, _, err := checkTree(fstest.MapFS{"a_test.go": {Data: []byte("func")}})
	require.ErrorContains(t, err, "a_test.go:1")
}
