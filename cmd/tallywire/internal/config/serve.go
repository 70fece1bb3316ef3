package config

import (
	"time"

	"github.com/tallywire/tallywire/namespace"
)

// Serve holds the settings of `tallywire serve`. The tags are the only place that names a setting, its
// default and its help. Fields tagged `meta` say where settings are and are none themselves.
type Serve struct {
	Config      string `meta:"" type:"path" placeholder:"FILE" help:"YAML file with settings; its keys are the names of these flags, and namespaces."`
	PrintConfig bool   `meta:"" help:"Print the settings in effect, with where each came from, and exit."`

	DemoPage bool `negatable:"" group:"mode" help:"/ shows the demonstration that another gateway of the same store runs."`
	Demo     bool `negatable:"" group:"mode" help:"Everybody may connect, a demonstration job runs, and / shows it. Listens on 127.0.0.1 unless --listen says otherwise."`
	Insecure bool `negatable:"" group:"mode" help:"Run without any key: everybody may connect, read and publish."`

	Listen         string   `group:"network" placeholder:"ADDR" help:"Address for clients (default :8080, with --demo 127.0.0.1:8080)."`
	AdminListen    string   `group:"network" placeholder:"ADDR" default:"127.0.0.1:9090" help:"Address for health and profiles; \"off\" for none (default ${default})."`
	AllowedHosts   []string `group:"network" placeholder:"HOST" help:"Names under which clients reach this gateway, * at the start or alone allowed. Addresses and localhost always are."`
	AllowedOrigins []string `group:"network" placeholder:"ORIGIN" help:"Sites whose pages may connect, beside the gateway's own."`
	CookieSameSite string   `name:"cookie-samesite" group:"network" placeholder:"MODE" default:"strict" help:"Pages that browsers send the cookie for: strict and lax for those of the gateway's site, none for every allowed origin (default ${default})."`
	TLSCert        string   `name:"tls-cert" group:"network" type:"path" placeholder:"FILE" help:"PEM file with the certificate, and those between it and the authority, to take clients over TLS with; renewed files are taken over."`
	TLSKey         string   `name:"tls-key" group:"network" type:"path" placeholder:"FILE" help:"PEM file with the certificate's key."`
	TrustedProxies []string `group:"network" placeholder:"NETWORK" help:"Addresses and networks, as 10.0.0.0/8, of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."`
	ProxyProtocol  bool     `negatable:"" group:"network" help:"Connections from the trusted proxies begin with the PROXY protocol (version 1 or 2)."`

	Redis string `group:"store" placeholder:"URL" secret:"redis" help:"redis://, rediss://, redis-sentinel://host:port,host:port/master or redis-cluster://. Without it the embedded engine runs, in memory and for one process."`
	RedisAccess
	RedisPrefix string `group:"store" placeholder:"PREFIX" default:"tw" help:"Prefix of all keys (default ${default})."`
	Inbox       bool   `negatable:"" group:"store" default:"true" help:"Take part in publishing what workers add to the inbox in Redis (on unless --no-inbox)."`

	Schemas string `group:"events" type:"path" placeholder:"DIR" help:"Directory of JSON Schemas with more event types."`
	Strict  bool   `negatable:"" group:"events" help:"Refuse events of unknown types."`

	AuthSecret   string   `group:"auth" placeholder:"SECRET" secret:"all" help:"Secret of HS256 tokens, which should have 32 bytes or more; best given as TALLYWIRE_AUTH_SECRET."`
	AuthKey      []string `group:"auth" placeholder:"FILE" help:"PEM file with public keys of RS256, ES256 or EdDSA tokens; may be repeated."`
	AuthJWKS     string   `name:"auth-jwks" group:"auth" placeholder:"URL" help:"Where the issuer publishes its keys."`
	AuthIssuer   string   `group:"auth" placeholder:"ISS" default:"tallywire" help:"Issuer of the tokens (default ${default})."`
	AuthAudience string   `group:"auth" placeholder:"AUD" default:"tallywire" help:"Audience that tokens must name (default ${default})."`

	AdminAudience string `group:"auth" placeholder:"AUD" default:"tallywire-admin" help:"Audience that tokens for the admin API must name (default ${default})."`

	GatewayID   string        `name:"gateway-id" group:"gateway" placeholder:"NAME" help:"Name of this gateway, unique among those of one store (default: host name and a random part)."`
	Ping        time.Duration `group:"gateway" placeholder:"DURATION" default:"25s" help:"Silence after which a client is pinged (default ${default})."`
	LeaseTTL    time.Duration `name:"lease-ttl" group:"gateway" placeholder:"DURATION" default:"10s" help:"How long the members of a gateway that has died stay; the same for all gateways of one store (default ${default})."`
	DrainWait   time.Duration `group:"gateway" placeholder:"DURATION" default:"2s" help:"Time at the end in which the gateway is not ready and serves on, until load balancers have noticed (default ${default})."`
	DrainWindow time.Duration `group:"gateway" placeholder:"DURATION" default:"5s" help:"Time over which clients are moved away at the end (default ${default})."`

	MaxMessage       int           `group:"limits" placeholder:"BYTES" default:"73728" help:"Largest message of a client (default ${default})."`
	MaxFrame         int           `group:"limits" placeholder:"BYTES" default:"65536" help:"About the largest message to a client (default ${default})."`
	MaxSubscriptions int           `group:"limits" placeholder:"N" default:"1000" help:"Channels of one connection (default ${default})."`
	MaxCommands      int           `group:"limits" placeholder:"N" default:"100000" help:"Frames a second of one connection (default ${default})."`
	MaxInflight      int           `group:"limits" placeholder:"N" default:"1024" help:"Publishes of one connection that wait for the store (default ${default})."`
	MaxErrors        int           `group:"limits" placeholder:"N" default:"100" help:"Bad frames of one connection within ten seconds (default ${default})."`
	MaxConnectionAge time.Duration `group:"limits" placeholder:"DURATION" default:"0s" help:"How long a connection lasts, give or take a tenth, until its client is moved; 0 for no limit (default ${default})."`
	ConnectionRate   int           `group:"limits" placeholder:"N" default:"0" help:"Connections a second that this gateway takes; 0 for no limit (default ${default})."`
	MaxConnections   int           `group:"limits" placeholder:"N" default:"0" help:"Connections of this gateway; 0 for no limit (default ${default})."`
	WriteTimeout     time.Duration `group:"limits" placeholder:"DURATION" default:"10s" help:"Time in which a client must take a message (default ${default})."`
	ConnectTimeout   time.Duration `group:"limits" placeholder:"DURATION" default:"5s" help:"Time in which a client must say who it is (default ${default})."`
	BodyTimeout      time.Duration `group:"limits" placeholder:"DURATION" default:"30s" help:"Time in which the body of a request must come (default ${default})."`
	RelayEvents      int           `group:"limits" placeholder:"N" default:"0" help:"Events of one channel kept in memory; 0 for the engine's default (default ${default})."`
	RelayBytes       int           `group:"limits" placeholder:"BYTES" default:"0" help:"Bytes of one channel kept in memory; 0 for the engine's default (default ${default})."`

	LogLevel  string `group:"logs" placeholder:"LEVEL" default:"info" help:"debug, info, warn or error (default ${default})."`
	LogFormat string `group:"logs" placeholder:"FORMAT" help:"json or console (default json, with --demo console)."`

	OTLPEndpoint string  `name:"otlp-endpoint" group:"logs" placeholder:"URL" help:"Where to send traces, by OTLP over HTTP, as http://localhost:4318. Without it there are none."`
	TraceSample  float64 `name:"trace-sample" group:"logs" placeholder:"PART" default:"0.01" help:"Part of the publishes that begin a trace, where neither event nor request brings one; 0 to 1 (default ${default})."`

	// Namespaces is set from the file only, by [Sources.Fill].
	Namespaces map[string]namespace.Options `kong:"-"`
}

