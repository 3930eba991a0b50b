# What the loop of a run makes of what a model says: tool calls that can and
# cannot be made, the budget of iterations, replies that are no answers.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my $ASK = { name => 'ask', input_schema => { type => 'object',
            properties => { q => { type => 'string' } } } };

my $t;

for my $m (AgentsTest->matrix) {
    my $on = "on $m->{name}";
    $t = AgentsTest->new(%$m)->start;

    subtest "the budget $on" => \&budget;
    subtest "the budget and caller-declared tools $on" => \&budget_caller;
    subtest "a tool that cannot be $on" => \&unknown_alias;
    subtest "a tool that the server lacks $on" => \&unknown_tool;
    subtest "arguments that are no object $on" => \&invalid_arguments;
    subtest "caller-declared, with invalid arguments $on" => \&invalid_caller;
    subtest "mixed turns $on" => \&mixed;
    subtest "side by side $on" => \&side_by_side;
    subtest "job ids and usage $on" => \&jobs;
    subtest "numbers $on" => \&numbers;
    subtest "failed before a reply $on" => \&before_reply;
    subtest "tool_use_ids $on" => \&ids;
    subtest "tool_use_ids of another run $on" => \&ids_across_runs;
    subtest "replies that are no answer $on" => \&no_answer;
    subtest "after a failure $on" => \&after_failure;
    subtest "text beside calls $on" => \&text_beside;
    subtest "text as it came $on" => \&texts;
    $t->clean("$m->{name}: no error logged");
}

done_testing;


# A run of a script; the run, the conversation, its messages.
sub play {
    my ($script, %defaults) = @_;
    my ($run, $c) = $t->flow(script(@$script), %defaults);
    return ($run, $c, $t->messages($c));
}


sub is_failed {
    my ($run, $incident, $slug, $message, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $run->{status}, 'failed', "$name: failed";
    is $run->{error}{type}, $incident, $incident
        or diag explain $run->{error};
    like $run->{error}{docs_url}, qr{/errors/\Q$slug\E$}, 'docs_url';
    ok length $run->{error}{title}, 'title';
    like $run->{error}{message}, $message, 'message';
    is $run->{final_text}, undef, 'no text';
    is $run->{final_structured_output}, undef, 'no output';
    is_deeply $run->{pending_tool_calls}, [], 'nothing pending';
    like $run->{finished_at}, qr/^\d{4}-/, 'finished_at';
    return;
}


sub roles { return [ map { $_->{role} } @{$_[0]} ] }

sub blocks {
    my ($messages, $type) = @_;
    return grep { $_->{type} eq $type }
           map { @{$_->{content_blocks}} } @$messages;
}

sub tool_calls {
    return grep { ($_->{json}{method} || '') eq 'tools/call' }
           @{$t->mock->requests('/mcp')};
}

sub prompts {
    return map { $_->{json} } grep { $_->{path} =~ /completions/ }
           @{$t->mock->requests};
}


# Every call of the messages has exactly one result, in the next tool turns.
sub is_closed {
    my ($messages) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply [ map { $_->{tool_use_id} }
                       blocks($messages, 'tool_result') ],
                     [ map { $_->{tool_use_id} }
                       blocks($messages, 'tool_use') ],
                     'every call has its result';
}


sub budget {
    my $add = { tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] };

    $t->mock->forget;
    my ($run, $c, $messages) = play([ $add, { text => 'x' } ], mcp => '',
                                    max_iterations => 1);
    is_failed($run, 'AgentLoopMaxIterationsExceeded',
              'max-iterations-exceeded', qr/\b1\b/, 'tools in the only one');
    is $run->{iterations_used}, 1, 'one used';
    is scalar tool_calls(), 0, 'the call was not made';
    is_deeply roles($messages), [ qw(user assistant tool) ],
              'what it produced is committed';
    is_closed($messages);
    is((blocks($messages, 'tool_result'))[0]{is_error}, JSON::PP::true,
       'as an error');
    is $c->{version}, 3, 'with the version';

    $t->mock->forget;
    ($run, $c, $messages) = play([ $add, $add, { text => 'x' } ],
                                 mcp => '', max_iterations => 2);
    is_failed($run, 'AgentLoopMaxIterationsExceeded',
              'max-iterations-exceeded', qr/\b2\b/, 'tools in the last');
    is scalar tool_calls(), 1, 'the calls before it were made';
    is_closed($messages);
    is $c->{version}, 5, 'the version';

    ($run) = play([ $add, { text => 'x' } ], mcp => '', max_iterations => 2);
    is $run->{final_text}, 'x', 'an answer in the last one is fine';

    ($run) = play([ { tools => [ [ 'mcp-none', {} ] ] }, { text => 'x' } ],
                  mcp => '', max_iterations => 1);
    is $run->{error}{type}, 'AgentLoopMaxIterationsExceeded',
       'a call that could only be mended in another iteration';

    ($run) = play([ { tools => [ [ 'other-none', {} ] ] } ],
                  mcp => '', max_iterations => 1);
    is $run->{error}{type}, 'AgentLoopUnknownToolAlias',
       'unknown aliases are found first';

    ($run) = play([ $add, $add, $add, $add ], mcp => '',
                  max_iterations => undef);
    is $run->{iterations_used}, 3, 'three by default';
    is $run->{effective_config}{max_iterations}, 3, 'which is told';
    return;
}


