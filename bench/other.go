//go:build !linux

package bench

import (
	"errors"
	"net/netip"
	"time"
)

var errLinux = errors.New("the load generator needs Linux")

type poller struct{}

type readiness struct {
	slot           int
	readable, room bool
}

func newPoller() (*poller, error)                         { return nil, errLinux }
func (*poller) close()                                    {}
func (*poller) add(int, int, bool) error                  { return errLinux }
func (*poller) change(int, int, bool) error               { return errLinux }
func (*poller) wait(time.Duration, func(readiness)) error { return errLinux }
func dialSocket(netip.AddrPort, netip.Addr) (int, error)  { return -1, errLinux }
func socketError(int) error                               { return errLinux }
func readSocket(int, []byte) (int, error)                 { return 0, errLinux }
func writeSocket(int, []byte) (int, error)                { return 0, errLinux }
func closeSocket(int)                                     {}
func allowedCPUs() []int                                  { return nil }
func onCPU(_ int, f func() error) error                   { return f() }
func cpuTime(int) (time.Duration, error)                  { return 0, errLinux }
func ownCPUTime() time.Duration                           { return 0 }
func threadCPUTime() time.Duration                        { return 0 }
func resident(int) (int64, error)                         { return 0, errLinux }
func raiseFiles(int) error                                { return errLinux }
func confine(int) (func(), error)                         { return func() {}, nil }
