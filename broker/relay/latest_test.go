package relay

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/namespace"
)

// A conflating reader gets the newest event of each subject, all that are terminal or have no subject,
// and the number of the others, whatever its limit, from the log as from pages.
func TestLatest(t *testing.T) {
	const published = 100
	bubble(t, namespace.Options{Delivery: namespace.DeliverLatest}, func(r *rig) {
		x := r.open()
		start := x.Head()
		newest, always := map[string]broker.Cursor{}, map[broker.Cursor]bool{}
		for i := range published {
			kind, subject := "t", fmt.Sprintf("s%d", i%3)
			switch {
			case i%11 == 0:
				kind = "end"
			case i%13 == 0:
				subject = ""
			case i%17 == 0 || i >= published-2: // the account is closed with no event to follow
				kind = "bad"
			}
			c := r.send(numbered(i, kind, subject, 0))
			switch {
			case kind == "end" || kind == "t" && subject == "":
				always[c] = true
			case kind == "t":
				newest[subject] = c
			}
		}
		for _, limit := range []int{1, 100, 500, 1000, 3000, 1 << 20} {
			pos, page := at(x, start), (*Page)(nil)
			got, told := map[broker.Cursor]bool{}, uint64(0)
			for pos.Cursor != x.Head() {
				b := x.Pull(pos, page, limit)
				if b.Behind {
					var err error
					page, _, err = r.fetch(x, pos)
					require.NoError(r, err)
					continue
				}
				var frames []frame
				if b.Message != nil {
					require.NoError(r, json.Unmarshal(b.Message, &frames))
				}
				for _, f := range frames {
					told += f.Skipped
					if f.Type == "event" {
						told++
						got[f.Cursor] = true
					}
				}
				require.NotEqual(r, pos, b.Next)
				pos = b.Next
				require.Equal(r, b.Next.Cursor, frames[len(frames)-1].Cursor)
			}
			require.EqualValues(r, published, told, "limit %d", limit)
			for c := range always {
				require.True(r, got[c], "limit %d: %s was conflated away", limit, c)
			}
			for subject, c := range newest {
				require.True(r, got[c], "limit %d: the last of %s was conflated away", limit, subject)
			}
			if limit == 1<<20 {
				require.LessOrEqual(r, len(got), len(always)+2*len(newest), "once from the page, once from the log")
			}
		}
	}, small)
}
