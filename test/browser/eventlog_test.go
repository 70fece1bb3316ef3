package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// account is what the workbench has counted, by channel (window.__tallywire.read()).
type account struct {
	Channels map[string]channelAccount `json:"channels"`
}

// channelAccount is what a page has had of a channel. Cursors are empty where nothing has come.
type channelAccount struct {
	Received    int64  `json:"received"`
	Skipped     int64  `json:"skipped"`
	Duplicates  int64  `json:"duplicates"`
	OutOfOrder  int64  `json:"outOfOrder"`
	Gaps        int64  `json:"gaps"`
	Resets      int64  `json:"resets"`
	FirstCursor string `json:"firstCursor"`
	LastCursor  string `json:"lastCursor"`
}

// eventLog reads the channels where they are kept.
type eventLog struct{ redis *redis.Client }

func streamOf(channel string) string { return "tw:{" + channel + "}" }

// offset is the place that a cursor names, 0 where there is none.
func offset(cursor string) int64 {
	before, _, _ := strings.Cut(cursor, "-")
	n, _ := strconv.ParseInt(before, 10, 64) // what is no cursor is before the first one
	return n
}

// heads returns the newest offset of each channel, 0 where there is none.
func (l *eventLog) heads(ctx context.Context, channels []string) (map[string]int64, error) {
	heads := map[string]int64{}
	for _, channel := range channels {
		last, err := l.redis.XRevRangeN(ctx, streamOf(channel), "+", "-", 1).Result()
		if err != nil {
			return nil, err
		}
		heads[channel] = 0
		if len(last) == 1 {
			heads[channel] = offset(last[0].ID)
		}
	}
	return heads, nil
}

// grown waits until there are so many events more in the channels together.
func (l *eventLog) grown(ctx context.Context, channels []string, by int64) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	first := int64(-1)
	for {
		heads, err := l.heads(ctx, channels)
		if err != nil {
			return err
		}
		sum := int64(0)
		for _, head := range heads {
			sum += head
		}
		if first < 0 {
			first = sum
		}
		if sum >= first+by {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d events more than %d in %v: %w", by, first, channels, ctx.Err())
		}
	}
}

// conflated are the namespaces of the demonstration in which older events may be left out.
var conflated = map[string]bool{"metrics": true, "system": true}

// audit reports where an account is not that every event of the log, up to the last one that came, came once and in order.
func (l *eventLog) audit(ctx context.Context, a account) error {
	if len(a.Channels) < 4 {
		return fmt.Errorf("the page has followed %d channels", len(a.Channels))
	}
	var wrong []error
	for channel, c := range a.Channels {
		if err := l.auditChannel(ctx, channel, c); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w (%+v)", channel, err, c))
		}
	}
	return errors.Join(wrong...)
}

func (l *eventLog) auditChannel(ctx context.Context, channel string, c channelAccount) error {
	if c.Duplicates+c.OutOfOrder+c.Gaps+c.Resets != 0 {
		return errors.New("not every event came once and in order")
	}
	namespace, _, _ := strings.Cut(channel, ":")
	if c.Skipped != 0 && !conflated[namespace] {
		return errors.New("events were left out")
	}
	if c.Received == 0 {
		return nil
	}
	entries, err := l.redis.XRange(ctx, streamOf(channel), "-", c.LastCursor).Result()
	if err != nil {
		return err
	}
	// The first entry opens the stream and is none that anybody gets.
	if n := int64(len(entries)); n != c.Received+c.Skipped+1 {
		return fmt.Errorf("%d events are in the log up to there", n-1)
	}
	if last := entries[len(entries)-1].ID; last != c.LastCursor {
		return fmt.Errorf("the log has %s there", last)
	}
	return nil
}

// matches counts the matches of a channel by their status, as its events leave them.
func (l *eventLog) matches(ctx context.Context, channel string) (map[string]int, error) {
	entries, err := l.redis.XRange(ctx, streamOf(channel), "-", "+").Result()
	if err != nil {
		return nil, err
	}
	status := map[string]string{}
	for _, entry := range entries {
		var e struct {
			Type string `json:"type"`
			Data struct {
				ID     string `json:"match_id"`
				Status string `json:"status"`
			} `json:"data"`
		}
		text, _ := entry.Values["e"].(string)
		if text == "" {
			continue // the first entry
		}
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			return nil, fmt.Errorf("entry %s of %s: %w", entry.ID, channel, err)
		}
		_, known := status[e.Data.ID]
		switch {
		case e.Type == "match.created", e.Type == "match.updated" && known && e.Data.Status != "":
			status[e.Data.ID] = e.Data.Status
		case e.Type == "match.deleted":
			delete(status, e.Data.ID)
		}
	}
	counts := map[string]int{}
	for _, s := range status {
		counts[s]++
	}
	return counts, nil
}
