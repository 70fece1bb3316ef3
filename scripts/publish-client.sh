#!/usr/bin/env bash
# Publishes what `make client` has built: publish-client.sh VERSION [--dry-run].
#
# The version is the release's, whatever package.json says. In CI npm adds where and from what the package was
# built (--provenance), which it can nowhere else.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$1
options=(--access public)
[[ $version != *-* ]] || options+=(--tag next)
[[ ${GITHUB_ACTIONS:-} != true ]] || options+=(--provenance)

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp -R client/dist client/README.md client/package.json LICENSE "$folder"
(cd "$folder" && npm pkg set "version=$version" && npm pkg delete scripts devDependencies size-limit)
npm publish "$folder" "${options[@]}" "${@:2}"
