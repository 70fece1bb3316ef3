package redisbroker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Bounds of the pub/sub connection.
const (
	connReadBuffer = 64 << 10
	maxMessage     = 1 << 20 // a longer doorbell is read over
	maxName        = 512
	writeTimeout   = 2 * time.Second
)

// dialer makes connections to the primary. For sentinels, go-redis' dialer asks them for its address
// each time.
type dialer struct {
	dial        func(ctx context.Context) (net.Conn, error)
	credentials func(ctx context.Context) (user, password string, err error)
	name        string
}

func newDialer(o *redis.Options) dialer {
	return dialer{
		dial: func(ctx context.Context) (net.Conn, error) { return o.Dialer(ctx, o.Network, o.Addr) },
		credentials: func(ctx context.Context) (string, string, error) {
			switch {
			case o.CredentialsProviderContext != nil:
				return o.CredentialsProviderContext(ctx)
			case o.CredentialsProvider != nil:
				user, password := o.CredentialsProvider()
				return user, password, nil
			}
			return o.Username, o.Password, nil
		},
		name: o.ClientName,
	}
}

// conn is one pub/sub connection in RESP2. One goroutine reads; writes may come from any.
//
// It is not a go-redis PubSub (read at v9.23.0), because that one, inside the failed Receive and under its
// lock, dials again and resubscribes everything in one command without waiting for a confirmation; its
// ping never waits for the pong; and it boxes each message into a list of texts, where this allocates the
// event alone.
type conn struct {
	net net.Conn
	in  *bufio.Reader // owned by the reader

	mu  sync.Mutex // one command is written at a time
	buf []byte     // guarded by mu
}

// connect dials and greets. ctx bounds both.
func (d dialer) connect(ctx context.Context) (*conn, error) {
	nc, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn{net: nc, in: bufio.NewReaderSize(nc, connReadBuffer)}
	if err := c.greet(ctx, d); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return c, nil
}

func (c *conn) greet(ctx context.Context, d dialer) error {
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.net.SetReadDeadline(deadline); err != nil {
			return err
		}
	}
	user, password, err := d.credentials(ctx)
	if err != nil {
		return fmt.Errorf("credentials: %w", err)
	}
	if password != "" {
		auth := []string{"AUTH", user, password}
		if user == "" {
			auth = []string{"AUTH", password}
		}
		if err := c.ask(auth...); err != nil {
			return err
		}
	}
	if d.name != "" {
		if err := c.ask("CLIENT", "SETNAME", d.name); err != nil {
			return err
		}
	}
	// Refused while the server loads its data or wants a password.
	if err := c.ask("PING"); err != nil {
		return err
	}
	return c.net.SetReadDeadline(time.Time{})
}

// ask runs a command whose reply is a status.
func (c *conn) ask(args ...string) error {
	if err := c.write(args); err != nil {
		return err
	}
	line, err := c.line()
	if err != nil {
		return err
	}
	if line[0] == '-' {
		return replyError(string(line[1:]))
	}
	return nil
}

// replyError is an error reply of Redis.
type replyError string

func (e replyError) Error() string { return string(e) }

// RedisError marks it as go-redis marks its own.
func (replyError) RedisError() {}

// write sends commands.
func (c *conn) write(commands ...[]string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.buf[:0]
	for _, args := range commands {
		b = append(b, '*')
		b = strconv.AppendInt(b, int64(len(args)), 10)
		b = append(b, '\r', '\n')
		for _, a := range args {
			b = append(b, '$')
			b = strconv.AppendInt(b, int64(len(a)), 10)
			b = append(b, '\r', '\n')
			b = append(b, a...)
			b = append(b, '\r', '\n')
		}
	}
	c.buf = b
	if err := c.net.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := c.net.Write(b)
	return err
}

// close ends the connection; a reader gets an error. It may be called more than once.
func (c *conn) close() { _ = c.net.Close() }

var errProtocol = errors.New("not the protocol of redis pub/sub")

// line reads up to CRLF; the bytes are valid until the next read.
func (c *conn) line() ([]byte, error) {
	b, err := c.in.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, errProtocol
		}
		return nil, err
	}
	if len(b) < 3 || b[len(b)-2] != '\r' {
		return nil, errProtocol
	}
	return b[:len(b)-2], nil
}

// number reads a line of one kind byte and a decimal number.
func (c *conn) number(kind byte) (int, error) {
	b, err := c.line()
	if err != nil {
		return 0, err
	}
	if b[0] == '-' && kind != '-' {
		return 0, replyError(string(b[1:]))
	}
	if b[0] != kind {
		return 0, errProtocol
	}
	if kind == '$' && len(b) == 3 && b[1] == '-' && b[2] == '1' {
		return -1, nil
	}
	n, ok := parseUint(b[1:])
	if !ok || n > 1<<30 {
		return 0, errProtocol
	}
	return int(n), nil
}

// push is one message of the server.
type push struct {
	kind    byte   // 'm' message, 's' subscribed, 'u' unsubscribed, 'p' pong
	name    []byte // the channel; valid until the next read
	payload []byte // of a message, owned by the receiver; nil when it was too long
}

// next reads one message. name is kept in scratch.
func (c *conn) next(scratch []byte) (push, []byte, error) {
	n, err := c.number('*')
	if err != nil {
		return push{}, scratch, err
	}
	if n < 2 || n > 3 {
		return push{}, scratch, errProtocol
	}
	if scratch, err = c.bulk(scratch[:0], maxName); err != nil {
		return push{}, scratch, err
	}
	var p push
	switch string(scratch) {
	case "message", "smessage":
		p.kind = 'm'
	case "subscribe", "ssubscribe":
		p.kind = 's'
	case "unsubscribe", "sunsubscribe":
		p.kind = 'u'
	case "pong":
		p.kind = 'p'
	default:
		return push{}, scratch, errProtocol
	}
	if scratch, err = c.bulk(scratch[:0], maxName); err != nil {
		return push{}, scratch, err
	}
	p.name = scratch
	if n == 2 {
		return p, scratch, nil
	}
	if p.kind != 'm' {
		_, err = c.number(':')
		return p, scratch, err
	}
	p.payload, err = c.payload()
	return p, scratch, err
}

// bulk reads a bulk string of at most limit bytes into b.
func (c *conn) bulk(b []byte, limit int) ([]byte, error) {
	n, err := c.number('$')
	if err != nil || n < 0 {
		return b, err
	}
	if n > limit {
		return b, errProtocol
	}
	if cap(b) < n {
		b = make([]byte, n, limit)
	}
	b = b[:n]
	if _, err := io.ReadFull(c.in, b); err != nil {
		return b, err
	}
	_, err = c.in.Discard(2)
	return b, err
}

// payload reads a bulk string into its own memory. It returns nil for one that is too long.
func (c *conn) payload() ([]byte, error) {
	n, err := c.number('$')
	if err != nil {
		return nil, err
	}
	if n < 0 || n > maxMessage {
		if n < 0 {
			return nil, nil
		}
		_, err := c.in.Discard(n + 2)
		return nil, err
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c.in, b); err != nil {
		return nil, err
	}
	_, err = c.in.Discard(2)
	return b, err
}
