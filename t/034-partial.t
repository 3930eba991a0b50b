# What a run leaves that does not complete: its payload and every turn that it
# finished, or nothing where no reply had come; open calls are closed, and the
# next run is valid.  The scripted model refuses a prompt that is not.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my $ASK = { name => 'ask', input_schema => { type => 'object' } };
my $SCHEMA = { type => 'object', required => [ 'n' ],
               properties => { n => { type => 'integer' } } };
my $FAULT = { status => 400, json => { error => { message => 'not now' } } };
my $ADD = [ 'mcp-add', { a => 1, b => 2 }, 'm1' ];
my $long = 'x' x 70;
my $t;

for my $m (AgentsTest->matrix) {
    my $on = "on $m->{name}";
    $t = AgentsTest->new(%$m, handlers => {
        '/named' => AgentsTest::Mcp::handler(tools => [ { name => $long,
            inputSchema => { type => 'object' } } ]) })->start;

    subtest "cut off in a turn of calls $on" => \&cut_off;
    subtest "refused and filtered $on" => \&stopped;
    subtest "after some turns $on" => \&after_turns;
    subtest "a reply that was to be mended $on" => \&to_be_mended;
    subtest "a reply that disobeyed $on" => \&disobeyed;
    subtest "a resumed run without a reply $on" => \&resumed_without;
    subtest "a resumed run with a reply $on" => \&resumed_with;
    subtest "before any inference $on" => \&before_inference;
    $t->clean("$m->{name}: no error logged");
}

done_testing;


sub play {
    my ($script, %defaults) = @_;
    my %fields = %{delete $defaults{run} || {}};
    my $c = $t->conversation(%defaults);
    my $run = $t->finished($t->run($c, script(@$script), %fields));
    return ($run, $t->reread($c), $t->messages($c));
}


# It failed so, and left these roles; the conversation goes on.
sub left {
    my ($run, $c, $messages, $incident, @roles) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $run->{status}, 'failed', 'failed';
    is $run->{error}{type}, $incident, $incident
        or diag explain $run->{error};
    is_deeply [ map { $_->{role} } @$messages ], \@roles,
              'left: ' . (@roles ? "@roles" : 'nothing');
    is $c->{version}, scalar @roles, 'so says the version';
    is scalar(grep { $_->{run_id} ne $run->{id} } @$messages), 0, 'of the run';
    is_deeply [ ids($messages, 'tool_use') ], [ ids($messages, 'tool_result') ],
              'every call has its result';

    my $next = $t->finished($t->run($c, 'and now?', config_override => {
                            output_format_schema => undef }));
    # two turns of the user in a row are one in the prompt
    like $next->{final_text}, qr/^echo: .*and now\?$/s,
         'the next run is valid' or diag explain $next->{error};
    return;
}


sub ids {
    my ($messages, $type) = @_;
    return sort map { $_->{tool_use_id} } grep { $_->{type} eq $type }
                map { @{$_->{content_blocks}} } @$messages;
}


sub results {
    my ($messages) = @_;
    return grep { $_->{type} eq 'tool_result' }
           map { @{$_->{content_blocks}} } @$messages;
}


sub cut_off {
    my ($run, $c, $messages) = play([ { text => 'So', finish => 'length',
        tools => [ $ADD, [ 'ask', {}, 'a1' ], [ 'mcp-echo', '{"te', 'm2' ] ]
        } ], mcp => '', tools => [ $ASK ]);
    left($run, $c, $messages, 'AgentLoopSchemaDecodeFailed',
         qw(user assistant tool));
    like $run->{error}{message}, qr/max_tokens/, 'with the reason';
    is $messages->[1]{content_blocks}[0]{text}, 'So', 'the text as far as it is';
    is_deeply [ map { $_->{is_error} ? 1 : 0 } results($messages) ],
              [ 1, 1, 1 ], 'errors all';
    is_deeply $run->{pending_tool_calls}, [], 'nothing waits';
    return;
}


sub stopped {
    left(play([ { text => 'Some', finish => 'content_filter',
                  tools => [ $ADD ] } ], mcp => ''),
         'AgentLoopContentFiltered', qw(user assistant tool));
    left(play([ { message => { role => 'assistant', content => undef,
                               refusal => 'I will not' } } ]),
         'AgentLoopRefused', qw(user assistant));
    left(play([ { text => '' } ]), 'AgentLoopSchemaDecodeFailed', 'user');
    return;
}


sub after_turns {
    left(play([ { tools => [ $ADD ] }, { tools => [ [ 'mcp-none', {} ] ] },
                $FAULT ], mcp => ''), 'AgentLoopInferenceFailed',
         qw(user assistant tool assistant tool));
    left(play([ { tools => [ $ADD ] }, { tools => [ [ 'nope-x', {} ],
                [ 'mcp-add', { a => 1, b => 2 } ] ] } ], mcp => ''),
         'AgentLoopUnknownToolAlias', qw(user assistant tool assistant tool));
    return;
}


