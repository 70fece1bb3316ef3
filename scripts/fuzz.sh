#!/usr/bin/env bash
# Runs every fuzz target of the module, one after another: fuzz.sh [DURATION] (default 10s each).
# Go keeps an input that fails under the package's testdata/fuzz; commit it with the fix.
set -euo pipefail
cd "$(dirname "$0")/.."

go=${GO:-go}
duration=${1:-10s}
count=0
failed=()

mapfile -t files < <(git ls-files --cached --others --exclude-standard -- '*_test.go' | xargs -r grep -lE '^func Fuzz' | sort)
mapfile -t folders < <(((${#files[@]})) && dirname "${files[@]}" | sort -u)

for folder in "${folders[@]}"; do
    # -list compiles, so that a target behind a build tag, or one that does not build, is not missed quietly.
    listing=$("$go" test -run '^$' -list '^Fuzz' "./$folder")
    for target in $(grep -E '^Fuzz' <<<"$listing"); do
        count=$((count + 1))
        echo "== ./$folder $target for $duration"
        "$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$duration" "./$folder" || failed+=("./$folder $target")
    done
done

if ((count == 0)); then
    echo "fuzz: found no target" >&2
    exit 1
fi
echo "fuzz: $count targets, ${#failed[@]} failed"
((${#failed[@]} == 0)) || { printf '  %s\n' "${failed[@]}"; exit 1; }
