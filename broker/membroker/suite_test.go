package membroker_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/brokertest"
	"github.com/tallywire/tallywire/broker/membroker"
)

// backend is a store with a clock that tests can move.
type backend struct {
	store   *membroker.Store
	brokers [2]*membroker.Broker
	ahead   atomic.Int64
}

var (
	_ brokertest.Cutter  = (*backend)(nil)
	_ brokertest.Forker  = (*backend)(nil)
	_ brokertest.Expirer = (*backend)(nil)
	_ brokertest.Staller = (*backend)(nil)
)

func newBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{}
	b.store = membroker.NewStore(membroker.Options{
		Namespaces: brokertest.Namespaces(t), Clock: b.now, MaxQueue: 64, Audit: time.Hour,
	})
	b.brokers = [2]*membroker.Broker{b.store.Broker(), b.store.Broker()}
	return b
}

func (b *backend) now() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }

func (b *backend) Brokers() (broker.Broker, broker.Broker) { return b.brokers[0], b.brokers[1] }
func (b *backend) Cut(which int)                           { b.store.ForTest().Cut(b.brokers[which]) }

func (b *backend) Heal(which int)                   { b.store.ForTest().Heal(b.brokers[which]) }
func (b *backend) Fork(channel string, k int)       { b.store.ForTest().Fork(channel, k) }
func (b *backend) TTL(channel string) time.Duration { return b.store.ForTest().TTL(channel) }
func (b *backend) Expire(channel string)            { b.ahead.Add(int64(b.TTL(channel))) }
func (b *backend) Stall(channel string) func()      { return b.store.ForTest().Stall(channel) }

func TestSuite(t *testing.T) {
	brokertest.Run(t, func(t *testing.T) brokertest.Backend { return newBackend(t) })
}
