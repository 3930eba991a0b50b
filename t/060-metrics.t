# agents_metrics: the figures of a node add up, whichever worker answers; they
# do not go back at reload or when a worker is killed, and nothing that has
# died is counted as going on.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Metrics;
use HTTP::Tiny;

my $PLANE = $AgentsTest::PLANE;
my $MODEL = qq(provider="scripted",model="$AgentsTest::MODEL");
my $CONVERSATIONS = '/agents/conversations';

checker();

for my $store (AgentsTest->stores) {
    # reuseport, and no keep-alive: every worker gets requests
    my $t = AgentsTest->new(store => $store,
        model => { usage => 1 },
        http => 'agents_lease 1s;',
        plane => 'cluster tight max_inferences=1;',
        provider => 'retries 1;',
        server => 'location = /metrics { agents_metrics; } '
                  . 'location /also { agents_metrics; }',
        replace => { "listen 127.0.0.1:%PORT%;" =>
                     "listen 127.0.0.1:%PORT% reuseport;" });
    $t->{http_client} = HTTP::Tiny->new(keep_alive => 0, timeout => 70);
    $t->start;
    $t->allow(qr/exited on signal 9/, qr{upstream prematurely .*/cut-call});

    subtest "format on $store" => sub { format_of($t) };
    subtest "requests on $store" => sub { requests($t) };
    subtest "runs on $store" => sub { runs($t) };
    subtest "a bounded cluster on $store" => sub { cluster($t) };
    subtest "reload and a killed worker on $store" => sub { killed($t) };
    # no matter of the store, and waiting for leases takes its time
    subtest "a dead worker without successor on $store" => sub { dead($t) }
        if $store ne 'postgres';
    $t->clean("$store: no error logged");
}

away();

done_testing;


sub scrape {
    my ($t) = @_;
    my $answer = $t->get('/metrics', token => undef);
    die "metrics: $answer->{status}\n" unless $answer->{status} == 200;
    my ($values, @faults) = AgentsTest::Metrics::read($answer->{content});
    die join "\n", 'faults:', @faults if @faults;
    return $values;
}


# What has been added since, without what is 0; some of it.
sub added {
    my ($t, $before, $pattern) = @_;
    my $now = scrape($t);
    my %added;
    for (grep { /$pattern/ } keys %$now) {
        my $d = $now->{$_} - ($before->{$_} || 0);
        $added{$_} = $d if $d;
    }
    return \%added;
}


# A request is counted when it has ended, which its client may see earlier.
sub adds {
    my ($t, $before, $pattern, $expected, $name) = @_;
    my $added;
    my $encode = JSON::PP->new->canonical;
    $t->wait_for(5, sub {
        $added = added($t, $before, $pattern);
        return $encode->encode($added) eq $encode->encode($expected);
    });
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply $added, $expected, $name;
    return;
}


