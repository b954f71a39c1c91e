# Weir's house rules for building and testing. `make` alone lists the targets.
#
# Everything that a build leaves behind lies in bin/, web/dist/ and .cache/.

SHELL := /bin/bash
comma := ,
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Make splits names at spaces, which CI machines have in their folders: targets are relative, other programs get $(CURDIR).
CACHE   := .cache
R_LIB   := $(CACHE)/R
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GO_SRC  := $(shell find cmd internal mlflow web r -name '*.go' -not -path 'web/node_modules/*' 2>/dev/null) go.mod go.sum
R_SRC   := $(shell find r -type f 2>/dev/null)
WEB_SRC := $(shell find web -type f -not -path 'web/node_modules/*' -not -path 'web/dist/*' 2>/dev/null)

export CGO_ENABLED ?= 0
# Google's storage client brings gRPC along, 13 MB that nothing here calls.
# Git answers nothing about a checkout of another user, and Go would then build nothing; VERSION says what was built.
OURS := -tags=disable_grpc_modules -buildvcs=false
export GOFLAGS := $(strip $(filter-out $(OURS),$(GOFLAGS)) $(OURS))
export R_LIBS := $(CURDIR)/$(R_LIB)
export WEIR_BIN := $(CURDIR)/bin/weir

# Machines unlike a developer's: no home or one that cannot be written to, no UTF-8, a proxy that even 127.0.0.1 is asked of.
ifneq ($(shell test -w "$$HOME" && echo yes),yes)
export HOME := $(CURDIR)/$(CACHE)/home
$(shell mkdir -p "$(CURDIR)/$(CACHE)/home")
endif
ifneq ($(shell locale charmap 2>/dev/null),UTF-8)
export LC_ALL := C.UTF-8
endif
export no_proxy := $(if $(no_proxy),$(no_proxy)$(comma))127.0.0.1,localhost,::1
export NO_PROXY := $(no_proxy)

# What Debian has to bring along: for the R package, for the demo, for the tests.
DEB_R    := r-base-core r-cran-curl r-cran-jsonlite r-cran-yaml r-cran-rlang r-cran-cli r-cran-tibble
DEB_DEMO := $(DEB_R) curl r-cran-ggplot2 r-cran-rpart r-cran-ranger r-cran-glmnet
DEB_TEST := $(DEB_DEMO) git gcc libc6-dev python3 python3-venv postgresql chromium fonts-dejavu-core \
            r-cran-testthat r-cran-gbm r-cran-knitr r-cran-rmarkdown r-cran-randomforest r-cran-mass r-cran-nnet \
            r-cran-e1071 r-cran-lme4 r-cran-survival r-cran-forecast r-cran-mgcv r-cran-lintr \
            r-cran-caret r-cran-future r-cran-doparallel r-cran-plumber r-cran-httpuv openssl procps \
            default-jdk-headless maven

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- what is missing on the machine -------------------------------------------------------------------------------

# install_debs LIST: installs the packages of LIST that are missing; where that is not allowed it prints the line to run.
define install_debs
missing=; for p in $(1); do \
  [ "$$(dpkg-query -W -f='$${db:Status-Status}' $$p 2>/dev/null)" = installed ] || missing="$$missing $$p"; done; \
if [ -n "$$missing" ]; then \
  sudo=; [ "$$(id -u)" = 0 ] || sudo="sudo -n"; \
  if [ -n "$$sudo" ] && ! $$sudo true 2>/dev/null; then \
    echo "These Debian packages are missing; install them with:" >&2; \
    echo "  sudo apt-get install --no-install-recommends$$missing" >&2; exit 1; fi; \
  echo "installing$$missing"; \
  { $$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing; } >$(CACHE)/apt.log 2>&1 \
    || { tail -20 $(CACHE)/apt.log >&2; exit 1; }; fi
endef

$(CACHE):
	@mkdir -p $@

.PHONY: setup setup-demo
setup: | $(CACHE) ## install what the tests need from Debian
	@$(call install_debs,$(DEB_TEST))

setup-demo: | $(CACHE)
	@$(call install_debs,$(DEB_DEMO))

web/node_modules/.done: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# The official clients that the tests run against our server: MLflow 3 (with its own server) and 2 for Python, and Java's.
$(CACHE)/python%/.done: e2e/clients/python%.txt | setup
	python3 -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(CACHE)/java/.done: e2e/clients/java/pom.xml | setup
	rm -rf $(@D)
	mvn --quiet --batch-mode -Dstyle.color=never -Dmaven.repo.local="$(CURDIR)/$(CACHE)/maven" -f $< \
	  dependency:copy-dependencies -DoutputDirectory="$(CURDIR)/$(@D)"
	@touch $@

.PHONY: clients-tools
clients-tools: $(CACHE)/python3/.done $(CACHE)/python2/.done $(CACHE)/java/.done

# --- builds -------------------------------------------------------------------------------------------------------

.PHONY: build ui r
build: bin/weir ## build bin/weir (with the web page, when `make ui` has built it)

