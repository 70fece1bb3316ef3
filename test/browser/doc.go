// Package browser drives headless Chromium over real gateways and, mostly, a real Redis: the console, a plain page that
// has nothing but what browsers bring, tabs that share one connection of the client, and the workbench of
// examples/dashboard behind HAProxy.
//
// Main path: a test starts the cluster and runs its script (console.mjs, cookie.mjs, eventsource.mjs, tabs.mjs,
// dashboard.mjs), which drives the page with playwright-core and asks for what has to happen around it – an event, a
// member, the death of a gateway – one line at a time.
package browser
