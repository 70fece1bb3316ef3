#!/usr/bin/env bash
# Says what a build is made of, in CycloneDX (JSON).
#
#   scripts/sbom.sh PROGRAM DOCUMENT VERSION        the modules of a program that was built, and Go's own library
#   scripts/sbom.sh --workbench DOCUMENT VERSION    the packages of the workbench, which the program embeds
#
# Licences are what was found in the modules' files (evidence, not assertions). CYCLONEDX_GOMOD is the program that
# does the first; `make` builds it.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
what=$1 document=$2 version=$3

if [[ $what == --workbench ]]; then
    # npm wants a version, which a package that nobody publishes has not.
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    mkdir "$folder/tallywire-workbench"
    cp "$root"/examples/dashboard/package{,-lock}.json "$folder/tallywire-workbench"
    (
        cd "$folder/tallywire-workbench"
        npm pkg set "version=${version#v}" name=tallywire-workbench
        npm sbom --package-lock-only --sbom-format cyclonedx --sbom-type application --omit dev
    ) >"$folder/document"
    cp "$folder/document" "$document"
    exit
fi

tool=${CYCLONEDX_GOMOD:-$root/bin/tools/cyclonedx-gomod-v1.10.0}
[[ -x $tool ]] || { echo "sbom: $tool is missing; make sbom builds it" >&2 && exit 1; }
# It takes the system that it names for that of the environment.
built=$(go version -m "$what")
GOOS=$(awk -F= '/\tGOOS=/ { print $2 }' <<<"$built")
GOARCH=$(awk -F= '/\tGOARCH=/ { print $2 }' <<<"$built")
export GOOS GOARCH
"$tool" bin -json -licenses -std -version "$version" -output "$document" "$what"
