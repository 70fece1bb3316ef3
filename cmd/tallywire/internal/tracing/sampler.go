package tracing

import (
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

// sampler records what belongs to a trace that is recorded, within a rate, and of what begins one a part.
type sampler struct {
	own     sdk.Sampler
	foreign *rate.Limiter
}

// ShouldSample implements sdk.Sampler.
func (s *sampler) ShouldSample(p sdk.SamplingParameters) sdk.SamplingResult {
	parent := trace.SpanContextFromContext(p.ParentContext)
	if len(p.Links) > 0 {
		parent = p.Links[0].SpanContext
	}
	if !parent.IsValid() {
		return s.own.ShouldSample(p)
	}
	if parent.IsSampled() && s.foreign.Allow() {
		return sdk.SamplingResult{Decision: sdk.RecordAndSample}
	}
	return sdk.SamplingResult{Decision: sdk.Drop}
}

// Description implements sdk.Sampler.
func (s *sampler) Description() string { return "Tallywire{" + s.own.Description() + "}" }