sub budget_caller {
    my ($run, $c, $messages) = play([ { tools => [ [ 'ask', {} ] ] } ],
                                    tools => [ $ASK ], max_iterations => 1);
    is $run->{status}, 'requires_action', 'the last one may ask the caller';

    $t->mock->forget;
    ($run, $c, $messages) = play([ { tools => [ [ 'ask', {} ],
        [ 'mcp-add', { a => 1, b => 2 } ] ] } ], mcp => '',
        tools => [ $ASK ], max_iterations => 1);
    is $run->{status}, 'requires_action', 'mixed, too';
    is scalar tool_calls(), 1, 'the MCP call was made';
    is_deeply roles($messages), [ qw(user assistant tool) ], 'and committed';
    is $c->{version}, 3, 'with the version';

    ($run) = play([ { tools => [ [ 'ask', '{"q": ' ] ] }, { text => 'x' } ],
                  tools => [ $ASK ], max_iterations => 1);
    is $run->{error}{type}, 'AgentLoopMaxIterationsExceeded',
       'invalid arguments do not pause it';
    return;
}


sub unknown_alias {
    $t->mock->forget;
    my ($run, $c, $messages) = play([ { tools => [
        [ 'mcp-add', { a => 1, b => 2 } ], [ 'nope-add', {} ] ] } ],
        mcp => '');
    is_failed($run, 'AgentLoopUnknownToolAlias', 'unknown-tool-alias',
              qr/nope-add/, 'an unknown alias');
    is scalar tool_calls(), 0, 'nothing of that turn was called';
    is_deeply roles($messages), [ qw(user assistant tool) ], 'committed';
    is_closed($messages);

    ($run, $c, $messages) = play([ { tools => [ [ 'add', {} ] ] } ],
                                 mcp => '', tools => [ $ASK ]);
    is_failed($run, 'AgentLoopUnknownToolAlias', 'unknown-tool-alias',
              qr/"add"/, 'a bare name');
    is_closed($messages);

    ($run) = play([ { tools => [ [ 'ASK', {} ] ] } ], tools => [ $ASK ]);
    is $run->{error}{type}, 'AgentLoopUnknownToolAlias', 'case counts';
    ($run) = play([ { tools => [ [ 'ask-more', {} ] ] } ],
                  tools => [ $ASK ]);
    is $run->{error}{type}, 'AgentLoopUnknownToolAlias',
       'a declared name is no alias';
    return;
}


sub unknown_tool {
    $t->mock->forget;
    my ($run, $c, $messages) = play([
        { tools => [ [ 'mcp-none', {}, 'c1' ],
                     [ 'mcp-add', { a => 1, b => 2 }, 'c2' ] ] },
        { text => 'mended' } ], mcp => '');
    is $run->{final_text}, 'mended', 'the model can mend it';
    my @results = blocks($messages, 'tool_result');
    is_deeply [ map { $_->{is_error} ? 1 : 0 } @results ], [ 1, 0 ],
              'its result is an error';
    like $results[0]{content}[0]{text}, qr/mcp-none/, 'that names it';
    is_closed($messages);
    is_deeply [ map { $_->{json}{params}{name} } tool_calls() ], [ 'add' ],
              'the server never heard of it';
    return;
}


