package events

// MaxEventBytes is the greatest size of an event's JSON in bytes.
const MaxEventBytes = 64 << 10

// Limits of what an event may hold beside its size.
const (
	// MaxDepth is how deep objects and arrays may nest, the event itself included.
	MaxDepth = 64
	// MaxExtensions is how many extension attributes an event may have.
	MaxExtensions = 32
	// MaxTypeLen bounds `type` in bytes.
	MaxTypeLen = 128
	// MaxAttributeLen bounds the other CloudEvents attributes in bytes, after decoding.
	MaxAttributeLen = 256
	// MaxAttributeNameLen bounds the names of extension attributes. CloudEvents recommends 20.
	MaxAttributeNameLen = 64
	// MaxNumberLen bounds a number in bytes, MaxExponent its exponent in both directions. They leave room
	// for every number that a double holds, and for none that is costly to compare exactly.
	MaxNumberLen = 512
	MaxExponent  = 400
)

// Envelope is what a gateway needs to know of an event. A field that the event does not have is "".
type Envelope struct {
	// ID is unique within Source. It defaults to the event's cursor.
	ID string
	// Source says who publishes. It defaults to the channel.
	Source string
	// Type is the event type, as "job.progress": 1 to 128 characters of A-Z a-z 0-9 _ . -
	Type string
	// Subject says what the event is about, as "job/42". Conflation is by subject.
	Subject string
	// Time is when it happened, RFC 3339. It defaults to the stamp.
	Time string
	// DataSchema picks the version of the type. See [Registry.Check].
	DataSchema string
	// TraceParent is the W3C trace context.
	TraceParent string
	// Data is the JSON of the `data` member. It is a part of the scanned bytes, not a copy.
	Data []byte
	// HasData tells an absent `data` from any value, `null` included.
	HasData bool
}
