# Everything a developer or CI runs is a target here; `make` alone lists them.

GO           ?= go
ARGS         ?=
FUZZTIME     ?= 10s
# Packages tested at once. Several of them start Redis servers and measure time, so that more than one
# a core makes them slow rather than fast.
TEST_JOBS    ?= 2
TEST_TIMEOUT ?= 15m
# What to test: make test PKGS=./broker/... TESTFLAGS='-run Resume -v'
PKGS         ?= ./...
TESTFLAGS    ?=

# What `tallywire version` says; without git it falls back to what Go knows.
VERSION      ?= $(shell git describe --tags --always --dirty 2>/dev/null)
COMMIT       ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null)

# Of a checkout of the tag v1.2.3: 1.2.3, of others nothing. A number with a hyphen is no release for everybody.
RELEASE      ?= $(patsubst v%,%,$(shell git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null))
REGISTRY     ?= ghcr.io/tallywire

TOOLS            := $(CURDIR)/bin/tools
GOLANGCI_VERSION := v2.15.0
GOLANGCI         := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)
ACTIONLINT       := $(TOOLS)/actionlint-v1.7.12
CYCLONEDX_GOMOD  := $(TOOLS)/cyclonedx-gomod-v1.10.0
GORELEASER       := $(TOOLS)/goreleaser-v2.16.0

# Modules beside the main one, whose dependencies are no business of who builds Tallywire. test/kubernetes is left out:
# it has no code, and to tidy it loads all of Kubernetes.
MODULES := test/chart test/deploy

# What test-chart-real runs, built from test/kubernetes.
KUBERNETES := $(TOOLS)/kubernetes-v1.34.4
KWOK       := sigs.k8s.io/kwok/cmd/kwok@v0.8.0

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  Variables: ARGS (run, bench, test-chart), PKGS and TESTFLAGS (test), FUZZTIME (fuzz), PORT (cluster)"

.PHONY: build
build: dashboard ## build bin/tallywire, a static binary, with the workbench where Node is there
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-X main.version=$(VERSION) -X main.commit=$(COMMIT)' -o bin/tallywire ./cmd/tallywire

.PHONY: client
client: setup ## build the TypeScript client into client/dist
	cd client && npm run --silent build

.PHONY: dashboard
dashboard: ## build the workbench that the program serves with --demo
	@scripts/dashboard.sh

.PHONY: run
run: build ## start a demo gateway with the embedded engine (ARGS='--listen :9000')
	bin/tallywire serve --demo $(ARGS)

.PHONY: cluster
cluster: build setup ## start Redis, three gateways and HAProxy with the configuration of docker-compose.yml
	@scripts/cluster.sh

.PHONY: cluster-check
cluster-check: build setup ## the same, publish and receive while each gateway is replaced, and end
	@scripts/cluster.sh --check

.PHONY: bench
bench: build ## run the built-in load generator (ARGS='--help' says what it takes)
	bin/tallywire bench $(ARGS)

.PHONY: setup
setup: ## install the system packages that the tests need
	@scripts/setup.sh

.PHONY: test
test: setup dashboard ## run all tests under the race detector, and those of chart, image and composition
	@status=0; \
	$(GO) run ./scripts/gotest -race -timeout $(TEST_TIMEOUT) -p $(TEST_JOBS) $(TESTFLAGS) $(PKGS) || status=1; \
	if [ '$(PKGS)' = ./... ]; then $(MAKE) --no-print-directory --keep-going test-chart test-deploy || status=1; fi; \
	exit $$status

# A module of its own, so that nobody who builds Tallywire builds Helm.
.PHONY: test-chart
test-chart: setup ## test the Helm chart (ARGS=-update writes the table in its README)
	$(GO) run ./scripts/gotest -C test/chart $(TESTFLAGS) ./... $(ARGS)

.PHONY: test-chart-real
test-chart-real: setup $(KUBERNETES) ## test the chart on a real API server, scheduler and controllers (the first time builds them, for 20 minutes)
	@command -v etcd >/dev/null || { echo 'etcd is not installed (Debian, Ubuntu: apt-get install etcd-server)' >&2; exit 1; }
	TALLYWIRE_KUBERNETES='$(KUBERNETES)' $(GO) run ./scripts/gotest -C test/chart -tags kubernetes -run '^TestCluster' -v -count 1 $(TESTFLAGS) .

.PHONY: test-deploy
test-deploy: setup ## test Dockerfile, docker-compose.yml, deploy/ and how releases are made; no engine is needed
	$(GO) run ./scripts/gotest -C test/deploy $(TESTFLAGS) ./...

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME
	@GO='$(GO)' scripts/fuzz.sh $(FUZZTIME)

.PHONY: check
check: check-tidy check-format check-lint check-vet check-windows check-sleeps check-docs check-scripts check-workflows check-client ## format, lint, vet, links, go.mod: what CI demands

.PHONY: check-tidy
check-tidy: ## go.mod and go.sum are as `go mod tidy` leaves them
	$(GO) mod tidy -diff
	@for m in $(MODULES); do echo "cd $$m && $(GO) mod tidy -diff"; (cd $$m && $(GO) mod tidy -diff) || exit 1; done

