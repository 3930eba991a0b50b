# tool_choice: what is refused at once, what discovery finds out, what the
# provider is sent, and models that do not do as they are told.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my $ASK = { name => 'ask', input_schema => { type => 'object' } };
my %FORCE = (kind => 'specific_tool');

my $t = AgentsTest->new(
    handlers => { '/none' => AgentsTest::Mcp::handler(tools => []) },
    plane => 'model stubborn provider=scripted id=stubborn max_tokens=9000'
             . ' no_forced_choice;'
             . ' model nameless provider=scripted id=nameless max_tokens=9000'
             . ' no_named_choice;')->start;

subtest 'refused at once' => \&refused;
subtest 'auto' => \&auto;
subtest 'any' => \&any;
subtest 'a caller-declared tool' => \&specific;
subtest 'a tool of a server' => \&specific_mcp;
subtest 'a tool that is not there' => \&not_discovered;
subtest 'the first inference alone' => \&first_only;
subtest 'not followed' => \&not_followed;
subtest 'a model that cannot be forced' => \&cannot_be_forced;
subtest 'a model that takes no name' => \&takes_no_name;
subtest 'each run anew' => \&each_run;
$t->clean;

done_testing;


sub start {
    my ($c, $choice, @script) = @_;
    return $t->finished($t->run($c, script(@script), tool_choice => $choice));
}


sub prompts {
    return map { $_->{json} } grep { $_->{path} =~ /completions/ }
           @{$t->mock->requests};
}


sub tool_names {
    my ($prompt) = @_;
    return [ sort map { $_->{function}{name} } @{$prompt->{tools} || []} ];
}


sub refused {
    my $c = $t->conversation(mcp => '', tools => [ $ASK ]);
    my $bare = $t->conversation;
    my $long = 'x' x 61;
    my @cases = (
        [ $c, { %FORCE, name => 'nope' }, 'unknown-tool-choice-name',
          'Unknown Tool Choice Name' ],
        [ $c, { %FORCE, name => 'echo' }, 'unknown-tool-choice-name',
          'Unknown Tool Choice Name' ],
        [ $c, { %FORCE, name => 'ASK' }, 'unknown-tool-choice-name',
          'Unknown Tool Choice Name' ],
        [ $c, { %FORCE, name => 'ask', mcp_alias => 'other' },
          'unknown-tool-choice-mcp-alias', 'Unknown Tool Choice MCP Alias' ],
        [ $c, { %FORCE, name => 'ask', mcp_alias => 'MCP' },
          'unknown-tool-choice-mcp-alias', 'Unknown Tool Choice MCP Alias' ],
        [ $c, { %FORCE, name => $long, mcp_alias => 'mcp' },
          'tool-name-too-long', 'Tool wire name too long' ],
        [ $bare, { kind => 'any' }, undef, undef ],
        [ $bare, { %FORCE, name => 'ask' }, 'unknown-tool-choice-name',
          'Unknown Tool Choice Name' ],
        [ $c, { kind => 'none' }, 'invalid-request', 'Invalid Request' ],
        [ $c, { %FORCE }, 'invalid-request', 'Invalid Request' ],
    );
    for (@cases) {
        my ($conversation, $choice, $slug, $title) = @$_;
        my $answer = $t->post("/agents/conversations/$conversation->{id}/runs",
            $t->run_body($conversation, 'x', tool_choice => $choice));
        my $name = JSON::PP->new->canonical->encode($choice);
        is $answer->{status}, 400, "400 for $name" or diag $answer->{content};
        next unless defined $slug;
        like $answer->{json}{type}, qr{/errors/$slug$}, $slug;
        is $answer->{json}{title}, $title, $title;
        like $answer->{json}{errors}[0]{pointer}, qr{^/tool_choice}, 'pointer';
    }

    my $answer = $t->post("/agents/conversations/$c->{id}/runs",
        $t->run_body($c, 'x', tool_choice => { %FORCE, name => 'ask' },
                     config_override => { tools => [] }));
    is $answer->{status}, 400, 'the effective catalog counts';
    return;
}


sub auto {
    my $c = $t->conversation(tools => [ $ASK ]);
    my $run = start($c, { kind => 'auto' }, { text => 'x' });
    is $run->{final_text}, 'x', 'text is fine';
    my $choice = (prompts())[-1]{tool_choice};
    ok !defined $choice || $choice eq 'auto', 'the model decides';
    is_deeply $run->{tool_choice}, { kind => 'auto' }, 'it shows';
    return;
}


