# Two nodes on one PostgreSQL: what one of them is told reaches the other, soon
# where PostgreSQL notifies it, a little later where it cannot; and those who
# wait on one for runs of the other cost the store little.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Burst;
use AgentsTest::Metrics;
use List::Util qw(sum max);
use Time::HiRes qw(sleep time);

# what "within a second" is allowed to be on a machine with other things to do
my $SECOND = 1.5;
my $MODEL = '/v1/chat/completions';
my $METRICS = 'location = /metrics { agents_metrics; }';

plan skip_all => 'PostgreSQL is not installed'
    unless grep { $_ eq 'postgres' } AgentsTest->stores;

my $one = AgentsTest->new(store => 'postgres', server => $METRICS)->start;
my $two = node();

subtest 'a cancel on the other node' => \&cancelled;
subtest 'long polls on the other node' => \&polls;
subtest 'deleted on one, waited for on the other' => \&deleted;
leave($two);
subtest 'listen=' => \&listen;
subtest 'how many connections' => \&connections;
$one->clean('no error logged');

done_testing;


# Another nginx on the same store.
sub node {
    my (%o) = @_;
    return AgentsTest->new(store => $one->store, mock => $one->mock,
        tokens => $one->{tokens}, postgres => $one->{postgres},
        server => $METRICS, %o)->start;
}


sub leave {
    my ($node) = @_;
    delete $node->{mock};
    return $node->clean('the other node');
}


# A run of the first node whose model takes long: (conversation, run).
sub start {
    my (%o) = @_;
    $one->mock->forget;
    my $c = $one->conversation;
    my $run = $one->run($c, script({ text => 'x', delay => 30 }));
    $one->wait_for(10, sub { @{$one->mock->requests($MODEL)} })
        or die "the model was not asked\n";
    return ($c, $run);
}


# How long it takes from the request to the end of the model's connection.
sub took {
    my ($node) = @_;
    my (undef, $run) = start();
    sleep rand 0.5;
    my $began = time;
    my $answer = $node->post("/agents/runs/$run->{id}/cancel");
    die "cancel: $answer->{status}\n" unless $answer->{status} == 202;
    my $closed = $one->wait_for(5, sub { $one->mock->closed->[0] })
        or die "it was not cut off\n";
    $one->finished($run);
    return $closed->{at} - $began;
}


sub cancelled {
    my @took = sort { $a <=> $b } map { took($two) } 1 .. 9;
    note join ' ', map { sprintf '%.1f ms', $_ * 1000 } @took;
    ok $took[4] < 0.12, sprintf 'half of them in %.1f ms', $took[4] * 1000;
    ok $took[-1] < $SECOND, sprintf 'all in %.1f ms', $took[-1] * 1000;
    return;
}


