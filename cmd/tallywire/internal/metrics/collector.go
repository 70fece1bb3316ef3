package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/inspect"
)

// Metrics are a gateway's metrics. Safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
}

// New returns the metrics of what s names, of the Go runtime and of the process.
func New(s Sources) (*Metrics, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	m := &Metrics{registry: prometheus.NewPedanticRegistry()}
	parts := []prometheus.Collector{
		&collector{sources: s, started: time.Now()},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}
	if s.Redis != nil {
		parts = append(parts, s.Redis)
	}
	for _, c := range parts {
		if err := m.registry.Register(c); err != nil {
			return nil, err //nolint:wrapcheck // it names the metric
		}
	}
	return m, nil
}

// Bounds of scrapes: more at a time, or a longer one, get an error.
const (
	maxScrapes    = 4
	scrapeTimeout = 10 * time.Second
)

// Handler serves the metrics in the formats that Prometheus asks for.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapes, Timeout: scrapeTimeout, ErrorHandling: promhttp.ContinueOnError,
		EnableOpenMetrics: true, // which have exemplars
	})
}

// Gatherer returns what Handler serves.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// collector reads the sources at each scrape.
type collector struct {
	sources Sources
	started time.Time
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range all(&c.sources) {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s, g := scrape{ch}, c.sources.Gateway
	o, m := g.Overview(), g.Measures()
	_, reason := g.Ready()
	s.gauge(buildInfo, 1, o.Version, o.Gateway)
	s.gauge(ready, truth(o.Ready))
	s.gauge(draining, truth(o.Draining || reason == "draining"))
	if c.sources.CertificateEnd != nil {
		s.gauge(certificateEnd, float64(c.sources.CertificateEnd().Unix()))
	}
	c.connections(s, &o, &m)
	c.delivery(s, &o, &m)
	c.relays(s)
	c.probe(s, o.Now)
	if c.sources.Dead != nil {
		for reason, n := range c.sources.Dead.counts() {
			s.counter(deadLetters, n, reason)
		}
	}
	c.presence(s)
	c.inbox(s)
	c.broker(s)
}

func (c *collector) connections(s scrape, o *inspect.Overview, m *gateway.Measures) {
	for name, t := range m.Transports {
		if name == commandsTransport { // kept state, and no connection
			s.gauge(commandSessions, float64(t.Open))
			continue
		}
		s.gauge(connections, float64(t.Open), name)
		s.counter(connectionsTotal, t.Accepted, name, "accepted")
		s.counter(connectionsTotal, t.Refused, name, "refused")
	}
	s.gauge(connectionLimit, float64(c.sources.Limit))
	if unforeseen := (gateway.End{Code: 1006, Reason: "other"}); m.Ends[unforeseen] == 0 {
		m.Ends[unforeseen] = 0 // there from the start, as all others
	}
	for end, n := range m.Ends {
		s.counter(disconnectsTotal, n, strconv.Itoa(end.Code), end.Reason)
	}
	s.histogram(pingRTT, &m.Ping)
	s.gauge(subscriptions, float64(o.Subscriptions))
	s.gauge(channels, float64(o.Channels))
	n := c.sources.Gateway.Counters()
	s.counter(drainsTotal, n.Drains.Load(), "begun")
	s.counter(drainsTotal, n.DrainsEnded.Load(), "ended")
	s.counter(drainsTotal, n.DrainsUndone.Load(), "undone")
	s.counter(drainsTotal, n.DrainsForced.Load(), "forced")
	s.counter(drainedConnections, n.Moved.Load(), "told")
	s.counter(drainedConnections, n.Leftovers.Load(), "closed")
}

// commandsTransport is what gateway.Measures calls sessions over HTTP between their requests.
const commandsTransport = "commands"

func (c *collector) delivery(s scrape, o *inspect.Overview, m *gateway.Measures) {
	n := c.sources.Gateway.Counters()
	s.counter(eventsTotal, o.Published, "in")
	s.counter(eventsTotal, c.sources.Gateway.Hub().Counters().Delivered.Load(), "heard")
	s.counter(eventsTotal, o.Delivered, "out")
	s.counter(eventsTotal, o.Skipped, "skipped")
	bad := o.BadFrames
	s.counter(commandsTotal, o.Commands-min(bad, o.Commands), "ok")
	s.counter(commandsTotal, bad, "bad")
	s.counter(bytesTotal, m.BytesIn, "in")
	s.counter(bytesTotal, m.BytesOut, "out")
	s.counter(messagesTotal, o.Messages)
	s.histogram(deliveryLag, &m.Lag)
	s.histogram(fanoutDuration, &m.Fanout)
	s.histogram(flushEvents, &m.Batch)
	for name, n := range m.Namespaces {
		s.counter(namespaceEvents, n.Heard, name, "heard")
		s.counter(namespaceEvents, n.Delivered, name, "out")
		s.counter(namespaceEvents, n.Skipped, name, "skipped")
	}
	s.gauge(readerLag, float64(m.Farthest))
	s.counter(signalsLost, n.SignalsLost.Load())
	s.counter(resumeTotal, m.Resumed, "resumed")
	s.counter(resumeTotal, m.Reset, "reset")
	s.counter(freshTotal, m.Fresh)
	for reason, n := range m.Resets {
		s.counter(resetsTotal, n, reason)
	}
	s.counter(slowBlocks, n.Blocked.Load())
	s.counter(slowDrops, o.SlowConsumers)
	s.counter(panics, o.Panics)
}

func (c *collector) relays(s scrape) {
	n := c.sources.Gateway.Hub().Counters()
	s.counter(repairsTotal, n.Repairs.Load(), "repaired")
	s.counter(repairsTotal, n.Failed.Load(), "failed")
	s.gauge(repairing, float64(n.Repairing.Load()))
	s.counter(cutsTotal, n.Cuts.Load())
	s.counter(pagesTotal, n.Pages.Load())
	lost := n.DeadLost.Load()
	if c.sources.Inbox != nil {
		lost += c.sources.Inbox().LettersLost
	}
	s.counter(deadLost, lost)
}

// probe tells how old the last sign of the whole path through the store is: since the start where there was
// none yet. An engine without probes is heard as long as it says that it is well.
func (c *collector) probe(s scrape, now time.Time) {
	h := c.sources.Gateway.Hub().HealthNow()
	last := now
	switch {
	case c.sources.Broker != nil:
		if last = c.sources.Broker().Probed; last.IsZero() {
			last = c.started
		}
	case !h.OK:
		last = h.Since
	}
	s.gauge(probeAge, max(now.Sub(last), 0).Seconds())
	s.gauge(probeRoundTrip, h.RoundTrip.Seconds())
}

func (c *collector) presence(s scrape) {
	if c.sources.Presence == nil {
		return
	}
	p := c.sources.Presence()
	s.gauge(members, float64(p.Members))
	s.counter(reaps, p.Reaped)
	s.gauge(presenceWaiting, float64(p.Waiting))
	s.counter(presenceFailures, p.Failures)
	s.counter(presenceLeases, p.Voids)
}

func (c *collector) inbox(s scrape) {
	if c.sources.Inbox == nil {
		return
	}
	i := c.sources.Inbox()
	oldest := i.Oldest
	if i.Waiting == 0 {
		oldest = 0
	} else if !i.At.IsZero() {
		oldest += time.Since(i.At) // the sooner for what nobody has taken since
	}
	s.gauge(inboxWaiting, float64(i.Waiting))
	s.gauge(inboxOldest, oldest.Seconds())
	s.gauge(inboxActive, truth(i.Active))
	s.counter(inboxTotal, i.Published-min(i.Duplicates, i.Published), "published")
	s.counter(inboxTotal, i.Duplicates, "duplicate")
	s.counter(inboxTotal, i.Refused, "refused")
	s.counter(inboxErrors, i.Errors)
	s.counter(inboxLosses, i.Lost)
}

func (c *collector) broker(s scrape) {
	if c.sources.Broker != nil {
		b := c.sources.Broker()
		for result, n := range map[string]uint64{
			"published": b.Published, "repeated": b.Retried, "unavailable": b.Unavailable, "refused": b.Refused,
			"overloaded": b.Overloaded, "unreplicated": b.Unreplicated,
		} {
			s.counter(publishes, n, result)
		}
		s.gauge(publishing, float64(b.InFlight))
		s.counter(reconnects, b.Reconnects)
		s.counter(doorbells, b.Doorbells-min(b.Malformed, b.Doorbells), "ok")
		s.counter(doorbells, b.Malformed, "malformed")
		s.counter(probesLost, b.ProbesLost)
		s.counter(libraryLoads, b.LibraryLoads)
		s.counter(auditsTotal, b.Audits, "done")
		s.counter(auditsTotal, b.AuditsFailed, "failed")
	}
	if c.sources.Pool != nil {
		p := c.sources.Pool()
		s.gauge(poolConnection, float64(p.IdleConns), "idle")
		s.gauge(poolConnection, float64(p.TotalConns-min(p.IdleConns, p.TotalConns)), "used")
		s.counter(poolTimeouts, uint64(p.Timeouts))
	}
}