bin/weir: $(GO_SRC) $(R_SRC) $(wildcard web/dist/index.html)
	go build -trimpath -ldflags "-s -w -X github.com/weir-ml/weir/internal/cli.Version=$(VERSION)" -o $@ ./cmd/weir

ui: web/dist/index.html ## build the web page into web/dist

web/dist/index.html: web/node_modules/.done $(WEB_SRC)
	cd web && npm run --silent build

r: $(R_LIB)/mlflow/DESCRIPTION ## install the R package into .cache/R

$(R_LIB)/mlflow/DESCRIPTION: $(R_SRC)
	@mkdir -p $(R_LIB)
	R CMD INSTALL --no-test-load --library="$$R_LIBS" r >$(CACHE)/r-install.log 2>&1 || { cat $(CACHE)/r-install.log >&2; exit 1; }

# --- the main job -------------------------------------------------------------------------------------------------

.PHONY: demo
demo: setup-demo ## train, track, register and serve diamond prices with R, without Python
	@$(MAKE) --no-print-directory ui
	@$(MAKE) --no-print-directory build r
	@WEIR="$$WEIR_BIN" DEMO_DIR="$(CURDIR)/$(CACHE)/demo" bash examples/diamonds/demo.sh

# --- tests --------------------------------------------------------------------------------------------------------

.PHONY: test race e2e chaos fuzz clients test-r test-r-python check-r lint-r site-r test-web browser lint lint-all fmt gen verify bench
test: setup ## install what is missing and run every test
	@$(MAKE) --no-print-directory -j3 -Otarget ui clients-tools
	@$(MAKE) --no-print-directory build r
	@$(MAKE) --no-print-directory -j2 -Otarget LANES=2 test-all
	@echo "all tests passed"

# Two lanes, so that a slow suite does not hold the rest. What looks at the clock is in the first, one after the other; the
# second gives way to it. Make starts a target when the one that stands after its | has ended.
.PHONY: test-all
test-all: browser fuzz
ifdef LANES
e2e: | race
chaos: | e2e
check-r: | chaos
browser: | check-r
test-web: | verify lint-r
clients: | test-web
test-r-python: | clients
fuzz: | test-r-python
verify lint-r test-web clients test-r-python fuzz: export GENTLY := nice -n 10
endif

race: ## Go tests with the race detector
	CGO_ENABLED=1 go test -race $$(go list ./... | grep -v /e2e)

e2e: build r $(CACHE)/python3/.done ## the scripts of e2e/testdata against the real binary, real R and real Python clients
	WEIR_E2E=all WEIR_PYTHON="$(CURDIR)/$(CACHE)/python3/bin/python" go test -count=1 -timeout 25m -skip '^(TestChaos|TestDiskFull)$$' ./e2e/...
	go test -count=1 -run '^(TestAnArchiveMayBeLarge|TestAFileOfTwoGigabytesNeedsNoMemory)$$' ./internal/artifact # too slow with the race detector

chaos: ## kill the server N times while clients write (N=100 SEED=1 make chaos), and fill its disk
	WEIR_CHAOS_ROUNDS=$(or $(N),20) WEIR_CHAOS_SEED=$(SEED) go test -count=1 -timeout 60m -v -run '^(TestChaos|TestDiskFull)$$' ./e2e

# --- many at once, each with output of its own --------------------------------------------------------------------

# together TARGETS: two at a time, whatever the make does that asks for it.
together = MAKEFLAGS= $(GENTLY) $(MAKE) --no-print-directory -j2 -Otarget

FUZZ     := $(sort $(shell grep -rEo '^func Fuzz[A-Za-z0-9]+' --include='*_test.go' internal mlflow | sed 's|/[^/]*:func |/|'))
FUZZTIME := 30s

fuzz: ## try odd input on every parser, FUZZTIME (30s) each; `make fuzz/internal/search/FuzzParse` tries one
	@$(together) FUZZTIME=$(FUZZTIME) $(FUZZ:%=fuzz/%)

# Before Go 1.27 the end of -fuzztime itself may pass for a fault (golang/go#75804); an input that fails is written down.
.PHONY: $(FUZZ:%=fuzz/%)
$(FUZZ:%=fuzz/%): fuzz/%: | $(CACHE)
	log='$(CACHE)/fuzz-$(subst /,-,$*).log'; \
	go test -run '^$$' -fuzz '^$(notdir $*)$$' -fuzztime $(FUZZTIME) -parallel 1 ./$(dir $*) 2>&1 | tee "$$log" \
	  || { grep -q '^    context deadline exceeded$$' "$$log" && ! grep -q 'Failing input\|panic' "$$log"; }

clients: build ## official Python 2.x, 3.x and Java clients against this server and Python's: nothing may differ
	@$(together) clients-python3 clients-python2 clients-java differential

COMPARE := python3 e2e/clients/compare.py "$(WEIR_BIN)" "$(CURDIR)/$(CACHE)/python3/bin/python"

