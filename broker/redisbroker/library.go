package redisbroker

import (
	"context"
	_ "embed"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/tallywire/tallywire/namespace"
)

//go:embed functions/tallywire.lua
var librarySource string

// LibraryName is the library's name in Redis.
const LibraryName = "tallywire"

// LibraryState says how the library in Redis relates to this program's.
type LibraryState string

// States of the library.
const (
	LibraryMissing LibraryState = "missing"
	LibraryOlder   LibraryState = "older"
	LibrarySame    LibraryState = "same"
	// LibraryDifferent is the same version with another table of namespaces (or edited by hand).
	LibraryDifferent LibraryState = "different"
	LibraryNewer     LibraryState = "newer"
)

var (
	versionLine   = regexp.MustCompile(`(?m)^-- tallywire-version: (\d+)$`)
	sourceVersion = versionOf(librarySource)
	validPrefix   = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,128}$`)
)

// versionOf returns the version that a library's source states, 0 where it states none.
func versionOf(source string) int {
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

// renderLibrary fills the marked lines of the source.
func renderLibrary(table *namespace.Table, sharded bool) (string, error) {
	var prefixes strings.Builder
	prefixes.WriteString("{")
	configured := table.Prefixes()
	for _, p := range configured {
		if !validPrefix.MatchString(p) {
			return "", fmt.Errorf("namespace prefix %q: wanted [A-Za-z0-9_.:-]{1,128}", p)
		}
		fmt.Fprintf(&prefixes, " ['%s'] = %s,", p, luaRetention(table.For(p)))
	}
	prefixes.WriteString(" }")
	retention := "nil"
	if len(configured) > 0 {
		retention = prefixes.String()
	}
	lines := strings.Split(librarySource, "\n")
	for i, line := range lines {
		switch _, marker, _ := strings.Cut(line, " --@"); {
		case strings.HasPrefix(marker, "sharded"):
			lines[i] = "local SHARDED = " + strconv.FormatBool(sharded)
		case strings.HasPrefix(marker, "default"):
			lines[i] = "local DEFAULT = " + luaRetention(table.For(""))
		case strings.HasPrefix(marker, "retention"):
			lines[i] = "local RETENTION = " + retention
		}
	}
	return strings.Join(lines, "\n"), nil
}

func luaRetention(o *namespace.Options) string {
	return fmt.Sprintf("{ maxlen = %d, ttl = %d, dedupe = %d }", o.MaxLen, o.TTL.Milliseconds(), o.Dedupe.Milliseconds())
}

// Library returns the source that this program loads.
func (b *Broker) Library() string { return b.library }

// LibraryState compares the library in Redis with this program's.
func (b *Broker) LibraryState(ctx context.Context) (LibraryState, error) {
	ctx, cancel := b.within(ctx)
	defer cancel()
	reply, err := b.client.Do(ctx, "FUNCTION", "LIST", "LIBRARYNAME", LibraryName, "WITHCODE").Result()
	if err != nil {
		return "", fmt.Errorf("list library %s: %w", LibraryName, classify(err))
	}
	return compareLibrary(b.library, loadedSource(reply)), nil
}

// loadedSource finds the code in the reply of FUNCTION LIST, "" where there is no library.
func loadedSource(reply any) string {
	libraries, _ := reply.([]any)
	for _, l := range libraries {
		pairs, _ := l.([]any)
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == "library_code" {
				code, _ := pairs[i+1].(string)
				return code
			}
		}
	}
	return ""
}

func compareLibrary(mine, theirs string) LibraryState {
	v := versionOf(theirs)
	switch {
	case theirs == "":
		return LibraryMissing
	case theirs == mine:
		return LibrarySame
	case v < sourceVersion:
		return LibraryOlder
	case v > sourceVersion:
		return LibraryNewer
	}
	return LibraryDifferent
}

// Load puts the library into Redis unless a newer version is there. It replaces one of the same
// version with another table, so that a changed configuration takes effect.
func (b *Broker) Load(ctx context.Context) error { return b.ensureLibrary(ctx, true) }

// ensureLibrary loads the library where it is missing or older, and where it differs if replace says so.
// Concurrent callers load once after another; each looks before it loads.
func (b *Broker) ensureLibrary(ctx context.Context, replace bool) error {
	select {
	case b.loading <- struct{}{}:
		defer func() { <-b.loading }()
	case <-ctx.Done():
		return fmt.Errorf("load library %s: %w", LibraryName, classify(ctx.Err()))
	}
	state, err := b.LibraryState(ctx)
	if err != nil {
		return err
	}
	if state == LibrarySame || state == LibraryNewer || state == LibraryDifferent && !replace {
		return nil
	}
	ctx, cancel := b.within(ctx)
	defer cancel()
	if err := b.client.Do(ctx, "FUNCTION", "LOAD", "REPLACE", b.library).Err(); err != nil {
		return fmt.Errorf("load library %s: %w", LibraryName, classify(err))
	}
	b.counters.libraryLoads.Add(1)
	return nil
}

// call runs one command. Where Redis does not know the function, the library is loaded and the command,
// which has not been executed, is repeated once.
func (b *Broker) call(ctx context.Context, args ...any) (any, error) {
	ctx, cancel := b.within(ctx)
	defer cancel()
	select {
	case <-b.hub.ended:
		return nil, errEnded
	case <-ctx.Done():
		return nil, classify(ctx.Err())
	default:
	}
	reply, err := b.client.Do(ctx, args...).Result()
	if missingFunction(err) {
		if err := b.ensureLibrary(ctx, false); err != nil {
			return nil, err
		}
		reply, err = b.client.Do(ctx, args...).Result()
	}
	return reply, classify(err)
}
