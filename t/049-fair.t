# Who waits for a cluster: each user has a line, and the lines have turns, within
# a worker and between workers.  What counts is whom the model sees in which
# order, so that a slow machine changes nothing.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Metrics;
use AgentsTest::Workers;

my %conf = AgentsTest::Workers::conf();
my $t = AgentsTest->new(%conf, store => 'sqlite', workers => 2,
    location => "$conf{location} agents_max_runs_per_user 200;",
    plane => 'cluster pair max_inferences=2; cluster one max_inferences=1;'
             . ' cluster other max_inferences=2;',
    server => 'location = /metrics { agents_metrics; }');
$t->start;

my $via = AgentsTest::Workers->new($t);
my ($here, $there) = $via->pids;

subtest 'a hundred runs and one' => \&hundred;
subtest 'a worker with a crowd and one with a single run' => \&crowd;
subtest 'turns, round by round' => \&turns;
subtest 'a place that is free is taken at once elsewhere' => \&handed;
subtest 'a title has its turn' => \&title;
$t->clean('no error logged');

done_testing;


# A run of a user, accepted by one worker; its inference bears the mark.
sub ask {
    my ($pid, $user, $mark, %o) = @_;
    my $cluster = $o{cluster} || 'pair';
    return $via->to($pid, sub {
        my $c = $t->post('/agents/conversations',
            $t->conversation_body(name => 'named', execution_cluster => $cluster,
                                  %{$o{conversation} || {}}),
            user => $user)->{json};
        my $body = $t->run_body($c, $o{text}
            || script({ text => "<$mark>", delay => $o{delay} || 0.3 }));
        my $run = $t->post("/agents/conversations/$c->{id}/runs", $body,
                           user => $user)->{json};
        return { %$run, user => $user };
    });
}


# The marks of inferences, in the order in which the model was asked.
sub asked {
    my ($pattern) = @_;
    return map { $_->{body} =~ /<($pattern)>/ ? $1 : () }
           sort { $a->{at} <=> $b->{at} } @{$t->mock->requests};
}


sub figure {
    my ($name, $cluster) = @_;
    my ($values) = AgentsTest::Metrics::read(
        $t->get('/metrics', token => undef)->{content});
    return $values->{qq[$name\{data_plane="$AgentsTest::PLANE",]
                     . qq[cluster="$cluster"\}]};
}


# Ends what is not needed any more: first those that wait.
sub stop {
    my (@runs) = @_;
    for (reverse @runs) {
        $t->post("/agents/runs/$_->{id}/cancel", undef, user => $_->{user});
    }
    ok $t->wait_for(20, sub {
        !grep { figure('agents_cluster_waiting', $_)
                || figure('agents_cluster_inferences', $_) } qw(pair other)
    }), 'nobody waits, and nobody is inside';
    return;
}


# How many of a pattern the model was asked before the mark.
sub ahead {
    my ($pattern, $mark) = @_;
    $t->wait_for(60, sub { grep { $_ eq $mark } asked(qr/\w[\w-]*/) })
        or return 'never';
    my $n = 0;
    for (asked(qr/\w[\w-]*/)) {
        return $n if $_ eq $mark;
        $n++ if /^(?:$pattern)$/;
    }
    return;
}


# Runs that hold all places until they are cancelled.
sub doors {
    my ($cluster, $n) = @_;
    my @doors = map { ask($here, 'zoe', "door-$cluster-$_", delay => 60,
                          cluster => $cluster) } 1 .. $n;
    ok $t->wait_for(20, sub {
        asked(qr/door-$cluster-\d/) == $n }), 'all places are taken';
    return @doors;
}


sub open_doors {
    $t->post("/agents/runs/$_->{id}/cancel", undef, user => 'zoe') for @_;
    return;
}


sub hundred {
    my @doors = doors('pair', 2);
    my @runs = map { ask($_ % 2 ? $here : $there, 'ann', "many-$_") }
               1 .. 100;
    ok $t->wait_for(20, sub {
        figure('agents_cluster_waiting', 'pair') == 100
        && figure('agents_cluster_inferences', 'pair') == 2 }),
       'two are inside, a hundred wait';

    my $bea = ask($here, 'bea', 'bea-1');
    open_doors(@doors);
    my $ahead = ahead(qr/many-\d+/, 'bea-1');
    cmp_ok $ahead, '<=', 4, "another user's waits for two turns ($ahead)";
    is $t->finished($bea, 60, user => 'bea')->{status}, 'completed',
       'and ends';
    stop(@runs);
    return;
}


# One worker has all who wait but one, and could take each place that it gives
# up for itself.
sub crowd {
    my @doors = doors('other', 2);
    my @runs = map { ask($there, 'ann', "crowd-$_", cluster => 'other') }
               1 .. 12;
    push @runs, ask($here, 'bea', 'bea-2', cluster => 'other');
    open_doors(@doors);
    my $ahead = ahead(qr/crowd-\d+/, 'bea-2');
    cmp_ok $ahead, '<=', 4, "the crowd lets it in ($ahead)";
    stop(@runs);
    return;
}


sub turns {
    my @doors = doors('one', 1);
    my @runs;
    for my $user (qw(ann bea cy)) {
        push @runs, map { ask($here, $user, "$user-turn-$_", delay => 0.05,
                              cluster => 'one') } 1 .. 3;
    }
    open_doors(@doors);
    my @order = map { my $n = $_; map { "$_-turn-$n" } qw(ann bea cy) } 1 .. 3;
    is $t->finished($_, 60, user => $_->{user})->{status}, 'completed',
       "$_->{user}'s" for @runs;
    is_deeply [ asked(qr/\w+-turn-\d/) ], \@order, 'each user has a turn, then '
        . 'each has the next';
    return;
}


# Twenty users in two workers, one place: it goes to and fro.
sub handed {
    my @runs = map { ask($_ % 2 ? $here : $there, "u$_", "hand-$_",
                         cluster => 'one', delay => 0.001) } 1 .. 20;
    $t->finished($_, 60, user => $_->{user}) for @runs;
    is scalar(grep { $_ } asked(qr/hand-\d+/)), 20, 'all have come in';
    is figure('agents_cluster_waiting', 'one'), 0, 'nobody waits';
    return;
}


# It stands in line when its run has ended: behind those who came before.
sub title {
    my @runs = map { ask($here, 'ann', "busy-$_", delay => 0.2,
                         cluster => 'other') } 1 .. 20;
    my $bea = ask($here, 'bea', undef, cluster => 'other', text => 'give <me> one',
                  conversation => { name => undef });
    push @runs, $bea;
    is $t->finished($bea, 60, user => 'bea')->{status}, 'completed', 'a run';

    my $before = asked(qr/busy-\d+/);
    my $path = "/agents/conversations/$bea->{conversation_id}";
    ok $t->wait_for(30, sub {
        defined $t->get($path, user => 'bea')->{json}{name} }), 'has a title';
    my $ahead = asked(qr/busy-\d+/) - $before;
    cmp_ok $ahead, '<', 10, "while others wait ($ahead)";
    stop(@runs);
    return;
}
