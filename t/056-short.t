# Threads, connections and descriptors that are too few: runs that were accepted
# wait for them, and complete.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Burst;

my $n = 0;

# What is short is each worker's.
for my $m (map { { store => $_, workers => 1, name => $_ } }
               AgentsTest->stores) {
    my $on = "on $m->{name}";
    subtest "one thread and a short queue $on" => sub { thread($m) };
    subtest "few connections $on" => sub { connections($m) };
    subtest "no descriptors for a while $on" => sub { descriptors($m) };
}

done_testing;


# The requests that start runs of two turns and a call, all made at once.
sub posts {
    my ($t, $count, $delay) = @_;
    return map {
        my $id = ++$n;
        my $c = $t->conversation(name => 'x', mcp => '');
        [ 'POST', "/agents/conversations/$c->{id}/runs", $t->run_body($c,
            script({ tools => [ [ 'mcp-echo', { text => "c$id" } ] ],
                     delay => $delay }, { text => "end $id" })) ];
    } 1 .. $count;
}


sub complete {
    my ($t, @runs) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my (@wrong, %calls);
    for (@runs) {
        my $run = $t->finished($_, 60);
        push @wrong, $run->{error} || $run->{status}
            if ($run->{final_text} || '') !~ /^end /;
    }
    is_deeply [ map { "$_->{type}: $_->{message}" } @wrong ], [],
              'every run completes';
    $calls{$_->{json}{params}{arguments}{text}}++
        for grep { ($_->{json}{method} || '') eq 'tools/call' }
            @{$t->mock->requests('/mcp')};
    is_deeply [ grep { $_ != 1 } values %calls ], [],
              'no call was made twice';
    like $t->ctl('check'), qr/no fault/, 'agentsctl check';
    return;
}


# nginx refuses tasks: they wait in the module.
sub thread {
    my ($m) = @_;
    my $t = AgentsTest->new(%$m,
        main => 'thread_pool narrow threads=1 max_queue=16;',
        http => 'agents_thread_pool narrow;');
    $t->allow(qr/queue overflow/);
    $t->start;
    my @answers = burst($t, posts($t, 60, 0));
    is scalar(grep { $_->{status} == 202 } @answers), 60,
       'no request is refused for it' or diag explain \@answers;
    complete($t, map { $_->{json} } @answers);
    like $t->log, qr/queue overflow/, 'the queue was too short';
    $t->clean;
    return;
}


# There are fewer than runs: those of clients come first, nginx takes those that
# are idle, and inferences and calls wait for one.
sub connections {
    my ($m) = @_;
    my $t = AgentsTest->new(%$m,
        http => 'agents_inference_timeout 60s;',
        replace => { 'worker_connections 4096;' => 'worker_connections 48;' });
    $t->allow(qr/worker_connections are not enough|answered 503/);
    $t->start;
    my @runs;
    for my $post (posts($t, 40, 0.5)) {
        my $answer;
        $t->wait_for(20, sub {
            $answer = $t->request(@$post);
            return $answer->{status} == 202;
        }) or die "run: $answer->{status} $answer->{content}\n";
        push @runs, $answer->{json};
    }
    complete($t, @runs);
    $t->clean;
    return;
}


sub descriptors {
    my ($m) = @_;
    my $t = AgentsTest->new(%$m);
    $t->allow(qr/Too many open files|\(24:|answered 50\d|store/);
    $t->start;
    my ($worker) = $t->workers;
    my @posts = posts($t, 20, 0.5);
    my @runs = map { $t->request(@$_)->{json} } @posts;
    my $open = () = glob "/proc/$worker/fd/*";
    my ($old) = AgentsTest::slurp("/proc/$worker/limits")
                =~ /^Max open files\s+(\d+)/m;
    my $set = sub {
        return system("prlimit --pid $worker --nofile=$_[0]: 2>/dev/null") == 0;
    };
    return plan skip_all => 'no prlimit' unless $set->(1);

    # until something has failed for it
    ok $t->wait_for(10, sub { $t->log =~ /\(24: / }), 'no descriptor is left'
        or diag $t->log;
    select undef, undef, undef, 1;
    $set->($old);
    complete($t, @runs);
    is_deeply [ $t->workers ], [ $worker ], 'by the same worker';
    $t->clean;
    return;
}
