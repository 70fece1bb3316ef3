// Package reconcile is the work of the example worker: it reads two ledgers, finds which lines belong
// together, and publishes what it does while it does it.
//
// Main path: [Run] reads both ledgers with a [Reader], hands the lines to a [Matcher], and turns each
// [Change] into an event for a [Publisher]. [Demo] runs job after job on the bundled ledgers.
//
// A job publishes to
//
//	jobs:<job>         job.started, job.progress, error.raised for lines that cannot be read,
//	                   job.completed or job.failed
//	matches:<job>      match.created, match.updated, match.deleted, and error.raised for lines that
//	                   found no partner (line.unmatched) or are there twice (line.duplicate)
//	metrics:recon      dashboard.metric
//	notifications:ops  notification.raised
//	system:status      system.status
//
// Matches are decided before they are published, so that their events do not depend on timing: the
// same ledgers give the same matches, with the same ids, in the same order. Every event has an id that is
// unique within its source, so that publishing it again after an unclear failure does no harm.
//
// Money is counted in minor units throughout; nothing is ever rounded.
package reconcile
