# No memory: allocations of a worker fail while runs are in flight.  Nothing
# crashes, what is new is refused for now, and what was accepted goes on when
# there is memory again.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use File::Temp;

# sanitizers have an allocator of their own, which fails by ending the process
plan skip_all => 'not under sanitizers' if AgentsTest::build_dir() =~ /asan/;

my $dir = File::Temp::tempdir('agents-starve-XXXXXX', TMPDIR => 1,
                              CLEANUP => 1);
my $file = "$dir/starve";
system('cc', '-O1', '-shared', '-fPIC', '-o', "$dir/starve.so",
       "$FindBin::Bin/lib/starve.c") == 0 or die "starve.c\n";
starve(0);

# What is short is each worker's.
for my $m (map { { store => $_, workers => 1, name => $_ } }
               AgentsTest->stores) {
    for my $every (400, 60) {
        subtest "allocations fail, one of $every on $m->{name}" =>
            sub { starved($m, $every) };
    }
    subtest "one allocation fails on $m->{name}" => sub { single($m) };
}

done_testing;


# Each so manieth allocation of these processes fails; 0: none does; below 0:
# only the one that is so many away.
sub starve {
    my ($every, @pids) = @_;
    open my $out, -e $file ? '+<' : '>', $file or die "$file: $!\n";
    syswrite $out, pack 'l16', $every, @pids, (0) x (15 - @pids);
    close $out;
    return;
}


sub start {
    my ($m) = @_;
    my $t = AgentsTest->new(%$m);
    $t->allow(qr/memory|alloc|memalign|answered 50[03]|store/i,
              qr/no effective configuration|failed \(12:/,
              qr/a request to mcp server "mcp" cannot be made yet/);
    local $ENV{LD_PRELOAD} = "$dir/starve.so";
    local $ENV{AGENTS_STARVE} = $file;
    return $t->start;
}


sub starved {
    my ($m, $every) = @_;
    my $t = start($m);
    my @workers = $t->workers;
    my @runs = map {
        $t->run($t->conversation(mcp => ''), script(
            { tools => [ [ 'mcp-echo', { text => "a$_" } ],
                         [ 'mcp-slow', { seconds => 0.2 } ] ], delay => 0.2 },
            { tools => [ [ 'mcp-add', { a => $_, b => 0 } ] ], delay => 0.2 },
            { text => 'end', delay => 0.2 })) } 1 .. 12;

    starve($every, @workers);
    my ($requests, @strange) = (0);
    my $until = time + 2;
    while (time <= $until) {
        my ($accepted, @answers) = request($t);
        push @runs, @$accepted;
        $requests += @answers;
        # 599: nginx itself had nothing to answer with
        push @strange, grep { $_->{status} !~ /^(?:20[012]|503|599)$/
                              || $_->{status} == 503
                                 && !$_->{headers}{'retry-after'} } @answers;
    }
    starve(0);
    is_deeply [ map { "$_->{status} $_->{content}" } @strange ], [],
              "$requests requests are answered, or refused for now";

    ok $t->wait_for(15, sub {
        $t->get('/agents/conversations?per_page=1')->{status} == 200 }),
       'with memory it answers again';
    my @ends = map { $t->finished($_, 40) } @runs;
    is_deeply [ map { $_->{error}{message} || () } @ends ], [],
              'all ' . @runs . ' runs go on, and complete';
    is_deeply [ $t->workers ], \@workers, 'by the same worker';
    like $t->ctl('check'), qr/no fault/, 'agentsctl check';
    $t->clean;
    return;
}


# At any point of a request or of its run, of both of the protocol's eras: what
# could not be read or checked is not found wrong (400), either.
sub single {
    my ($m) = @_;
    my $t = start($m);
    my @workers = $t->workers;
    my $seed = int rand 1e6;
    srand $seed;
    my (@runs, %seen, @strange);
    for my $i (1 .. 40) {
        starve(0);
        $t->wait_for(15, sub {
            $t->get('/agents/conversations?per_page=1')->{status} == 200 });
        my $c = $t->conversation(name => 'x',
                                 mcp => $i % 2 ? '' : '/modern');
        starve(-1 - int rand 700, @workers);
        my $answer = $t->post("/agents/conversations/$c->{id}/runs",
            $t->run_body($c, script(
                { tools => [ [ 'mcp-echo', { text => $i } ] ] },
                { text => 'end' }),
            $i % 3 ? () : (config_override => { temperature => 0.3,
                                                max_iterations => 5 })));
        $seen{$answer->{status}}++;
        if ($answer->{status} != 202) {
            push @strange, $answer if $answer->{status} !~ /^(?:503|599)$/;
            next;
        }
        my $run;
        $t->wait_for(40, sub {
            $run = $t->get("/agents/runs/$answer->{json}{id}")->{json};
            $run && ($run->{status} // '') =~ /^(?:completed|failed)$/ });
        push @runs, $run;
        push @strange, $run if ($run->{status} // '') ne 'completed';
    }
    starve(0);
    note "seed $seed: ", explain \%seen;
    is_deeply \@strange, [], 'a request is refused for now, and a run completes'
        or diag "seed $seed";
    my %calls;
    $calls{$_->{json}{params}{arguments}{text}}++
        for grep { ($_->{json}{method} || '') eq 'tools/call' }
            @{$t->mock->requests('/mcp')};
    is_deeply [ grep { $calls{$_} != 1 } keys %calls ], [],
              'no call is made twice';
    cmp_ok scalar @runs, '>', 10, 'of which there are enough';
    is_deeply [ $t->workers ], \@workers, 'by the same worker';
    like $t->ctl('check'), qr/no fault/, 'agentsctl check';
    $t->clean;
    return;
}


# A list, a conversation, and a run of it: those that were accepted, and all
# answers.
sub request {
    my ($t) = @_;
    my @answers = ($t->get('/agents/conversations?per_page=3'),
                   $t->post('/agents/conversations', $t->conversation_body));
    my $id = $answers[1]{status} == 201 ? $answers[1]{json}{id} : undef;
    return ([], @answers) if !$id;

    push @answers, $t->post("/agents/conversations/$id/runs",
                            $t->run_body({ version => 0 }, 'hello'));
    return ([ grep { $_ } $answers[2]{json}{id} ], @answers)
        if $answers[2]{status} == 202;
    return ([], @answers);
}
