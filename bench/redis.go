package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// redisServer is a Redis that the gateway under measure uses.
type redisServer struct {
	url            string
	addr           netip.AddrPort
	user, password string

	child *child // nil when it was running already
	dir   string // of child
}

func parseRedis(text string) (*redisServer, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	if u.Scheme != "redis" {
		return nil, fmt.Errorf("redis: redis://host:port is wanted, not %s://", u.Scheme)
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	addr, err := resolve(u.Hostname(), port)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	password, _ := u.User.Password()
	return &redisServer{url: text, addr: addr, user: u.User.Username(), password: password}, nil
}

// errNoRedis is why scenarios are left out.
var errNoRedis = errors.New("no redis-server on PATH, and no --redis")

// startRedis starts a redis-server without persistence.
func startRedis(ctx context.Context, cpu int) (*redisServer, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errNoRedis
	}
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tallywire-bench-")
	if err != nil {
		return nil, fmt.Errorf("folder for Redis: %w", err)
	}
	r := &redisServer{url: "redis://" + addr.String(), addr: addr, dir: dir}
	r.child, err = startChild(ctx, cpu, []string{
		path, "--bind", "127.0.0.1", "--port", strconv.Itoa(int(addr.Port())),
		"--dir", dir, "--save", "", "--appendonly", "no", "--daemonize", "no",
	})
	if err == nil {
		err = r.child.await(ctx, func(ctx context.Context) error {
			_, err := r.do(ctx, "PING")
			return err
		})
	}
	if err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

func (r *redisServer) stop() {
	if r.child != nil {
		r.child.stop()
	}
	if r.dir != "" {
		_ = os.RemoveAll(r.dir)
	}
}

// do runs one command on a connection of its own and returns the reply's first text.
func (r *redisServer) do(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.addr.String())
	if err != nil {
		return "", fmt.Errorf("redis: %w", err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	var commands [][]string
	switch {
	case r.user != "" && r.password != "":
		commands = append(commands, []string{"AUTH", r.user, r.password})
	case r.password != "":
		commands = append(commands, []string{"AUTH", r.password})
	}
	commands = append(commands, args)
	replies := bufio.NewReader(conn)
	var text string
	for _, command := range commands {
		words := make([][]byte, len(command))
		for i, w := range command {
			words[i] = []byte(w)
		}
		if _, err := conn.Write(appendCommand(nil, words...)); err != nil {
			return "", fmt.Errorf("redis %s: %w", command[0], err)
		}
		if text, err = readReply(replies); err != nil {
			return "", fmt.Errorf("redis %s: %w", command[0], err)
		}
	}
	return text, nil
}

func readReply(r *bufio.Reader) (string, error) {
	var b []byte
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return "", err //nolint:wrapcheck // do wraps it
		}
		b = append(b, line...)
		size, text, problem, err := nextReply(b)
		switch {
		case err != nil:
			return "", err
		case problem != "":
			return "", errors.New(problem)
		case size > 0:
			return text, nil
		}
	}
}

var readCalls = regexp.MustCompile(`(?m)^cmdstat_fcall_ro:calls=(\d+)`)

// rangeReads returns how often gateways have read from streams: nobody else calls FCALL_RO.
func (s *server) rangeReads(ctx context.Context) (int64, bool) {
	if s.redis == nil {
		return 0, false
	}
	text, err := s.redis.do(ctx, "INFO", "commandstats")
	if err != nil {
		return 0, false
	}
	m := readCalls.FindStringSubmatch(text)
	if m == nil {
		return 0, true
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	return n, err == nil
}
