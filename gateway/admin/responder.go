package admin

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallywire/tallywire/gateway/inspect"
)

// Bounds of a gateway's answer beside MaxItems.
const (
	maxSubscriptions = 100
	maxTraces        = 200
)

// Responder is one gateway's share in the answers: it takes questions to what the gateway tells about
// itself, and watches its counters so that rates are known when somebody asks. Safe for concurrent use.
type Responder struct {
	local inspect.Local
	log   zerolog.Logger

	mu    sync.Mutex
	track track // guarded by mu
}

// NewResponder returns the responder of a gateway. Rates are known while its Run runs.
func NewResponder(local inspect.Local, log zerolog.Logger) *Responder {
	return &Responder{local: local, log: log}
}

// Run looks at the gateway's counters once a second until ctx ends, and then returns nil.
func (r *Responder) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	r.sample()
	for {
		select {
		case <-tick.C:
			r.sample()
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *Responder) sample() {
	o := r.local.Overview()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.track.add(o)
}

// Answer answers a question for this gateway. It never fails: an answer says so itself. The answer is
// bounded, however much there is to tell.
func (r *Responder) Answer(ctx context.Context, q Question) (a Answer) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error().Str("event", "answer_panic").Interface("panic", p).Str("kind", string(q.Kind)).
				Bytes("stack", debug.Stack()).Msg("panic while answering a question")
			a = Answer{Version: QuestionVersion, Gateway: a.Gateway, Failure: Failed}
		}
	}()
	o := r.local.Overview()
	a = Answer{Version: QuestionVersion, Gateway: o.Gateway}
	if q.Version != QuestionVersion || q.Validate() != nil {
		a.Failure = Unsupported
		return a
	}
	switch q.Kind {
	case AskOverview:
		a.Overview = &o
		r.mu.Lock()
		a.Rates, a.Series = r.track.rates(), r.track.series()
		r.mu.Unlock()
	case AskChannels:
		a.Channels = r.local.Channels(q.Prefix, q.After, q.Limit)
		a.Cut = len(a.Channels) == q.Limit
	case AskSessions:
		a.Sessions, a.Cut = trimSessions(r.local.Sessions(q.User))
	case AskDisconnect:
		a.Closed = r.local.Disconnect(q.User, q.Session)
	case AskDrain:
		if q.Gateway == o.Gateway {
			a.Drained, a.Refusal = r.drain(q)
		}
	case AskLogLevel:
		if q.Gateway == o.Gateway {
			a.LogUntil, a.Refusal = r.setLogLevel(q)
		}
	case AskExplain:
		a.Traces = r.local.Explain(ctx, q.User, q.Channel, q.Cursor)
		if a.Cut = len(a.Traces) > maxTraces; a.Cut {
			a.Traces = a.Traces[:maxTraces]
		}
	}
	return a
}

// drain starts or ends a drain of this gateway.
func (r *Responder) drain(q Question) (done bool, refusal string) {
	d, ok := r.local.(inspect.Drainer)
	if !ok {
		return false, "this gateway cannot be drained"
	}
	var err error
	if q.Undo {
		err = d.UndoDrain()
	} else {
		err = d.StartDrain(inspect.Drain{
			Wait: time.Duration(q.WaitMS) * time.Millisecond, Window: time.Duration(q.WindowMS) * time.Millisecond,
		})
	}
	if err != nil {
		return false, err.Error()
	}
	return true, ""
}

// setLogLevel has this gateway log from another level on.
func (r *Responder) setLogLevel(q Question) (until time.Time, refusal string) {
	l, ok := r.local.(inspect.LogLeveler)
	if !ok {
		return time.Time{}, "the level of this gateway's log cannot be changed"
	}
	return l.SetLogLevel(q.Level, time.Duration(q.ForS)*time.Second), ""
}

// ID returns the gateway's name.
func (r *Responder) ID() string { return r.local.Overview().Gateway }

// trimSessions bounds the sessions of a user and what each of them lists.
func trimSessions(list []inspect.Session) (out []inspect.Session, cut bool) {
	const most = MaxItems - 1
	if len(list) > most {
		list, cut = list[:most], true
	}
	out = make([]inspect.Session, len(list))
	budget := 5 * maxSubscriptions // of the whole answer
	for i, s := range list {
		keep := min(len(s.Subscriptions), maxSubscriptions, budget)
		budget -= keep
		cut = cut || keep < len(s.Subscriptions)
		s.Subscriptions = s.Subscriptions[:keep]
		out[i] = s
	}
	return out, cut
}
