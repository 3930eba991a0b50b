package AgentsTest::Chaos;

# Runs with tool calls while things break: a 202 is a promise.
#
#     my $chaos = AgentsTest::Chaos->new(store => 'postgres', seed => 7,
#         faults => [ qw(kill_worker reload ...) ]);
#     $chaos->storm(runs => 300, seconds => 10, every => 1);
#     # or begin(...), then step as long as it is true, then calm
#     $chaos->verify;                             # tests, see below
#     $chaos->stop;
#
# PostgreSQL has a cluster of its own, which can be stopped, and two nodes,
# which share it and one scripted server.  Clients (AgentsTest::Chaos::Client)
# carry conversations until so many runs were accepted and so many seconds have
# passed; the faults, methods of this package, come all the while.
#
# verify() waits until the clients have seen all their runs to an end (within
# 60 s of the last fault), and tests that no client saw what it should not,
# that agentsctl finds the store clean, that every accepted run is there, and no
# other, that no call of a tool that is not idempotent was made twice, that no
# conversation has what is another's, and that runs changed hands in time
# (AgentsTest::Chaos::Owners).

use strict;
use warnings;
use IO::Select;
use JSON::PP;
use List::Util qw(shuffle);
use POSIX qw(WNOHANG);
use Test::More;
use Time::HiRes qw(sleep time);
use AgentsTest;
use AgentsTest::Chaos::Client;
use AgentsTest::Chaos::Owners;

our $LEASE = 3;
my $CLIENTS = 8;

# Each store's, and how long it takes from one to the next, unless told.
my %FAULTS = (
    kill_worker   => { every => 2.5 },
    kill_node     => { every => 6 },
    stop_worker   => { every => 3 },
    reload        => { every => 1, seconds => 60 },
    few_files     => { every => 2.5 },
    little_memory => { every => 2.5 },
    kill_backends => { every => 1, store => 'postgres' },
    stop_postgres => { every => 5, store => 'postgres' },
);

# Where a worker may open no file, no worker is to be started: nginx's workers
# are sent the descriptors of new ones, and one that cannot take them misreads
# the message, and closes whatever it has.
my %STARTS = map { $_ => 1 } qw(kill_worker kill_node reload);

# What a run may end as, other than completed, and due to which faults.
my %MAY = (
    AgentLoopCancelled          => qr/^cancel$/,
    AgentLoopAbandoned          => qr/^(?:kill|stop)_worker$/,
    AgentLoopInternal           => qr/^little_memory$/,
);


sub new {
    my ($class, %o) = @_;
    my $self = bless { nodes => $o{store} eq 'postgres' ? 2 : 1, faults => [],
                       seed => int rand 1e6, clients => $CLIENTS, %o,
                       runs => {}, removed => {}, wrong => [], later => [],
                       ended => {}, count => {}, seen => {} }, $class;
    srand $self->{seed};
    diag join(', ', @{$self->{faults}}) . " on $self->{store}:"
         . " seed $self->{seed}";

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
                      tokens => $first->{tokens}) : (workers => 3),
            http => "agents_lease ${LEASE}s; agents_drain_timeout 60s;",
            location => 'agents_max_runs_per_user 10000;',
            replace => { 'listen 127.0.0.1:%PORT%;' =>
                         'listen 127.0.0.1:%PORT% reuseport;' });
        $self->{node}[-1]->ctl('migrate') unless $first;
    }
    my $t = $self->{node}[0];
    $self->{owners} = AgentsTest::Chaos::Owners->new($t, lease => $LEASE)
        if $self->{cluster};
    $_->start for @{$self->{node}};
    $self->{owners} ||= AgentsTest::Chaos::Owners->new($t, lease => $LEASE);
    return $self;
}


