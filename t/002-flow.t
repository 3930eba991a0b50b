# One agent run from end to end, on each store: a conversation, a run that
# calls two tools of an MCP server, its live view, the answer, the messages.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

for my $m (AgentsTest->matrix) {
    my $store = $m->{name};
    my $t = AgentsTest->new(%$m);
    $t->start;

    subtest "a text run on $store" => sub { text_run($t) };
    subtest "a run with tools on $store" => sub { tool_run($t) };

    $t->clean("$store: nginx stopped, no error logged");
}

done_testing;


sub text_run {
    my ($t) = @_;
    my ($run, $conversation) = $t->flow('hello', name => 'text');

    is $run->{status}, 'completed', 'completed';
    is $run->{final_text}, 'echo: hello', 'the answer';
    is $run->{final_structured_output}, undef, 'no structured output';
    is $run->{iterations_used}, 1, 'one iteration';
    is_deeply $run->{usage}, { prompt_tokens => 10, completion_tokens => 5,
                               total_tokens => 15 }, 'usage';
    is scalar @{$run->{submitted_inference_job_ids}}, 1, 'one job';
    is_deeply $run->{live}{messages}, [], 'nothing live any more';
    is $conversation->{version}, 2, 'the version moved by two';

    my $messages = $t->messages($conversation);
    is_deeply [ map { [ @$_{qw(sequence_no role)},
                        $_->{content_blocks}[0]{text} ] } @$messages ],
              [ [ 1, 'user', 'hello' ], [ 2, 'assistant', 'echo: hello' ] ],
              'the messages';
    return;
}


sub tool_run {
    my ($t) = @_;
    my $conversation = $t->conversation(name => 'tools', mcp => '');
    my $run = $t->run($conversation, script(
        { tools => [ [ 'mcp-slow', { seconds => 0.4 }, 'call_slow' ],
                     [ 'mcp-add', { a => 2, b => 3 }, 'call_add' ] ] },
        { text => 'five' }));

    is $run->{status}, 'pending', 'accepted as pending';

    # the call shows before its result does
    my $live = $t->wait_for(10, sub {
        my $now = $t->get("/agents/runs/$run->{id}")->{json};
        return $now->{live}{messages} if @{$now->{live}{messages}};
    });
    is $live->[0]{role}, 'assistant', 'the calls are seen live';
    is $live->[0]{content_blocks}[0]{name}, 'mcp-slow', 'by their names';

    $run = $t->finished($run);
    is $run->{status}, 'completed', 'completed';
    is $run->{final_text}, 'five', 'the answer';
    is $run->{iterations_used}, 2, 'two iterations';

    my $messages = $t->messages($conversation);
    is_deeply [ map { $_->{role} } @$messages ],
              [ qw(user assistant tool assistant) ], 'the turns';
    is_deeply [ map { [ $_->{tool_use_id}, $_->{content}[0]{text},
                        $_->{is_error} ? 1 : 0 ] }
                @{$messages->[2]{content_blocks}} ],
              [ [ 'call_slow', 'slept', 0 ], [ 'call_add', '5', 0 ] ],
              'results in the order of the calls';

    my @prompts = grep { $_->{path} =~ /completions/ } @{$t->mock->requests};
    is $prompts[-1]{headers}{authorization}, 'Bearer test-key', 'the key';
    is $prompts[-1]{json}{messages}[-1]{content}, '5',
       'the model saw the result';
    return;
}
