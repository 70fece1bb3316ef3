// Package client tests the TypeScript client, client/, as Go tests: each of its own tests is a subtest here,
// and what a newcomer does with the packed package is tried in a fresh Vite project and in headless Chromium.
//
// Main path: TestUnit and TestGateway run vitest and read its report; TestNewcomer does what client/README.md
// says, with the very lines that stand there.
package client