sub invalid_arguments {
    for my $arguments ('{"a": ', '[1]', '"x"', '7', 'nonsense') {
        $t->mock->forget;
        my ($run, $c, $messages) = play([
            { tools => [ [ 'mcp-echo', $arguments, 'c1' ] ] },
            { text => 'mended' } ], mcp => '');
        is $run->{final_text}, 'mended', "arguments $arguments";
        my ($result) = blocks($messages, 'tool_result');
        is $result->{is_error}, JSON::PP::true, 'an error';
        like $result->{content}[0]{text}, qr/\w/, 'in words';
        is scalar tool_calls(), 0, 'no call';
        is_closed($messages);
        my ($call) = map { @{$_->{tool_calls} || []} }
                     @{(prompts())[-1]{messages}};
        is ref eval { JSON::PP::decode_json($call->{function}{arguments}) },
           'HASH', 'the provider is sent an object next time';
    }
    return;
}


sub invalid_caller {
    my ($run, $c, $messages) = play([
        { tools => [ [ 'ask', '{"q": ', 'c1' ] ] },
        { text => 'mended' } ], tools => [ $ASK ]);
    is $run->{status}, 'completed', 'it does not pause the run';
    is $run->{final_text}, 'mended', 'the model can mend it';
    is((blocks($messages, 'tool_result'))[0]{is_error}, JSON::PP::true,
       'an error in the same run');

    ($run, $c, $messages) = play([
        { tools => [ [ 'ask', '[]', 'c1' ], [ 'ask', { q => 'x' }, 'c2' ] ] },
        { text => 'thanks' } ], tools => [ $ASK ]);
    is $run->{status}, 'requires_action', 'beside a good one';
    is_deeply [ map { $_->{tool_use_id} } @{$run->{pending_tool_calls}} ],
              [ 'c2' ], 'that one alone waits';
    my $refused = $t->post("/agents/conversations/$c->{id}/runs",
        $t->run_body($c, { kind => 'tool_outputs', outputs => [
            map { { tool_use_id => $_, content => 'y' } } 'c1', 'c2' ] }));
    is $refused->{status}, 400, 'the other cannot be answered';
    my $next = $t->finished($t->run($c, { kind => 'tool_outputs',
        outputs => [ { tool_use_id => 'c2', content => 'y' } ] }));
    is $next->{final_text}, 'thanks', 'the rest is enough';
    return;
}


sub mixed {
    $t->mock->forget;
    my ($run, $c, $messages) = play([
        { tools => [ [ 'mcp-echo', { text => 'one' }, 'm1' ],
                     [ 'ask', { q => 'sure?' }, 'a1' ],
                     [ 'mcp-none', {}, 'm2' ],
                     [ 'mcp-echo', { text => 'two' }, 'm3' ] ] },
        { text => 'thanks' } ], mcp => '', tools => [ $ASK ]);
    is $run->{status}, 'requires_action', 'it waits for the caller';
    is_deeply $run->{pending_tool_calls}, [ { tool_use_id => 'a1',
        name => 'ask', arguments => { q => 'sure?' } } ], 'for that call';
    is_deeply [ map { [ $_->{tool_use_id}, $_->{is_error} ? 1 : 0 ] }
                blocks($messages, 'tool_result') ],
              [ [ m1 => 0 ], [ m2 => 1 ], [ m3 => 0 ] ],
              'the others are done and committed, in call order';
    is_deeply $run->{live}{messages}, [], 'nothing is live';

    my $next = $t->finished($t->run($c, { kind => 'tool_outputs', outputs => [
        { tool_use_id => 'a1', is_error => JSON::PP::true,
          content => [ { type => 'text', text => 'no, ' },
                       { type => 'text', text => 'declined' } ] } ] }));
    is $next->{final_text}, 'thanks', 'resumed';
    $messages = $t->messages($c);
    my ($answered) = grep { $_->{tool_use_id} eq 'a1' }
                     blocks($messages, 'tool_result');
    is $answered->{is_error}, JSON::PP::true, 'is_error is kept';
    is_deeply [ map { $_->{text} } @{$answered->{content}} ],
              [ 'no, ', 'declined' ], 'text blocks, too';
    my @prompt = @{(prompts())[-1]{messages}};
    is_deeply [ map { $_->{role} } @prompt ],
              [ qw(user assistant tool tool tool tool) ],
              'the provider sees the results together';
    is_deeply [ map { $_->{tool_call_id} } @prompt[2 .. 5] ],
              [ qw(m1 a1 m2 m3) ], 'in call order';
    is_deeply [ map { $_->{content} } @prompt[2, 3, 5] ],
              [ 'one', "Error: no, \n\ndeclined", 'two' ], 'each with its own';
    is_deeply [ map { [ $_->{role}, $_->{run_id} eq $next->{id} ? 2 : 1 ] }
                @$messages ],
              [ [ user => 1 ], [ assistant => 1 ], [ tool => 1 ],
                [ tool => 2 ], [ assistant => 2 ] ],
              'in the messages they are two turns, of two runs';
    return;
}


