package gateway_test

import (
	"context"
	"sync"
	"testing"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/presence"
)

// slowStore is a directory that holds its first write until it is let go, and writes down what it is told.
type slowStore struct {
	begun, free chan struct{}
	once        sync.Once

	mu   sync.Mutex
	told []string
}

func newSlowStore() *slowStore {
	return &slowStore{begun: make(chan struct{}), free: make(chan struct{})}
}

func (s *slowStore) tell(what string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, what)
	return nil
}

// last returns what was told last, once something was.
func (s *slowStore) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.told) == 0 {
		return ""
	}
	return s.told[len(s.told)-1]
}

func (s *slowStore) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.told)
}

func (s *slowStore) hold() {
	s.once.Do(func() { close(s.begun) })
	<-s.free
}

func (s *slowStore) SetSession(context.Context, presence.SessionInfo) error {
	s.hold()
	return s.tell("set")
}

func (s *slowStore) RemoveSession(context.Context, string, string, string) error {
	return s.tell("remove")
}

func (s *slowStore) UserSessions(context.Context, string) ([]presence.SessionInfo, error) {
	return nil, nil
}

func (s *slowStore) Gateways(context.Context) ([]presence.GatewayInfo, error) { return nil, nil }

// A connection that ends while the directory is being told of its session leaves no ghost there.
func TestSetSessionOvertakenByTheEnd(t *testing.T) {
	store := newSlowStore()
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Directory = store }})
	c := r.connect("alice", nil)
	<-store.begun
	_ = c.ws.CloseNow()
	r.eventually("the connection ends", func() bool { return r.gateway.Connections() == 0 })
	close(store.free)
	r.eventually("the end is told last", func() bool { return store.count() >= 3 && store.last() == "remove" })
}
