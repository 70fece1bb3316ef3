package gateway

import "github.com/tallywire/tallywire/broker"

// CursorsOf reads a composite of the cursors of channels, for tests outside of the package. A channel
// without a cursor is left out.
func CursorsOf(composite string, channels []string) (map[string]broker.Cursor, error) {
	places := make([]place, len(channels))
	for i, channel := range channels {
		places[i].channel = channel
	}
	sortPlaces(places)
	if err := parseCursors(composite, places); err != nil {
		return nil, err
	}
	out := map[string]broker.Cursor{}
	for _, p := range places {
		if p.known {
			out[p.channel] = p.cursor
		}
	}
	return out, nil
}