sub side_by_side {
    my ($run, $c, $messages) = play([
        { tools => [ map { [ 'mcp-slow', { seconds => 0.5 }, "s$_" ] }
                     1 .. 8 ] },
        { text => 'done' } ], mcp => '');
    is $run->{final_text}, 'done', 'eight slow calls';
    is_closed($messages);
    is $t->mock->stats->{max_active}{'/mcp'}, 8, 'were made side by side';
    return;
}


sub jobs {
    my @usage = map { { prompt_tokens => 100 * $_, completion_tokens => $_,
                        total_tokens => 101 * $_ } } 1 .. 3;
    my $add = [ 'mcp-add', { a => 1, b => 2 } ];
    my ($run) = play([ { tools => [ $add ], usage => $usage[0] },
                       { tools => [ $add ], usage => $usage[1] },
                       { text => 'x', usage => $usage[2] } ], mcp => '');
    is $run->{iterations_used}, 3, 'three iterations';
    is scalar @{$run->{submitted_inference_job_ids}}, 3, 'three jobs';
    my %ids = map { $_ => 1 } @{$run->{submitted_inference_job_ids}};
    is scalar keys %ids, 3, 'of different ids';
    is_deeply $run->{usage}, { prompt_tokens => 600, completion_tokens => 6,
                               total_tokens => 606 }, 'usage is the sum';

    ($run) = play([ { tools => [ $add ] },
                    { status => 400, json => { error => {
                      message => 'not like this' } } } ], mcp => '');
    is_failed($run, 'AgentLoopInferenceFailed', 'inference-failed',
              qr/400.*not like this/s, 'the second inference');
    is $run->{iterations_used}, 1, 'one reply came';
    is scalar @{$run->{submitted_inference_job_ids}}, 2, 'two were begun';

    my $c = $t->conversation;
    $run = $t->run($c, script({ text => 'x', delay => 0.5 }));
    my $now = $t->wait_for(5, sub {
        my $r = $t->get("/agents/runs/$run->{id}")->{json};
        return $r->{status} eq 'running' && $r;
    });
    is scalar @{$now->{submitted_inference_job_ids}}, 1,
       'a job shows as soon as it is begun';
    is $now->{iterations_used}, 0, 'an iteration when it is over';
    is $now->{finished_at}, undef, 'no finished_at yet';
    $t->finished($run);
    return;
}