// Complete fills what depends on other settings.
func (s *Serve) Complete() {
	set := func(v *string, normal, demo string) {
		if *v == "" {
			*v = normal
			if s.Demo {
				*v = demo
			}
		}
	}
	set(&s.Listen, ":8080", "127.0.0.1:8080")
	set(&s.LogFormat, "json", "console")
	if s.Demo || s.DemoPage {
		s.demoNamespaces()
	}
}

// demoNamespaces gives the demonstration's channels what suits them, unless the file configures them.
func (s *Serve) demoNamespaces() {
	demo := map[string]namespace.Options{
		"jobs":    {MaxLen: 2_000, TTL: time.Hour},
		"matches": {MaxLen: 10_000, TTL: time.Hour},
		// Dashboards want the newest number of each metric and no other.
		"metrics":       {MaxLen: 2_000, TTL: time.Hour, Delivery: namespace.DeliverLatest, Flush: 100 * time.Millisecond},
		"notifications": {MaxLen: 500, TTL: time.Hour},
		"system":        {MaxLen: 500, TTL: time.Hour, Delivery: namespace.DeliverLatest},
	}
	if s.Namespaces == nil {
		s.Namespaces = map[string]namespace.Options{}
	}
	for prefix, o := range demo {
		if _, configured := s.Namespaces[prefix]; !configured {
			s.Namespaces[prefix] = o
		}
	}
}

// Table returns the namespaces as a gateway uses them.
func (s *Serve) Table() (*namespace.Table, error) { return namespace.NewTable(s.Namespaces) }
