# Cancelling runs, in whatever state, on whichever worker or node: what is
# under way is cut off at once, the run ends once, and what it had done stays.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Burst;
use AgentsTest::Workers;
use Time::HiRes qw(sleep time);

# what "within a second" is allowed to be on a machine with other things to do
my $SECOND = 1.5;
my $MODEL = '/v1/chat/completions';
my ($t, $via, $one, $two);

for my $m (AgentsTest->matrix) {
    my $store = $m->{name};
    $t = AgentsTest->new(%$m, AgentsTest::Workers::conf(),
        plane => 'cluster narrow max_inferences=1;',
        http => 'agents_lease 1s;')->start;
    $via = AgentsTest::Workers->new($t);
    ($one, $two) = ($via->pids)[0, -1];

    subtest "in an inference on $store" => \&inferring;
    subtest "after a turn on $store" => \&after_turn;
    subtest "in tool calls on $store" => \&calling;
    subtest "in discovery on $store" => \&discovering;
    subtest "in line on $store" => \&queued;
    subtest "between two tries on $store" => \&retrying;
    subtest "a run that has ended on $store" => \&ended;
    subtest "whose run it is on $store" => \&whose;
    subtest "at the same moment as the end on $store" => \&race;
    subtest "many at once on $store" => \&many;
    subtest "on another node on $store" => \&node;
    subtest "without an owner on $store" => \&killed;
    $t->clean("$store: no error logged");
}

for my $workers (1, 4) {
    $t = AgentsTest->new(store => 'sqlite', workers => $workers,
                         AgentsTest::Workers::conf())->start;
    $via = AgentsTest::Workers->new($t);
    my @pids = $via->pids;
    subtest "$workers workers" => sub {
        for (0 .. $#pids) {
            ($one, $two) = @pids[$_, ($_ + 1) % @pids];
            inferring();
        }
    };
    $t->clean;
}

done_testing;


# Accepted by the first worker, which is its owner then.
sub start {
    my ($text, %defaults) = @_;
    $t->mock->forget;
    my $c = $t->conversation(%defaults);
    my $run = $via->to($one, sub { $t->run($c, $text) });
    return ($c, $run);
}


sub asked {
    my ($path, $method) = @_;
    return $t->wait_for(10, sub {
        grep { !$method || ($_->{json}{method} || '') eq $method }
            @{$t->mock->requests($path)};
    }) || die "nobody asked $path\n";
}


sub cancel {
    my ($run, @o) = @_;
    return $t->post("/agents/runs/$run->{id}/cancel", undef, @o);
}


# By the second worker; gives the run at its end.
sub cancelled {
    my ($run, $wire) = @_;
    my $began = time;
    my $answer = $via->to($two, sub { cancel($run) });
    is $answer->{status}, 202, 'accepted';
    is $answer->{json}{id}, $run->{id}, 'with the run';
    like $answer->{json}{status}, qr/^(?:pending|running)$/,
        'as it still is';

    my $end = $t->finished($run, 10);
    my $took = time - $began;
    ok $took < $SECOND, "it ends within a second: $took s";
    is $end->{status}, 'failed', 'failed';
    is $end->{error}{type}, 'AgentLoopCancelled', 'its code';
    is $end->{error}{title}, 'Cancelled', 'its title';
    like $end->{error}{docs_url}, qr{/errors/cancelled$}, 'its page';
    is_deeply $end->{live}{messages}, [], 'nothing is live';
    ok defined $end->{finished_at}, 'it has an end';

    if ($wire) {
        my ($closed) = @{$t->wait_for(5, sub {
            my @closed = grep { index($_->{path}, $wire) == 0 }
                         @{$t->mock->closed};
            return @closed ? \@closed : undef;
        }) || []};
        ok $closed, "the connection to $wire was closed" or return $end;
        $took = $closed->{at} - $began;
        ok $took < $SECOND, "within a second: $took s";
    }
    return $end;
}


sub goes_on {
    my ($c) = @_;
    is $t->finished($t->run($t->reread($c), 'again'))->{final_text},
       'echo: again', 'the conversation goes on';
    return;
}


sub inferring {
    my ($c, $run) = start(script({ text => 'x', delay => 30 }));
    asked($MODEL);
    $run = cancelled($run, $MODEL);
    is $run->{iterations_used}, 0, 'no reply had come';
    is scalar @{$run->{submitted_inference_job_ids}}, 1, 'one was begun';
    is $t->reread($c)->{version}, 0, 'nothing is committed';
    is_deeply $run->{payload}{kind}, 'user_message', 'the payload is there';

    my $again = $via->to($two, sub { cancel($run) });
    is $again->{status}, 200, 'again: 200';
    is_deeply $again->{json}, $run, 'and unchanged';
    goes_on($c);
    return;
}