.PHONY: check-format
check-format: $(GOLANGCI) ## the code is formatted by gofumpt and goimports
	$(GOLANGCI) fmt --diff
	@for m in $(MODULES); do (cd $$m && $(GOLANGCI) fmt --diff) || exit 1; done

.PHONY: check-lint
check-lint: $(GOLANGCI) ## golangci-lint finds nothing
	$(GOLANGCI) config verify
	$(GOLANGCI) run
	@for m in $(MODULES); do echo "cd $$m && $(notdir $(GOLANGCI)) run"; (cd $$m && $(GOLANGCI) run --build-tags kubernetes) || exit 1; done

.PHONY: check-vet
check-vet: ## go vet finds nothing
	$(GO) vet ./...

.PHONY: check-windows
check-windows: ## the program builds for Windows, which is released and tested nowhere
	GOOS=windows CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/tallywire

.PHONY: check-scripts
check-scripts: setup ## shellcheck warns of nothing
	shellcheck --severity=warning scripts/*.sh .ci/run

.PHONY: check-workflows
check-workflows: $(ACTIONLINT) ## actionlint finds nothing
	$(ACTIONLINT)

.PHONY: check-sleeps
check-sleeps: ## no test sleeps on the real clock
	$(GO) run ./scripts/testsleeps

.PHONY: check-docs
check-docs: ## relative links and anchors in the documents lead somewhere
	$(GO) run ./scripts/doclinks .

.PHONY: check-client
check-client: setup ## the TypeScript client: lint, types, generated types, package, sizes; the workbench's types
	cd client && npm run --silent verify
	cd examples/dashboard && npm run --silent check

.PHONY: fmt
fmt: $(GOLANGCI) ## format the code
	$(GOLANGCI) fmt
	@for m in $(MODULES); do (cd $$m && $(GOLANGCI) fmt) || exit 1; done

.PHONY: sbom
sbom: build $(CYCLONEDX_GOMOD) ## say what bin/tallywire and its workbench are made of: dist/*.cdx.json
	@mkdir -p dist
	@CYCLONEDX_GOMOD='$(CYCLONEDX_GOMOD)' scripts/sbom.sh bin/tallywire dist/tallywire.cdx.json '$(VERSION)'
	@scripts/sbom.sh --workbench dist/workbench.cdx.json 0.0.0
	@echo dist/tallywire.cdx.json dist/workbench.cdx.json

.PHONY: release-check
release-check: $(GORELEASER) ## goreleaser accepts .goreleaser.yaml (the first time builds goreleaser, for minutes)
	$(GORELEASER) check

.PHONY: release-snapshot
release-snapshot: $(GORELEASER) $(CYCLONEDX_GOMOD) ## build all that a release has into dist/, and publish nothing
	$(GORELEASER) release --snapshot --clean

.PHONY: release
release: $(GORELEASER) $(CYCLONEDX_GOMOD) need-release ## build a release from its tag and put it on GitHub
	$(GORELEASER) release --clean

# What docker/setup-buildx-action provides builds for both platforms.
.PHONY: release-image
release-image: need-release ## build the image for both platforms and push it
	docker buildx build --platform linux/amd64,linux/arm64 --provenance=mode=max --sbom=true --push \
		--build-arg VERSION=v$(RELEASE) --build-arg COMMIT=$(COMMIT) --label org.opencontainers.image.version=$(RELEASE) \
		--label org.opencontainers.image.source=https://github.com/tallywire/tallywire --label org.opencontainers.image.licenses=Apache-2.0 \
		--tag $(REGISTRY)/tallywire:$(RELEASE) .

.PHONY: release-chart
release-chart: need-release ## pack the chart and push it
	helm package helm/tallywire --version $(RELEASE) --app-version $(RELEASE) --destination dist
	helm push dist/tallywire-$(RELEASE).tgz oci://$(REGISTRY)/charts

.PHONY: release-client
release-client: need-release client ## publish the TypeScript client (ARGS=--dry-run: all but the last step)
	@scripts/publish-client.sh $(RELEASE) $(ARGS)

.PHONY: need-release
need-release:
	@test -n '$(RELEASE)' || { echo 'A release is made from a tag vX.Y.Z, which this checkout is not of.' >&2; exit 1; }

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist client/dist client/api

# Tools are built from their modules, so that they need no download of their own, and kept by version.
define install-tool
	@mkdir -p $(@D)
	GOBIN='$@.build' $(GO) install $(1)
	@mv $@.build/* $@ && rmdir $@.build
endef

$(GOLANGCI):
	$(call install-tool,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION))

$(ACTIONLINT):
	$(call install-tool,github.com/rhysd/actionlint/cmd/actionlint@v1.7.12)

$(CYCLONEDX_GOMOD):
	$(call install-tool,github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0)

$(GORELEASER):
	$(call install-tool,github.com/goreleaser/goreleaser/v2@v2.16.0)

# The linker of each wants two gigabytes: one after another.
$(KUBERNETES):
	@mkdir -p $@.build
	for program in kube-apiserver kube-controller-manager kube-scheduler; do \
		CGO_ENABLED=0 nice $(GO) build -C test/kubernetes -p 1 -o $@.build/$$program k8s.io/kubernetes/cmd/$$program || exit 1; \
	done
	GOBIN='$@.build' CGO_ENABLED=0 nice $(GO) install -p 1 $(KWOK)
	@mv $@.build $@