sub reads {
    my ($values) = AgentsTest::Metrics::read(
        $_[0]->get('/metrics', token => undef)->{content});
    return sum map { $values->{$_} }
           grep { /^agents_store_batches_total\{kind="read"/ } keys %$values;
}


# Many who wait are asked about together.
sub polls {
    $one->mock->forget;
    my @runs = map { $one->run($one->conversation,
                               script({ text => "end $_", delay => 5 })) }
               1 .. 10;
    my @waiting = map { waiting($two, $runs[$_ % 10]) } 0 .. 59;
    $one->wait_for(10, sub { @{$one->mock->requests($MODEL)} == 10 })
        or die "the model was not asked\n";

    # the last status that they have not seen is "running"
    sleep 1;
    my ($began, $before) = (time, reads($two));
    sleep 2;
    my $reads = reads($two) - $before;
    my $took = time - $began;
    my $most = $two->workers * (2 * $took + 2);
    ok $reads > 0 && $reads <= $most,
       sprintf '%d reads in %.1f s, %.0f at most', $reads, $took, $most;

    my @answers = map { answer($_) } @waiting;
    is_deeply [ map { $_->{json}{id} } @answers ],
              [ map { $runs[$_ % 10]{id} } 0 .. 59 ], 'all are answered';
    $one->finished($_) for @runs;
    return;
}


# A long poll that is asked again as long as the run goes on would be a client;
# here it has the tag of the run as it runs, so that only its end is news.
sub waiting {
    my ($node, $run) = @_;
    my $tag;
    $node->wait_for(10, sub {
        my $answer = $node->get("/agents/runs/$run->{id}");
        $tag = $answer->{headers}{etag};
        return $answer->{json}{status} eq 'running';
    }) or die "it does not run\n";
    my $socket = $node->socket;
    syswrite $socket, request_bytes($node, 'GET',
        "/agents/runs/$run->{id}?wait=30", undef,
        headers => { 'If-None-Match' => $tag });
    return $socket;
}


sub answer {
    my ($socket) = @_;
    my $text = '';
    1 while sysread $socket, $text, 65536, length $text;
    return AgentsTest::Burst::answer($text);
}


sub deleted {
    my ($c, $run) = start();
    my @waiting = map { waiting($two, $run) } 1 .. 3;
    my $began = time;
    is $one->delete("/agents/conversations/$c->{id}")->{status}, 204,
       'deleted on its own node';
    is_deeply [ map { answer($_)->{status} } @waiting ], [ (404) x 3 ],
              'who waits on the other is told so';
    my $took = time - $began;
    ok $took < $SECOND, "within a second: $took s";

    ($c, $run) = start();
    @waiting = map { waiting($_, $run) } $one, $two;
    $began = time;
    is $two->delete("/agents/conversations/$c->{id}")->{status}, 204,
       'deleted on the other';
    is_deeply [ map { answer($_)->{status} } @waiting ], [ (404) x 2 ],
              'who waits on either is told so';
    ok $one->wait_for(5, sub { $one->mock->closed->[0] }),
       'the inference is cut off';
    $took = time - $began;
    ok $took < $SECOND, "within a second: $took s";
    return;
}


# A way of its own for LISTEN, which may be cut: then it is asked.
sub listen {
    my $as = "listener_$$";
    $one->sql("CREATE ROLE $as LOGIN; GRANT SELECT ON agents_schema TO $as");
    (my $conninfo = $one->store) =~ s/^postgres://;
    $conninfo =~ s/user=\S+/user=$as/;

    # the first node is the one that is to hear
    $one->{replace} = store($one, qq( prepare=off "listen=$conninfo"));
    $one->reload(gone => 1);
    my $other = node();
    my $there = sub { ($one->sql('SELECT count(*) FROM pg_stat_activity'
                                 . " WHERE usename = '$as'"))[0] };
    ok $one->wait_for(10, sub { $there->() == 2 }), 'one connection a worker';
    my @took = sort { $a <=> $b } map { took($other) } 1 .. 5;
    ok $took[2] < 0.2, sprintf 'a cancel takes %.1f ms', $took[2] * 1000;

    $one->sql("ALTER ROLE $as NOLOGIN");
    $one->sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity'
              . " WHERE usename = '$as'");
    ok $one->wait_for(10, sub { $one->log =~
        /\[warn\].*agents store: PostgreSQL, LISTEN: .* is asked twice a/ }),
       'cut off, which the log says';
    is $there->(), 0, 'nobody listens';
    my $took = took($other);
    ok $took < $SECOND, sprintf 'a cancel takes %.1f ms', $took * 1000;

    $one->sql("ALTER ROLE $as LOGIN");
    ok $one->wait_for(15, sub { $there->() == 2 }), 'it comes back by itself';
    ok $one->wait_for(5, sub { $one->log =~ /\[notice\].*LISTEN: it is there/ }),
       'and says so';
    leave($other);
    return;
}


# The change of its configuration that gives agents_store these options.
sub store {
    my ($t, $options) = @_;
    my $line = 'agents_store "' . $t->store . '"';
    return { $line => $line . $options };
}


# Of a node on a database of its own.
sub connections {
    for my $case ([ '', 7, 'by default' ],
                  [ ' prepare=off', 6, 'with prepare=off' ],
                  [ ' prepare=off "listen=CONNINFO"', 7, 'with listen=' ])
    {
        my ($options, $n, $name) = @$case;
        my $t = AgentsTest->new(store => 'postgres');
        (my $conninfo = $t->store) =~ s/^postgres://;
        $options =~ s/CONNINFO/$conninfo/;
        $t->{replace} = store($t, $options);
        $t->start;
        my $now;
        $t->wait_for(10, sub {
            ($now) = $t->sql('SELECT count(*) FROM pg_stat_activity WHERE'
                . " application_name = 'nginx-agents'"
                . ' AND datname = current_database()');
            return $now >= 2 * $n;
        });
        is $now, 2 * $n, "$n connections of a worker $name";
        is $t->flow('hello')->{final_text}, 'echo: hello', 'it works';
        $t->clean;
    }
    return;
}
