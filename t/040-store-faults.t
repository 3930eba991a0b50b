# What can happen to SQLite's file while runs are in flight: the disk is full, it
# is locked, gone, damaged, may not be written.  Requests get a 503 for now, the
# log says what it is, and runs go on when it is over: nothing is lost, and
# nothing done twice.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

plan skip_all => 'SQLite is not among the stores'
    unless grep { $_ eq 'sqlite' } AgentsTest->stores;

my $root = $> == 0;
my $AUTH = 'agents_auth variables acme ann "read,write";';

subtest 'locked by another process' => \&locked;
subtest 'removed, and put back' => \&removed;
subtest 'damaged, and put right' => \&damaged;
subtest 'no file may grow' => \&no_growth;
subtest 'a disk that is full' => \&full;
subtest 'a file that may not be written' => \&read_only;

done_testing;


sub start {
    my (%o) = @_;
    my $t = AgentsTest->new(store => 'sqlite', auth => $AUTH,
                            http => 'agents_lease 2s;', %o);
    $t->allow(qr/agents store|answered 503/);
    return $t->start;
}


# Runs in whose middle the fault comes.
sub runs {
    my ($t) = @_;
    return map {
        my $c = $t->conversation(mcp => '');
        [ $c, $t->run($c, script(
            { tools => [ [ 'mcp-echo', { text => "a$_" } ] ], delay => 0.3 },
            { tools => [ [ 'mcp-slow', { seconds => 0.3, text => $_ } ] ],
              delay => 0.3 },
            { text => 'end', delay => 0.3 })) ];
    } 1 .. 6;
}


sub refused {
    my ($t, $said) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $answer;
    ok $t->wait_for(20, sub {
        $answer = $t->post('/agents/conversations', $t->conversation_body);
        $answer->{status} == 503 }), 'a POST is refused';
    like $answer->{json}{type}, qr{/store-unavailable$}, 'by name';
    like $answer->{headers}{'retry-after'}, qr/^\d+$/, 'for now';
    ok $t->wait_for(5, sub { $t->log =~ $said }), 'the log says what it is'
        or diag $t->log;
    return;
}


sub goes_on {
    my ($t, @runs) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok $t->wait_for(20, sub {
        $t->post('/agents/conversations', $t->conversation_body)->{status}
        == 201 }), 'it takes writes again' or diag $t->log;
    my (@wrong, @bad);
    for (@runs) {
        my ($c, $run) = @$_;
        $t->wait_for(10, sub {
            $t->get("/agents/runs/$run->{id}")->{status} == 200 });
        $run = $t->finished($run, 40);
        push @wrong, $run->{error} || $run->{status}
            if $run->{status} ne 'completed';
        my $messages = $t->messages($c);
        push @bad, $messages
            if join(' ', map { $_->{role} } @$messages)
               ne 'user assistant tool assistant tool assistant';
    }
    is_deeply \@wrong, [], 'runs go on, and complete';
    is_deeply \@bad, [], 'with every turn once';
    my %calls;
    $calls{join ' ', %{$_->{json}{params}{arguments}}}++
        for grep { ($_->{json}{method} || '') eq 'tools/call'
                   && $_->{json}{params}{name} eq 'echo' }
            @{$t->mock->requests('/mcp')};
    is_deeply [ grep { $_ != 1 } values %calls ], [], 'no call was made twice';
    like $t->ctl('check'), qr/no fault/, 'agentsctl check';
    $t->clean;
    return;
}


# For longer than anyone waits for it.
sub locked {
    my $t = start();
    my @runs = runs($t);
    my $lock = $t->hold;
    refused($t, qr/takes no writes: .*locked/);
    is $t->get('/agents/conversations')->{status}, 200, 'reads go on';
    close $lock;
    goes_on($t, @runs);
    like $t->log, qr/takes writes again/, 'and it says that it is over';
    return;
}


# As when its disk is not mounted: no new one is begun.
sub removed {
    my $t = start();
    my ($file) = $t->store =~ /^sqlite:(.*)/;
    my @runs = runs($t);
    mkdir $t->prefix . '/away';
    rename $file, $t->prefix . '/away/agents.db' or die "rename: $!\n";
    refused($t, qr/removed or replaced/);
    ok $t->wait_for(5, sub { $t->log =~ /is gone: put it back/ }),
       'and what to do';
    is $t->get('/agents/conversations')->{status}, 503, 'reads, too';
    ok !-e $file, 'no new file is made';
    rename $t->prefix . '/away/agents.db', $file or die "rename: $!\n";
    goes_on($t, @runs);
    return;
}


