# A new nginx takes over from the old one (USR2, WINCH, QUIT), and back again;
# workers that are stopped fast, and ones that have little time to leave: runs
# in flight go on at once with whoever is there, and every call is made once.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use Time::HiRes qw(sleep time);

# nginx starts the new one by the path that it was started by itself
my ($binary) = grep { -x } map { "$_/nginx" } split /:/, $ENV{PATH};
$ENV{TEST_NGINX_BINARY} = $binary
    if AgentsTest::binary() !~ m{^/} && $binary;

for my $m (AgentsTest->matrix) {
    my $on = "on $m->{name}";
    my $t = AgentsTest->new(%$m,
        # what sanitizers need to be told, too
        main => join("\n", map { "env $_;" } qw(LD_PRELOAD ASAN_OPTIONS
                     UBSAN_OPTIONS LSAN_OPTIONS)),
        replace => { 'listen 127.0.0.1:%PORT%;' =>
                     'listen 127.0.0.1:%PORT% reuseport;' })->start;
    subtest "a new binary $on" => sub { upgrade($t) };
    subtest "and back to the old one $on" => sub { back($t) };
    subtest "a worker is stopped fast $on" => sub { fast($t) };
    subtest "little time to leave $on" => sub { little_time($t) };
    subtest "all of nginx is stopped fast $on" => sub { all_fast($t) };
    $t->clean("$m->{name}: no error logged");
}

done_testing;


# Turns of a call each, the model taking its time.
my $n = 0;

sub runs {
    my ($t, $count) = @_;
    $t->mock->forget;
    return map {
        my $c = $t->conversation(name => 'x', mcp => '');
        my $id = ++$n;
        my $answer = $t->post("/agents/conversations/$c->{id}/runs",
            $t->run_body($c, script(map({
                { tools => [ [ 'mcp-echo', { text => "r$id-$_" } ] ],
                  delay => 0.3 + $id % 5 / 10 } } 1 .. 4),
                { text => "end $id", delay => 0.3 })),
            headers => { Connection => 'close' });
        die "run: $answer->{status}\n" unless $answer->{status} == 202;
        [ $answer->{json}, "end $id" ];
    } 1 .. $count;
}


# How long a run had nobody who worked on it, at most: from a reply of the model
# to its next request, but for the reply's own delay.
sub longest_gap {
    my ($t) = @_;
    my (%last, $most);
    for my $request (@{$t->mock->requests('/v1/chat')}) {
        my ($id) = $request->{body} =~ /\br(\d+)-1\b/ or next;
        my $gap = $request->{at} - ($last{$id} || $request->{at})
                  - (0.3 + $id % 5 / 10);
        $most = $gap if $last{$id} && (!defined $most || $gap > $most);
        $last{$id} = $request->{at};
    }
    return $most;
}


sub complete {
    my ($t, $seconds, @runs) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my (@wrong, %calls);
    my $begin = time;
    for (@runs) {
        my $run = $t->finished($_->[0], 60);
        push @wrong, $run->{error} || $run->{final_text}
            if ($run->{final_text} || '') ne $_->[1];
    }
    my $took = time - $begin;
    is_deeply \@wrong, [], 'every run completes';
    ok $took < $seconds, sprintf 'soon: within %.1f s', $took;
    $calls{$_}++
        for grep { defined } map { $_->{json}{params}{arguments}{text} }
            grep { ($_->{json}{method} || '') eq 'tools/call' }
            @{$t->mock->requests('/mcp')};
    is scalar keys %calls, 4 * @runs, 'every call was made';
    is_deeply [ grep { $calls{$_} != 1 } keys %calls ], [], 'once';
    return;
}


sub workers_of {
    my ($master) = @_;
    my $children = AgentsTest::slurp("/proc/$master/task/$master/children");
    return grep { AgentsTest::slurp("/proc/$_/cmdline") =~ /worker process/ }
           split ' ', $children;
}


# The new master, once it has workers.
sub new_binary {
    my ($t) = @_;
    my $old = $t->pid;
    kill 'USR2', $old;
    my $new;
    $t->wait_for(15, sub {
        $new = $t->pid;
        return $new && $new != $old && workers_of($new) == $t->{workers};
    }) or die "no new binary\n", $t->log;
    return ($old, $new);
}


sub gone {
    my ($t, $what, @pids) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok $t->wait_for(20, sub {
        !grep { AgentsTest::alive($_) } @pids }), "$what are gone";
}


sub upgrade {
    my ($t) = @_;
    my @before = $t->workers;
    my @runs = runs($t, 10);
    my ($old, $new) = new_binary($t);
    push @runs, runs_more($t, 4);
    kill 'WINCH', $old;
    gone($t, 'the old workers', @before);
    ok AgentsTest::alive($old), 'the old master waits';
    kill 'QUIT', $old;
    gone($t, 'the old master', $old);
    complete($t, 20, @runs);
    my $gap = longest_gap($t);
    ok $gap < 2, sprintf 'handed over in %.2f s', $gap;
    is $t->pid, $new, 'the new one has its place';
    return;
}


