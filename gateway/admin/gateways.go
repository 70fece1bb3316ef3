package admin

import (
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/gateway/inspect"
	"github.com/tallywire/tallywire/presence"
)

// gatewayState is what matters of a gateway at first sight.
type gatewayState string

const (
	stateReady    gatewayState = "ready"
	stateNotReady gatewayState = "not_ready" // it lives, and an event published now would not come through
	stateDraining gatewayState = "draining"  // it is moving its clients away
	stateMissing  gatewayState = "missing"   // it is expected and has not answered
	stateDead     gatewayState = "dead"      // its lease has ended
)

// gatewayResource is one gateway. For one that has not answered, the counts are those of its lease.
type gatewayResource struct {
	Gateway  string            `json:"gateway"`
	State    gatewayState      `json:"state"`
	Reason   string            `json:"reason,omitempty"`
	Version  string            `json:"version,omitempty"`
	Start    time.Time         `json:"start,omitzero"`
	Address  string            `json:"address,omitempty"`
	Lease    *leaseResource    `json:"lease,omitempty"`
	Sessions int               `json:"sessions"`
	Conns    int               `json:"connections"`
	Channels int               `json:"channels"`
	Overview *inspect.Overview `json:"overview,omitempty"`
	Rates    *Rates            `json:"rates,omitempty"`
	Series   *Series           `json:"series,omitempty"`
}

// leaseResource is a gateway's lease, by the store's clock.
type leaseResource struct {
	Incarnation uint64 `json:"incarnation"`
	AgeMS       int64  `json:"age_ms"`
	LeftMS      int64  `json:"left_ms"`
	Live        bool   `json:"live"`
}

// totals are sums over the gateways that have answered.
type totals struct {
	Gateways    int     `json:"gateways"`
	Answered    int     `json:"answered"`
	Conns       int     `json:"connections"`
	Sessions    int     `json:"sessions"`
	Subs        int     `json:"subscriptions"`
	PublishRate float64 `json:"published_per_second"`
	DeliverRate float64 `json:"delivered_per_second"`
}

type gatewaysAnswer struct {
	Coverage
	// Asked is the gateway that has asked the others.
	Asked    string            `json:"asked"`
	Now      time.Time         `json:"now"`
	Totals   totals            `json:"totals"`
	Gateways []gatewayResource `json:"gateways"`
}

// gateways handles GET /admin/v1/gateways: those that answer, those that should, and those that died.
func (a *Admin) gateways(c echo.Context) error {
	ctx := c.Request().Context()
	reply, failure := a.options.Cluster.Ask(ctx, Question{Kind: AskOverview})
	out := gatewaysAnswer{Coverage: coverage(reply, failure), Asked: a.options.Gateway, Now: time.Now().UTC()}
	byID := map[string]*gatewayResource{}
	at := func(id string) *gatewayResource {
		if byID[id] == nil {
			byID[id] = &gatewayResource{Gateway: id}
		}
		return byID[id]
	}
	for _, m := range reply.Missing {
		g := at(m.Gateway)
		g.State, g.Reason = stateMissing, missingReason(m.Reason)
		if m.Reason == LeaseOver {
			g.State = stateDead
		}
	}
	for _, answer := range reply.Answers {
		if answer.Overview != nil {
			at(answer.Gateway).fill(answer)
			out.Totals.add(answer)
		}
	}
	a.addLeases(c, at)
	for _, g := range byID {
		out.Gateways = append(out.Gateways, *g)
	}
	slices.SortFunc(out.Gateways, func(a, b gatewayResource) int { return strings.Compare(a.Gateway, b.Gateway) })
	out.Totals.Gateways = len(out.Gateways)
	return answer(c, out)
}

// addLeases adds what the leases say. Without them the gateways' own answers stand.
func (a *Admin) addLeases(c echo.Context, at func(string) *gatewayResource) {
	if a.options.Directory == nil {
		return
	}
	leases, err := a.options.Directory.Gateways(c.Request().Context())
	if err != nil {
		return // the answer is marked as incomplete by the same outage
	}
	for _, l := range leases {
		at(l.ID).addLease(l)
	}
}

func (g *gatewayResource) fill(a Answer) {
	o := a.Overview
	g.Overview, g.Rates, g.Series = o, a.Rates, a.Series
	g.Version, g.Start, g.Reason = o.Version, o.Start.UTC(), o.Reason
	g.Conns, g.Sessions, g.Channels = o.Connections, o.Sessions, o.Channels
	switch {
	case o.Draining:
		g.State = stateDraining
	case o.Ready:
		g.State = stateReady
	default:
		g.State = stateNotReady
	}
}

func (g *gatewayResource) addLease(l presence.GatewayInfo) {
	g.Lease = &leaseResource{
		Incarnation: l.Incarnation, AgeMS: l.Age.Milliseconds(), LeftMS: max(l.Left, 0).Milliseconds(), Live: l.Live,
	}
	g.Address = l.Address
	if g.Overview != nil {
		return
	}
	if g.State == "" {
		g.State, g.Reason = stateMissing, missingReason(NoAnswer)
	}
	if !l.Live {
		g.State, g.Reason = stateDead, missingReason(LeaseOver)
	}
	g.Version, g.Start = l.Version, l.Start.UTC()
	g.Conns, g.Sessions, g.Channels = l.Connections, l.Sessions, l.Channels
}

func (t *totals) add(a Answer) {
	t.Answered++
	t.Conns += a.Overview.Connections
	t.Sessions += a.Overview.Sessions
	t.Subs += a.Overview.Subscriptions
	if a.Rates != nil {
		t.PublishRate += a.Rates.Published
		t.DeliverRate += a.Rates.Delivered
	}
}

// missingReason says for people why a gateway is missing.
func missingReason(f Failure) string {
	switch f {
	case NoAnswer:
		return "did not answer in time"
	case LeaseOver:
		return "its lease has ended: it died, or is cut off from the store"
	case NotAsked:
		return "could not be asked"
	case Unsupported:
		return "runs a version that does not know the question"
	case Failed:
		return "failed to answer; its log says why"
	default:
		return string(f)
	}
}
