// Package browser drives the console in headless Chromium, over real gateways and a real Redis.
//
// Main path: TestConsole starts the cluster and runs console.mjs, which drives the page with playwright-core
// and asks for what has to happen around it – an event, a member, the death of a gateway – one line at a time.
package browser
