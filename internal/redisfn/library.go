package redisfn

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// State says how the library in Redis relates to this program's.
type State string

// States of a library.
const (
	Missing State = "missing"
	Older   State = "older"
	Same    State = "same"
	// Different is the same version with another text (another table of namespaces, or edited by hand).
	Different State = "different"
	Newer     State = "newer"
)

var versionLine = regexp.MustCompile(`(?m)^-- tallywire-version: (\d+)$`)

// VersionOf returns the version that a library's source states, 0 where it states none.
func VersionOf(source string) int {
	m := versionLine.FindStringSubmatch(source)
	if m == nil {
		return 0
	}
	v, err := strconv.Atoi(m[1])
	if err != nil {
		return 0
	}
	return v
}

// Compare says how the source theirs relates to mine; "" is no library.
func Compare(mine, theirs string) State {
	own, v := VersionOf(mine), VersionOf(theirs)
	switch {
	case theirs == "":
		return Missing
	case theirs == mine:
		return Same
	case v < own:
		return Older
	case v > own:
		return Newer
	}
	return Different
}

// SetLine returns a source with another line in place of the one that ends in " --@" and the marker.
func SetLine(source, marker, line string) string {
	lines := strings.Split(source, "\n")
	for i, l := range lines {
		if _, m, ok := strings.Cut(l, " --@"); ok && (m == marker || strings.HasPrefix(m, marker+" ")) {
			lines[i] = line
		}
	}
	return strings.Join(lines, "\n")
}

// Library is one library and the Redis that shall have it: one primary, or all of a cluster's. Its methods are safe for concurrent use and
// return the errors of go-redis, wrapped.
type Library struct {
	client  redis.UniversalClient
	name    string
	source  string
	timeout time.Duration
	loading chan struct{} // buffered by one: held while the library is looked at and loaded
	loads   atomic.Uint64
}

// New returns a library. Each command takes at most timeout.
func New(client redis.UniversalClient, name, source string, timeout time.Duration) *Library {
	return &Library{client: client, name: name, source: source, timeout: timeout, loading: make(chan struct{}, 1)}
}

// Source returns the text that is loaded.
func (l *Library) Source() string { return l.source }

// Loads returns how often it was loaded.
func (l *Library) Loads() uint64 { return l.loads.Load() }

// State compares the library in Redis with this program's. Of a cluster it says what has to be done most.
func (l *Library) State(ctx context.Context) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	worst := Same
	var mu sync.Mutex
	err := l.each(ctx, func(ctx context.Context, client *redis.Client) error {
		state, err := l.state(ctx, client)
		mu.Lock()
		defer mu.Unlock()
		if slices.Index(urgency, state) < slices.Index(urgency, worst) {
			worst = state
		}
		return err
	})
	return worst, err
}

// urgency orders what the primaries of a cluster have, the most urgent first.
var urgency = []State{Missing, Older, Different, Newer, Same}

// each calls f for every primary: the one, or those of a cluster, at the same time.
func (l *Library) each(ctx context.Context, f func(context.Context, *redis.Client) error) error {
	switch client := l.client.(type) {
	case *redis.Client:
		return f(ctx, client)
	case *redis.ClusterClient:
		return client.ForEachMaster(ctx, f)
	default:
		return fmt.Errorf("library %s: a client of type %T: wanted one of one Redis or of a cluster", l.name, l.client)
	}
}

// state is State of one primary.
func (l *Library) state(ctx context.Context, client *redis.Client) (State, error) {
	reply, err := client.Do(ctx, "FUNCTION", "LIST", "LIBRARYNAME", l.name, "WITHCODE").Result()
	if err != nil {
		return Same, fmt.Errorf("list library %s: %w", l.name, err)
	}
	return Compare(l.source, code(reply)), nil
}

// code finds the source in the reply of FUNCTION LIST, "" where there is no library.
func code(reply any) string {
	libraries, _ := reply.([]any)
	for _, l := range libraries {
		pairs, _ := l.([]any)
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == "library_code" {
				source, _ := pairs[i+1].(string)
				return source
			}
		}
	}
	return ""
}

// Ensure loads the library where it is missing or older, and where it differs if replace says so; never
// over a newer one. Concurrent callers load once after another; each looks before it loads.
func (l *Library) Ensure(ctx context.Context, replace bool) error {
	select {
	case l.loading <- struct{}{}:
		defer func() { <-l.loading }()
	case <-ctx.Done():
		return fmt.Errorf("load library %s: %w", l.name, ctx.Err())
	}
	return l.each(ctx, func(ctx context.Context, client *redis.Client) error { return l.ensure(ctx, client, replace) })
}

// ensure is Ensure of one primary.
func (l *Library) ensure(ctx context.Context, client *redis.Client, replace bool) error {
	inner, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	state, err := l.state(inner, client)
	if err != nil {
		return err
	}
	if state == Same || state == Newer || state == Different && !replace {
		return nil
	}
	inner, done := context.WithTimeout(ctx, l.timeout)
	defer done()
	if err := client.Do(inner, "FUNCTION", "LOAD", "REPLACE", l.source).Err(); err != nil {
		return fmt.Errorf("load library %s: %w", l.name, err)
	}
	l.loads.Add(1)
	return nil
}

// NotFound reports whether Redis does not know a function; it has done nothing then.
func NotFound(err error) bool {
	reply, ok := errors.AsType[redis.Error](err)
	return ok && strings.HasPrefix(reply.Error(), "ERR Function not found")
}
