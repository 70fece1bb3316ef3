package operate

import (
	"encoding/json"
	"time"
)

// coverage is how much of the cluster an answer speaks for.
type coverage struct {
	Complete bool   `json:"complete"`
	Problem  string `json:"problem"`
	Missing  []struct {
		Gateway string `json:"gateway"`
		Reason  string `json:"reason"`
	} `json:"missing"`
}

type gatewaysAnswer struct {
	coverage
	Asked  string    `json:"asked"`
	Now    time.Time `json:"now"`
	Totals struct {
		Gateways      int     `json:"gateways"`
		Answered      int     `json:"answered"`
		Connections   int     `json:"connections"`
		Sessions      int     `json:"sessions"`
		Subscriptions int     `json:"subscriptions"`
		Published     float64 `json:"published_per_second"`
		Delivered     float64 `json:"delivered_per_second"`
	} `json:"totals"`
	Gateways []gatewayAnswer `json:"gateways"`
}

type gatewayAnswer struct {
	Gateway     string    `json:"gateway"`
	State       string    `json:"state"`
	Reason      string    `json:"reason"`
	Version     string    `json:"version"`
	Start       time.Time `json:"start"`
	Connections int       `json:"connections"`
	Channels    int       `json:"channels"`
	Lease       *struct {
		AgeMS int64 `json:"age_ms"`
	} `json:"lease"`
	Overview *struct {
		RoundTripUS int64 `json:"round_trip_us"`
	} `json:"overview"`
	Rates *struct {
		Published float64 `json:"published"`
		Delivered float64 `json:"delivered"`
		Bytes     float64 `json:"bytes"`
	} `json:"rates"`
}

type channelsAnswer struct {
	coverage
	Next     string          `json:"next"`
	Channels []channelAnswer `json:"channels"`
}

type channelAnswer struct {
	Channel     string `json:"channel"`
	Subscribers int    `json:"subscribers"`
	Gateways    []struct {
		Gateway     string `json:"gateway"`
		Subscribers int    `json:"subscribers"`
	} `json:"gateways"`
	Stream *struct {
		Exists   bool      `json:"exists"`
		Head     string    `json:"head"`
		Retained uint64    `json:"retained"`
		Newest   time.Time `json:"newest"`
	} `json:"stream"`
	StreamProblem string `json:"stream_problem"`
}

type membersAnswer struct {
	Channel    string    `json:"channel"`
	Count      int       `json:"count"`
	Sessions   int       `json:"sessions"`
	Next       string    `json:"next"`
	StaleSince time.Time `json:"stale_since"`
	Members    []struct {
		User     string          `json:"user"`
		Name     string          `json:"name"`
		State    string          `json:"state"`
		Since    time.Time       `json:"since"`
		Sessions int             `json:"sessions"`
		Status   json.RawMessage `json:"status"`
	} `json:"members"`
}

type sessionsAnswer struct {
	coverage
	User     string `json:"user"`
	Cut      bool   `json:"cut"`
	Sessions []struct {
		Session       string    `json:"session"`
		Gateway       string    `json:"gateway"`
		Transport     string    `json:"transport"`
		Since         time.Time `json:"since"`
		LastSeen      time.Time `json:"last_seen"`
		Remote        string    `json:"remote"`
		Confirmed     bool      `json:"confirmed"`
		Channels      []string  `json:"channels"`
		Subscriptions []struct {
			Channel string `json:"channel"`
			Behind  uint64 `json:"behind"`
		} `json:"subscriptions"`
	} `json:"sessions"`
}

type explainAnswer struct {
	coverage
	Outcome string `json:"outcome"`
	Certain bool   `json:"certain"`
	Summary string `json:"summary"`
	Traces  []struct {
		Gateway string    `json:"gateway"`
		Session string    `json:"session"`
		Outcome string    `json:"outcome"`
		Time    time.Time `json:"time"`
		Detail  string    `json:"detail"`
	} `json:"traces"`
}