# The middle of the file is not what it was.
sub damaged {
    my $t = start();
    my ($file) = $t->store =~ /^sqlite:(.*)/;
    my @runs = runs($t);
    my $reader = quiet($t);
    my $whole = AgentsTest::slurp($file);
    my $write = sub {
        open my $out, '+<', $file or die "$file: $!\n";
        syswrite $out, $_[0];
        close $out;
    };
    $write->('x' x length $whole);
    kill 'CONT', $t->workers;
    refused($t, qr/malformed|not a database|disk image/);
    $write->($whole);
    close $reader;
    goes_on($t, @runs);
    return;
}


# The workers are stopped, at a moment when all is in the one file; the reader
# that this gives sees to it that nothing is moved there afterwards.
sub quiet {
    my ($t) = @_;
    my $mark = $t->prefix . '/reader';
    my ($file) = $t->store =~ /^sqlite:(.*)/;
    $t->wait_for(20, sub {
        kill 'STOP', $t->workers;
        return 1 if $t->sql('PRAGMA busy_timeout = 50;'
            . ' PRAGMA wal_checkpoint(TRUNCATE);') =~ /^0\|0\|0$/m;
        kill 'CONT', $t->workers;
        return;
    }) or die "no checkpoint\n";
    open my $reader, '|-', 'sqlite3', '-batch', $file or die "sqlite3: $!\n";
    print {$reader} "BEGIN;\nSELECT 1 FROM agents_workers WHERE id = '';\n"
                    . ".shell touch $mark\n";
    $reader->flush;
    $t->wait_for(10, sub { -e $mark }) or die "no reader\n";
    return $reader;
}


# As on a full disk, by a limit of the processes.
sub no_growth {
    my $t = start();
    my @workers = $t->workers;
    my @runs = runs($t);
    my $set = sub {
        for my $pid (@workers) {
            system("prlimit --pid $pid --fsize=$_[0]: 2>/dev/null") == 0
                or return 0;
        }
        return 1;
    };
    return plan skip_all => 'no prlimit' unless $set->(4096);
    my $answer;
    ok $t->wait_for(20, sub {
        $answer = $t->post('/agents/conversations', $t->conversation_body);
        $answer->{status} == 503 }), 'a POST is refused';
    $set->('unlimited');
    goes_on($t, @runs);
    unlike $t->log, qr/exited on signal/, 'no worker has died';
    return;
}


sub full {
    my $t = AgentsTest->new(store => 'sqlite', auth => $AUTH,
                            http => 'agents_lease 2s;');
    my $dir = $t->prefix . '/disk';
    mkdir $dir;
    return plan skip_all => 'no tmpfs can be mounted here'
        unless $root && system("mount -t tmpfs -o size=3m none $dir"
                               . ' 2>/dev/null') == 0;
    my $mounted = bless [ $dir ], 'Mounted';
    $t->{store} = "sqlite:$dir/agents.db";
    $t->allow(qr/agents store|answered 503/);
    $t->start;
    my @runs = runs($t);
    open my $out, '>', "$dir/ballast" or die "ballast: $!\n";
    1 while syswrite $out, 'x' x 4096;
    close $out;
    refused($t, qr/takes no writes: .*full|disk I\/O error/);
    unlink "$dir/ballast";
    goes_on($t, @runs);
    return;
}


# However the test ends.
sub Mounted::DESTROY { return system("umount -l $_[0][0]") }


# Workers that begin then cannot open it.
sub read_only {
    return plan skip_all => 'root may write anything, and others need root'
        unless $root;
    my ($uid, $gid) = (getpwnam 'nobody')[2, 3];
    my $t = AgentsTest->new(store => 'sqlite', auth => $AUTH,
        http => 'agents_lease 2s; client_body_temp_path /tmp;',
        replace => { 'user root;' => 'user nobody nogroup;',
                     'client_body_temp_path tmp_body;' => '' });
    my $dir = $t->prefix . '/store';
    mkdir $dir;
    chmod 0755, $t->prefix, $t->prefix . '/logs';
    chown $uid, $gid, $dir;
    $t->{store} = "sqlite:$dir/agents.db";
    $t->allow(qr/agents store|answered 503|Permission denied/);
    $t->start;
    my @runs = runs($t);
    my @files = glob "$dir/agents.db*";
    chmod 0444, @files;
    chmod 0555, $dir;
    ok $t->reload(gone => 1), 'a reload, when it is read-only';
    refused($t, qr/agents store .*(?:readonly|unable)/);
    chmod 0755, $dir;
    chmod 0644, glob "$dir/agents.db*";
    goes_on($t, @runs);
    return;
}
