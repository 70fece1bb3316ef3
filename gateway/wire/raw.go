package wire

import (
	"unsafe"

	"github.com/tidwall/gjson"
)

// rawBytes returns a value's JSON as bytes without copying; gjson's strings point into the message.
func rawBytes(v gjson.Result) []byte {
	if v.Raw == "" {
		return nil
	}
	return unsafe.Slice(unsafe.StringData(v.Raw), len(v.Raw)) //nolint:gosec // read-only view of the message
}
