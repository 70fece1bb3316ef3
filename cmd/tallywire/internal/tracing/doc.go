// Package tracing sends spans of what a gateway publishes and delivers to an OpenTelemetry collector, by OTLP
// over HTTP.
//
// Main path: [New] makes a [Tracer], which is a gateway's Tracer; [Tracer.Close] sends what is left.
//
// A publish by a client is a span "publish jobs", the child of the span whose context the event or the request
// brought. Where they brought none, some publishes begin a trace, and their events carry its context. At each
// gateway that delivers an event whose context is sampled there is one span "deliver jobs", however many
// receive it: a trace of its own that is linked to the context in the event, as OpenTelemetry's conventions for
// messaging have it for what many consume. Attributes hold no payload.
package tracing
