package AgentsTest::Chaos;

# Runs with tool calls while things break: a 202 is a promise.
#
#     my $chaos = AgentsTest::Chaos->new(store => 'postgres', nodes => 2,
#         seed => 7, faults => [ qw(kill_worker reload ...) ]);
#     $chaos->storm(seconds => 10, every => 1);   # runs, and what breaks them
#     $chaos->verify;                             # tests, see below
#
# The nodes share one store and one scripted server; PostgreSQL has a cluster of
# its own, which can be stopped.  A fault is a method of this package, below.
#
# verify() makes whole what is broken, waits until all runs have ended (within
# 60 s), and tests that agentsctl finds the store clean, that every accepted run
# is there and has ended as it may, that no call of a tool that is not
# idempotent was made twice, and that no conversation has what is another's.

use strict;
use warnings;
use HTTP::Tiny;
use JSON::PP;
use List::Util qw(shuffle sum);
use Test::More;
use Time::HiRes qw(sleep time);
use AgentsTest;

our $LEASE = 3;

my $json = JSON::PP->new->utf8->canonical;

# What a run may end as, other than completed, and due to which faults.
my %MAY = (
    AgentLoopCancelled          => qr/^cancel$/,
    AgentLoopAbandoned          => qr/^(?:kill|stop)_/,
    AgentLoopMcpDiscoveryFailed => qr/^few_files$/,
    AgentLoopInferenceFailed    => qr/^few_files$/,
    AgentLoopInternal           => qr/^few_files$/,
);


sub new {
    my ($class, %o) = @_;
    my $self = bless { nodes => 1, seed => int rand 1e6, faults => [], %o,
                       runs => [], later => [], ended => {} }, $class;
    srand $self->{seed};
    diag "chaos on $self->{store}: seed $self->{seed}";

    my %store = (store => $self->{store});
    if ($self->{store} eq 'postgres') {
        $self->{cluster} = AgentsTest::Postgres->new;
        %store = (store => $self->{cluster}->database,
                  postgres => $self->{cluster});
    }
    for (1 .. $self->{nodes}) {
        my $first = $self->{node}[0];
        push @{$self->{node}}, AgentsTest->new(%store,
            $first ? (mock => $first->mock, store => $first->store,
                      tokens => $first->{tokens}) : (),
            http => "agents_lease ${LEASE}s; agents_drain_timeout 2s;",
            location => 'agents_max_runs_per_user 10000;',
            replace => { 'listen 127.0.0.1:%PORT%;' =>
                         'listen 127.0.0.1:%PORT% reuseport;' });
        $self->{node}[-1]->ctl('migrate') unless $first;
    }
    $_->start for @{$self->{node}};
    $self->{node}[0]->token;
    return $self;
}


# All faults that a store can have.
sub faults {
    my ($store) = @_;
    return (qw(kill_worker kill_node stop_worker reload few_files cancel
               remove), $store eq 'postgres' ? qw(kill_backends stop_postgres)
                                             : ());
}


sub node { return $_[0]{node}[rand @{$_[0]{node}}] }

sub some { return $_[rand @_] }


# A worker of any node that is not stopped just then.
sub worker {
    my ($self, $node) = @_;
    my @workers = grep { !$self->{stopped}{$_} } $node->workers;
    return @workers ? some(@workers) : undef;
}


sub later {
    my ($self, $seconds, $do) = @_;
    @{$self->{later}} = sort { $a->[0] <=> $b->[0] } @{$self->{later}},
                        [ time + $seconds, $do ];
    return;
}


# ---- the load ----

# A request that may fail; nobody waits for long.
sub ask {
    my ($self, $node, $method, $path, $body) = @_;
    my $answer = HTTP::Tiny->new(timeout => 1.5, max_redirect => 0)->request(
        $method, $node->base . $path, {
            headers => { Authorization => 'Bearer ' . $node->token,
                         'Content-Type' => 'application/json',
                         Connection => 'close' },
            $body ? (content => $json->encode($body)) : () });
    $answer->{json} = eval { $json->decode($answer->{content}) };
    return $answer;
}


# What a run does: turns of calls that all bear its label, and an end that does.
sub turns {
    my ($self, $label) = @_;
    my $n = 0;
    my @turns = map { {
        delay => 0.05 + rand 0.5,
        tools => [ map {
            my $id = "$label-" . ++$n;
            some([ 'mcp-echo', { text => $id }, $id ],
                 [ 'mcp-slow', { seconds => rand 1.2, text => $id }, $id ],
                 [ 'mcp-add', { a => 1, b => 2, text => $id }, $id ]);
        } 1 .. 1 + rand 3 ],
    } } 1 .. 1 + rand 3;
    return (@turns, { text => "$label-end", delay => rand 0.5 });
}


