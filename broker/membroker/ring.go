package membroker

// ring is a queue in one slice that grows and shrinks with its contents. The zero value is empty.
// It is not safe for concurrent use.
type ring[T any] struct {
	buf  []T
	head int // index of the oldest element
	n    int
}

const minRing = 4

// at returns the i-th oldest element.
func (r *ring[T]) at(i int) *T {
	if i += r.head; i >= len(r.buf) {
		i -= len(r.buf)
	}
	return &r.buf[i]
}

// push appends v. The slice never grows beyond limit elements, which the caller keeps to by removing
// an element first.
func (r *ring[T]) push(v T, limit int) {
	if r.n == len(r.buf) {
		r.resize(max(r.n+1, min(max(2*r.n, minRing), limit)))
	}
	r.n++
	*r.at(r.n - 1) = v
}

// popFront removes the oldest element and lets go of what it refers to.
func (r *ring[T]) popFront() T {
	var zero T
	p := r.at(0)
	v := *p
	*p = zero
	if r.head++; r.head == len(r.buf) {
		r.head = 0
	}
	r.n--
	r.shrink()
	return v
}

// popBack removes the newest element.
func (r *ring[T]) popBack() T {
	var zero T
	p := r.at(r.n - 1)
	v := *p
	*p = zero
	r.n--
	r.shrink()
	return v
}

// shrink gives back half of the slice once three quarters of it are unused.
func (r *ring[T]) shrink() {
	if len(r.buf) > minRing && r.n <= len(r.buf)/4 {
		r.resize(max(len(r.buf)/2, minRing))
	}
}

func (r *ring[T]) resize(size int) {
	buf := make([]T, size)
	k := copy(buf, r.buf[r.head:min(r.head+r.n, len(r.buf))])
	copy(buf[k:], r.buf[:r.n-k])
	r.buf, r.head = buf, 0
}
