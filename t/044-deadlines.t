# Runs that take too long: each of the deadlines ends them in time, with what
# was done until then.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use Time::HiRes qw(time);

my $t = AgentsTest->new(
    location => 'agents_run_timeout 2s; agents_queue_timeout 1s;',
    plane => 'cluster narrow max_inferences=1;'
             . ' cluster pair max_inferences=2;')->start;
$t->wait_for(5, sub { $t->workers == 2 });
my @workers = $t->workers;

subtest 'a model that takes too long' => \&slow_model;
subtest 'after a finished turn' => \&after_turn;
subtest 'a call that takes too long' => \&slow_call;
subtest 'a run that never comes to an end' => \&many_turns;
subtest 'a place in the line' => \&queue;
subtest 'at most so many at a time' => \&bound;
subtest 'the workers' => sub {
    is_deeply [ sort $t->workers ], [ sort @workers ], 'are the same';
    is $t->flow('hello')->{final_text}, 'echo: hello', 'and serve on';
};
$t->clean;

done_testing;


sub is_timeout {
    my ($run, $began) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $run->{status}, 'failed', 'failed';
    is $run->{error}{type}, 'AgentLoopRunTimeout', 'its code'
        or diag explain $run->{error};
    is $run->{error}{title}, 'Run Timeout', 'title';
    like $run->{error}{docs_url}, qr{/errors/run-timeout$}, 'page';
    my $took = time - $began;
    ok $took > 1.8 && $took < 4, "in time: $took s";
    return;
}


sub slow_model {
    my $began = time;
    my ($run, $c) = $t->flow(script({ text => 'x', delay => 20 }));
    is_timeout($run, $began);
    is $c->{version}, 0, 'nothing is committed';
    is scalar @{$run->{submitted_inference_job_ids}}, 1, 'one job';
    is $t->finished($t->run($c, 'again'))->{final_text}, 'echo: again',
       'the conversation goes on';
    return;
}


sub after_turn {
    my $began = time;
    my ($run, $c) = $t->flow(script(
        { tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
        { text => 'x', delay => 20 }), mcp => '');
    is_timeout($run, $began);
    is_deeply [ map { $_->{role} } @{$t->messages($c)} ],
              [ qw(user assistant tool) ], 'the finished turn is committed';
    is $c->{version}, 3, 'with the version';
    return;
}


sub slow_call {
    my $began = time;
    my ($run, $c) = $t->flow(script({ tools => [
        [ 'mcp-slow', { seconds => 20 }, 's' ],
        [ 'mcp-add', { a => 1, b => 2 }, 'a' ] ] }), mcp => '');
    is_timeout($run, $began);
    my %results = map { $_->{tool_use_id} => $_ }
                  grep { $_->{type} eq 'tool_result' }
                  map { @{$_->{content_blocks}} } @{$t->messages($c)};
    is_deeply [ sort keys %results ], [ 'a', 's' ], 'both calls are closed';
    is $results{s}{is_error}, JSON::PP::true, 'the open one as an error';
    is $c->{version}, 3, 'the version';
    is $t->finished($t->run($c, 'again'))->{final_text}, 'echo: again',
       'the conversation goes on';
    return;
}


sub many_turns {
    my $began = time;
    my ($run, $c) = $t->flow(script(map { { delay => 0.3, tools => [
        [ 'mcp-echo', { text => "n$_" } ] ] } } 1 .. 40), mcp => '',
        max_iterations => 50);
    is_timeout($run, $began);
    my $messages = $t->messages($c);
    is scalar @$messages, $c->{version}, 'what was done is committed';
    ok $c->{version} >= 5, "$c->{version} messages";
    return;
}


# Who waits too long for a place is told so; who does not gets it.
sub queue {
    my @c = map { $t->conversation(execution_cluster => 'narrow') } 1 .. 3;
    my $first = $t->run($c[0], script({ text => 'x', delay => 1.6 }));
    my $second = $t->finished($t->run($c[1], 'y'));
    is $second->{status}, 'failed', 'one that waits too long';
    is $second->{error}{type}, 'AgentLoopQueueTimeout', 'its code'
        or diag explain $second->{error};
    is $second->{error}{title}, 'Queue Timeout', 'title';
    is $second->{iterations_used}, 0, 'no iteration';
    is_deeply $second->{submitted_inference_job_ids}, [], 'and none begun';
    is $t->reread($c[1])->{version}, 0, 'nothing is committed';

    my $third = $t->run($c[2], 'z');
    is $t->finished($first)->{final_text}, 'x', 'the first completes';
    is $t->finished($third)->{final_text}, 'echo: z',
       'and the next has its place';
    return;
}


sub bound {
    $t->mock->forget;
    my @runs = map { $t->run($t->conversation(execution_cluster => 'pair'),
        script({ text => 'x', delay => 0.2 })) } 1 .. 6;
    is_deeply [ map { $t->finished($_)->{final_text} } @runs ],
              [ ('x') x 6 ], 'all of them complete';
    my $most = $t->mock->stats->{max_active}{'/v1/chat/completions'};
    is $most, 2, 'two at a time';
    return;
}