# Neither the reply nor the request to mend it is a message.
sub to_be_mended {
    my ($run, $c, $messages) = play([ { text => 'prose' } ],
        output_format_schema => $SCHEMA, max_iterations => 2);
    is $run->{iterations_used}, 2, 'asked to mend it';
    left($run, $c, $messages, 'AgentLoopSchemaDecodeFailed',
         qw(user assistant));
    is $messages->[1]{content_blocks}[0]{text}, 'done', 'the second reply';

    ($run, $c, $messages) = play([ { text => 'prose' }, $FAULT ],
                                 output_format_schema => $SCHEMA);
    left($run, $c, $messages, 'AgentLoopInferenceFailed', 'user');
    is $run->{iterations_used}, 1, 'one reply';
    is scalar @{$run->{submitted_inference_job_ids}}, 2, 'two jobs';
    return;
}


sub disobeyed {
    my $choice = { run => { tool_choice => { kind => 'specific_tool',
                                             name => 'ask' } } };
    my ($run, $c, $messages) = play([ { text => 'no', times => 1 }, $FAULT ],
                                    tools => [ $ASK ], %$choice);
    left($run, $c, $messages, 'AgentLoopInferenceFailed', 'user');
    is $run->{iterations_used}, 1, 'one reply';
    is scalar @{$run->{submitted_inference_job_ids}}, 2, 'two jobs';

    left(play([ { text => 'no' } ], tools => [ $ASK ], %$choice),
         'AgentLoopToolChoiceNotFollowed', qw(user assistant));
    return;
}


sub outputs {
    return { kind => 'tool_outputs', outputs => [
        map { { tool_use_id => $_, content => "of $_" } } @_ ] };
}


# The calls wait on: nothing of the run that failed is there.
sub resumed_without {
    my ($paused, $c, $before) = play([ { tools => [ [ 'ask', {}, 'a1' ] ] },
        { %$FAULT, times => 1 }, { text => 'thanks' } ], tools => [ $ASK ]);
    my $run = $t->finished($t->run($c, outputs('a1')));
    is $run->{error}{type}, 'AgentLoopInferenceFailed', 'it failed';
    is_deeply $run->{payload}{outputs}[0]{tool_use_id}, 'a1',
              'the payload is on the run';
    is_deeply $t->messages($c), $before, 'the messages are as before';
    is $t->reread($c)->{version}, 2, 'and the version';

    my $answer = $t->post("/agents/conversations/$c->{id}/runs",
                          $t->run_body($c, 'never mind'));
    is $answer->{status}, 409, 'a user message still may not come';
    is $answer->{json}{pending_run_id}, $paused->{id}, 'pending_run_id';
    is $t->finished($t->run($c, outputs('a1')))->{final_text}, 'thanks',
       'the outputs may, once more';
    return;
}


sub resumed_with {
    my ($paused, $c) = play([ { tools => [ [ 'ask', {}, 'a1' ] ] },
        { text => 'than', finish => 'length' } ], tools => [ $ASK ]);
    my $run = $t->finished($t->run($c, outputs('a1')));
    is $run->{error}{type}, 'AgentLoopSchemaDecodeFailed', 'it failed';
    my $messages = $t->messages($c);
    is_deeply [ map { $_->{role} } @$messages ],
              [ qw(user assistant tool assistant) ],
              'the outputs and what came of the reply are committed';
    is_deeply [ map { $_->{run_id} } @$messages ],
              [ ($paused->{id}) x 2, ($run->{id}) x 2 ], 'each by its run';
    $c = $t->reread($c);
    is $c->{version}, 4, 'with the version';
    is $t->finished($t->run($c, 'hello'))->{final_text}, 'echo: hello',
       'nothing waits any more';
    return;
}


# No inference was begun: there is no job either.
sub before_inference {
    my %case = (
        AgentLoopMcpDiscoveryFailed => { mcp => '/status-list' },
        AgentLoopUnknownToolChoiceName => { mcp => '', run => {
            tool_choice => { kind => 'specific_tool', mcp_alias => 'mcp',
                             name => 'none' } } },
        AgentLoopToolNameTooLong => { mcp_servers => [ { alias => 'mcp',
            url => $t->mock->url('/named') } ] },
    );
    for my $incident (sort keys %case) {
        my ($run, $c, $messages) = play([ { text => 'x' } ],
                                        %{$case{$incident}});
        is $run->{error}{type}, $incident, $incident;
        is_deeply $messages, [], 'no messages';
        is $c->{version}, 0, 'the version stays';
        is $run->{iterations_used}, 0, 'no iteration';
        is_deeply $run->{submitted_inference_job_ids}, [], 'no job';
        like $run->{payload}{text}, qr/script/, 'the payload is on the run';
    }
    return;
}
