// Command template prints what a chart renders to, as `helm template` does:
//
//	go run ./template [-chart folder] [-name release] [-namespace namespace] [-notes] [values.yaml…]
package main

import (
	"flag"
	"fmt"
	"os"

	"helm.sh/helm/v3/pkg/chartutil"

	chart "github.com/tallywire/tallywire/test/chart"
)

func main() {
	folder := flag.String("chart", "../../helm/tallywire", "folder of the chart")
	name := flag.String("name", "tallywire", "name of the release")
	namespace := flag.String("namespace", "default", "namespace of the release")
	notes := flag.Bool("notes", false, "print the notes too")
	flag.Parse()
	text, err := run(*folder, chart.Release{Name: *name, Namespace: *namespace}, flag.Args(), *notes)
	if err != nil {
		fmt.Fprintln(os.Stderr, "template:", err)
		os.Exit(1)
	}
	_, _ = os.Stdout.WriteString(text)
}

func run(folder string, release chart.Release, files []string, notes bool) (string, error) {
	c, err := chart.Load(folder)
	if err != nil {
		return "", fmt.Errorf("chart: %w", err)
	}
	values := map[string]any{}
	for _, file := range files {
		more, err := chartutil.ReadValuesFile(file)
		if err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
		values = chartutil.CoalesceTables(more, values) // a later file goes before an earlier one
	}
	rendered, err := chart.Render(c, release, values)
	if err != nil {
		return "", err
	}
	if notes {
		return rendered.String() + "---\n" + rendered.Notes, nil
	}
	return rendered.String(), nil
}
