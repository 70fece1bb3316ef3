package redisconn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// ErrInvalidURL is wrapped by every error of [Parse].
var ErrInvalidURL = errors.New("invalid redis url")

// Mode is the kind of deployment behind a URL.
type Mode string

// Modes.
const (
	Standalone Mode = "standalone"
	Sentinel   Mode = "sentinel"
	Cluster    Mode = "cluster"
)

// Target is a parsed Redis URL. It is a value; nothing changes it after Parse.
type Target struct {
	Mode Mode
	// Addrs are host:port of the server, the sentinels, or cluster nodes to start from.
	Addrs []string
	// Master is the name that the sentinels know the primary by.
	Master string
	DB     int
	// TLS is set by rediss:// and by ?tls=true.
	TLS bool
	// PoolSize bounds the connections for single commands; 0 means the default.
	PoolSize   int
	ClientName string

	username, password                 string
	sentinelUsername, sentinelPassword string

	authorities *x509.CertPool // nil for the system's
	certificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
}

// host is the host of the first address.
func (t *Target) host() string {
	host, _, err := net.SplitHostPort(t.Addrs[0])
	if err != nil {
		return "" // Parse has seen to it
	}
	return host
}

// Parse reads
//
//	redis://[user[:password]@]host[:port][/db]
//	rediss://…                                             the same over TLS
//	redis-sentinel://[user:password@]host[:port][,host[:port]…]/master
//	redis-cluster://[user:password@]host[:port][,host[:port]…]
//
// with the parameters db, tls, pool_size, client_name, and for sentinels sentinel_username and
// sentinel_password. Unknown parameters are errors. Errors never repeat the URL.
func Parse(text string) (*Target, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return nil, fmt.Errorf("%w: no scheme; wanted redis://host:port", ErrInvalidURL)
	}
	t := &Target{}
	port := "6379"
	switch scheme {
	case "redis":
		t.Mode = Standalone
	case "rediss":
		t.Mode, t.TLS = Standalone, true
	case "redis-sentinel":
		t.Mode, port = Sentinel, "26379"
	case "redis-cluster":
		t.Mode = Cluster
	default:
		return nil, fmt.Errorf("%w: unknown scheme %q; wanted redis, rediss, redis-sentinel or redis-cluster", ErrInvalidURL, scheme)
	}

	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	if !strings.Contains(authority, "@") && strings.Contains(tail, "@") {
		return nil, fmt.Errorf("%w: user or password: / ? # %% in it must be percent-encoded", ErrInvalidURL)
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		if err := t.parseUser(authority[:i]); err != nil {
			return nil, err
		}
		authority = authority[i+1:]
	}
	for host := range strings.SplitSeq(authority, ",") {
		addr, err := withPort(host, port)
		if err != nil {
			return nil, err
		}
		t.Addrs = append(t.Addrs, addr)
	}
	if err := t.parseTail(tail); err != nil {
		return nil, err
	}
	return t, t.validate()
}

func (t *Target) parseUser(info string) (err error) {
	user, password, _ := strings.Cut(info, ":")
	if t.username, err = url.PathUnescape(user); err != nil {
		return fmt.Errorf("%w: user name is not percent-encoded", ErrInvalidURL)
	}
	if t.password, err = url.PathUnescape(password); err != nil {
		return fmt.Errorf("%w: password is not percent-encoded", ErrInvalidURL)
	}
	return nil
}

func withPort(host, port string) (string, error) {
	if host == "" {
		return "", fmt.Errorf("%w: empty host", ErrInvalidURL)
	}
	if h, p, err := net.SplitHostPort(host); err == nil {
		if h == "" {
			return "", fmt.Errorf("%w: no host before the port", ErrInvalidURL)
		}
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return "", fmt.Errorf("%w: port of %q: must be 1 to 65535, is %q", ErrInvalidURL, h, p)
		}
		return host, nil
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.Contains(bare, ":") != strings.HasPrefix(host, "[") {
		return "", fmt.Errorf("%w: host %q: an address of IPv6 stands in brackets", ErrInvalidURL, host)
	}
	return net.JoinHostPort(bare, port), nil
}

// parseTail reads the path and the query.
func (t *Target) parseTail(tail string) error {
	u, err := url.Parse(tail)
	if err != nil {
		return fmt.Errorf("%w: path or query", ErrInvalidURL)
	}
	if path := strings.Trim(u.Path, "/"); path != "" {
		if t.Mode == Sentinel {
			t.Master = path
		} else if t.DB, err = strconv.Atoi(path); err != nil {
			return fmt.Errorf("%w: database: must be a number, is %q", ErrInvalidURL, path)
		}
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return fmt.Errorf("%w: query", ErrInvalidURL)
	}
	for name, values := range query {
		if err := t.set(name, values[len(values)-1]); err != nil {
			return err
		}
	}
	return nil
}

func (t *Target) set(name, value string) (err error) {
	switch name {
	case "db":
		t.DB, err = strconv.Atoi(value)
	case "tls":
		t.TLS, err = strconv.ParseBool(value)
	case "pool_size":
		t.PoolSize, err = strconv.Atoi(value)
	case "client_name":
		t.ClientName = value
	case "sentinel_username":
		t.sentinelUsername = value
	case "sentinel_password":
		t.sentinelPassword = value
	default:
		return fmt.Errorf("%w: unknown parameter %q", ErrInvalidURL, name)
	}
	if err != nil {
		return fmt.Errorf("%w: parameter %s", ErrInvalidURL, name)
	}
	return nil
}

func (t *Target) validate() error {
	switch {
	case t.Mode == Sentinel && t.Master == "":
		return fmt.Errorf("%w: no master name; wanted redis-sentinel://host:port/master", ErrInvalidURL)
	case t.Mode == Standalone && len(t.Addrs) != 1:
		return fmt.Errorf("%w: several hosts; wanted redis-sentinel:// or redis-cluster://", ErrInvalidURL)
	case t.Mode == Cluster && t.DB != 0:
		return fmt.Errorf("%w: a cluster has database 0 only", ErrInvalidURL)
	case t.DB < 0:
		return fmt.Errorf("%w: database: must not be negative, is %d", ErrInvalidURL, t.DB)
	case t.PoolSize < 0 || t.PoolSize > 10_000:
		return fmt.Errorf("%w: parameter pool_size: must be at most 10000, is %d", ErrInvalidURL, t.PoolSize)
	case t.Mode != Sentinel && (t.sentinelUsername != "" || t.sentinelPassword != ""):
		return fmt.Errorf("%w: sentinel credentials without sentinels", ErrInvalidURL)
	case strings.ContainsAny(t.ClientName, " \r\n"):
		return fmt.Errorf("%w: parameter client_name", ErrInvalidURL)
	}
	return nil
}

// String returns the URL without its secrets.
func (t *Target) String() string {
	scheme := "redis"
	switch {
	case t.Mode == Sentinel:
		scheme = "redis-sentinel"
	case t.Mode == Cluster:
		scheme = "redis-cluster"
	case t.TLS:
		scheme = "rediss"
	}
	var b strings.Builder
	b.WriteString(scheme + "://")
	if t.username != "" || t.password != "" {
		b.WriteString(url.PathEscape(t.username) + ":***@")
	}
	b.WriteString(strings.Join(t.Addrs, ","))
	if t.Master != "" {
		b.WriteString("/" + t.Master)
	}
	if t.DB != 0 {
		b.WriteString("?db=" + strconv.Itoa(t.DB))
	}
	return b.String()
}

// GoString keeps %#v from printing the secrets.
func (t *Target) GoString() string { return "redisconn.Target(" + t.String() + ")" }
