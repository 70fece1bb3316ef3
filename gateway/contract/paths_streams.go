package contract

// streamOperations are the transports over HTTP.
func (b *builder) streamOperations() []operation { return nil }
