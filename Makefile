# Everything a developer runs. Versions of tools are in .ci/versions, of servers in
# integration/harness (kafka.jars, apicurio.go) and internal/localpg/install.go.
.DEFAULT_GOAL := help
.PHONY: help build test race lint fuzz integration copies faults soak verify-soak mutants model servers bench bench-peers bench-hot demo

UNIT = $$(go list ./... | grep -v -E '/(integration|bench)(/|$$)')
REAL = SLUICE_REQUIRE_SERVERS=1

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1 - /p' Makefile | awk -F' - ' '{printf "  make %-12s %s\n", $$1, $$2}'

build: ## build bin/sluice
	@CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/sluice && echo "built bin/sluice"

test: servers ## install what is missing, then everything that must be green: vet, unit with -race, integration
	@echo "go vet" && go vet ./...
	@$(MAKE) --no-print-directory race integration

race: ## unit tests and fuzz seeds with the race detector, real servers where they need them
	@echo "unit tests and fuzz seeds, -race"
	$(REAL) go test -race -timeout 15m $(UNIT)

# Most of these tests wait most of their time: three beside each other keep two cores busy.
integration: ## end-to-end tests on real PostgreSQL and Kafka
	@echo "integration tests"
	$(REAL) go test -p 2 -parallel 3 -timeout 20m ./integration/... ./bench/...

servers: ## install and cache the servers and tools that tests need
	@.ci/servers

lint: ## gofmt, go vet, golangci-lint
	@.ci/lint

fuzz: ## run every fuzz target for FUZZTIME (10s) each
	@.ci/fuzz

copies: servers ## many seeds of the random tests of copies, some ten minutes
	$(REAL) go test -race ./capture -run 'Test(Copies|Gaps)AmongWrites' -count=20 -timeout 20m
	$(REAL) go test ./integration -run 'TestCopiesUnderKills|TestSlotDropped' -count=10 -timeout 20m

faults: servers ## break everything: every point of the path, every wire, every server; writes docs/fault-matrix.md
	SLUICE_FAULTS=$(CURDIR)/docs/fault-matrix.md SLUICE_FAULT_ROWS=1000000 $(REAL) go test ./integration \
		-run 'TestFaultMatrix|TestFaultsOnEveryWire|TestZombies|TestServersDie|TestTransactionLargerThanMemory|TestFailoverBehindKafka|TestKafkaTransactions|TestDiskFull|TestClockSteps' -count=1 -parallel 1 -timeout 60m -v

soak: servers ## an hour of one fault after the other under a steady load; writes docs/soak.md; SLUICE_SOAK=10m is shorter
	SLUICE_SOAK=$${SLUICE_SOAK:-1h} SLUICE_SOAK_REPORT=$(CURDIR)/docs/soak.md $(REAL) go test ./integration -run TestSoak -count=1 -timeout 90m -v

verify-soak: servers ## an hour of sluice verify under load through every mapping; SLUICE_VERIFY_SOAK=10m is shorter
	SLUICE_VERIFY_SOAK=$${SLUICE_VERIFY_SOAK:-1h} $(REAL) go test ./integration -run TestVerifyUnderLoad -count=1 -timeout 90m -v

mutants: servers ## break one rule at a time in a copy and see the validators notice
	@.ci/mutants

model: ## explore the model of delivery, and print a counterexample for each rule that is taken away
	go test ./integration/model -count=1 -v

bench: servers ## measure beside the limit and print the figures; ARGS go to the program
	@go run ./bench $(ARGS)

bench-peers: servers ## the same, beside Debezium with Avro too (needs mvn and java)
	@go run ./bench -peers $(ARGS)

bench-hot: ## the hot paths one by one: time and allocations of decoding, encoding, batches, collapse, COPY
	go test -run XXX -bench 'Insert$$|Envelope|Key$$|Append$$|Decode$$|Consume|Collapse|CopyRows|Arrays' -benchtime 0.3s -count 5 \
		./capture/pgoutput ./schemas/avro ./internal/kafka ./sink/consume ./sink/postgres

demo: build ## PostgreSQL to PostgreSQL through embedded Kafka on this machine; ARGS=--once makes the tour
	@bin/sluice demo $(ARGS)