# What 64 bits do not hold passes through on all its ways.
sub numbers {
    my $text = '{"text":"x","i":123456789012345678901234567890,"d":0.7,'
               . '"e":1e21}';
    $t->mock->forget;
    my ($run, $c) = play([ { tools => [ [ 'mcp-echo', $text, 'm1' ],
                                        [ 'ask', $text, 'a1' ] ] },
                           { text => 'x' } ], mcp => '', tools => [ $ASK ]);
    is $run->{status}, 'requires_action', 'a call each';

    my $path = "/agents/conversations/$c->{id}/messages";
    my %seen = (
        'pending_tool_calls' => $t->get("/agents/runs/$run->{id}")->{content},
        'the messages' => $t->get($path)->{content},
        'the MCP call' => (tool_calls())[0]{body},
    );
    $t->finished($t->run($c, { kind => 'tool_outputs', outputs => [
        { tool_use_id => 'a1', content => 'y' } ] }));
    my ($request) = grep { $_->{path} =~ /completions/ }
                    reverse @{$t->mock->requests};
    ($seen{'the next prompt'} = $request->{body}) =~ s/\\"/"/g;

    for my $where (sort keys %seen) {
        for my $number ('"i":123456789012345678901234567890', '"d":0.7',
                        '"e":1e+21')
        {
            like $seen{$where}, qr/\Q$number\E[,}]/, "$number in $where";
        }
    }
    return;
}


sub before_reply {
    my ($run, $c, $messages) = play([ { status => 400, json => { error => {
                                        message => 'no' } } } ]);
    is_failed($run, 'AgentLoopInferenceFailed', 'inference-failed', qr/400/,
              'the first inference');
    is $run->{iterations_used}, 0, 'no iteration';
    is scalar @{$run->{submitted_inference_job_ids}}, 1, 'one job';
    is $c->{version}, 0, 'the version stays';
    is_deeply $messages, [], 'no messages';
    like $run->{payload}{text}, qr/script/, 'the payload is on the run';
    is $t->finished($t->run($c, 'again'))->{final_text}, 'echo: again',
       'the next run starts where it stood';
    return;
}


sub ids {
    my $call = [ 'mcp-echo', { text => 'x' }, 'dup' ];
    my $nameless = { role => 'assistant', content => undef, tool_calls => [
        map { { type => 'function', function => { name => 'mcp-echo',
                arguments => qq({"text": "n$_"}) } } } 1 .. 2 ] };
    my $blank = { role => 'assistant', content => undef, tool_calls => [
        map { { id => '', type => 'function', function => {
                name => 'mcp-echo', arguments => qq({"text": "b$_"}) } } }
        1 .. 2 ] };

    $t->mock->forget;
    my ($run, $c, $messages) = play([ { tools => [ $call, $call ] },
        { tools => [ $call ] }, { message => $nameless },
        { message => $blank }, { text => 'x' } ], mcp => '');
    is $run->{status}, 'completed', 'completed' or diag explain $run->{error};
    my @uses = blocks($messages, 'tool_use');
    my %ids = map { $_->{tool_use_id} => 1 } @uses;
    is scalar @uses, 7, 'seven calls';
    is scalar keys %ids, 7, 'seven ids';
    ok !exists $ids{''}, 'none is empty';
    ok $ids{dup}, 'the first keeps the one it had';
    is_closed($messages);
    is_deeply [ map { $_->{content}[0]{text} }
                (blocks($messages, 'tool_result'))[3 .. 6] ],
              [ qw(n1 n2 b1 b2) ], 'results go with their calls';

    my $last = (prompts())[-1];
    is_deeply [ map { $_->{id} } map { @{$_->{tool_calls} || []} }
                @{$last->{messages}} ],
              [ map { $_->{tool_call_id} } grep { $_->{role} eq 'tool' }
                @{$last->{messages}} ], 'the provider gets them in pairs';
    return;
}


sub ids_across_runs {
    my ($run, $c) = play([ { tools => [ [ 'ask', {}, 'same' ] ] },
                           { text => 'one' } ], tools => [ $ASK ]);
    $t->finished($t->run($c, { kind => 'tool_outputs', outputs => [
        { tool_use_id => 'same', content => 'x' } ] }));
    $run = $t->finished($t->run($t->reread($c), script(
        { tools => [ [ 'ask', {}, 'same' ] ] }, { text => 'two' })));
    my $id = $run->{pending_tool_calls}[0]{tool_use_id};
    isnt $id, 'same', 'an id of an earlier run is replaced';
    is $t->finished($t->run($t->reread($c), { kind => 'tool_outputs',
        outputs => [ { tool_use_id => $id, content => 'y' } ] }))->{status},
        'completed', 'and answers as the new one';
    return;
}


