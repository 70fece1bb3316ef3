package server

import (
	"fmt"

	"github.com/tallywire/tallywire/broker/redisbroker"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/metrics"
	"github.com/tallywire/tallywire/presence"
)

// newMetrics makes what the admin listener serves under /metrics. It reads the parts, which are there.
func (s *Server) newMetrics(dead *metrics.Dead) (*metrics.Metrics, error) {
	sources := metrics.Sources{Gateway: s.gateway, Limit: s.settings.MaxConnections, Dead: dead, Redis: s.store.trips}
	if p, ok := s.store.presence.(interface{ Stats() presence.Stats }); ok {
		sources.Presence = p.Stats
	}
	if s.certificate != nil {
		sources.CertificateEnd = s.certificate.end
	}
	if s.inbox != nil {
		sources.Inbox = s.inbox.Stats
	}
	if b, ok := s.store.broker.(*redisbroker.Broker); ok {
		sources.Broker, sources.Pool = b.Stats, s.store.client.PoolStats
	}
	m, err := metrics.New(sources)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return m, nil
}
