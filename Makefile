# Builds the module and agentsctl, and runs what was built.
#
#   make           build/ngx_http_agents_module.so and build/agentsctl, against
#                  the installed nginx (Debian: nginx-dev)
#   NGINX_SRC=DIR make    the same against an upstream source tree
#   make run       a demonstration on 127.0.0.1:8080; PORT and DATA move it
#                  MODEL=local  asks a small model on this machine
#   make test      unit tests and t/*.t; T="t/001-load.t" runs some of them,
#                  JOBS=1 one after the other
#   make test-llm  t/llm/*.t: runs with that model, which is put into build/
#                  and compiled there; takes a network, and minutes at first
#   make asan      the same under AddressSanitizer and UBSan, in build/asan
#   make fuzz      libFuzzer on what reads outside bytes, FUZZ_SECONDS each;
#                  F="json sse" takes some of them
#   make lint      the compiler's analyzer and the project's own rules
#   make bench     measurements; B="--only polls" takes some of them
#   make nodes     what several nodes on one PostgreSQL cost
#   make soak      thousands of runs on each store: all end, nothing grows
#   make chaos     runs while everything breaks; C="--runs 100 --seed 7"
#   make deb       a Debian package of both, in build/deb
#   make deps      what all of these need; each installs its own by itself
#   make clean     removes build/

BUILD     ?= build
NGINX_SRC ?=
DATA      ?= $(BUILD)/run
PORT      ?= 8080
SANITIZE  ?=
T         ?=
JOBS      ?= 4
B         ?=
C         ?=
F         ?=
MODEL     :=
FUZZ_CC   ?= clang

FUZZ_SECONDS ?= 60

# nginx is where Debian's users do not look
export PATH := $(PATH):/usr/sbin:/sbin

CC       ?= cc
CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Werror -Wno-unused-parameter
DEFINES  := -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
            -DUNIT_DATA='"$(CURDIR)/t/unit/data"'
PKGS     := libpq sqlite3 jose jansson libcrypto

# Leaks in configure's probes and in tools are nobody's business here.
ifneq ($(SANITIZE),)
FLAGS    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined
LINK     := -fsanitize=address,undefined
else
FLAGS    := $(CFLAGS)
LINK     :=
endif

MODULE   := $(BUILD)/ngx_http_agents_module.so
CTL      := $(BUILD)/agentsctl
TREE     := $(BUILD)/$(if $(NGINX_SRC),upstream,nginx)
PROBE    := $(BUILD)/bench/ngx_http_bench_probe_module.so

# What needs no nginx is built once more, as a library for agentsctl and the
# unit tests; the list follows from the #includes.
INCLUDES := $(addprefix -I,$(wildcard src/*) t/unit)
CORE_SRC := $(shell perl util/lint.pl --nginx-free)
CORE_OBJ := $(CORE_SRC:%.c=$(BUILD)/obj/%.o) $(BUILD)/gen/migrations_sql.o
CTL_OBJ  := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard agentsctl/*.c))
UNITS    := $(patsubst t/unit/%.c,$(BUILD)/units/%,$(wildcard t/unit/test_*.c))

COMPILE   = $(CC) $(WARNINGS) $(FLAGS) $(DEFINES) $(INCLUDES) \
            $$(pkg-config --cflags $(PKGS)) -MMD -MP -c

.PHONY: FORCE all module ctl units run test test-llm test-all asan fuzz lint bench soak nodes chaos deps clean
.DELETE_ON_ERROR:
.SECONDARY:

all: module ctl

# ---- the module ----

# Configured anew when the list of files or a flag changes; what to compile is
# then nginx's own makefile's business.

# It is replaced, not overwritten: a server that has loaded it would crash.

module: $(TREE)/objs/Makefile
	@sh sql/embed.sh $(TREE)/objs/agents/ngx_http_agents_migrations_sql.c
	@sh docs/embed.sh $(TREE)/objs/agents/ngx_http_agents_openapi_json.c
	@sh console/embed.sh $(TREE)/objs/agents/ngx_http_agents_console_files.c
	@$(MAKE) -s --no-print-directory -C $(TREE) -f objs/Makefile modules
	@cmp -s $(TREE)/objs/$(notdir $(MODULE)) $(MODULE) || { \
	    cp $(TREE)/objs/$(notdir $(MODULE)) $(MODULE).new && \
	    mv $(MODULE).new $(MODULE); }

$(TREE)/objs/Makefile: config util/configure $(TREE).inputs \
    | $(BUILD)/.deps-build
	@util/configure $(TREE) "$(FLAGS)" "$(LINK)" $(NGINX_SRC)

INPUTS := $(sort $(wildcard src/*/*.[ch])) $(FLAGS) $(NGINX_SRC)