# The faults that a store can have, by their names.
sub faults {
    my ($store) = @_;
    # a sanitizer has no use for what little memory leaves it
    return grep { ($FAULTS{$_}{store} || $store) eq $store
                  && !($_ eq 'little_memory' && $ENV{ASAN_OPTIONS}) }
           sort keys %FAULTS;
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

sub start_clients {
    my ($self) = @_;
    pipe(my $in, my $out) or die "pipe: $!\n";
    for my $n (1 .. $self->{clients}) {
        my @nodes = map { { base => $_->base,
                            token => $_->token(user => "u$n") } }
                    @{$self->{node}};
        push @{$self->{client}}, AgentsTest::Chaos::Client->start(
            name => "L$n", seed => $self->{seed} + $n * 1e6, say => $out,
            nodes => \@nodes, mcp => $self->{node}[0]->mcp,
            reloads => scalar grep { $_ eq 'reload' } @{$self->{faults}});
    }
    $self->{from} = $in;
    $self->{heard} = '';
    return;
}


# Reads what the clients say: nothing once they have all left.
sub listen {
    my ($self, $seconds) = @_;
    my $end = time + $seconds;

    while (1) {
        my $left = $end - time;
        IO::Select->new($self->{from})->can_read($left > 0 ? $left : 0)
            or return 1;
        sysread($self->{from}, $self->{heard}, 65536, length $self->{heard})
            or return;
        while ($self->{heard} =~ s/\A(.*)\n//) {
            $self->hear(decode_json($1));
        }
    }
}


sub hear {
    my ($self, $line) = @_;
    if ($line->{accepted}) {
        $self->{runs}{$line->{accepted}} = $line;
        $self->{conversations}{$line->{conversation}} = $line->{label};

    } elsif ($line->{ended}) {
        $self->{runs}{$line->{ended}}{end} = $line;
        $self->{unknown} += $line->{unknown};
        $self->{failed} += $line->{failed} if $line->{status} ne 'failed';

    } elsif ($line->{removed}) {
        $self->{removed}{$line->{removed}} = 1;

    } elsif ($line->{wrong}) {
        push @{$self->{wrong}}, $line->{wrong};

    } else {
        $self->{count}{$_} += $line->{$_} for keys %$line;
    }
    return;
}


# Until so many runs were accepted, and so long, with a fault every so often.
sub storm {
    my ($self, %o) = @_;
    $self->begin(%o);
    1 while $self->step;
    return $self->calm;
}


sub begin {
    my ($self, %o) = @_;
    my $only = @{$self->{faults}} == 1 ? $FAULTS{$self->{faults}[0]} : {};
    $self->{every} = $o{every} || $only->{every} || 1;
    $self->{end} = time + ($o{seconds} || $only->{seconds} || 10);
    $self->{least} = $o{runs} || 0;
    @$self{qw(began next)} = (time, time + 0.5);
    $self->start_clients;
    return $self;
}


# What is due; true as long as it is not the end.
sub step {
    my ($self) = @_;
    my $faults = $self->{left} ||= [];
    die "too few runs were accepted\n" if time > $self->{end} + 300;

    if (time >= $self->{next}) {
        # each of them comes before one comes again
        @$faults = shuffle(@{$self->{faults}}) unless @$faults;
        my ($i) = grep { !($self->{short} && $STARTS{$faults->[$_]}) }
                  0 .. $#$faults;
        $self->fault(splice @$faults, $i, 1) if defined $i;
        $self->{next} = time + $self->{every} * (0.5 + rand);
    }
    while (@{$self->{later}} && $self->{later}[0][0] <= time) {
        (shift @{$self->{later}})->[1]->();
    }
    $self->listen(0.05);
    return time < $self->{end} || keys %{$self->{runs}} < $self->{least};
}


# No more faults, and what is broken is made whole: no new conversations,
# either.
sub calm {
    my ($self) = @_;
    $self->{calm} = 1;
    $_->[1]->() for splice @{$self->{later}};
    $self->{last} ||= time;
    $self->{took} = time - $self->{began};
    kill 'USR1', map { $_->{pid} } @{$self->{client}};
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
    $self->{owners}->gone($pid);
    return;
}


sub kill_node {
    my ($self) = @_;
    my $node = $self->node;
    my $master = $node->pid or return;
    my @workers = $node->workers;
    my @pids = ($master, @workers);
    my ($since) = map { $self->{stopped}{$_} || () } @workers;
    my $locked = $since && $self->locked;
    kill 'KILL', @pids;
    $self->{owners}->store_away($since) if $locked;
    $self->{owners}->gone($_) for @workers;
    $node->wait_for(5, sub { !grep { AgentsTest::alive($_) } @pids });
    delete @{$self->{stopped}}{@pids};
    unlink $node->prefix . '/nginx.pid';
    local $node->{wait} = 0;
    $node->start;
    return;
}


# For longer than its lease: then it finds that its runs are another's.  One at
# a time: who is to take them otherwise?
sub stop_worker {
    my ($self) = @_;
    return if %{$self->{stopped} || {}};
    my $pid = $self->worker($self->node) or return;
    my $since = time;
    kill 'STOP', $pid;
    $self->{owners}->gone($pid);
    $self->{stopped}{$pid} = $since;
    $self->later($LEASE + 1 + rand 5, sub {
        my $locked = $self->{stopped}{$pid} && $self->locked;
        kill 'CONT', $pid;
        $self->{owners}->store_away($since) if $locked;
        $self->{owners}->back($pid) if delete $self->{stopped}{$pid};
        $self->{last} = time;
    });
    return;
}


# Whether no one can write to SQLite: the worker that is stopped was about to.
sub locked {
    my ($self) = @_;
    my ($file) = $self->{node}[0]->store =~ /^sqlite:(.*)/ or return 0;
    my $locked = system "sqlite3 -batch -cmd '.timeout 300' $file"
                        . " 'BEGIN IMMEDIATE; ROLLBACK' >/dev/null 2>&1";
    $self->{locks}++ if $locked;
    return $locked;
}


sub reload {
    my ($self) = @_;
    my $node = $self->node;
    my $pid = $node->pid or return;
    $self->{owners}->retired($_) for $node->workers;
    kill 'HUP', $pid;
    return;
}


# Meanwhile everything else goes on.
sub stop_postgres {
    my ($self) = @_;
    return if $self->{restart};
    my $since = time;
    my $pid = fork;
    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
        my $away = rand 2;
        eval { $self->{cluster}->stop; sleep $away; $self->{cluster}->start };
        print STDERR $@ if $@;
        POSIX::_exit($@ ? 1 : 0);
    }
    $self->{restart} = $pid;
    $self->later(0, sub { $self->restarted($since) });
    return;
}


