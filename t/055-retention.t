# agents_retention: old conversations are removed, in steps that the workers of
# all nodes share; what is young, or has a run under way, stays.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Metrics;

my $DAY = 86_400_000;

subtest 'the directive' => \&directive;

for my $m (AgentsTest->matrix) {
    subtest "two nodes on $m->{name}" => sub { removal($m) };
}

done_testing;


sub directive {
    for my $good ('90d', '366000d', '1d 12h', '1s', 'off') {
        my $t = AgentsTest->new(http => "agents_retention \"$good\";");
        my ($status, $out) = $t->check;
        is $status, 0, "$good is taken" or diag $out;
    }
    my %bad = (
        'agents_retention 0;' => qr/invalid time "0": it should be from a second/,
        'agents_retention 366001d;' => qr/invalid time "366001d": .* to 1000 years/,
        'agents_retention 18446744073709551s;' => qr/invalid time/,
        'agents_retention 90x;' => qr/invalid time "90x"/,
        'agents_retention -1d;' => qr/invalid time "-1d"/,
        'agents_retention;' => qr/invalid number of arguments/,
        'agents_retention 1d; agents_retention off;' => qr/is duplicate/,
    );
    for my $bad (sort keys %bad) {
        my ($status, $out) = AgentsTest->new(http => $bad)->check;
        isnt $status, 0, "$bad is not";
        like $out, $bad{$bad}, 'says why';
    }
    return;
}


sub removal {
    my ($m) = @_;
    my $metrics = 'location = /metrics { agents_metrics; }';
    my $one = AgentsTest->new(%$m, server => $metrics)->start;
    my %c = map { $_ => scalar(($one->flow("a run that is $_"))[1]) }
            qw(old young);
    $c{waiting} = ($one->flow(script({ tools => [ [ 'ask', {} ] ] }),
        tools => [ { name => 'ask', input_schema => { type => 'object' } } ]
        ))[1];
    $c{empty} = $one->conversation;
    $c{busy} = $one->conversation;
    my $run = $one->run($c{busy}, script({ text => 'end', delay => 8 }));

    # enough for several slices, and then for several steps
    rows($one, 'amy', 300, 0);
    rows($one, 'zoe', 150, $DAY);
    $one->sql("UPDATE agents_conversations SET updated_at = updated_at - $DAY"
        . ' WHERE id IN (' . join(', ', map { "'$c{$_}{id}'" }
                                  qw(old waiting empty busy)) . ')');
    my ($all) = $one->sql('SELECT count(*) FROM agents_conversations');

    # both nodes have it from the same moment on
    $one->{http} = 'agents_retention 5m;';
    my $two = AgentsTest->new(store => $one->store, workers => $m->{workers},
        mock => $one->mock, tokens => $one->{tokens}, server => $metrics,
        postgres => $one->{postgres}, http => $one->{http})->start;
    $one->reload(gone => 1);

    my $left;
    ok $one->wait_for(25, sub {
        ($left) = $one->sql('SELECT count(*) FROM agents_conversations'
            . ' WHERE active_run_id IS NULL AND updated_at <'
            . " (SELECT MAX(updated_at) FROM agents_conversations) - $DAY / 2");
        $left == 0;
    }), 'the old ones are gone' or diag "$left are left";
    is $one->sql('SELECT count(*) FROM agents_conversations'), $all - 153,
       'and they alone';

    for my $node ($one, $two) {
        is_deeply [ map { $node->get("/agents/conversations/$c{$_}{id}")
                               ->{status} } qw(old waiting empty) ],
                  [ (404) x 3 ], 'not to be found';
        is_deeply [ map { $node->get("/agents/conversations/$c{$_}{id}")
                               ->{status} } qw(young busy) ],
                  [ (200) x 2 ], 'these are there';
    }
    is scalar @{$one->messages($c{young})}, 2, 'with messages';
    is $one->finished($run)->{final_text}, 'end', 'the run goes on';
    like $one->ctl('check'), qr/no fault/, 'agentsctl check';

    counted($one, $two);
    delete $two->{mock};
    $_->clean("$m->{name}: no error logged") for $two, $one;
    return;
}


# Conversations without runs, whose last change was so long ago.
sub rows {
    my ($t, $user, $n, $age) = @_;
    my ($now) = $t->sql('SELECT MAX(updated_at) FROM agents_conversations');
    $t->sql('INSERT INTO agents_conversations (company_id, user_id, id,'
        . ' name_rev, version, created_at, updated_at, defaults) VALUES '
        . join ', ', map { sprintf "('acme', '%s', '%s-%04d', 0, 0, 1, %d,"
                           . " '{}')", $user, $user, $_, $now - $age } 1 .. $n);
    return;
}


# What the nodes say of it adds up, and no step was above its bounds.
sub counted {
    my @nodes = @_;
    my ($steps, $most, %said, %metric) = (0, 0);
    for my $node (@nodes) {
        my $log = $node->log;
        while ($log =~ /\[notice\]\ .*\ agents_retention\ has\ removed
                              \ (\d+)\ conversations,\ (\d+)\ runs\ and
                              \ (\d+)\ parts\ of\ messages/xg) {
            $steps++;
            $most = $1 if $1 > $most;
            $said{conversations} += $1;
            $said{runs} += $2;
            $said{message_parts} += $3;
        }
        my ($values) = AgentsTest::Metrics::read(
            $node->get('/metrics', token => undef)->{content});
        for (qw(conversations runs message_parts)) {
            $metric{$_} += $values->{
                qq(agents_retention_removed_total{kind="$_"})} || 0;
        }
    }
    is_deeply \%said, { conversations => 153, runs => 2, message_parts => 4 },
              'the logs say so';
    is_deeply \%metric, \%said, 'and so do the counters';
    ok $most <= 64, "no more than 64 at a time: $most";
    ok $steps >= 3, "in steps: $steps";
    return;
}
