package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/tallywire/tallywire/bench/floor"
)

// server is what a scenario is run against: a gateway or the floor.
type server struct {
	addr  netip.AddrPort
	host  string // Host header
	token string
	pid   int          // 0 when not known
	redis *redisServer // nil without

	child *child // nil when it was running already
}

// request is the upgrade request. The key may be the same every time: it proves nothing to a server.
func (s *server) request() []byte {
	return []byte("GET " + floor.Path + " HTTP/1.1\r\nHost: " + s.host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
}

func (s *server) connect() []byte { return connectFrame(s.token) }

func (s *server) stop() {
	if s.child != nil {
		s.child.stop()
	}
}

// gateway returns the gateway to measure, started where none was named.
func (b *bench) gateway(ctx context.Context, redis *redisServer) (*server, error) {
	if b.options.URL != "" {
		addr, host, err := parseURL(b.options.URL)
		if err != nil {
			return nil, err
		}
		return &server{addr: addr, host: host, token: b.options.Token, pid: b.options.PID, redis: redis}, nil
	}
	words := b.options.ServerCommand
	if len(words) == 0 {
		var err error
		if words, err = selfCommand(); err != nil {
			return nil, err
		}
	}
	s, err := b.start(ctx, words, redis)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return s, nil
}

// floor starts the floor, which is this program under another name.
func (b *bench) floor(ctx context.Context) (*server, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	s, err := b.start(ctx, []string{path, FloorCommandName, "--listen={listen}"}, nil)
	if err != nil {
		return nil, fmt.Errorf("floor: %w", err)
	}
	return s, nil
}

func (b *bench) start(ctx context.Context, words []string, redis *redisServer) (*server, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	s := &server{addr: addr, host: addr.String(), redis: redis}
	url := ""
	if redis != nil {
		url = redis.url
	}
	if s.child, err = startChild(ctx, b.cpus.server, fill(words, addr.String(), url)); err != nil {
		return nil, err
	}
	s.pid = s.child.pid()
	if err := s.child.await(ctx, s.probe); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// probe upgrades one connection and closes it.
func (s *server) probe(ctx context.Context) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.addr.String())
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if _, err := conn.Write(s.request()); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	if !strings.Contains(line, " 101 ") {
		return errors.New("probe: " + strings.TrimSpace(line))
	}
	return nil
}