# The sum of what has the name, whatever its labels.
sub total {
    my ($values, $name) = @_;
    my $sum = 0;
    $sum += $values->{$_} for grep { /^\Q$name\E(?:\{|$)/ } keys %$values;
    return $sum;
}


# The small checker finds what it should.
sub checker {
    my $good = "# HELP agents_a_total A.\n# TYPE agents_a_total counter\n"
               . "agents_a_total{b=\"c\\\"d\"} 1\nagents_a_total 2\n"
               . "# HELP agents_h H.\n# TYPE agents_h histogram\n"
               . "agents_h_bucket{le=\"1\"} 1\nagents_h_bucket{le=\"+Inf\"} 2\n"
               . "agents_h_sum 3.5\nagents_h_count 2\n";
    my ($values, @faults) = AgentsTest::Metrics::read($good);
    is_deeply \@faults, [], 'the checker takes what is good';
    is $values->{'agents_a_total{b="c\"d"}'}, 1, 'and reads it';

    my @bad = ([ 'agents_a_total 2', 'agents_a_total{b="c\"d"} 2', 'twice' ],
               [ '# HELP agents_h H.', '# HELP agents_x X.', 'no HELP' ],
               [ 'TYPE agents_a_total counter', 'TYPE agents_a_total gauge',
                 'end in _total' ],
               [ 'TYPE agents_h histogram', 'TYPE agents_h thing', 'unknown' ],
               [ 'agents_a_total 2', 'agents_b_total 2', 'below its TYPE' ],
               [ 'agents_a_total 2', 'agents_a_total two', 'understood' ],
               [ '"c\\"d"', '"c"d"', 'understood' ],
               [ 'le="1"} 1', 'le="1"} 3', 'not the count' ],
               [ 'agents_h_count 2', 'agents_h_count 3', 'not the count' ],
               [ "agents_h_sum 3.5\n", '', 'no sum' ],
               [ "count 2\n", 'count 2', 'newline' ]);
    for (@bad) {
        my ($what, $with, $said) = @$_;
        (my $text = $good) =~ s/\Q$what\E/$with/;
        (undef, @faults) = AgentsTest::Metrics::read($text);
        like "@faults", qr/$said/, "the checker says: $said";
    }
    return;
}


sub format_of {
    my ($t) = @_;
    my $answer = $t->get('/metrics', token => undef);
    is $answer->{status}, 200, 'no token is asked for';
    is $answer->{headers}{'content-type'},
       'text/plain; version=0.0.4; charset=utf-8', 'its type';

    my ($values, @faults) = AgentsTest::Metrics::read($answer->{content});
    is_deeply \@faults, [], 'nothing that Prometheus would not take';
    is scalar(grep { /^agents_build_info\{version="[0-9.]+",nginx="/ }
              keys %$values), 1, 'the build';
    is $values->{agents_series_dropped_total}, 0, 'nothing was dropped';

    SKIP: {
        my $said = AgentsTest::Metrics::promtool($answer->{content});
        skip 'there is no promtool', 1 unless defined $said;
        is $said, '', 'promtool finds nothing';
    }
    my $also = $t->get('/also/in/any/location', token => undef);
    is $also->{status}, 200, 'several locations have it';

    is $t->wait_for(5, sub { scrape($t)->{agents_workers} == 2 }), 1,
       'two workers';
    ok $t->wait_for(5, sub { scrape($t)->{agents_store_up} == 1 }),
       'the store is up';
    return;
}


sub requests {
    my ($t) = @_;
    my $c = $t->conversation;
    my $foreign = $t->conversation(as => { user => 'eve' });
    my $body = $t->run_body($c, 'hello');
    $t->finished($t->post("$CONVERSATIONS/$c->{id}/runs", $body)->{json});

    my $before;
    my $key = sub { 'agents_requests_total'
                    . qq({route="$_[0]",method="$_[1]",status="$_[2]"}) };
    my (%expected, @made);
    my $make = sub {
        my ($status, $route, $method, $path, $text, %o) = @_;
        push @made, [ $status, $method, $path, $text, \%o ];
        $expected{$key->($route, $method eq 'BREW' ? 'other' : $method,
                         $status)}++;
    };
    my $runs = "$CONVERSATIONS/{id}/runs";
    $make->(200, $CONVERSATIONS, 'GET', $CONVERSATIONS) for 1 .. 5;
    $make->(200, $CONVERSATIONS, 'HEAD', $CONVERSATIONS);
    $make->(204, $CONVERSATIONS, 'OPTIONS', $CONVERSATIONS);
    $make->(405, $CONVERSATIONS, 'BREW', $CONVERSATIONS);
    $make->(401, $CONVERSATIONS, 'GET', $CONVERSATIONS, undef,
            token => 'none');
    $make->(403, $CONVERSATIONS, 'POST', $CONVERSATIONS, '{}',
            permissions => [ 'read' ]);
    $make->(400, $CONVERSATIONS, 'POST', $CONVERSATIONS, '{') for 1 .. 2;
    $make->(201, $CONVERSATIONS, 'POST', $CONVERSATIONS,
            $t->conversation_body);
    $make->(200, "$CONVERSATIONS/{id}", 'GET', "$CONVERSATIONS/$c->{id}");
    $make->(404, "$CONVERSATIONS/{id}", 'GET',
            "$CONVERSATIONS/$foreign->{id}");
    $make->(404, "$CONVERSATIONS/{id}", 'GET', "$CONVERSATIONS/x");
    $make->(200, "$CONVERSATIONS/{id}/messages", 'GET',
            "$CONVERSATIONS/$c->{id}/messages");
    $make->(202, $runs, 'POST', "$CONVERSATIONS/$c->{id}/runs", $body);
    $make->(422, $runs, 'POST', "$CONVERSATIONS/$c->{id}/runs",
            { %$body, payload => { kind => 'user_message', text => 'x' } });
    $make->(409, $runs, 'POST', "$CONVERSATIONS/$c->{id}/runs",
            $t->run_body($c, 'again'));
    $make->(404, '/agents/runs/{id}', 'GET', '/agents/runs/' . uuid());
    $make->(404, 'other', 'GET', $_) for qw(/agents/x /agents/ /agents/runs);

    $before = scrape($t);
    for (@made) {
        my ($status, $method, $path, $text, $o) = @$_;
        my $answer = $t->request($method, $path, $text, %$o);
        is $answer->{status}, $status, "$method $path: $status";
    }
    adds($t, $before, qr/^agents_requests_total/, \%expected,
         'each is counted, once');
    adds($t, $before, qr/^agents_request_duration_seconds_count\{route="other/,
         { 'agents_request_duration_seconds_count'
           . '{route="other",method="GET"}' => 3 }, 'and timed');
    adds($t, $before, qr/^agents_runs_(?:accepted|finished)/, {},
         'a replay is no other run');
    return;
}


# Known runs, all at once.
sub runs {
    my ($t) = @_;
    my @mcp = (mcp => '');
    my %caller = (tools => [ { name => 'ask', input_schema =>
                               { type => 'object' } } ]);
    my @cases = (
        # the run's script, defaults, how it ends
        (map { [ [ { tools => [ [ 'mcp-add', { a => 1, b => 2 } ],
                                [ 'mcp-fail', {} ] ] }, { text => 'end' } ],
                 \@mcp, 'completed' ] } 1 .. 4),
        [ [ { text => 'hello' } ], [], 'completed' ],
        [ [ { tools => [ [ 'ask', {} ] ] } ], [ %caller ], 'requires_action' ],
        [ [ { tools => [ [ 'mcp-echo', { text => 'x' } ] ] } ],
          [ @mcp, max_iterations => 1 ], 'failed' ],
        [ [ { status => 503, times => 1 }, { text => 'after all' } ], [],
          'completed' ],
        [ [ { status => 400, json => { error => { message => 'no' } } } ], [],
          'failed' ],
        [ [ { tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
            { text => 'end' } ], [ mcp => '/cut-call' ], 'completed' ],
        [ [ { text => 'never' } ], [ mcp => '/status-initialize' ], 'failed' ],
    );
    # a script with "times" is told by its text
    my @started = map { [ $t->conversation(@{$_->[1]}), $_ ] } @cases;
    my $before = scrape($t);
    my @runs = map { my ($c, $case) = @$_;
                     [ $t->run($c, script(@{$case->[0]})), $case ] } @started;

    is $t->finished($_->[0])->{status}, $_->[1][2], "a run: $_->[1][2]"
        for @runs;

    adds($t, $before, qr/^agents_runs_/, {
        'agents_runs_accepted_total' => 11,
        'agents_runs_finished_total{outcome="completed"}' => 7,
        'agents_runs_finished_total{outcome="requires_action"}' => 1,
        'agents_runs_finished_total{outcome="failed",'
        . 'incident="AgentLoopMaxIterationsExceeded"}' => 1,
        'agents_runs_finished_total{outcome="failed",'
        . 'incident="AgentLoopInferenceFailed"}' => 1,
        'agents_runs_finished_total{outcome="failed",'
        . 'incident="AgentLoopMcpDiscoveryFailed"}' => 1,
    }, 'accepted, and how they ended');
    # 4 of 2, then 1, 1, 1, 1, 0 (refused), 2, 0 (not discovered)
    adds($t, $before, qr/^agents_(?:iterations|inference)\w*_(?:total|count)/, {
        'agents_iterations_total' => 14,
        "agents_inferences_total{$MODEL,outcome=\"reply\"}" => 14,
        "agents_inferences_total{$MODEL,outcome=\"failed\"}" => 1,
        "agents_inference_retries_total{$MODEL}" => 1,
        "agents_inference_duration_seconds_count{$MODEL}" => 15,
    }, 'iterations, inferences, retries');
    adds($t, $before, qr/^agents_tool_calls_total|call_duration_seconds_count/,
         { 'agents_tool_calls_total{outcome="ok"}' => 4,
           'agents_tool_calls_total{outcome="error"}' => 4,
           'agents_tool_calls_total{outcome="failed"}' => 1,
           'agents_tool_call_duration_seconds_count' => 9 }, 'tool calls');
    adds($t, $before, qr/^agents_mcp_discover\w+_(?:total|count)/,
         { 'agents_mcp_discoveries_total{outcome="ok"}' => 6,
           'agents_mcp_discoveries_total{outcome="failed"}' => 1,
           'agents_mcp_discovery_duration_seconds_count' => 7 },
         'discoveries');

    my %usage;
    for (@runs) {
        my $run = $t->finished($_->[0]);
        $usage{$_} += $run->{usage}{"${_}_tokens"} for qw(prompt completion);
    }
    adds($t, $before, qr/^agents_tokens_total/, {
        map { ("agents_tokens_total{$MODEL,type=\"$_\"}" => $usage{$_}) }
        grep { $usage{$_} } keys %usage }, 'tokens are those of the runs');

    my $now = scrape($t);
    cmp_ok total($now, 'agents_store_batches_total')
           - total($before, 'agents_store_batches_total'), '>', 40, 'batches';
    cmp_ok $now->{'agents_lease_renewals_total{outcome="ok"}'}, '>=', 2,
           'leases are renewed';
    ok $t->wait_for(5, sub { my $v = scrape($t);
        $v->{agents_runs_in_flight} == 0
        && $v->{agents_inferences_in_flight} == 0 }), 'nothing is in flight';
    return;
}


# One inference at a time: what is inside, and what waits.
sub cluster {
    my ($t) = @_;
    my $labels = qq({data_plane="$PLANE",cluster="tight"});
    my @c = map { $t->conversation(execution_cluster => 'tight') } 1 .. 3;
    my $before = scrape($t);
    my @runs = map { $t->run($_, script({ text => 'x', delay => 0.7 })) } @c;

    my $seen = $t->wait_for(10, sub {
        my $v = scrape($t);
        return ($v->{"agents_cluster_inferences$labels"} || 0) == 1
               && $v->{"agents_cluster_waiting$labels"} == 2
               && $v->{agents_inferences_in_flight} == 1
               && $v->{agents_runs_in_flight} == 3 && $v;
    });
    ok $seen, 'one inside, two in line';
    is $seen->{"agents_cluster_inferences_limit$labels"}, 1, 'its bound';
    $t->finished($_) for @runs;

    my $end = $t->wait_for(5, sub {
        my $v = scrape($t);
        return $v->{"agents_cluster_inferences$labels"} == 0
               && $v->{"agents_cluster_waiting$labels"} == 0
               && $v->{agents_runs_in_flight} == 0 && $v;
    });
    ok $end, 'then none';
    is $end->{"agents_queue_wait_seconds_count$labels"}
       - ($before->{"agents_queue_wait_seconds_count$labels"} || 0), 3,
       'three came in';
    cmp_ok $end->{"agents_queue_wait_seconds_sum$labels"}
           - ($before->{"agents_queue_wait_seconds_sum$labels"} || 0), '>',
           1.5, 'the others waited';
    return;
}


sub kill_workers {
    my ($t, @pids) = @_;
    kill 'KILL', @pids;
    $t->wait_for(5, sub { !grep { AgentsTest::alive($_) } @pids });
    return;
}


sub not_back {
    my ($before, $now, $when) = @_;
    my @back = grep { /_(?:total|bucket|sum|count)(?:\{|$)/
                      && $now->{$_} < $before->{$_} } keys %$before;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply \@back, [], "no counter goes back $when";
    return;
}


sub killed {
    my ($t) = @_;
    my $before = scrape($t);
    ok $t->reload, 'reload';
    my $now = scrape($t);
    not_back($before, $now, 'at reload');
    ok $t->wait_for(20, sub { $t->workers == 2
                              && scrape($t)->{agents_workers} == 2 }),
       'two workers';

    my @runs = map { $t->run($t->conversation,
        script({ text => 'x', delay => 0.7 })) } 1 .. 6;
    $before = $t->wait_for(5, sub { my $v = scrape($t);
        $v->{agents_runs_in_flight} == 6 && $v });
    ok $before, 'six runs in flight';
    kill_workers($t, ($t->workers)[0]);
    $now = scrape($t);
    not_back($before, $now, 'with a killed worker');
    is $t->finished($_, 40)->{status}, 'completed', 'a run ends' for @runs;

    ok $t->wait_for(5, sub { my $v = scrape($t);
        $v->{agents_runs_in_flight} == 0
        && $v->{agents_inferences_in_flight} == 0 }), 'nothing is in flight';
    adds($t, $before, qr/^agents_runs_finished/,
         { 'agents_runs_finished_total{outcome="completed"}' => 6 },
         'each end is counted once');
    my $taken = added($t, $before, qr/^agents_runs_(?:claimed|expired)/);
    is $taken->{agents_runs_expired_total}, $taken->{agents_runs_claimed_total},
       'what had lost its owner was taken over';
    return;
}


# A worker that dies while it is to exit has no successor: what it held of the
# cluster is free again, and its runs are in flight nowhere.
sub dead {
    my ($t) = @_;
    my $labels = qq({data_plane="$PLANE",cluster="tight"});
    my $run = $t->run($t->conversation(execution_cluster => 'tight'),
                      script({ text => 'x', delay => 3 }));
    ok $t->wait_for(5, sub { my $v = scrape($t);
        $v->{"agents_cluster_inferences$labels"} == 1 }), 'an inference';

    my @old = $t->workers;
    ok $t->reload, 'reload';
    my $seen = scrape($t);
    is $seen->{"agents_cluster_inferences$labels"}, 1, 'it goes on';
    kill_workers($t, grep { AgentsTest::alive($_) } @old);

    my $now = $t->wait_for(5, sub { my $v = scrape($t);
        $v->{agents_workers} == 2 && $v });
    ok $now, 'two workers are left' or return;
    # the new ones may have taken it over by now, and then it is one again
    cmp_ok $now->{agents_runs_in_flight}, '<=', 1, 'the dead one has no run';
    is $t->finished($run, 40)->{status}, 'completed',
       'its place in the cluster is free';
    ok $t->wait_for(5, sub { scrape($t)->{"agents_cluster_inferences$labels"}
                             == 0 }), 'and after the run, too';
    return;
}


# A store that is not there.
sub away {
    my $t = AgentsTest->new(wait => 0, store => 'sqlite:/nonexistent/a.db',
        workers => 1, server => 'location = /metrics { agents_metrics; }',
        auth => 'agents_auth variables acme ann "read write";')->start;
    $t->allow(qr/agents store|nonexistent|store-unavailable/);
    ok $t->wait_for(10, sub {
        eval { scrape($t)->{agents_store_up} } eq '0' }), 'the store is down';
    is $t->get($CONVERSATIONS)->{status}, 503, 'a request';
    adds($t, {}, qr/^agents_(?:requests|store_batches_total\{kind="read)/, {
        'agents_requests_total{route="/agents/conversations",method="GET",'
        . 'status="503"}' => 1,
        'agents_store_batches_total{kind="read",status="unavailable"}' => 1,
    }, 'what it comes to');
    cmp_ok scrape($t)->{'agents_lease_renewals_total{outcome="failed"}'}, '>',
           0, 'no lease is renewed';
    $t->clean('no other error logged');
    return;
}