sub restarted {
    my ($self, $since) = @_;
    local $?;
    if (waitpid($self->{restart}, $self->{calm} ? 0 : WNOHANG) == 0) {
        return $self->later(0.1, sub { $self->restarted($since) });
    }
    die "PostgreSQL did not start\n" if $?;
    delete $self->{restart};
    $self->{owners}->store_away($since);
    $self->{last} = time;
    return;
}


sub kill_backends {
    my ($self) = @_;
    return if $self->{restart};
    $self->{node}[0]->sql('SELECT count(pg_terminate_backend(pid))'
        . ' FROM pg_stat_activity WHERE datname = current_database()'
        . ' AND pid <> pg_backend_pid() AND random() < 0.4');
    $self->{owners}->store_away(time);
    return;
}


# A limit of a worker that has none yet, for two seconds.
sub limited {
    my ($self, $name, $limit, $value) = @_;
    my $pid = $self->worker($self->node) or return;
    my ($old) = AgentsTest::slurp("/proc/$pid/limits")
                =~ /^\Q$name\E\s+(\d+|unlimited)/m or return;
    my $set = sub {
        system "prlimit --pid $pid --$limit=$_[0]: 2>/dev/null";
    };
    return if $self->{limited}{$pid}++;
    my $since = time;
    $set->($value->($pid));
    $self->later(2, sub {
        $set->($old);
        delete $self->{limited}{$pid};
        $self->{owners}->weak($pid, $since);
        $self->{last} = time;
    });
    return;
}