sub any {
    my $c = $t->conversation(mcp => '', tools => [ $ASK ]);
    my $run = start($c, { kind => 'any' }, { tools => [ [ 'mcp-add',
                    { a => 1, b => 2 } ] ] }, { text => 'three' });
    is $run->{final_text}, 'three', 'any tool will do';
    my @prompts = prompts();
    is $prompts[-2]{tool_choice}, 'required', 'the model was forced';
    isnt $prompts[-1]{tool_choice} || '', 'required', 'once';

    $run = start($t->conversation(mcp => '', tools => [ $ASK ]),
                 { kind => 'any' }, { tools => [ [ 'ask', {} ] ] });
    is $run->{status}, 'requires_action', 'a caller-declared one, too';
    return;
}


sub specific {
    my $c = $t->conversation(tools => [ $ASK, { %$ASK, name => 'other' } ]);
    my $run = start($c, { %FORCE, name => 'ask' },
                    { tools => [ [ 'ask', {} ] ] });
    is $run->{status}, 'requires_action', 'called';
    is_deeply((prompts())[-1]{tool_choice}, { type => 'function',
              function => { name => 'ask' } }, 'the model was forced');
    is_deeply $run->{tool_choice}, { %FORCE, name => 'ask' }, 'as sent';
    return;
}


sub specific_mcp {
    my $c = $t->conversation(mcp => '');
    my $choice = { %FORCE, name => 'add', mcp_alias => 'mcp' };
    my $run = start($c, $choice, { tools => [ [ 'mcp-add',
                    { a => 1, b => 2 } ] ] }, { text => 'three' });
    is $run->{final_text}, 'three', 'called';
    is_deeply((prompts())[-2]{tool_choice}, { type => 'function',
              function => { name => 'mcp-add' } }, 'by its wire name');
    is_deeply $run->{tool_choice}, $choice, 'as sent';
    return;
}


sub not_discovered {
    my $c = $t->conversation(mcp => '');
    $t->mock->forget;
    my $run = start($c, { %FORCE, name => 'nope', mcp_alias => 'mcp' },
                    { text => 'x' });
    is $run->{error}{type}, 'AgentLoopUnknownToolChoiceName',
       'no such tool at the server' or diag explain $run;
    is $run->{error}{title}, 'Unknown Tool Choice Name', 'title';
    like $run->{error}{message}, qr/nope/, 'the message names it';
    is scalar prompts(), 0, 'the model was not asked';
    is $t->reread($c)->{version}, 0, 'nothing is committed';

    $c = $t->conversation(mcp_servers => [ { alias => 'mcp',
                          url => $t->mock->url('/none') } ]);
    $run = start($c, { kind => 'any' }, { text => 'x' });
    is $run->{error}{type}, 'AgentLoopUnknownToolChoiceName',
       'any, with nothing discovered';
    return;
}