$(TREE).inputs: FORCE
	@mkdir -p $(BUILD)
	@echo '$(INPUTS)' | cmp -s - $@ || echo '$(INPUTS)' > $@

# ---- agentsctl and the unit tests ----

ctl: $(CTL)

$(CTL): $(CTL_OBJ) $(BUILD)/libcore.a
	@echo "  LD $@"
	@$(CC) $(FLAGS) $(LINK) -o $@ $^ $$(pkg-config --libs $(PKGS)) -lpthread -lm

$(BUILD)/libcore.a: $(CORE_OBJ)
	@rm -f $@
	@ar rcs $@ $^

$(BUILD)/gen/migrations_sql.c: sql/embed.sh $(wildcard sql/*/*.sql)
	@mkdir -p $(@D)
	@sh sql/embed.sh $@ && touch $@

$(BUILD)/gen/%.o: $(BUILD)/gen/%.c
	@$(COMPILE) -o $@ $<

units: $(UNITS)

$(BUILD)/units/%: $(BUILD)/obj/t/unit/%.o $(BUILD)/libcore.a
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) $(LINK) -o $@ $^ $$(pkg-config --libs $(PKGS)) -lpthread -lm

# gcc warns of NULL texts that it has itself inlined into being
$(BUILD)/obj/t/unit/%.o: FLAGS += -Wno-format-overflow

$(BUILD)/obj/%.o: %.c | $(BUILD)/.deps-build
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(COMPILE) -o $@ $<

-include $(shell find $(BUILD)/obj $(BUILD)/fuzz/obj -name '*.d' 2>/dev/null)

# ---- fuzzing ----

# The parsers once more, for clang; a finding of UBSan ends a program, too.

FUZZ      := $(patsubst t/fuzz/fuzz_%.c,%,$(wildcard t/fuzz/fuzz_*.c))
FUZZ_RUNS := $(addprefix fuzz-,$(or $(F),$(FUZZ)))
FUZZ_SRC  := $(filter-out src/store/% src/run/%,$(CORE_SRC))
FUZZ_LIB  := $(BUILD)/fuzz/libcore.a

# Folders of t/unit/data that a target begins with, where the name differs.
FUZZ_SEEDS_schema      := schema schema_check
FUZZ_SEEDS_mcp_message := mcp_message mcp_schema json
FUZZ_SEEDS_model       := $(foreach p,anthropic bedrock cortex openai, \
                              $(addprefix $(p)/,decode stream fault))
FUZZ_SEEDS_aws_keys    := $(addprefix aws_keys/,valid invalid)
FUZZ_SEEDS_jwt         := jws jwks
FUZZ_SEEDS_headers     := trace
FUZZ_SEEDS_redact      := trace

$(BUILD)/fuzz/%: FLAGS = -O1 -g -fno-omit-frame-pointer \
    -fno-sanitize-recover=all -fsanitize=fuzzer-no-link,address,undefined

$(BUILD)/fuzz/obj/%.o: CC = $(FUZZ_CC)
$(BUILD)/fuzz/obj/%.o: %.c | $(BUILD)/.deps-build $(BUILD)/.deps-fuzz
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(COMPILE) -o $@ $<

$(FUZZ_LIB): $(FUZZ_SRC:%.c=$(BUILD)/fuzz/obj/%.o)
	@rm -f $@
	@ar rcs $@ $^

$(BUILD)/fuzz/fuzz_%: $(BUILD)/fuzz/obj/t/fuzz/fuzz_%.o $(FUZZ_LIB)
	@$(FUZZ_CC) $(FLAGS) -fsanitize=fuzzer -o $@ $^ \
	    $$(pkg-config --libs jose jansson libcrypto) -lpthread -lm

# One finding does not keep the others from being made.
fuzz:
	@$(MAKE) -k --no-print-directory $(FUZZ_RUNS)

.PHONY: $(FUZZ_RUNS)

$(FUZZ_RUNS): fuzz-%: $(BUILD)/fuzz/fuzz_%
	@mkdir -p $(BUILD)/fuzz/corpus/$*
	@$< -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=10 \
	    -rss_limit_mb=2048 -artifact_prefix=$(BUILD)/fuzz/$*- \
	    $(BUILD)/fuzz/corpus/$* \
	    $(addprefix t/unit/data/,$(or $(FUZZ_SEEDS_$*),$*)) \
	    >$(BUILD)/fuzz/$*.log 2>&1 \
	    || { tail -n 60 $(BUILD)/fuzz/$*.log; exit 1; }
	@echo "  FUZZ $*: $$(tail -n 1 $(BUILD)/fuzz/$*.log)"

# ---- what runs ----

# MODEL=local: a real model, with the server that "make test-llm" uses.
LOCAL := $(BUILD)/local-model

ifneq ($(filter-out local,$(MODEL)),)
$(error MODEL is local, or not set)
endif

run: all | $(BUILD)/.deps-run $(if $(MODEL),$(BUILD)/.deps-local)
	@$(if $(MODEL),util/local-model install $(LOCAL))
	@perl conf-examples/quickstart/quickstart.pl \
	    --build $(BUILD) --data $(DATA) --port $(PORT) \
	    $(if $(MODEL),--local $(LOCAL))

test: all units | $(BUILD)/.deps-test
	@perl util/test.pl --build $(BUILD) --jobs $(JOBS) \
	    $(if $(SANITIZE),--sanitize) $(T)

test-llm: all | $(BUILD)/.deps-test $(BUILD)/.deps-local
	@util/local-model install $(LOCAL)
	@perl util/test.pl --build $(BUILD) $(or $(T),$(wildcard t/llm/*.t))

# What a number of workers can change, once more with one and with four.
test-all: test
	@AGENTS_TEST_WORKERS="1 4" perl util/test.pl --build $(BUILD) \
	    --jobs $(JOBS) $(if $(SANITIZE),--sanitize) \
	    $(or $(T),$(shell grep -l 'AgentsTest->matrix' t/*.t))

asan:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE=1 test

lint: | $(BUILD)/.deps-lint
	@perl util/lint.pl --self-test
	@perl util/lint.pl
	@for f in console/*.js; do node --check $$f || exit 1; done
	@cppcheck --quiet --error-exitcode=1 --enable=warning,portability \
	    --inline-suppr --suppressions-list=util/cppcheck.txt \
	    -j2 $(INCLUDES) src agentsctl *.c

bench: all $(BUILD)/bench/load $(BUILD)/bench/statements $(PROBE) \
    | $(BUILD)/.deps-bench
	@bench/run --build $(BUILD) $(B)

nodes: all $(BUILD)/bench/load $(PROBE) | $(BUILD)/.deps-test
	@bench/nodes --build $(BUILD) $(B)

soak: all $(BUILD)/bench/load | $(BUILD)/.deps-test
	@bench/soak --build $(BUILD)

chaos: all | $(BUILD)/.deps-test
	@bench/chaos --build $(BUILD) $(C)

$(BUILD)/bench/load: $(addprefix $(BUILD)/obj/bench/, \
    load.o client.o peer.o stream.o net.o samples.o)
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) $(LINK) -o $@ $^

# A module of its own, so that nothing of it is in the one that is shipped.

$(PROBE): $(wildcard bench/probe/*) util/configure
	@mkdir -p $(@D)
	@MODULE=bench/probe util/configure $(TREE)-probe "$(FLAGS)" "$(LINK)" \
	    $(NGINX_SRC)
	@$(MAKE) -s --no-print-directory -C $(TREE)-probe -f objs/Makefile \
	    modules
	@cp $(TREE)-probe/objs/$(@F) $@

$(BUILD)/bench/statements: $(BUILD)/obj/bench/statements.o $(BUILD)/libcore.a
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) $(LINK) -o $@ $^ $$(pkg-config --libs $(PKGS)) -lpthread -lm

# ---- the Debian package ----

# Built from a copy of the files that git does not ignore, so that nothing of
# the build comes into the checkout, nor the make flags into the package's.

.PHONY: deb

deb: | $(BUILD)/.deps-deb
	@rm -rf $(BUILD)/deb
	@mkdir -p $(BUILD)/deb/src
	@git ls-files -z --cached --others --exclude-standard >$(BUILD)/deb/files
	@tar cf - --null -T $(BUILD)/deb/files | tar xf - -C $(BUILD)/deb/src
	@cd $(BUILD)/deb/src && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL \
	    dpkg-buildpackage -us -uc -b >../build.log 2>&1 \
	    || { tail -n 40 ../build.log >&2; exit 1; }
	@ls $(BUILD)/deb/*.deb

# ---- set-up ----

deps: $(addprefix $(BUILD)/.deps-,build run test local fuzz lint bench deb)

$(BUILD)/.deps-%: util/deps
	@mkdir -p $(BUILD)
	@NGINX_SRC=$(NGINX_SRC) util/deps $*
	@touch $@

clean:
	rm -rf $(BUILD)
