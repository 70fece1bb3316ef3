package redisbroker

import (
	"context"
	_ "embed"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/tallywire/tallywire/internal/redisfn"
	"github.com/tallywire/tallywire/namespace"
)

//go:embed functions/tallywire.lua
var librarySource string

// LibraryName is the library's name in Redis.
const LibraryName = "tallywire"

// LibraryState says how the library in Redis relates to this program's.
type LibraryState = redisfn.State

// States of the library.
const (
	LibraryMissing = redisfn.Missing
	LibraryOlder   = redisfn.Older
	LibrarySame    = redisfn.Same
	// LibraryDifferent is the same version with another table of namespaces (or edited by hand).
	LibraryDifferent = redisfn.Different
	LibraryNewer     = redisfn.Newer
)

var validPrefix = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,128}$`)

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
	source := redisfn.SetLine(librarySource, "sharded", "local SHARDED = "+strconv.FormatBool(sharded))
	source = redisfn.SetLine(source, "default", "local DEFAULT = "+luaRetention(table.For("")))
	return redisfn.SetLine(source, "retention", "local RETENTION = "+retention), nil
}

func luaRetention(o *namespace.Options) string {
	return fmt.Sprintf("{ maxlen = %d, ttl = %d, dedupe = %d }", o.MaxLen, o.TTL.Milliseconds(), o.Dedupe.Milliseconds())
}

// ensureLibrary loads the library where it is missing or older, and where it differs if replace says so.
func (b *shard) ensureLibrary(ctx context.Context, replace bool) error {
	return classify(b.library.Ensure(ctx, replace))
}

// call runs one command. Where Redis does not know the function, the library is loaded and the command,
// which has not been executed, is repeated once.
func (b *shard) call(ctx context.Context, args ...any) (any, error) {
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
