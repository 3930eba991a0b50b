# PostgreSQL breaks while runs are under way: a connection is cut in the middle
# of a commit, the server becomes read-only, or another one takes over.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Cut;
use IO::Socket::UNIX;
use Time::HiRes qw(sleep time);

my $MODEL = '/v1/chat/completions';

plan skip_all => 'PostgreSQL is not installed'
    unless grep { $_ eq 'postgres' } AgentsTest->stores;

my ($t, $cut, $mode);

subtest 'a commit that is cut' => \&commits;
subtest 'a server that is read-only' => \&read_only;
subtest 'a server that does not answer' => \&silent;
subtest 'another server takes over' => \&failover;

done_testing;


# By way of another host, or with other options.
sub by {
    my ($t, $store) = @_;
    my $line = 'agents_store "' . $t->store;
    return { $line => "agents_store \"$store" };
}


sub unavailable {
    my ($answer, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $answer->{status}, 503, $name or diag $answer->{content};
    is $answer->{headers}{'retry-after'}, 1, 'Retry-After';
    return;
}


sub calls {
    return grep { ($_->{json}{method} || '') eq 'tools/call' }
           @{$_[0]->mock->requests('/mcp')};
}


# ---- a commit whose fate is unknown ----

# One worker: it is known who sends what comes next.
sub commits {
    $t = AgentsTest->new(store => 'postgres', workers => 1);
    $cut = AgentsTest::Cut->new($t->{postgres});
    my $by = by($t, $cut->store($t->store));
    $t->{replace} = { map { $_ . '"' => $by->{$_} . '" prepare=off' }
                      keys %$by };
    $t->allow(qr/agents store: PostgreSQL/, qr/store-unavailable/);
    $t->start;

    # did the server get it?
    for (qw(done lost)) {
        $mode = $_;
        subtest "a POST, $mode" => \&cut_post;
        subtest "a turn, $mode" => \&cut_turn;
        subtest "an end, $mode" => \&cut_end;
        subtest "a claim, $mode" => \&cut_claim;
        subtest "a cancel, $mode" => \&cut_cancel;
        subtest "a DELETE, $mode" => \&cut_delete;
    }
    like $t->ctl('check'), qr/no fault/, 'agentsctl check';
    $t->clean;
    return;
}


sub cut_once { return is $cut->count, 1, 'it was cut' }


# nginx asks itself what became of it, so that the client is told at once.
sub cut_post {
    my $c = $t->conversation;
    my $body = $t->run_body($c, 'hello');
    my $path = "/agents/conversations/$c->{id}/runs";
    $cut->arm($mode, 'INSERT INTO agents_runs');
    my $answer = $t->post($path, $body);
    is $answer->{status}, 202, 'accepted' or diag $answer->{content};
    cut_once();

    my $again = $t->post($path, $body);
    is $again->{status}, 202, 'again: accepted';
    is $again->{headers}{'idempotency-replayed'}, 'true', 'as known';
    is $again->{json}{id}, $answer->{json}{id}, 'as the same run';
    is $t->finished($answer->{json})->{final_text}, 'echo: hello', 'it ends';
    is $t->sql('SELECT count(*) FROM agents_runs WHERE conversation_id ='
               . " '$c->{id}'"), 1, 'there is one run';
    is scalar @{$t->messages($c)}, 2, 'its messages are there once';
    return;
}


# A run with a call, which is made once.
sub cut_run {
    my ($text, $delay) = @_;
    $t->mock->forget;
    my $c = $t->conversation(mcp => '');
    my $run = $t->run($c, script({ tools => [ [ 'mcp-echo', { text => 'e' } ] ],
                                   delay => $delay || 0.3 },
                                 { text => 'end', delay => $delay || 0.3 }));
    $cut->arm($mode, $text) if $text;
    return ($c, $run);
}


sub ends_once {
    my ($c, $run) = @_;
    $run = $t->finished($run);
    is $run->{final_text}, 'end', 'it ends';
    is $run->{iterations_used}, 2, 'its iterations are counted once';
    is scalar @{$run->{submitted_inference_job_ids}}, 2, 'and its inferences';
    is scalar calls($t), 1, 'the call was made once';
    is_deeply [ map { $_->{role} } @{$t->messages($c)} ],
              [ qw(user assistant tool assistant) ],
              'its messages are there once';
    return;
}


sub cut_turn {
    my @run = cut_run('INSERT INTO agents_messages');
    ends_once(@run);
    cut_once();
    return;
}


sub cut_end {
    my @run = cut_run('finished_at = (extract');
    ends_once(@run);
    cut_once();
    return;
}


# It is the worker's by the store, and the worker was not told.
sub cut_claim {
    my ($c, $run) = cut_run(undef, 1);
    $t->wait_for(10, sub { @{$t->mock->requests($MODEL)} == 2 })
        or die "it does not run\n";
    my ($worker) = $t->workers;
    kill 'STOP', $worker;
    $t->sql('UPDATE agents_runs SET owner = NULL, epoch = epoch + 1 WHERE id ='
            . " '$run->{id}'");
    $cut->arm($mode, 'WITH oldest AS MATERIALIZED');
    kill 'CONT', $worker;
    ends_once($c, $run);
    cut_once();
    return;
}


sub cut_cancel {
    my $c = $t->conversation;
    my $run = $t->run($c, script({ text => 'x', delay => 30 }));
    $cut->arm($mode, 'UPDATE agents_runs SET cancel = 1');
    unavailable($t->post("/agents/runs/$run->{id}/cancel"), 'of unknown fate');
    cut_once();
    my $answer;
    $t->wait_for(10, sub {
        $answer = $t->post("/agents/runs/$run->{id}/cancel");
        $answer->{status} != 503;
    });
    like $answer->{status}, qr/^20[02]$/, 'again: accepted';
    is $t->finished($run)->{error}{type}, 'AgentLoopCancelled', 'it ends';
    return;
}


sub cut_delete {
    my (undef, $c) = $t->flow('hello');
    my $path = "/agents/conversations/$c->{id}";
    $cut->arm($mode, 'DELETE FROM agents_conversations');
    unavailable($t->delete($path), 'of unknown fate');
    cut_once();
    my $answer;
    $t->wait_for(10, sub {
        $answer = $t->delete($path);
        $answer->{status} != 503;
    });
    is $answer->{status}, $mode eq 'done' ? 404 : 204, 'again';
    is $t->sql('SELECT count(*) FROM agents_messages WHERE conversation_id ='
               . " '$c->{id}'"), 0, 'nothing of it is left';
    return;
}


# ---- a server that cannot be written to ----

sub read_only {
    my $cluster = AgentsTest::Postgres->new;
    $t = AgentsTest->new(store => $cluster->database, postgres => $cluster);
    $t->ctl('migrate');
    $t->allow(qr/agents store: PostgreSQL/, qr/store-unavailable/);
    $t->start;
    my ($c, $run) = ($t->conversation(mcp => ''));
    $run = $t->run($c, script({ tools => [ [ 'mcp-echo', { text => 'e' } ] ],
                                delay => 1 }, { text => 'end' }));

    my $set = sub {
        local $ENV{PGOPTIONS} = '-c default_transaction_read_only=off';
        $t->sql("ALTER SYSTEM SET default_transaction_read_only = $_[0]");
        $t->sql('SELECT pg_reload_conf()');
    };
    $set->('on');
    my $body = $t->run_body({ version => 0 }, 'x');
    my $path = '/agents/conversations/' . uuid() . '/runs';
    ok $t->wait_for(5, sub {
        $t->post('/agents/conversations', $t->conversation_body)
          ->{status} == 503 }), 'nothing is accepted';
    unavailable($t->post('/agents/conversations', $t->conversation_body),
                'a POST');
    is $t->get("/agents/runs/$run->{id}")->{status}, 200, 'a GET';
    sleep 1.5;
    is $t->get("/agents/runs/$run->{id}")->{json}{status}, 'running',
       'the run waits';
    my $lines = () = $t->log =~ /\[(?:notice|warn|error)\].*agents store/g;
    ok $lines < 20, "the log is not flooded: $lines lines";

    $set->('off');
    is $t->finished($run, 30)->{final_text}, 'end', 'it goes on';
    is scalar calls($t), 1, 'its call was made once';
    ok $t->wait_for(10, sub {
        $t->post('/agents/conversations', $t->conversation_body)
          ->{status} == 201 }), 'conversations are accepted';
    like $t->ctl('check'), qr/no fault/, 'agentsctl check';
    $t->clean;
    return;
}


# The first host takes connections, and says nothing ever.
sub silent {
    my $dir = File::Temp::tempdir('agents-t-XXXXXX', TMPDIR => 1,
                                  CLEANUP => 1);
    my $deaf = IO::Socket::UNIX->new(Local => "$dir/.s.PGSQL.5432",
                                     Listen => 64) or die "$dir: $!\n";
    $t = AgentsTest->new(store => 'postgres');
    (my $store = $t->store) =~ s/host=/host=$dir,/;
    $t->{replace} = by($t, "$store connect_timeout=1");
    $t->allow(qr/no answer from the server in time/, qr/store-unavailable/);
    $t->start;
    is $t->flow('hello')->{final_text}, 'echo: hello',
       'the one behind it is found';
    $t->clean;
    close $deaf;
    return;
}


# ---- a standby is promoted ----

# What was committed is on the standby, too: the primary waits for it.
sub failover {
    my $primary = AgentsTest::Postgres->new;
    my $store = $primary->database;
    my $standby = AgentsTest::Postgres->new(from => $primary);
    $primary->psql('postgres',
                   q{ALTER SYSTEM SET synchronous_standby_names = '*'});
    $primary->psql('postgres', 'SELECT pg_reload_conf()');

    my @nodes;
    for (1, 2) {
        my $node = AgentsTest->new(store => $store, postgres => $primary,
            $_ == 2 ? (mock => $nodes[0]->mock, tokens => $nodes[0]{tokens})
                    : (),
            http => 'agents_lease 3s;');
        (my $both = $store) =~ s/host=(\S+)/host=$1,$standby->{dir}/;
        $node->{replace} = by($node, "$both target_session_attrs=read-write"
                                     . ' connect_timeout=2');
        $node->allow(qr/agents store: PostgreSQL/, qr/store-unavailable/);
        $node->ctl('migrate') if $_ == 1;
        push @nodes, $node->start;
    }

    my $post = sub {
        my ($n) = @_;
        my $node = $nodes[$n % 2];
        my $c = $node->conversation(mcp => '');
        return { label => "r$n", c => $c, run => $node->run($c, script(
            { tools => [ [ 'mcp-echo', { text => "r$n" } ] ],
              delay => 0.2 * ($n % 6) },
            { text => "r$n end", delay => 0.2 * ($n % 4) })) };
    };
    my @runs = map { $post->($_) } 1 .. 16;
    my ($done) = $nodes[0]->flow('before');

    $primary->stop;
    my $down = time;
    for my $node (@nodes) {
        unavailable($node->get("/agents/runs/$done->{id}"), 'a GET');
        unavailable($node->post('/agents/conversations',
                                $node->conversation_body), 'a POST');
    }
    sleep 0.5;
    $standby->promote;
    my $up = time;
    $_->{postgres} = $standby for @nodes;
    $_->{store} =~ s/host=\S+/host=$standby->{dir}/ for @nodes;

    ok $nodes[0]->wait_for(20, sub {
        $nodes[0]->get("/agents/runs/$done->{id}")->{status} == 200 }),
       'the other server is found';
    note sprintf '%.1f s after it was promoted', time - $up;
    ok eval { push @runs, map { $post->($_) } 17, 18; 1 }
       || $nodes[0]->wait_for(20, sub {
            eval { push @runs, map { $post->($_) } 17, 18; 1 } }),
       'runs are accepted';

    my @ends = map { $nodes[0]->finished($_->{run}, 40) } @runs;
    is_deeply [ map { $_->{final_text} } @ends ],
              [ map { "$_->{label} end" } @runs ], 'all runs end'
        or diag explain [ map { $_->{error} } @ends ];
    note sprintf '%.1f s after the first was killed', time - $down;

    my %times;
    $times{$_->{json}{params}{arguments}{text}}++ for calls($nodes[0]);
    is_deeply [ grep { $times{$_} != 1 } keys %times ], [],
              'no call was made twice';
    is_deeply [ map { scalar @{$nodes[0]->messages($_->{c})} } @runs ],
              [ (4) x @runs ], 'all messages are there once';
    is $nodes[0]->get("/agents/runs/$done->{id}")->{json}{final_text},
       'echo: before', 'so is what was before';
    like $nodes[0]->ctl('check'), qr/no fault/, 'agentsctl check';

    delete $nodes[1]{mock};
    $_->clean for reverse @nodes;
    return;
}
