package operate

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Gateways prints an answer of GET gateways; what is missing goes to side.
func Gateways(out, side io.Writer, raw json.RawMessage) error {
	var a gatewaysAnswer
	if err := json.Unmarshal(raw, &a); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	a.warn(side)
	return a.print(out)
}

func (a *gatewaysAnswer) print(out io.Writer) error {
	t := newTable(out, "GATEWAY", "STATE", "CONNECTIONS", "CHANNELS", "PUBLISHED/S", "DELIVERED/S", "ROUND TRIP", "LEASE AGE", "UP", "VERSION", "REASON")
	for i := range a.Gateways {
		g := &a.Gateways[i]
		var published, delivered, trip, lease, up string
		if g.Rates != nil {
			published, delivered = perSecond(g.Rates.Published), perSecond(g.Rates.Delivered)
		}
		if g.Overview != nil {
			trip = (time.Duration(g.Overview.RoundTripUS) * time.Microsecond).String()
			up = span(a.Now.Sub(g.Start))
		}
		if g.Lease != nil {
			lease = span(time.Duration(g.Lease.AgeMS) * time.Millisecond)
		}
		t.row(g.Gateway, strings.ReplaceAll(g.State, "_", " "), number(g.Connections), number(g.Channels),
			published, delivered, trip, lease, up, g.Version, g.Reason)
	}
	return t.end()
}

// Channels prints an answer of GET channels.
func Channels(out, side io.Writer, raw json.RawMessage, now time.Time) error {
	var a channelsAnswer
	if err := json.Unmarshal(raw, &a); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	a.warn(side)
	t := newTable(out, "CHANNEL", "SUBSCRIBERS", "RETAINED", "NEWEST", "HEAD", "GATEWAYS")
	for i := range a.Channels {
		ch := &a.Channels[i]
		retained, newest, head := plain(ch.StreamProblem), "", ""
		if ch.Stream != nil {
			retained, newest, head = number(ch.Stream.Retained), ago(now, ch.Stream.Newest), ch.Stream.Head
		}
		var places []string
		for _, g := range ch.Gateways {
			places = append(places, fmt.Sprintf("%s:%d", g.Gateway, g.Subscribers))
		}
		t.row(ch.Channel, number(ch.Subscribers), retained, newest, head, strings.Join(places, " "))
	}
	if err := t.end(); err != nil {
		return err
	}
	if a.Next != "" {
		fmt.Fprintf(side, "more: --after %s\n", plain(a.Next))
	}
	return nil
}

// Members prints an answer of GET members.
func Members(out, side io.Writer, raw json.RawMessage, now time.Time) error {
	var a membersAnswer
	if err := json.Unmarshal(raw, &a); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if !a.StaleSince.IsZero() {
		fmt.Fprintf(side, "stale since %s: the store is away\n", a.StaleSince.Format(time.RFC3339))
	}
	t := newTable(out, "USER", "STATE", "SESSIONS", "SINCE", "NAME", "STATUS")
	for _, m := range a.Members {
		t.row(m.User, m.State, number(m.Sessions), ago(now, m.Since), m.Name, string(m.Status))
	}
	if err := t.end(); err != nil {
		return err
	}
	fmt.Fprintf(side, "%d members with %d sessions\n", a.Count, a.Sessions)
	if a.Next != "" {
		fmt.Fprintf(side, "more: --after %s\n", plain(a.Next))
	}
	return nil
}

// Sessions prints an answer of GET sessions.
func Sessions(out, side io.Writer, raw json.RawMessage, now time.Time) error {
	var a sessionsAnswer
	if err := json.Unmarshal(raw, &a); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	a.warn(side)
	if len(a.Sessions) == 0 {
		fmt.Fprintf(side, "%s is not connected\n", plain(a.User))
	}
	t := newTable(out, "SESSION", "GATEWAY", "TRANSPORT", "CONNECTED", "LAST SEEN", "REMOTE", "CHANNELS")
	for _, s := range a.Sessions {
		channels := s.Channels
		for _, sub := range s.Subscriptions {
			name := sub.Channel
			if sub.Behind > 0 {
				name += fmt.Sprintf("(-%d)", sub.Behind)
			}
			channels = append(channels, name)
		}
		gateway := s.Gateway
		if !s.Confirmed {
			gateway += " (not confirmed)"
		}
		t.row(s.Session, gateway, s.Transport, ago(now, s.Since), ago(now, s.LastSeen), s.Remote, strings.Join(channels, " "))
	}
	if a.Cut {
		fmt.Fprintln(side, "there is more than is listed")
	}
	return t.end()
}

// Explanation prints an answer of GET explain.
func Explanation(out, side io.Writer, raw json.RawMessage) error {
	var a explainAnswer
	if err := json.Unmarshal(raw, &a); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	a.warn(side)
	fmt.Fprintf(out, "%s\n", plain(a.Summary))
	if len(a.Traces) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	t := newTable(out, "OUTCOME", "SESSION", "GATEWAY", "TIME", "DETAIL")
	for _, trace := range a.Traces {
		at := ""
		if !trace.Time.IsZero() {
			at = trace.Time.UTC().Format(time.RFC3339)
		}
		t.row(strings.ReplaceAll(trace.Outcome, "_", " "), trace.Session, trace.Gateway, at, trace.Detail)
	}
	return t.end()
}
