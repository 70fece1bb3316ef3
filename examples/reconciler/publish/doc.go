// Package publish holds the reconciler's ways out: [Redis] calls the published function tw_publish as
// any worker may, [HTTP] posts to a gateway, and [Writer] prints.
//
// All of them send an event's "<source>/<id>" as its idempotency key, so that a publish whose answer was
// lost can be repeated. Errors that a repetition will not change wrap reconcile.ErrRefused.
package publish