.PHONY: clients-python3 clients-python2 clients-java differential
clients-python3 clients-python2: clients-%: bin/weir $(CACHE)/python3/.done $(CACHE)/python2/.done
	$(COMPARE) $* "$(CURDIR)/$(CACHE)/$*/bin/python" e2e/clients/official.py \
	  -- $*-models "$(CURDIR)/$(CACHE)/$*/bin/python" e2e/clients/official_models.py

clients-java: bin/weir $(CACHE)/python3/.done $(CACHE)/java/.done
	MLFLOW_PYTHON_EXECUTABLE="$$WEIR_BIN" $(COMPARE) java \
	  java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$(CURDIR)/$(CACHE)/java/*" e2e/clients/java/Official.java

differential: bin/weir $(CACHE)/python3/.done ## thousands of odd requests to this server and to Python's
	python3 e2e/clients/differential.py "$(WEIR_BIN)" "$(CURDIR)/$(CACHE)/python3/bin/python"

# --- R, the web page, and what is checked without running ----------------------------------------------------------

test-r: build r ## testthat against the real binary
	cd r/tests && MLFLOW_BIN="$$WEIR_BIN" NOT_CRAN=true Rscript testthat.R

test-r-python: build r $(CACHE)/python3/.done ## the same tests of the R package against Python's mlflow server
	cd r/tests && MLFLOW_BIN="$$WEIR_BIN" NOT_CRAN=true MLFLOW_TEST_SERVER=python MLFLOW_TEST_MLFLOW="$(CURDIR)/$(CACHE)/python3/bin/mlflow" \
	  $(GENTLY) Rscript testthat.R

# Packages that Debian lacks stand in Enhances. The check itself fails on errors only; the last line speaks of warnings and
# notes too. It runs the tests that test-r runs, but for lintr's, which is given sources.
check-r: build r ## R CMD check --as-cran of the R package, with its tests, examples and vignettes
	@rm -rf $(CACHE)/check && mkdir -p $(CACHE)/check
	cd $(CACHE)/check && MLFLOW_BIN="$$WEIR_BIN" R CMD build ../../r >build.log 2>&1 || { cat build.log >&2; exit 1; }
	cd $(CACHE)/check && MLFLOW_BIN="$$WEIR_BIN" NOT_CRAN=true _R_CHECK_CRAN_INCOMING_=false _R_CHECK_SYSTEM_CLOCK_=0 \
	  _R_CHECK_TESTS_NLINES_=0 _R_CHECK_PACKAGE_DEPENDS_IGNORE_MISSING_ENHANCES_=true R CMD check --as-cran --no-manual mlflow_*.tar.gz
	@grep -qx 'Status: OK' $(CACHE)/check/mlflow.Rcheck/00check.log || { echo "R CMD check has warnings or notes" >&2; exit 1; }

lint-r: r ## lintr
	cd r/tests && NOT_CRAN=true $(GENTLY) Rscript -e 'testthat::test_dir("testthat", filter = "^lint$$", package = "mlflow", load_package = "installed")'

# Elsewhere pkgdown asks for the package's page on CRAN, which has another package of this name.
site-r: r ## the R package's pages with Debian's r-cran-pkgdown, into .cache/site
	@mkdir -p $(CACHE)
	@$(call install_debs,$(DEB_R) r-cran-pkgdown)
	@rm -rf $(CACHE)/site-src && cp -r r $(CACHE)/site-src
	MLFLOW_BIN="$$WEIR_BIN" Rscript -e 'options(pkgdown.internet = FALSE)' -e 'pkgdown::build_site("$(CACHE)/site-src",' \
	  -e 'override = list(destination = "$(CURDIR)/$(CACHE)/site"), preview = FALSE, install = FALSE, new_process = FALSE, devel = FALSE)'
	@rm -rf $(CACHE)/site-src

test-web: web/node_modules/.done
	cd web && npm run --silent typecheck && npm run --silent lint && npm test --silent

browser: ui build ## one walk through the web page in Debian's Chromium
	bash web/e2e/run.sh

lint: ## vet, format, unused dependencies
	go vet ./...
	@test -z "$$(gofmt -l cmd internal mlflow e2e web/*.go r/*.go)" || { gofmt -l cmd internal mlflow e2e web/*.go r/*.go; exit 1; }
	@go mod tidy -diff

lint-all: lint ## golangci-lint too, which takes minutes to build (see .golangci.yml)
	go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run --timeout 10m ./...

fmt: ## format Go and the web page
	gofmt -w cmd internal mlflow e2e web/*.go r/*.go
	cd web && npm run --silent format

gen: ## make docs/openapi.json and web/src/api/types.gen.ts from the route table
	go test ./internal/server -run TestGenerated -update

verify: lint ## lint, and check that generated files are up to date
	go test ./internal/server -run TestGenerated

bench: build r ## measure (MLFLOW=path of the mlflow program: beside PostgreSQL and Python's server), see bench/README.md
	go run ./bench -weir bin/weir $(if $(MLFLOW),-targets weir,postgres,mlflow -mlflow $(MLFLOW))
