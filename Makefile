# Writeback Agent. `make demo` and `make build` need Go and make only; `make test` sets up what else it needs by itself.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
PROGRAMS := writeback-agent writeback-send writeback-lab
# Without cgo the programs are static and cross-compile; -trimpath keeps the builder's paths out of them.
GOBUILD  := CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)'

PLATFORMS := linux/amd64 linux/arm64 windows/amd64 windows/arm64
PACKAGES  ?= ./...
FUZZTIME  ?= 10s

.DEFAULT_GOAL := help
.PHONY: help build cross demo demo-samba test test-fast lint bench fuzz clean $(PROGRAMS) $(PLATFORMS)

help: ## show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: $(PROGRAMS) ## build the three programs into bin/

$(PROGRAMS):
	$(GOBUILD) -o bin/$@ ./cmd/$@

cross: $(PLATFORMS) ## build agent and sender for Linux and Windows, amd64 and arm64, into dist/

$(PLATFORMS):
	GOOS=$(@D) GOARCH=$(@F) $(GOBUILD) -o dist/$(@D)-$(@F)/ ./cmd/writeback-agent ./cmd/writeback-send

demo: build ## send requests through the real agent, an embedded queue and an embedded directory, and show what came of each
	bin/writeback-lab demo --agent bin/writeback-agent

demo-samba: build ## the same against a real Samba domain controller (Debian, as root; the first time it takes some minutes to build one)
	@test/demo-samba.sh bin/writeback-lab demo --samba --agent bin/writeback-agent

test: ## set up, vet, lint, and every test with the race detector, against a real Samba controller where the machine allows
	@PACKAGES='$(PACKAGES)' TESTFLAGS='$(TESTFLAGS)' test/run.sh

test-fast: ## only what needs no set-up: no race detector, no lint, no Samba; unchanged packages answer from the cache
	CGO_ENABLED=0 $(GO) test $(TESTFLAGS) $(PACKAGES)

lint: ## run the linter that make test runs (builds it once)
	@test/lint.sh

bench: ## run the benchmarks; those of the directory also against a real Samba controller where make test has built one
	CGO_ENABLED=0 test/with-lab.sh --only-4.24 $(GO) test -run '^$$' -bench . -benchmem $(PACKAGES)

fuzz: ## run every fuzz target for FUZZTIME (10s)
	@test/fuzz.sh $(FUZZTIME)

clean: ## remove what was built here; the cache of make test stays (see test/setup.sh)
	rm -rf bin dist