sub no_answer {
    my ($run, $c, $messages) = play([ { text => '' } ]);
    is_failed($run, 'AgentLoopSchemaDecodeFailed', 'schema-decode-failed',
              qr/empty/i, 'an empty reply');
    is $run->{iterations_used}, 1, 'it counts';
    is $c->{version}, scalar @$messages, 'the version is that of its turns';

    ($run) = play([ { message => { role => 'assistant', content => undef } } ]);
    is $run->{error}{type}, 'AgentLoopSchemaDecodeFailed', 'null';

    ($run, $c, $messages) = play([ { text => 'half an', finish => 'length' } ]);
    is_failed($run, 'AgentLoopSchemaDecodeFailed', 'schema-decode-failed',
              qr/max_tokens/, 'a reply that is cut off');
    is $messages->[1]{content_blocks}[0]{text}, 'half an',
       'what there is of it is committed';

    $t->mock->forget;
    ($run, $c, $messages) = play([ { tools => [ [ 'mcp-echo', '{"text": "x' ],
        ], finish => 'length' } ], mcp => '');
    is $run->{error}{type}, 'AgentLoopSchemaDecodeFailed',
       'cut off in a call';
    is scalar tool_calls(), 0, 'which is not made';
    is_closed($messages);

    ($run) = play([ { message => { role => 'assistant', content => undef,
                                   refusal => 'I will not' } } ]);
    is_failed($run, 'AgentLoopRefused', 'refused', qr/I will not/,
              'a refusal');

    ($run) = play([ { text => 'some', finish => 'content_filter' } ]);
    is_failed($run, 'AgentLoopContentFiltered', 'content-filtered', qr/\w/,
              'a content filter');
    ($run) = play([ { status => 400, json => { error => { code =>
        'content_filter', message => 'The prompt was filtered' } } } ]);
    is $run->{error}{type}, 'AgentLoopContentFiltered', 'as an error, too';

    ($run) = play([ { status => 400, json => { error => { code =>
        'context_length_exceeded', message => 'too long' } } } ]);
    is_failed($run, 'AgentLoopContextOverflow', 'context-overflow', qr/\w/,
              'a prompt that is too long');
    return;
}


sub after_failure {
    my ($run, $c) = play([ { tools => [ [ 'mcp-echo', {}, 'e1' ],
                             [ 'nope-x', {}, 'e2' ] ] } ], mcp => '');
    is $run->{status}, 'failed', 'a failed run with open calls';
    is $c->{version}, 3, 'which it closed';

    $t->mock->forget;
    is $t->finished($t->run($c, 'and now?'))->{final_text}, 'echo: and now?',
       'the next run is a fresh one';
    my $prompt = (prompts())[-1];
    is_deeply [ map { $_->{role} } @{$prompt->{messages}} ],
              [ qw(user assistant tool tool user) ],
              'its prompt is valid for every provider';
    return;
}


sub text_beside {
    my ($run, $c, $messages) = play([
        { text => 'Let me see.', tools => [ [ 'mcp-add',
          { a => 1, b => 2 } ] ] }, { tool_results => 1 } ], mcp => '');
    is $run->{final_text}, '3', 'the last text is the answer';
    is_deeply [ map { $_->{type} } @{$messages->[1]{content_blocks}} ],
              [ qw(text tool_use) ], 'the text stands before the call';
    is $messages->[1]{content_blocks}[0]{text}, 'Let me see.', 'as it was';
    return;
}


sub texts {
    my $text = "<\"quoted\"> \\ \x{e4}\x{20ac}\x{1f600}\n\ttab\x{7f}\r\n end";
    my ($run, $c) = $t->flow($text);
    is $run->{final_text}, "echo: $text", 'any character survives';
    is $t->messages($c)->[0]{content_blocks}[0]{text}, $text,
       'in the messages, too';

    ($run) = $t->flow(script({ text => "nul: \0." }));
    is $run->{final_text}, "nul: \x{fffd}.", 'U+0000 from outside';

    my $long = "\x{e9}" x 100_000;
    ($run) = $t->flow($long);
    is length $run->{final_text}, 100_006, 'a hundred thousand characters';
    return;
}