# Without forgetting what was asked before.
sub runs_more {
    my ($t, $count) = @_;
    no warnings 'redefine';
    local *AgentsTest::Server::forget = sub { };
    return runs($t, $count);
}


# It does not do: the old master, whose workers have gone, starts new ones.
sub back {
    my ($t) = @_;
    my @before = $t->workers;
    my @runs = runs($t, 8);
    my ($old, $new) = new_binary($t);
    kill 'WINCH', $old;
    gone($t, 'the old workers', @before);
    push @runs, runs_more($t, 4);
    kill 'HUP', $old;
    ok $t->wait_for(15, sub { workers_of($old) == $t->{workers} }),
       'the old master has workers again';
    kill 'QUIT', $new;
    gone($t, 'the new master and its workers', $new);
    ok $t->wait_for(5, sub { ($t->pid || 0) == $old }),
       'the old one has its place again';
    complete($t, 20, @runs);
    my $gap = longest_gap($t);
    ok $gap < 2, sprintf 'handed over in %.2f s', $gap;
    return;
}


# TERM, as from an operator, or where the time to quit is over: the lease is
# that of half a minute.
sub fast {
    my ($t) = @_;
    my @runs = runs($t, 10);
    sleep 0.3;
    my ($worker) = $t->workers;
    delete $t->{http_client};
    kill 'TERM', $worker;
    gone($t, 'the worker', $worker);
    my %model;
    for (@runs) {
        my $run = $t->finished($_->[0], 60);
        is $run->{final_text}, $_->[1], 'a run completes'
            or diag explain $run->{error};
    }
    ok $t->wait_for(10, sub { $t->workers == $t->{workers} }),
       'there is another worker';
    my $gap = longest_gap($t);
    ok $gap < 5, sprintf 'taken over in %.2f s', $gap;
    return;
}


sub all_fast {
    my ($t) = @_;
    my @runs = runs($t, 10);
    sleep 0.3;
    delete $t->{http_client};
    ok $t->stop('TERM'), 'nginx stops';
    my @owned = grep { /\w/ } $t->sql('SELECT owner FROM agents_runs'
        . ' WHERE finished_at IS NULL AND owner IS NOT NULL');
    is_deeply \@owned, [], 'no run is left to it';
    $t->start;
    for (@runs) {
        my $run = $t->finished($_->[0], 60);
        is $run->{final_text}, $_->[1], 'a run completes'
            or diag explain $run->{error};
    }
    my $gap = longest_gap($t);
    ok $gap < 8, sprintf 'taken over in %.2f s', $gap;
    return;
}


# worker_shutdown_timeout is shorter than a step.
sub little_time {
    my ($t) = @_;
    local $t->{main} = "$t->{main}\nworker_shutdown_timeout 1s;";
    $t->reload(gone => 1) or die "no reload\n";
    my @before = $t->workers;
    my $slow = $t->run($t->conversation,
                       script({ text => 'slow', delay => 4 }));
    my @runs = runs($t, 8);
    my $call = $t->run($t->conversation(name => 'x', mcp => ''), script(
        { tools => [ [ 'mcp-slow', { seconds => 3 } ] ] }, { text => 'called' }));
    $t->wait_for(5, sub { grep { ($_->{json}{params}{name} || '') eq 'slow' }
                          @{$t->mock->requests('/mcp')} });
    my $tag = $t->get("/agents/runs/$slow->{id}")->{headers}{etag};
    my $socket = $t->socket;
    print {$socket} "GET /agents/runs/$slow->{id}?wait=30 HTTP/1.1\r\n"
        . 'Host: test' . "\r\nAuthorization: Bearer " . $t->token
        . "\r\nIf-None-Match: $tag\r\nConnection: close\r\n\r\n";
    $socket->flush;
    sleep 0.2;
    my $begin = time;
    kill 'HUP', $t->pid;
    my $answer = do { local $/ = undef; readline $socket };
    like $answer, qr{^HTTP/1\.1 304 }, 'a long poll is answered';
    ok time - $begin < 3, 'at once';
    is $t->finished($slow)->{final_text}, 'slow', 'a long step is ended';
    is $t->finished($call)->{final_text}, 'called', 'and one that is a call';
    my ($result) = map { $_->{content_blocks}[0] }
                   grep { $_->{role} eq 'tool' }
                   @{$t->messages({ id => $call->{conversation_id} })};
    ok !$result->{is_error}, '    that had its result';
    complete($t, 20, @runs);
    gone($t, 'the old workers', @before);
    return;
}
