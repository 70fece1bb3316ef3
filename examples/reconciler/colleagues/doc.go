// Package colleagues plays the people of a reconciliation team, so that a demonstration has somebody to
// share the screen with: they look at matches, which shows in presence, and decide on the proposals that
// a job has left, which shows as events.
//
// Main path: [New] makes a [Team]; give it to the jobs as their publisher, so that it sees what they
// publish, and let [Team.Run] work beside them.
package colleagues
