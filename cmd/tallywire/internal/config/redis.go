package config

import (
	"errors"
	"fmt"

	"github.com/tallywire/tallywire/internal/redisconn"
)

// RedisAccess holds the settings that stand beside the URL of a Redis, for every command that has one. What
// they hold is taken as it is, so that no character of a password needs an escape.
type RedisAccess struct {
	RedisUsername         string `name:"redis-username" group:"store" placeholder:"USER" help:"User of Redis, in place of one in the URL."`
	RedisPassword         string `name:"redis-password" group:"store" placeholder:"PASSWORD" secret:"all" help:"Password of Redis, in place of one in the URL, as it is; best given as TALLYWIRE_REDIS_PASSWORD."`
	RedisSentinelUsername string `name:"redis-sentinel-username" group:"store" placeholder:"USER" help:"User of the sentinels."`
	RedisSentinelPassword string `name:"redis-sentinel-password" group:"store" placeholder:"PASSWORD" secret:"all" help:"Password of the sentinels; best given as TALLYWIRE_REDIS_SENTINEL_PASSWORD."`
	RedisCAFile           string `name:"redis-ca-file" group:"store" type:"path" placeholder:"FILE" help:"PEM file with the authorities of Redis' certificate, in place of the system's."`
	RedisCertFile         string `name:"redis-cert-file" group:"store" type:"path" placeholder:"FILE" help:"PEM file with a certificate for Redis to know this client by; read again for each connection."`
	RedisKeyFile          string `name:"redis-key-file" group:"store" type:"path" placeholder:"FILE" help:"PEM file with the key of that certificate."`
}

func (a *RedisAccess) access() redisconn.Access {
	return redisconn.Access{
		Username: a.RedisUsername, Password: a.RedisPassword,
		SentinelUsername: a.RedisSentinelUsername, SentinelPassword: a.RedisSentinelPassword,
		CAFile: a.RedisCAFile, CertFile: a.RedisCertFile, KeyFile: a.RedisKeyFile,
	}
}

// Target returns where a URL and the settings beside it lead. Errors begin with the name of the setting that is
// wrong.
func (a *RedisAccess) Target(url string) (*redisconn.Target, error) {
	t, err := redisconn.Parse(url)
	if err == nil {
		t, err = t.With(a.access())
	}
	if err != nil {
		key, what := redisProblem(err)
		return nil, fmt.Errorf("%s: %w", key, what)
	}
	return t, nil
}

// check reports what of the settings cannot be right, and which it is; it reads no file.
func (a *RedisAccess) check(url string) (key string, err error) {
	if url == "" {
		for _, s := range []struct{ key, value string }{
			{"redis-username", a.RedisUsername},
			{"redis-password", a.RedisPassword},
			{"redis-sentinel-username", a.RedisSentinelUsername},
			{"redis-sentinel-password", a.RedisSentinelPassword},
			{"redis-ca-file", a.RedisCAFile},
			{"redis-cert-file", a.RedisCertFile},
			{"redis-key-file", a.RedisKeyFile},
		} {
			if s.value != "" {
				return s.key, errors.New("there is no Redis: give its address as redis")
			}
		}
		return "", nil
	}
	t, err := redisconn.Parse(url)
	if err == nil {
		err = t.Check(a.access())
	}
	if err != nil {
		return redisProblem(err)
	}
	return "", nil
}

// redisProblem returns the setting that an error is about.
func redisProblem(err error) (key string, what error) {
	var field *redisconn.AccessError
	if errors.As(err, &field) {
		return "redis-" + field.Field, field.Err
	}
	return "redis", err
}
