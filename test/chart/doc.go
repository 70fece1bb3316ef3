// Package chart renders the Helm chart through Helm's own engine, without a cluster and without the
// command helm. It is a module of its own, so that nobody who builds Tallywire builds Helm.
//
// Main path: [Load] the chart, then [Render] it for a [Release] and values. The tests hold what comes out
// against strict schemas of Kubernetes (see makeschemas), and examine what schemas cannot know.
//
//	go run ./template -name demo ../../helm/tallywire/ci/dev.yaml
//
// prints what `helm template` would.
package chart

//go:generate go run ./makeschemas
