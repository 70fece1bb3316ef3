package tracing

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway"
)

// Options configure a Tracer. Endpoint is required.
type Options struct {
	// Endpoint is where the collector listens, as http://localhost:4318. Without a path it is /v1/traces.
	Endpoint string
	// Sample is the part of the publishes without a context that begin a trace, 0 to 1.
	Sample float64
	// Gateway and Version name this process to the collector.
	Gateway, Version string
	Log              zerolog.Logger
}

// Tracer sends spans. It is safe for concurrent use.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

var _ gateway.Tracer = (*Tracer)(nil)

// maxForeign is how many spans a second are made since somebody else has sampled their trace: everybody may
// set that bit, so that it must not be able to cost anything that counts.
const maxForeign = 200

// Bounds of the exporter. What does not fit into its queue is dropped.
const (
	queueSize     = 4096
	exportTimeout = 5 * time.Second
)

// New returns a tracer. It dials nothing yet: a collector that is away costs spans, and nothing else.
func New(o Options) (*Tracer, error) {
	ctx := context.Background() // nothing here waits for anything
	endpoint, err := target(o.Endpoint)
	if err != nil {
		return nil, err
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint), otlptracehttp.WithTimeout(exportTimeout))
	if err != nil {
		return nil, fmt.Errorf("otlp exporter: %w", err)
	}
	res, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", "tallywire"), attribute.String("service.version", o.Version),
		attribute.String("service.instance.id", o.Gateway),
	), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, fmt.Errorf("resource of the traces: %w", err)
	}
	// A collector that is away is told about once in a while, not with every batch.
	failures := o.Log.Sample(&zerolog.BurstSampler{Burst: 1, Period: time.Minute})
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		failures.Warn().Str("event", "traces_failed").Err(err).Msg("spans could not be sent")
	}))
	provider := sdk.NewTracerProvider(
		sdk.WithResource(res),
		sdk.WithSampler(&sampler{own: sdk.TraceIDRatioBased(o.Sample), foreign: rate.NewLimiter(maxForeign, maxForeign)}),
		sdk.WithBatcher(exporter, sdk.WithMaxQueueSize(queueSize), sdk.WithExportTimeout(exportTimeout)),
	)
	return &Tracer{provider: provider, tracer: provider.Tracer("github.com/tallywire/tallywire/gateway")}, nil
}

// target returns the URL that spans are sent to.
func target(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("otlp-endpoint: must be an http or https URL")
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	return u.String(), nil
}

// Flush sends what there is so far.
func (t *Tracer) Flush(ctx context.Context) error {
	return t.provider.ForceFlush(ctx) //nolint:wrapcheck // it names the exporter
}

// Close sends what is left until ctx ends, and stops.
func (t *Tracer) Close(ctx context.Context) error {
	return t.provider.Shutdown(ctx) //nolint:wrapcheck // it names the exporter
}

// Publish implements gateway.Tracer.
func (t *Tracer) Publish(channel, id, traceparent string) (string, func(broker.Receipt, error)) {
	ctx := remote(traceparent)
	name, template := destination(channel)
	_, span := t.tracer.Start(ctx, "publish "+name, trace.WithSpanKind(trace.SpanKindProducer))
	if !span.IsRecording() {
		return "", nil
	}
	span.SetAttributes(
		attribute.String("messaging.system", "tallywire"),
		attribute.String("messaging.operation.name", "publish"), attribute.String("messaging.operation.type", "send"),
		attribute.String("messaging.destination.name", channel), attribute.String("messaging.destination.template", template),
	)
	if id != "" {
		span.SetAttributes(attribute.String("messaging.message.id", id))
	}
	return format(span.SpanContext()), func(r broker.Receipt, err error) {
		if err != nil {
			kind := errorType(err)
			span.SetAttributes(attribute.String("error.type", kind))
			span.SetStatus(codes.Error, kind)
		} else {
			span.SetAttributes(attribute.String("tallywire.cursor", r.Cursor.String()), attribute.Bool("tallywire.duplicate", r.Duplicate))
		}
		span.End()
	}
}

// Delivered implements gateway.Tracer.
func (t *Tracer) Delivered(d gateway.Delivery) {
	link := trace.SpanContextFromContext(remote(d.TraceParent))
	if !link.IsValid() {
		return
	}
	name, template := destination(d.Channel)
	_, span := t.tracer.Start(context.Background(), "deliver "+name,
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithNewRoot(), trace.WithTimestamp(d.Heard),
		trace.WithLinks(trace.Link{SpanContext: link}),
		trace.WithAttributes(
			attribute.String("messaging.system", "tallywire"),
			attribute.String("messaging.operation.name", "deliver"), attribute.String("messaging.operation.type", "process"),
			attribute.String("messaging.destination.name", d.Channel), attribute.String("messaging.destination.template", template),
			attribute.String("tallywire.cursor", d.Cursor.String()), attribute.Int("tallywire.subscribers", d.Subscribers),
		))
	span.End(trace.WithTimestamp(d.Written))
}

// remote returns a context with the trace context of a traceparent, if it is one.
func remote(traceparent string) context.Context {
	ctx := context.Background()
	if traceparent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}

// format returns the traceparent of a span.
func format(c trace.SpanContext) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), c), carrier)
	return carrier["traceparent"]
}

// destination returns what spans call a channel: its name up to the first colon, and a template that stands
// for all that begin so.
func destination(channel string) (name, template string) {
	name, _, more := strings.Cut(channel, ":")
	if !more {
		return channel, channel
	}
	return name, name + ":{id}"
}

// errorType names an error without saying what it was about.
func errorType(err error) string {
	for kind, sentinel := range map[string]error{
		"unavailable": broker.ErrUnavailable, "refused": broker.ErrRefused, "overloaded": broker.ErrOverloaded,
	} {
		if errors.Is(err, sentinel) {
			return kind
		}
	}
	return "_OTHER"
}