# One conversation and its run; a POST of unknown fate is made again.
sub post {
    my ($self) = @_;
    my $node = $self->node;
    my $label = 'L' . ++$self->{n} . 'x';
    my $answer = $self->ask($node, 'POST', '/agents/conversations',
        $node->conversation_body(name => $label, mcp_servers => [
            { alias => 'mcp', url => $node->mcp } ]));
    return if $answer->{status} != 201;
    my $c = $answer->{json};
    my $body = $node->run_body($c, script($self->turns($label)));

    for (1 .. 3) {
        $answer = $self->ask($self->node, 'POST',
                             "/agents/conversations/$c->{id}/runs", $body);
        last if $answer->{status} == 202;
        sleep 0.1;
    }
    push @{$self->{runs}}, { label => $label, conversation => $c->{id},
                             id => $answer->{json}{id} }
        if $answer->{status} == 202;
    return;
}


# Posts runs for so long, with a fault every so often.
sub storm {
    my ($self, %o) = @_;
    my $end = time + $o{seconds};
    my $next = time + 0.5;
    my $left = $o{runs} || 1e9;
    my @faults;

    while (time < $end) {
        if (time >= $next) {
            # each of them comes before one comes again
            @faults = shuffle(@{$self->{faults}}) unless @faults;
            $self->fault(shift @faults);
            $next = time + $o{every} * (0.5 + rand);
        }
        while (@{$self->{later}} && $self->{later}[0][0] <= time) {
            (shift @{$self->{later}})->[1]->();
        }
        if ($left-- > 0) { $self->post }
        sleep 0.02 + rand 0.05;
    }
    return $self;
}


# ---- what breaks ----

sub fault {
    my ($self, $name) = @_;
    $self->{seen}{$name}++;
    $self->$name;
    $self->{last} = time;
    return;
}


sub kill_worker {
    my ($self) = @_;
    my $pid = $self->worker($self->node) or return;
    kill 'KILL', $pid;
    return;
}


sub kill_node {
    my ($self) = @_;
    my $node = $self->node;
    my $master = $node->pid or return;
    my @pids = ($master, $node->workers);
    kill 'KILL', @pids;
    $node->wait_for(5, sub { !grep { AgentsTest::alive($_) } @pids });
    delete @{$self->{stopped}}{@pids};
    unlink $node->prefix . '/nginx.pid';
    local $node->{wait} = 0;
    $node->start;
    return;
}


# For longer than its lease: then it finds that its runs are another's.
sub stop_worker {
    my ($self) = @_;
    my $pid = $self->worker($self->node) or return;
    kill 'STOP', $pid;
    $self->{stopped}{$pid} = 1;
    $self->later($LEASE + 1 + rand 3, sub {
        kill 'CONT', $pid;
        delete $self->{stopped}{$pid};
        $self->{last} = time;
    });
    return;
}


sub reload {
    my ($self) = @_;
    kill 'HUP', $self->node->pid;
    return;
}


sub stop_postgres {
    my ($self) = @_;
    $self->{cluster}->stop;
    $self->{cluster}->start;
    return;
}


sub kill_backends {
    my ($self) = @_;
    $self->{node}[0]->sql('SELECT count(pg_terminate_backend(pid))'
        . ' FROM pg_stat_activity WHERE datname = current_database()'
        . ' AND pid <> pg_backend_pid() AND random() < 0.4');
    return;
}


# No more descriptors than it has, for two seconds.
sub few_files {
    my ($self) = @_;
    my $pid = $self->worker($self->node) or return;
    my $open = () = glob "/proc/$pid/fd/*";
    my ($old) = AgentsTest::slurp("/proc/$pid/limits")
                =~ /^Max open files\s+(\d+)/m or return;
    my $set = sub { system("prlimit --pid $pid --nofile=$_[0]: 2>/dev/null") };
    $set->($open + 2);
    $self->later(2, sub { $set->($old); $self->{last} = time });
    return;
}


sub cancel {
    my ($self) = @_;
    my $run = some(grep { !$_->{gone} } @{$self->{runs}}) or return;
    $self->ask($self->node, 'POST', "/agents/runs/$run->{id}/cancel");
    return;
}


