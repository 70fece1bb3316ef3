#!/bin/sh
# Builds the workbench into examples/dashboard/dist, which the program embeds. Where that cannot be done it
# says why and leaves the program with its small page: it is no reason not to run a gateway.
set -eu
cd "$(dirname "$0")/../examples/dashboard"

skip() {
	echo "The workbench is not built: $1. The program serves its small page instead." >&2
	exit 0
}

command -v node >/dev/null 2>&1 || skip "there is no Node here (20.19 or newer)"
command -v npm >/dev/null 2>&1 || skip "there is no npm here"
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
	skip "Node $(node --version) is too old (20.19 or newer is needed)"

# Nothing has changed since the last build?
if [ -f dist/index.html ] && [ -z "$(find src public index.html package-lock.json vite.config.ts ../../client/src -newer dist/index.html -type f -print -quit)" ]; then
	exit 0
fi

if [ ! -f node_modules/.package-lock.json ] || [ -n "$(find package-lock.json -newer node_modules/.package-lock.json)" ]; then
	echo "Installing what the workbench is built with …"
	npm ci --no-audit --no-fund --loglevel=error || skip "npm ci failed"
fi
npm run --silent build -- --logLevel warn || skip "its build failed"
