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

GOLANGCI_VERSION := v2.15.0
GOLANGCI         := $(CURDIR)/bin/tools/golangci-lint-$(GOLANGCI_VERSION)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  Variables: ARGS (run, bench, test-chart), PKGS and TESTFLAGS (test), FUZZTIME (fuzz)"

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

.PHONY: bench
bench: build ## run the built-in load generator (ARGS='--help' says what it takes)
	bin/tallywire bench $(ARGS)

.PHONY: setup
setup: ## install the system packages that the tests need
	@scripts/setup.sh

.PHONY: test
test: setup ## run all tests under the race detector, and those of the chart
	@status=0; \
	$(GO) run ./scripts/gotest -race -timeout $(TEST_TIMEOUT) -p $(TEST_JOBS) $(TESTFLAGS) $(PKGS) || status=1; \
	if [ '$(PKGS)' = ./... ]; then $(MAKE) --no-print-directory test-chart || status=1; fi; \
	exit $$status

# A module of its own, so that nobody who builds Tallywire builds Helm.
.PHONY: test-chart
test-chart: setup ## test the Helm chart (ARGS=-update writes the table in its README)
	$(GO) run ./scripts/gotest -C test/chart $(TESTFLAGS) ./... $(ARGS)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME
	@GO='$(GO)' scripts/fuzz.sh $(FUZZTIME)

.PHONY: check
check: check-tidy check-format check-lint check-vet check-sleeps check-docs check-client ## format, lint, vet, links, go.mod: what CI demands

.PHONY: check-tidy
check-tidy: ## go.mod and go.sum are as `go mod tidy` leaves them
	$(GO) mod tidy -diff
	cd test/chart && $(GO) mod tidy -diff

.PHONY: check-format
check-format: $(GOLANGCI) ## the code is formatted by gofumpt and goimports
	$(GOLANGCI) fmt --diff
	cd test/chart && $(GOLANGCI) fmt --diff

.PHONY: check-lint
check-lint: $(GOLANGCI) ## golangci-lint finds nothing
	$(GOLANGCI) config verify
	$(GOLANGCI) run
	cd test/chart && $(GOLANGCI) run

.PHONY: check-vet
check-vet: ## go vet finds nothing
	$(GO) vet ./...

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

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist client/dist client/api

# The linter is built from its module, so that it needs no download of its own, and kept by version.
$(GOLANGCI):
	@mkdir -p $(@D)
	GOBIN='$(@D)/.build' $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv $(@D)/.build/golangci-lint $@ && rmdir $(@D)/.build