sub remove {
    my ($self) = @_;
    my $run = some(grep { !$_->{gone} } @{$self->{runs}}) or return;
    my $answer = $self->ask($self->node, 'DELETE',
                            "/agents/conversations/$run->{conversation}");
    # it may have been done, whatever was answered
    $run->{gone} = $answer->{status} == 204 ? 'gone' : 'perhaps';
    return;
}


# ---- what has to hold ----

sub verify {
    my ($self) = @_;
    my $t = $self->{node}[0];

    $_->[1]->() for splice @{$self->{later}};
    my $left;
    my $done = $t->wait_for(60, sub {
        $left = eval { $t->sql('SELECT count(*) FROM agents_runs'
                               . ' WHERE finished_at IS NULL') };
        sleep 0.2;
        return defined $left && $left == 0;
    });
    ok $done, sprintf 'all %d runs have ended, %.1f s after the last fault',
                      scalar @{$self->{runs}}, time - $self->{last}
        or diag "$left have not:\n", scalar $t->sql(
               'SELECT id, status, owner, epoch, takeovers FROM agents_runs'
               . ' WHERE finished_at IS NULL LIMIT 5');

    my ($status, $out) = $t->ctl_status('check');
    is $status, 0, 'agentsctl check' or diag $out;

    $self->verify_runs($t);
    $self->verify_calls($t);
    diag 'faults: ' . join ', ', map { "$_ $self->{seen}{$_}" }
                                 sort keys %{$self->{seen}};
    diag 'ends: ' . join ', ', map { "$_ $self->{ended}{$_}" }
                               sort keys %{$self->{ended}};
    return;
}


sub verify_runs {
    my ($self, $t) = @_;
    my %row = map { my ($id, @rest) = split /\|/; ($id, \@rest) }
        $t->sql('SELECT id, conversation_id, status,'
                . " COALESCE(error_type, ''), COALESCE(final_text, ''),"
                . " COALESCE(error_message, '') FROM agents_runs");
    my (@lost, @wrong);

    for my $run (@{$self->{runs}}) {
        my $row = $row{$run->{id}};
        if (!$row) {
            push @lost, $run unless $run->{gone};
            next;
        }
        push @wrong, $run if ($run->{gone} || '') eq 'gone';
        my ($c, $state, $error, $text) = @$row;
        $self->{ended}{$error || $state}++;
        next if $state eq 'completed' && $text eq "$run->{label}-end"
                && $c eq $run->{conversation};
        push @wrong, { %$run, row => $row }
            unless $state eq 'failed' && $MAY{$error}
                   && grep { $_ =~ $MAY{$error} } keys %{$self->{seen}};
    }
    is_deeply \@lost, [], 'no accepted run is lost';
    is_deeply \@wrong, [], 'each ended as it may'
        or diag explain [ @wrong[0 .. ($#wrong > 4 ? 4 : $#wrong)] ];

    my %label = map { $_->{conversation} => $_->{label} } @{$self->{runs}};
    my @strange;
    for ($t->sql('SELECT conversation_id, content FROM agents_messages')) {
        my ($c, $content) = /^([^|]+)\|(.*)/s or next;
        my $label = $label{$c} or next;
        push @strange, "$label: $content"
            if grep { $_ ne $label } $content =~ /\b(L\d+x)/g;
    }
    is_deeply \@strange, [], 'no conversation has a word of another';
    return;
}


sub verify_calls {
    my ($self, $t) = @_;
    my (%times, $calls);
    for (@{$t->mock->requests('/mcp')}) {
        my $message = $_->{json};
        next if ($message->{method} || '') ne 'tools/call';
        my $params = $message->{params};
        $calls++;
        $times{$params->{arguments}{text}}++ if $params->{name} ne 'add';
    }
    my @again = grep { $times{$_} > 1 } sort keys %times;
    is_deeply \@again, [], sprintf 'no call was made twice, of %d', $calls || 0;
    return;
}


# Stops the nodes; a sanitizer's report fails.
sub stop {
    my ($self) = @_;
    for my $node (@{$self->{node}}) {
        ok $node->stop, 'nginx stops';
        is_deeply [ $node->sanitizer_reports ], [], 'no sanitizer report';
        my @bad = grep { /\[(?:alert|emerg)\]/
                         && !/exited\ on\ signal\ 9|open\ socket\ .*\ left
                              |Too\ many\ open\ files/x }
                  split /\n/, $node->log;
        is_deeply \@bad, [], 'no alert logged';
    }
    return;
}


1;
