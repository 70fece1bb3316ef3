package haproxytest

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Office is a HAProxy, with the shipped frontend, that can be told to let paths not through. It is for one goroutine.
type Office struct {
	Addr string

	socket, blocked string // paths
}

// StartOffice starts an office before three gateways.
func StartOffice(t testing.TB, gateways ...string) *Office {
	t.Helper()
	dir, err := os.MkdirTemp("", "office-") //nolint:usetesting // the name of a socket must be short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	o := &Office{socket: filepath.Join(dir, "socket"), blocked: filepath.Join(dir, "blocked")}
	require.NoError(t, os.WriteFile(o.blocked, nil, 0o600))
	_, here, _, _ := runtime.Caller(0)
	o.Addr = start(t, gateways, filepath.Join(filepath.Dir(here), "office.cfg"),
		"TALLYWIRE_SOCKET="+o.socket, "TALLYWIRE_BLOCKED="+o.blocked)
	return o
}

// Block lets requests to these paths not through, and ends what is open.
func (o *Office) Block(ctx context.Context, paths ...string) error {
	for _, path := range paths {
		if err := o.tell(ctx, "add acl "+o.blocked+" "+path); err != nil {
			return err
		}
	}
	return o.Cut(ctx)
}

// Unblock lets everything through.
func (o *Office) Unblock(ctx context.Context) error { return o.tell(ctx, "clear acl "+o.blocked) }

// Cut ends every connection once.
func (o *Office) Cut(ctx context.Context) error {
	for n := range 3 {
		if err := o.tell(ctx, fmt.Sprintf("shutdown sessions server gateways/gw-%d", n+1)); err != nil {
			return err
		}
	}
	return nil
}

// Avoid sends nobody to a gateway any more, or again.
func (o *Office) Avoid(ctx context.Context, id string, yes bool) error {
	state := "ready"
	if yes {
		state = "drain"
	}
	return o.tell(ctx, "set server gateways/"+id+" state "+state)
}

// tell has HAProxy do something; what it answers is what it complains of.
func (o *Office) tell(ctx context.Context, command string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "unix", o.socket)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, command+"\n"); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	if text := strings.TrimSpace(string(answer)); text != "" {
		return fmt.Errorf("%s: haproxy says %q", command, text)
	}
	return nil
}
