package admin

import (
	"slices"
	"strings"
)

// Sort makes a reply: answers and the missing ordered by gateway, and gateways that answered with a
// failure among the missing.
func Sort(answers []Answer, missing []Missing) Reply {
	r := Reply{Missing: slices.Clone(missing)}
	for _, a := range answers {
		if a.Failure != "" {
			r.Missing = append(r.Missing, Missing{a.Gateway, a.Failure})
			continue
		}
		r.Answers = append(r.Answers, a)
	}
	slices.SortStableFunc(r.Answers, func(a, b Answer) int { return strings.Compare(a.Gateway, b.Gateway) })
	slices.SortStableFunc(r.Missing, func(a, b Missing) int { return strings.Compare(a.Gateway, b.Gateway) })
	return r
}

// Coverage says how much of the cluster an answer speaks for. Every answer that comes from several
// gateways has it.
type Coverage struct {
	// Complete is true when every gateway has answered.
	Complete bool      `json:"complete"`
	Missing  []Missing `json:"missing"`
	// Problem says for people why the others could not be asked at all.
	Problem string `json:"problem,omitempty"`
}

func coverage(r Reply, err error) Coverage {
	c := Coverage{Complete: err == nil && len(r.Missing) == 0, Missing: r.Missing}
	if c.Missing == nil {
		c.Missing = []Missing{}
	}
	if err != nil {
		c.Problem = "the other gateways could not be asked: the store does not answer"
	}
	return c
}
