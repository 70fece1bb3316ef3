package events

import "testing"

const sample = `{"id":"01J9Z3C5TQ","source":"worker-3","type":"job.progress","subject":"job/42","time":"2026-11-24T10:00:00Z","data":{"job_id":"42","phase":"matching","processed":1200,"total":4000,"percent":30}}`

func BenchmarkScan(b *testing.B) {
	raw := []byte(sample)
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := Scan(raw); err != nil {
			b.Fatal(err)
		}
	}
}
