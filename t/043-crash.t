# A worker that is killed with runs in flight: others take them over from the
# last step that was written; none is lost, none is committed twice.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use Time::HiRes qw(sleep time);

my $N = 20;
my @SCRIPT = ({ tools => [ [ 'mcp-echo', { text => 'x' } ] ], delay => 0.4 },
              { tools => [ [ 'mcp-add', { a => 1, b => 2 } ],
                           [ 'mcp-echo', { text => 'y' } ] ], delay => 0.4 },
              { text => 'end', delay => 0.4 });

for my $m (AgentsTest->matrix) {
    my $store = $m->{name};
    my $t = AgentsTest->new(%$m, http => 'agents_lease 1s;',
        replace => { "listen 127.0.0.1:%PORT%;" =>
                     "listen 127.0.0.1:%PORT% reuseport;" })->start;
    # the kill, and what the killed left open
    $t->allow(qr/exited on signal 9/);

    subtest "one worker killed on $store" => sub { one($t) };
    # waiting for leases takes its time: these two once
    subtest "a call in flight on $store" => sub { in_flight($t) }
        if $m->{store} ne 'postgres';
    subtest "all of nginx killed on $store" => sub { all($t) }
        if $m->{store} ne 'sqlite';
    $t->clean("$store: no error logged");
}

done_testing;


sub start_runs {
    my ($t, @script) = @_;
    return map {
        my $c = $t->conversation(name => "run $_", mcp => '');
        # a connection each, so that both workers get some
        my $answer = $t->post("/agents/conversations/$c->{id}/runs",
            $t->run_body($c, script(@script)),
            headers => { Connection => 'close' });
        die "$answer->{status}\n" unless $answer->{status} == 202;
        [ $c, $answer->{json} ];
    } 1 .. $N;
}


sub all_end {
    my ($t, $seconds, @started) = @_;
    my (@wrong, @bad);
    my $begin = time;

    for (@started) {
        my ($c, $run) = @$_;
        $run = $t->finished($run, 40);
        push @wrong, [ $run->{status}, $run->{error} ]
            if $run->{status} ne 'completed' || $run->{final_text} ne 'end';

        my $messages = $t->messages($c);
        my $version = $t->reread($c)->{version};
        my (%uses, %results);
        $uses{$_->{tool_use_id}}++
            for grep { $_->{type} eq 'tool_use' }
                map { @{$_->{content_blocks}} } @$messages;
        $results{$_->{tool_use_id}}++
            for grep { $_->{type} eq 'tool_result' }
                map { @{$_->{content_blocks}} } @$messages;
        push @bad, $messages
            if join(' ', map { $_->{role} } @$messages)
                   ne 'user assistant tool assistant tool assistant'
               || join(' ', map { $_->{sequence_no} } @$messages)
                  ne "1 2 3 4 5 6"
               || $version != 6
               || grep({ $_ != 1 } values %uses, values %results)
               || keys %uses != keys %results
               || @{$run->{submitted_inference_job_ids}}
                  != $run->{iterations_used};
    }
    is_deeply \@wrong, [], 'every run completes';
    is_deeply \@bad, [], 'each step is committed once';
    my $took = time - $begin;
    ok $took < $seconds, "within the lease and five seconds: $took s";
    return;
}


# The test's own connection may be to one of them.
sub kill_workers {
    my ($t, @pids) = @_;
    delete $t->{http_client};
    kill 'KILL', @pids;
    $t->wait_for(5, sub { !grep { AgentsTest::alive($_) } @pids });
    return;
}


sub one {
    my ($t) = @_;
    $t->wait_for(5, sub { $t->workers == $t->{workers} }) or die "workers\n";
    my @workers = $t->workers;
    my @started = start_runs($t, @SCRIPT);
    kill_workers($t, $workers[0]);
    all_end($t, 10, @started);
    ok $t->wait_for(5, sub { $t->workers == $t->{workers} }), 'nginx has a new worker';
    return;
}