sub first_only {
    my $c = $t->conversation(mcp => '');
    $t->mock->forget;
    my $run = start($c, { %FORCE, name => 'echo', mcp_alias => 'mcp' },
                    { tools => [ [ 'mcp-echo', { text => 'a' } ] ] },
                    { tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
                    { text => 'x' });
    is $run->{final_text}, 'x', 'then the model is free';
    my @prompts = prompts();
    is ref $prompts[0]{tool_choice}, 'HASH', 'forced';
    ok !ref $_->{tool_choice} && ($_->{tool_choice} || 'auto') eq 'auto',
       'free' for @prompts[1, 2];
    is_deeply tool_names($_), tool_names($prompts[1]), 'with all the tools'
        for $prompts[2];
    return;
}


sub not_followed {
    my $c = $t->conversation(mcp => '', tools => [ $ASK ]);
    my $choice = { %FORCE, name => 'ask' };
    $t->mock->forget;
    # the same prompt's first entry is given twice: it is asked once more
    my $run = start($c, $choice, { text => 'no' });
    is $run->{status}, 'failed', 'a model that does not call it';
    is $run->{error}{type}, 'AgentLoopToolChoiceNotFollowed', 'its code';
    is $run->{iterations_used}, 2, 'it was asked once more';
    is scalar @{$run->{submitted_inference_job_ids}}, 2, 'as a job of its own';
    is scalar prompts(), 2, 'not more often';
    is_deeply [ map { $_->{tool_choice} } prompts() ], [ { type => 'function',
        function => { name => 'ask' } }, 'required' ],
        'of this tool by name, then of any that is offered';
    is_deeply tool_names((prompts())[1]), [ 'ask' ], 'which is this one';
    my $messages = $t->messages($c);
    is_deeply [ map { $_->{role} } @$messages ], [ qw(user assistant) ],
              'the repeated turn shows once';

    $c = $t->conversation(tools => [ $ASK ]);
    $run = start($c, $choice, { text => 'no', times => 1 },
                 { tools => [ [ 'ask', {} ] ] });
    is $run->{status}, 'requires_action', 'one that does the second time';
    is $run->{iterations_used}, 2, 'in two iterations';
    is_deeply [ map { [ map { $_->{type} } @{$_->{content_blocks}} ] }
                @{$t->messages($c)} ], [ [ 'text' ], [ 'tool_use' ] ],
              'the first reply is in no message';

    $c = $t->conversation(tools => [ $ASK ], max_iterations => 1);
    $run = start($c, $choice, { text => 'no' });
    is $run->{error}{type}, 'AgentLoopToolChoiceNotFollowed',
       'no budget to ask again';
    is $run->{iterations_used}, 1, 'one iteration';

    $c = $t->conversation(tools => [ $ASK, { %$ASK, name => 'other' } ]);
    $run = start($c, $choice, { tools => [ [ 'other', {} ] ] });
    is $run->{error}{type}, 'AgentLoopToolChoiceNotFollowed',
       'another tool is not the one';
    return;
}


sub cannot_be_forced {
    my $c = $t->conversation(model => 'stubborn', mcp => '',
                             tools => [ $ASK ]);
    $t->mock->forget;
    my $run = start($c, { %FORCE, name => 'add', mcp_alias => 'mcp' },
                    { tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
                    { text => 'three' });
    is $run->{final_text}, 'three', 'called';
    my @prompts = prompts();
    ok !ref $prompts[0]{tool_choice}, 'no tool_choice is sent';
    is_deeply tool_names($prompts[0]), [ 'mcp-add' ], 'one tool is offered';
    ok @{tool_names($prompts[1])} > 2, 'later all of them';
    my @texts = map { AgentsTest::Model::text_of($_->{content}) }
                @{$prompts[0]{messages}};
    like "@texts", qr/mcp-add/, 'with an instruction';
    is_deeply [ map { $_->{role} } @{$t->messages($c)} ],
              [ qw(user assistant tool assistant) ],
              'which is in no message';

    $c = $t->conversation(model => 'stubborn', tools => [ $ASK ]);
    $t->mock->forget;
    $run = start($c, { %FORCE, name => 'ask' }, { text => 'not yet',
                 times => 1 }, { tools => [ [ 'ask', {} ] ] });
    is $run->{status}, 'requires_action', 'one that does the second time';
    is_deeply [ map { tool_names($_) } prompts() ], [ [ 'ask' ], [ 'ask' ] ],
              'offered alone both times';

    $c = $t->conversation(model => 'stubborn', tools => [ $ASK ]);
    $run = start($c, { %FORCE, name => 'ask' }, { text => 'no' });
    is $run->{error}{type}, 'AgentLoopToolChoiceNotFollowed', 'that never does';
    is $run->{iterations_used}, 2, 'after two replies';
    return;
}


sub takes_no_name {
    my $c = $t->conversation(model => 'nameless', mcp => '', tools => [ $ASK ]);
    $t->mock->forget;
    my $run = start($c, { %FORCE, name => 'add', mcp_alias => 'mcp' },
                    { tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
                    { text => 'three' });
    is $run->{final_text}, 'three', 'called';
    my @prompts = prompts();
    is $prompts[0]{tool_choice}, 'required', 'a call is asked for';
    is_deeply tool_names($prompts[0]), [ 'mcp-add' ], 'of the only tool';
    unlike JSON::PP::encode_json($prompts[0]{messages}), qr/Reply with a call/,
           'without an instruction';
    is $prompts[1]{tool_choice} // 'auto', 'auto', 'then none';
    ok @{tool_names($prompts[1])} > 2, 'of all of them';
    return;
}


sub each_run {
    my $c = $t->conversation(tools => [ $ASK ]);
    my $choice = { %FORCE, name => 'ask' };
    my $run = start($c, $choice, { tools => [ [ 'ask', {}, 'a' ] ] },
                    { tools => [ [ 'ask', {}, 'b' ] ] });
    my $outputs = sub { { kind => 'tool_outputs', outputs => [ {
        tool_use_id => $_[0], content => 'x' } ] } };

    $c = $t->reread($c);
    $run = $t->finished($t->run($c, $outputs->('a'),
                                tool_choice => $choice));
    is $run->{status}, 'requires_action', 'forced again when resumed';
    is ref((prompts())[-1]{tool_choice}), 'HASH', 'the provider, too';

    $run = $t->finished($t->run($t->reread($c), $outputs->('b')));
    is $run->{status}, 'completed', 'and not without asking for it';
    is_deeply $run->{tool_choice}, { kind => 'auto' }, 'auto';
    return;
}