# No more descriptors than it has, or two.
sub few_files {
    my ($self) = @_;
    return $self->limited('Max open files', nofile => sub {
        $self->{short}++;
        $self->later(2.5, sub { $self->{short}-- });
        my $open = () = glob "/proc/$_[0]/fd/*";
        return $open + 2;
    });
}


# Hardly more memory than it has, or less.
sub little_memory {
    my ($self) = @_;
    my ($name, $limit, $is) = @{some([ 'Max address space', 'as', 'VmSize' ],
                                     [ 'Max data size', 'data', 'VmData' ])};
    return $self->limited($name, $limit, sub {
        my ($kb) = AgentsTest::slurp("/proc/$_[0]/status")
                   =~ /^$is:\s+(\d+)/m;
        return int(1024 * $kb * (0.9 + rand 0.11));
    });
}


# ---- what has to hold ----

sub verify {
    my ($self) = @_;
    my $t = $self->{node}[0];
    my $last = $self->{last};

    1 while time < $last + 60 && $self->listen(0.2);

    my @open = grep { !$_->{end} && !$self->{removed}{$_->{conversation}} }
               values %{$self->{runs}};
    ok !@open, sprintf 'all %d runs have ended, %.1f s after the last fault',
                       scalar keys %{$self->{runs}}, time - $last
        or diag explain [ @open[0 .. ($#open > 4 ? 4 : $#open)] ];
    $self->stop_clients;
    is_deeply $self->{wrong}, [], 'no client saw anything strange';
    is $t->sql('SELECT count(*) FROM agents_runs WHERE finished_at IS NULL'),
       0, 'no run is under way';

    my ($status, $out) = $t->ctl_status('check');
    is $status, 0, 'agentsctl check' or diag $out;

    $self->verify_runs($t);
    $self->verify_messages($t);
    $self->verify_calls($t);
    $self->verify_times;
    return;
}


sub stop_clients {
    my ($self) = @_;
    my @pids = map { $_->{pid} } splice @{$self->{client}};
    local $?;
    kill 'TERM', @pids;
    waitpid $_, 0 for @pids;
    close $self->{from} if $self->{from};
    return;
}


sub verify_runs {
    my ($self, $t) = @_;
    my %row = map { my ($id, @rest) = split /\|/; ($id, \@rest) }
        $t->sql('SELECT id, conversation_id, status,'
                . " COALESCE(error_type, ''), COALESCE(error_message, '')"
                . ' FROM agents_runs');
    my (@lost, @wrong, %ended, %why);

    for my $run (values %{$self->{runs}}) {
        my $row = delete $row{$run->{accepted}};
        if ($self->{removed}{$run->{conversation}}) {
            $ended{deleted}++;
            push @wrong, $run if $row;
            next;
        }
        push @lost, $run and next unless $row;
        my ($c, $state, $error, $message) = @$row;
        $ended{$error || $state}++;
        $why{"$error: $message"}++
            if $error && $error ne 'AgentLoopCancelled';
        next if $c eq $run->{conversation} && $state ne 'failed';
        push @wrong, { %$run, row => $row }
            unless $state eq 'failed' && $MAY{$error}
                   && grep { $_ =~ $MAY{$error} } $run->{kind},
                           keys %{$self->{seen}};
    }
    is_deeply \@lost, [], 'no accepted run is lost';
    is_deeply \@wrong, [], 'each ended as it may'
        or diag explain [ @wrong[0 .. ($#wrong > 4 ? 4 : $#wrong)] ];
    is_deeply [ sort keys %row ], [], 'and there is no other';

    my $count = $self->{count};
    diag sprintf '%d runs in %.0f s; %s', scalar keys %{$self->{runs}},
                 $self->{took}, counts(\%ended);
    diag "$why{$_} times $_" for sort keys %why;
    diag "a stopped worker had SQLite's lock $self->{locks} times"
        if $self->{locks};
    diag 'faults: ', counts($self->{seen});
    diag sprintf 'requests: %d, %d without an answer; POSTs: %d made again,'
                 . ' %d hung up; %d looks', map { $_ || 0 }
                 @$count{qw(asked unanswered again hung_up looks)};
    $self->{ended} = \%ended;
    return;
}


sub counts {
    my ($of) = @_;
    return join ', ', map { "$_ $of->{$_}" } sort keys %$of;
}


sub verify_messages {
    my ($self, $t) = @_;
    my @strange;
    for ($t->sql('SELECT conversation_id, content FROM agents_messages')) {
        my ($c, $content) = /^([^|]+)\|(.*)/s or next;
        my $label = $self->{conversations}{$c} || 'none';
        push @strange, "$label: $content"
            if grep { $_ ne $label } $content =~ /\b(L\d+n\d+x)/g;
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
    is_deeply \@again, [], 'no call was made twice';
    is $self->{unknown} || 0, 0, 'nor was one cut off by a reload'
        if join(' ', keys %{$self->{seen}}) eq 'reload';
    diag sprintf 'calls: %d, the outcome of %d is unknown, %d failed',
                 map { $_ || 0 } $calls, @$self{qw(unknown failed)};
    return;
}


sub verify_times {
    my ($self) = @_;
    my $times = $self->{owners}->times(@{$self->{node}});
    is_deeply $times->{late}, [], 'takeovers are in time';
    is_deeply $times->{slow}, [], 'and so are handovers';
    diag "takeovers: ", median(@{$times->{takeovers}}), '; handovers: ',
         median(@{$times->{handovers}}),
         "; unwitnessed $times->{unwitnessed}; taken off the living"
         . " $times->{lost}; the machine stood still for",
         sprintf ' %.2f s', $times->{halted};
    $self->{times} = $times;
    return;
}


sub median {
    my @times = sort { $a <=> $b } @_;
    return 'none' unless @times;
    return sprintf '%d, median %.2f s, max %.2f s', scalar @times,
                   $times[@times / 2], $times[-1];
}


# Stops the nodes; a sanitizer's report fails.
sub stop {
    my ($self) = @_;
    for my $node (@{$self->{node}}) {
        ok $node->stop, 'nginx stops';
        is_deeply [ $node->sanitizer_reports ], [], 'no sanitizer report';
        is_deeply [ $self->alerts($node->log) ], [], 'no alert logged';
    }
    $self->{owners}->stop;
    return;
}


# Those that are none of the faults' doing.
sub alerts {
    my ($self, $log) = @_;
    my @bad = grep { /\[(?:alert|emerg)\]/
                     && !/exited\ on\ signal\ 9|open\ socket\ .*\ left
                          |Too\ many\ open\ files
                          |recvmsg\(\)\ truncated/x } split /\n/, $log;
    return @bad unless $self->{seen}{little_memory};

    # with no memory to load a library, glibc ends a process whose thread ends:
    # that of a worker that has left all else behind.  libcurl may crash.  The
    # kernel, libcurl and the module each have their words for a want of memory.
    my $aborted = () = $log =~ /^libgcc_s\.so\.1 must be installed/mg;
    my $crashed = grep { /exited on signal 11/ } @bad;
    diag "$crashed workers without memory crashed" if $crashed;
    return grep { !/\bmemory\b|exited on signal 11/
                  && !(/exited on signal 6/ && $aborted-- > 0) } @bad;
}


sub DESTROY {
    my ($self) = @_;
    local ($?, $@);
    waitpid $self->{restart}, 0 if $self->{restart};
    $self->stop_clients if @{$self->{client} || []};
    return;
}


1;