# One that is asked to mend its answer when its worker dies, in its last
# iteration: it is known to the next one what is wrong with it.
sub mending {
    my ($t) = @_;
    my $c = $t->conversation(name => 'mending', max_iterations => 2,
        output_format_schema => { type => 'object', properties => {
            n => { type => 'integer', maximum => 9 } } });
    my $run = $t->run($c, script({ text => '{"n": 4711}' },
                                 { text => '{"n": 3}', delay => 4 }));
    $t->wait_for(10, sub { mends($t) == 1 })
        or die "it is not asked for anew\n";
    return [ $c, $run ];
}


sub mends {
    my ($t) = @_;
    return scalar grep { $_->{body} =~ /does not match the required schema/ }
                  @{$t->mock->requests('/v1/chat')};
}


sub is_mended {
    my ($t, $started) = @_;
    my ($c, $run) = @$started;
    $run = $t->finished($run, 30);
    is_deeply $run->{final_structured_output}, { n => 3 },
       'an answer that was being mended is mended'
        or diag explain $run->{error};
    is $run->{iterations_used}, 2, 'within the budget';
    is scalar @{$run->{submitted_inference_job_ids}}, 2, 'of two jobs';
    is mends($t), 2, 'both workers asked for it alike';
    is_deeply [ map { $_->{role} } @{$t->messages($c)} ],
              [ qw(user assistant) ], 'the first one is in no message';
    is $t->sql("SELECT COUNT(*) FROM agents_runs WHERE repair IS NOT NULL"), 0,
       'nothing of it is kept';
    return;
}


# The model is told when nobody knows what became of a call; what can be
# repeated without harm is.
sub in_flight {
    my ($t) = @_;
    my $c = $t->conversation(mcp_servers => [
        { alias => 'mcp', url => $t->mcp },
        { alias => 'late', url => $t->mcp('/slow-call') } ]);
    $t->mock->forget;
    my $run = $t->run($c, script({ tools => [
        [ 'mcp-slow', { seconds => 3 }, 's' ],
        [ 'late-add', { a => 1, b => 2 }, 'a' ],
        [ 'mcp-echo', { text => 'quick' }, 'e' ] ] }, { text => 'end' }));

    my $seen = $t->wait_for(5, sub {
        my $live = $t->get("/agents/runs/$run->{id}")->{json}{live}{messages};
        return @$live == 2; });
    ok $seen, 'one call has its result, two are on their way';
    my $mending = mending($t);
    kill_workers($t, $t->workers);

    $run = $t->finished($run, 30);
    is $run->{final_text}, 'end', 'the run completes'
        or diag explain $run->{error};
    my ($tool) = grep { $_->{role} eq 'tool' } @{$t->messages($c)};
    my %result = map { $_->{tool_use_id} => $_ } @{$tool->{content_blocks}};
    is $result{e}{content}[0]{text}, 'quick', 'the written result stays';
    is $result{s}{is_error}, JSON::PP::true, 'a call that may have been made';
    like $result{s}{content}[0]{text}, qr/unknown/i, 'is said to be unknown';
    is $result{a}{content}[0]{text}, '3', 'a read-only one is made again';

    my %calls;
    $calls{$_->{json}{params}{name}}++
        for grep { ($_->{json}{method} || '') eq 'tools/call' }
            @{$t->mock->requests('/mcp')};
    is_deeply \%calls, { slow => 1, add => 2, echo => 1 }, 'and no other';
    is_mended($t, $mending);
    return;
}


sub all {
    my ($t) = @_;
    $t->mock->forget;
    my $mending = mending($t);
    my @started = start_runs($t, @SCRIPT);
    sleep 0.2;
    kill_workers($t, $t->pid, $t->workers);
    unlink $t->prefix . '/nginx.pid';
    $t->start;
    all_end($t, 10, @started);
    is_mended($t, $mending);
    return;
}