sub after_turn {
    my ($c, $run) = start(script(
        { tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
        { text => 'x', delay => 30 }), mcp => '');
    $t->wait_for(10, sub { @{$t->mock->requests($MODEL)} == 2 });
    $run = cancelled($run, $MODEL);
    is $run->{iterations_used}, 1, 'one reply had come';
    is_deeply [ map { $_->{role} } @{$t->messages($c)} ],
              [ qw(user assistant tool) ], 'what was done is committed';
    is $t->reread($c)->{version}, 3, 'with the version';
    goes_on($c);
    return;
}


sub calling {
    my ($c, $run) = start(script({ tools => [
        [ 'mcp-slow', { seconds => 30 }, 's' ],
        [ 'mcp-add', { a => 1, b => 2 }, 'a' ] ] }), mcp => '');
    $t->wait_for(10, sub {
        @{$t->get("/agents/runs/$run->{id}")->{json}{live}{messages}} == 2;
    }) or die "no result\n";
    $run = cancelled($run, '/mcp');
    asked('/mcp', 'notifications/cancelled');
    pass 'the server is told';

    my %results = map { $_->{tool_use_id} => $_ }
                  grep { $_->{type} eq 'tool_result' }
                  map { @{$_->{content_blocks}} } @{$t->messages($c)};
    is $results{a}{content}[0]{text}, '3', 'the result that came stays';
    is $results{s}{is_error}, JSON::PP::true, 'the other call is closed';
    is $t->reread($c)->{version}, 3, 'the version';
    goes_on($c);
    return;
}


sub discovering {
    my ($c, $run) = start('x', mcp => '/hang-initialize');
    asked('/mcp', 'initialize');
    cancelled($run, '/mcp');
    is $t->reread($c)->{version}, 0, 'nothing is committed';
    is_deeply $t->mock->requests($MODEL), [], 'no inference';
    return;
}


sub queued {
    my ($c, $run) = start(script({ text => 'x', delay => 2 }),
                          execution_cluster => 'narrow');
    asked($MODEL);
    my ($c2, $second) = start('y', execution_cluster => 'narrow');
    my ($c3, $third) = start('z', execution_cluster => 'narrow');
    cancelled($second);
    is $t->reread($c2)->{version}, 0, 'nothing is committed';
    is $t->finished($run)->{final_text}, 'x', 'the one before it completes';
    is $t->finished($third)->{final_text}, 'echo: z', 'the one behind it, too';
    is scalar @{$t->mock->requests($MODEL)}, 1, 'no inference for it';
    return;
}


sub retrying {
    my ($c, $run) = start(script({ status => 503, times => 9,
                                   headers => { 'Retry-After' => 20 } }));
    asked($MODEL);
    cancelled($run);
    is $t->reread($c)->{version}, 0, 'nothing is committed';
    return;
}


sub ended {
    for my $script (script({ text => 'x' }),
                    script({ tools => [ [ 'ask', {} ] ] }))
    {
        my $run = $t->flow($script, tools => [ { name => 'ask',
            input_schema => { type => 'object' } } ]);
        my $answer = cancel($run);
        is $answer->{status}, 200, "$run->{status}: 200";
        is_deeply $answer->{json}, $run, 'unchanged';
        is_deeply $t->get("/agents/runs/$run->{id}")->{json}, $run,
                  'afterwards, too';
    }
    return;
}


sub whose {
    my ($c, $run) = start(script({ text => 'x', delay => 30 }));
    asked($MODEL);
    my $foreign = cancel($run, user => 'bob');
    my $none = cancel({ id => uuid() });
    my $odd = cancel({ id => 'x' });
    is $foreign->{status}, 404, 'another user';
    for my $answer ($none, $odd) {
        is $answer->{status}, 404, 'no such run';
        delete @{$_->{json}}{qw(instance log_id)} for $foreign, $answer;
        is_deeply $answer->{json}, $foreign->{json}, 'the same answer';
    }
    my $read = cancel($run, permissions => [ 'read' ]);
    is $read->{status}, 403, 'only reading is allowed';
    like $read->{headers}{'www-authenticate'}, qr/insufficient_scope/,
        'says so';
    is cancel($run, token => undef)->{status}, 401, 'no token';
    my $get = $t->get("/agents/runs/$run->{id}/cancel");
    is $get->{status}, 405, 'another method';
    is $get->{headers}{allow}, 'OPTIONS, POST', 'Allow';
    is_deeply $t->mock->closed, [], 'the run goes on';

    my $answer = $t->post("/agents/runs/\U$run->{id}\E/cancel?x=1",
                          '{"no": json' . 'x' x 100_000,
                          headers => { 'Content-Type' => 'text/plain' });
    is $answer->{status}, 202, 'a body does not matter';
    is $t->finished($run)->{error}{type}, 'AgentLoopCancelled', 'cancelled';
    return;
}


# Ends and cancels cross: one of the two holds, as a whole.
sub race {
    my (%ends, @bad);

    for my $round (1 .. 6) {
        my @c = map { $t->conversation(mcp => '') } 1 .. 10;
        my @runs = map {
            # the first one's end is due when the last one has begun
            my $late = 0.03 * (10 - $_);
            [ $c[$_], $t->run($c[$_], script(
                { tools => [ [ 'mcp-echo', { text => 'e' } ] ],
                  delay => $late / 2 }, { text => 'end', delay => $late })) ];
        } 0 .. $#c;
        sleep 0.01 * $round;
        my @answers = burst($t, map {
            my $path = "/agents/runs/$_->[1]{id}/cancel";
            ([ 'POST', $path ], [ 'POST', $path ]);
        } @runs);
        push @bad, grep { $_->{status} !~ /^20[02]$/ } @answers;

        for (@runs) {
            my ($c, $run) = @$_;
            $run = $t->finished($run);
            my $end = $run->{error} ? $run->{error}{type} : $run->{status};
            $ends{$end}++;
            push @bad, "$run->{id}: $end"
                if $end !~ /^(?:completed|AgentLoopCancelled)$/;
            push @bad, whole($c, $run);
        }
    }
    is_deeply \@bad, [], 'every run has one end';
    note join ', ', map { "$_: $ends{$_}" } sort keys %ends;
    ok $ends{AgentLoopCancelled}, 'some were cancelled';
    return;
}


# What a run has left does not contradict itself: a list of what does.
sub whole {
    my ($c, $run) = @_;
    my $messages = $t->messages($c);
    my $version = $t->reread($c)->{version};
    my $roles = join ' ', map { $_->{role} } @$messages;
    my (%uses, %results);
    for (map { @{$_->{content_blocks}} } @$messages) {
        $uses{$_->{tool_use_id}}++ if $_->{type} eq 'tool_use';
        $results{$_->{tool_use_id}}++ if $_->{type} eq 'tool_result';
    }
    my $right = $run->{status} eq 'completed'
                ? qr/^user assistant tool assistant$/
                : qr/^(?:user assistant(?: tool(?: assistant)?)?)?$/;
    my $again = $t->get("/agents/runs/$run->{id}")->{json};
    return map { "$run->{id}: $_" }
        $roles =~ $right ? () : "roles $roles",
        $version == @$messages ? () : "version $version",
        (grep { $messages->[$_]{sequence_no} != $_ + 1 } 0 .. $#$messages),
        join(' ', sort keys %uses) eq join(' ', sort keys %results)
            ? () : 'an open call',
        (grep { $_ != 1 } values %uses, values %results),
        $again->{finished_at} eq $run->{finished_at} ? () : 'ended twice';
}


sub many {
    $t->mock->forget;
    my @runs = map { $t->run($t->conversation(),
                             script({ text => 'x', delay => 30 })) } 1 .. 60;
    $t->wait_for(10, sub { @{$t->mock->requests($MODEL)} == 60 });
    my $began = time;
    my @answers = burst($t, map { [ 'POST', "/agents/runs/$_->{id}/cancel" ] }
                            @runs);
    is_deeply [ grep { $_->{status} != 202 } @answers ], [], 'all accepted';
    is_deeply [ grep { $_->{error}{type} ne 'AgentLoopCancelled' }
                map { $t->finished($_) } @runs ], [], 'all cancelled';
    my $took = time - $began;
    ok $took < 5, "in no time: $took s";
    ok $t->wait_for(5, sub { @{$t->mock->closed} == 60 }),
       'all connections are closed';
    return;
}


# A second nginx on the same store: no wake-up leads there.
sub node {
    my $other = AgentsTest->new(store => $t->store, mock => $t->mock)->start;
    my ($c, $run) = start(script({ text => 'x', delay => 30 }));
    asked($MODEL);
    my $began = time;
    is $other->post("/agents/runs/$run->{id}/cancel")->{status}, 202,
       'accepted by the other';
    is $t->finished($run)->{error}{type}, 'AgentLoopCancelled', 'cancelled';
    my $took = time - $began;
    ok $took < $SECOND, "within a second: $took s";
    ok $t->wait_for(5, sub { @{$t->mock->closed} }), 'cut off';
    delete $other->{mock};
    $other->clean('the other node');
    return;
}


# The owner is dead: who takes the run over ends it, and asks no model.
sub killed {
    $t->allow(qr/exited on signal 9/);
    my ($c, $run) = start(script(
        { tools => [ [ 'mcp-echo', { text => 'e' } ] ] },
        { text => 'x', delay => 30 }), mcp => '');
    $t->wait_for(10, sub { @{$t->mock->requests($MODEL)} == 2 })
        or die "not there\n";
    my @workers = $t->workers;
    delete $t->{http_client};
    kill 'KILL', @workers;
    $t->wait_for(5, sub { !grep { AgentsTest::alive($_) } @workers });

    $t->mock->forget;
    my $answer = $t->wait_for(5, sub {
        my $answer = cancel($run);
        return $answer->{status} == 202 ? $answer : undef;
    });
    is $answer->{json}{status}, 'running', 'nobody has it yet';
    $run = $t->finished($run, 20);
    is $run->{error}{type}, 'AgentLoopCancelled', 'taken over, it is cancelled';
    is_deeply $t->mock->requests($MODEL), [], 'without another inference';
    is_deeply [ map { $_->{role} } @{$t->messages($c)} ],
              [ qw(user assistant tool) ], 'what was done is committed';
    return;
}
