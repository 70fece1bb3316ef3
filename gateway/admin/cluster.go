package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/inspect"
)

// QuestionVersion is the version of questions and answers that this program speaks. It changes only where
// an older gateway would answer wrongly; members that are merely new are ignored by it.
const QuestionVersion = 1

// MaxItems bounds the channels or sessions in one gateway's answer.
const MaxItems = 501

// ErrUnasked means that the other gateways could not be asked. The reply holds what is known nevertheless.
var ErrUnasked = errors.New("the other gateways could not be asked")

// Kind is what a question is about.
type Kind string

// Kinds.
const (
	AskOverview   Kind = "overview"
	AskChannels   Kind = "channels"   // Prefix, After, Limit
	AskSessions   Kind = "sessions"   // User
	AskDisconnect Kind = "disconnect" // User, Session
	AskExplain    Kind = "explain"    // User, Channel, Cursor
	AskDrain      Kind = "drain"      // Gateway, and WaitMS and WindowMS or Undo
	AskLogLevel   Kind = "log_level"  // Gateway, Level, ForS
)

// Question is what one gateway asks all of them. Which fields count depends on Kind.
type Question struct {
	Version int           `json:"v"`
	Kind    Kind          `json:"kind"`
	Prefix  string        `json:"prefix,omitempty"`
	After   string        `json:"after,omitempty"`
	Limit   int           `json:"limit,omitempty"`
	User    string        `json:"user,omitempty"`
	Session string        `json:"session,omitempty"`
	Channel string        `json:"channel,omitempty"`
	Cursor  broker.Cursor `json:"cursor,omitzero"`

	Gateway  string `json:"gateway,omitempty"` // the one that is meant; the others answer without doing anything
	WaitMS   int64  `json:"wait_ms,omitempty"`
	WindowMS int64  `json:"window_ms,omitempty"`
	Undo     bool   `json:"undo,omitempty"`
	Level    string `json:"level,omitempty"`
	ForS     int64  `json:"for_s,omitempty"`
}

// errQuestion is wrapped by every error of Question.Validate.
var errQuestion = errors.New("invalid question")

// Validate reports what is wrong with a question. It arrives from another gateway, perhaps of another
// version, so that a Responder looks before it answers.
func (q Question) Validate() error {
	text := func(name, s string, least, most int) error {
		if len(s) < least || len(s) > most || !utf8.ValidString(s) {
			return fmt.Errorf("%w: %s: %d to %d bytes of UTF-8", errQuestion, name, least, most)
		}
		return nil
	}
	switch q.Kind {
	case AskOverview:
		return nil
	case AskChannels:
		if q.Limit < 1 || q.Limit > MaxItems {
			return fmt.Errorf("%w: limit: 1 to %d", errQuestion, MaxItems)
		}
		return errors.Join(text("prefix", q.Prefix, 0, maxChannel), text("after", q.After, 0, maxChannel))
	case AskSessions:
		return text("user", q.User, 1, maxUser)
	case AskDisconnect:
		return errors.Join(text("user", q.User, 1, maxUser), text("session", q.Session, 1, maxSession))
	case AskExplain:
		if err := events.ValidateChannel(q.Channel); err != nil {
			return fmt.Errorf("%w: %w", errQuestion, err)
		}
		return text("user", q.User, 1, maxUser)
	case AskDrain:
		if q.WaitMS < 0 || q.WaitMS > maxDrainMS || q.WindowMS < 0 || q.WindowMS > maxDrainMS {
			return fmt.Errorf("%w: wait_ms and window_ms: 0 to %d", errQuestion, maxDrainMS)
		}
		return text("gateway", q.Gateway, 1, maxGateway)
	case AskLogLevel:
		if !slices.Contains(logLevels, q.Level) || q.ForS < 1 || q.ForS > maxLogFor {
			return fmt.Errorf("%w: level or for_s", errQuestion)
		}
		return text("gateway", q.Gateway, 1, maxGateway)
	default:
		return fmt.Errorf("%w: kind %.40q", errQuestion, q.Kind)
	}
}

// Answer is one gateway's share of an answer.
type Answer struct {
	Version int    `json:"v"`
	Gateway string `json:"gateway"`
	// Failure says why there is nothing else: this gateway is too old for the question, or it failed.
	Failure Failure `json:"failure,omitempty"`

	Overview *inspect.Overview `json:"overview,omitempty"`
	Rates    *Rates            `json:"rates,omitempty"`
	Series   *Series           `json:"series,omitempty"`
	Channels []inspect.Channel `json:"channels,omitempty"`
	Sessions []inspect.Session `json:"sessions,omitempty"`
	Closed   int               `json:"closed,omitempty"`
	Traces   []inspect.Trace   `json:"traces,omitempty"`
	// Drained says that this is the gateway that was meant, and that it does as it was told; otherwise
	// Refusal says why it does not.
	Drained bool   `json:"drained,omitempty"`
	Refusal string `json:"refusal,omitempty"`
	// LogUntil says that this is the gateway that was meant, and until when its log is as it was told.
	LogUntil time.Time `json:"log_until,omitzero"`
	// Cut says that the gateway has more of what it lists.
	Cut bool `json:"cut,omitempty"`
}

// Failure says why a gateway is missing from an answer.
type Failure string

// Failures.
const (
	NoAnswer    Failure = "no_answer"   // it is known to the cluster and did not answer in time
	LeaseOver   Failure = "lease_over"  // its lease has ended: it has died, or is cut off
	NotAsked    Failure = "not_asked"   // the way to ask it is down
	Unsupported Failure = "unsupported" // it runs a version that does not know the question
	Failed      Failure = "failed"      // it could not answer; its log says why
)

// Missing is a gateway that has not answered.
type Missing struct {
	Gateway string  `json:"gateway"`
	Reason  Failure `json:"reason"`
}

// Reply is what a cluster answers.
type Reply struct {
	Answers []Answer // of those that have answered, ordered by gateway
	Missing []Missing
}

// Cluster asks every gateway a question. Implementations are safe for concurrent use.
type Cluster interface {
	// Ask returns the answers that came in time, and names the gateways that are expected and did not
	// answer. This gateway's own answer is always there. With ErrUnasked the reply is what is known
	// without the others; who they are may then be unknown too.
	Ask(ctx context.Context, q Question) (Reply, error)
}

// Alone is the cluster of a single gateway: the embedded engine's.
func Alone(r *Responder) Cluster { return alone{r} }

type alone struct{ responder *Responder }

// Ask implements Cluster.
func (a alone) Ask(ctx context.Context, q Question) (Reply, error) {
	q.Version = QuestionVersion
	return Sort([]Answer{a.responder.Answer(ctx, q)}, nil), nil
}
