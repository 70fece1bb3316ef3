package ledgers

// random is SplitMix64. The bundled files depend on every number it gives, so it is kept here and does
// not change with a library.
type random uint64

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// n returns a number in [0, limit).
func (r *random) n(limit int) int { return int(r.next() % uint64(limit)) } //nolint:gosec // limit is small and positive

// between returns a number in [low, high].
func (r *random) between(low, high int) int { return low + r.n(high-low+1) }

func pick[T any](r *random, from []T) T { return from[r.n(len(from))] }
