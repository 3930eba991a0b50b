
/*
 * What loads the server and what its runs talk to, in one process, so that
 * one clock sees both:
 *
 *     load runs  --port N --token T --peer N --body JSON --set N --runs N
 *                --in-flight N [--connections N] [--seconds S]
 *                [--model-ms N] [--words N] [--tools N] [--calls N]
 *                [--tool-ms N] [--expected-ms N] [--pause-ms N]
 *     load gets  --port N --token T --path P --connections N
 *                --interval-ms N --seconds S
 *
 * With --words the model streams so many; --calls is how many a turn with tools
 * has.  "runs" prints one JSON object, times in microseconds.
 */


#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "client.h"
#include "peer.h"


static const char *load_text(int argc, char **argv, const char *name);
static int64_t load_number(int argc, char **argv, const char *name,
    int64_t otherwise);
static int load_runs(bench_loop_t *loop, int argc, char **argv);
static void load_print(bench_runs_t *runs, bench_peer_t *peer);
static void load_print_text(const char *name, const char *text);
static int load_gets(bench_loop_t *loop, int argc, char **argv);


int
main(int argc, char **argv)
{
    bench_loop_t   *loop;
    struct rlimit   limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
    }

    loop = bench_loop_create();

    if (loop != NULL && argc > 1 && strcmp(argv[1], "runs") == 0) {
        return load_runs(loop, argc, argv);
    }

    if (loop != NULL && argc > 1 && strcmp(argv[1], "gets") == 0) {
        return load_gets(loop, argc, argv);
    }

    fprintf(stderr, "usage: load runs|gets --port N --token T ...\n");

    return 2;
}


static const char *
load_text(int argc, char **argv, const char *name)
{
    int  i;

    for (i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], name) == 0) {
            return argv[i + 1];
        }
    }

    return NULL;
}


static int64_t
load_number(int argc, char **argv, const char *name, int64_t otherwise)
{
    const char  *text;

    text = load_text(argc, argv, name);

    return text ? strtoll(text, NULL, 10) : otherwise;
}


static int
load_runs(bench_loop_t *loop, int argc, char **argv)
{
    int64_t       words;
    bench_peer_t  peer;
    bench_runs_t  runs;

    memset(&peer, 0, sizeof(bench_peer_t));
    memset(&runs, 0, sizeof(bench_runs_t));

    peer.model_delay = load_number(argc, argv, "--model-ms", 0) * 1000;
    peer.tool_delay = load_number(argc, argv, "--tool-ms", 0) * 1000;
    peer.tools = load_number(argc, argv, "--tools", 0);
    peer.calls_each = load_number(argc, argv, "--calls", 1);

    words = load_number(argc, argv, "--words", 0);

    if (words != 0) {
        peer.streams = bench_streams((size_t) words);
    }

    runs.port = (int) load_number(argc, argv, "--port", 0);
    runs.token = load_text(argc, argv, "--token");
    runs.body = load_text(argc, argv, "--body");
    runs.set = (unsigned) load_number(argc, argv, "--set", 0);
    runs.runs = load_number(argc, argv, "--runs", 1);
    runs.in_flight = load_number(argc, argv, "--in-flight", 1);
    runs.connections = load_number(argc, argv, "--connections",
                                   runs.in_flight);
    runs.duration = load_number(argc, argv, "--seconds", 60) * 1000000;
    runs.expected = load_number(argc, argv, "--expected-ms", 1) * 1000;
    runs.pause = load_number(argc, argv, "--pause-ms", 0) * 1000;

    if (runs.token == NULL || runs.body == NULL
        || strstr(runs.body, "%OP%") == NULL)
    {
        fprintf(stderr, "load: no --token, or no --body with %%OP%%\n");
        return 2;
    }

    if (bench_peer_start(&peer, loop,
                         (int) load_number(argc, argv, "--peer", 0)) == -1)
    {
        perror("load: listen");
        return 1;
    }

    if (bench_runs(&runs, loop) == -1) {
        perror("load");
        return 1;
    }

    load_print(&runs, &peer);

    return 0;
}


static void
load_print(bench_runs_t *runs, bench_peer_t *peer)
{
    printf("{\"accepted\": %" PRId64 ", \"completed\": %" PRId64
           ", \"in_time\": %" PRId64 ", \"failed\": %" PRId64
           ", \"polls\": %" PRId64 ", \"peak\": %" PRId64
           ", \"inferences\": %" PRId64 ", \"calls\": %" PRId64
           ", \"calls_held\": %" PRId64
           ", \"accepted_us\": %" PRId64 ", \"completed_us\": %" PRId64 ", ",
           runs->accepted, runs->completed, runs->in_time, runs->failed,
           runs->polls, runs->peak, peer->inferences, peer->calls,
           peer->held_most,
           runs->last_accepted - runs->begun,
           runs->last_completed - runs->begun);

    bench_samples_print(&runs->post, "post");
    printf(", ");
    bench_samples_print(&runs->get, "get");
    printf(", ");
    bench_samples_print(&runs->run, "run");
    printf(", ");
    bench_samples_print(&peer->to_tool, "to_tool");
    printf(", ");
    bench_samples_print(&peer->to_model, "to_model");
    printf(", ");
    bench_samples_print(&peer->iteration, "iteration");
    printf(", ");
    bench_samples_print(&peer->turn, "turn");
    printf(", ");
    load_print_text("fault", runs->fault);
    printf("}\n");
}


static void
load_print_text(const char *name, const char *text)
{
    printf("\"%s\": \"", name);

    for ( /* void */ ; *text; text++) {
        if (*text == '"' || *text == '\\') {
            putchar('\\');
        }

        putchar((unsigned char) *text < ' ' ? ' ' : *text);
    }

    putchar('"');
}


static int
load_gets(bench_loop_t *loop, int argc, char **argv)
{
    bench_gets_t  gets;

    memset(&gets, 0, sizeof(bench_gets_t));

    gets.port = (int) load_number(argc, argv, "--port", 0);
    gets.token = load_text(argc, argv, "--token");
    gets.path = load_text(argc, argv, "--path");
    gets.connections = load_number(argc, argv, "--connections", 1);
    gets.interval = load_number(argc, argv, "--interval-ms", 10) * 1000;
    gets.duration = load_number(argc, argv, "--seconds", 1) * 1000000;

    if (gets.token == NULL || gets.path == NULL) {
        fprintf(stderr, "load: no --token or --path\n");
        return 2;
    }

    if (bench_gets(&gets, loop) == -1 || gets.failed != 0) {
        fprintf(stderr, "load: a GET failed\n");
        return 1;
    }

    return 0;
}
