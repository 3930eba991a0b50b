# Structured output: answers held to their schema, one repair within the
# budget, schemas whose root is no object, and numbers as they came.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my $SCHEMA = { type => 'object', additionalProperties => JSON::PP::false,
    required => [ 'n' ], properties => {
        n => { type => 'integer', minimum => 1, maximum => 9 },
        s => { type => [ 'string', 'null' ], maxLength => 3 } } };

my $t = AgentsTest->new->start;

subtest 'a good answer' => \&good;
subtest 'a fenced answer' => \&fenced;
subtest 'repaired' => \&repaired;
subtest 'not repaired' => \&not_repaired;
subtest 'no budget' => \&no_budget;
subtest 'answers that do not match' => \&mismatches;
subtest 'a root that is no object' => \&roots;
subtest 'after tools' => \&after_tools;
subtest 'with a forced tool' => \&forced_tool;
subtest 'numbers' => \&numbers;
$t->clean;

done_testing;


sub play {
    my ($schema, $script, %defaults) = @_;
    my ($run, $c) = $t->flow(script(@$script),
                             output_format_schema => $schema, %defaults);
    return ($run, $c, $t->messages($c));
}


sub prompts {
    return map { $_->{json} } grep { $_->{path} =~ /completions/ }
           @{$t->mock->requests};
}


# The answer is in the run and, as one text block of JSON, in the messages.
sub is_answer {
    my ($run, $messages, $value, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $run->{status}, 'completed', "$name: completed"
        or diag explain $run->{error};
    is $run->{final_text}, undef, 'no text';
    is_deeply $run->{final_structured_output}, $value, 'the value';
    my @blocks = @{$messages->[-1]{content_blocks}};
    is scalar @blocks, 1, 'one block';
    is_deeply(JSON::PP->new->allow_nonref->decode($blocks[0]{text}), $value,
              'of JSON');
    return;
}


sub is_mismatch {
    my ($run, $message, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $run->{status}, 'failed', "$name: failed";
    is $run->{error}{type}, 'AgentLoopSchemaDecodeFailed', 'its code';
    like $run->{error}{docs_url}, qr{/errors/schema-decode-failed$}, 'page';
    like $run->{error}{message}, $message, 'the reason';
    is $run->{final_structured_output}, undef, 'no output';
    is $run->{final_text}, undef, 'no text';
    return;
}


sub good {
    $t->mock->forget;
    my ($run, $c, $messages) = play($SCHEMA, [ { text => '{"n": 5, "s": null}'
                                    } ]);
    is_answer($run, $messages, { n => 5, s => undef }, 'good');
    is $run->{iterations_used}, 1, 'one iteration';
    is_deeply $run->{effective_config}{output_format_schema}, $SCHEMA,
              'the schema as it was sent';
    my $format = (prompts())[0]{response_format};
    is $format->{type}, 'json_schema', 'the provider has it';
    is $format->{json_schema}{schema}{type}, 'object', 'as an object';
    return;
}


sub fenced {
    my ($run, $c, $messages) = play($SCHEMA,
                                    [ { text => "```json\n{\"n\": 2}\n```" } ]);
    is_answer($run, $messages, { n => 2 }, 'fenced');
    return;
}


sub repaired {
    $t->mock->forget;
    my ($run, $c, $messages) = play($SCHEMA,
        [ { text => '{"n": 12}' }, { text => '{"n": 3}' } ],
        max_iterations => 2);
    is_answer($run, $messages, { n => 3 }, 'repaired');
    is $run->{iterations_used}, 2, 'two iterations';
    is scalar @{$run->{submitted_inference_job_ids}}, 2, 'two jobs';
    is $run->{usage}{total_tokens}, 30, 'both count';
    is_deeply [ map { $_->{role} } @$messages ], [ qw(user assistant) ],
              'the repaired reply is in no message';
    is $c->{version}, 2, 'nor in the version';
    like JSON::PP::encode_json((prompts())[-1]), qr{/n\b},
         'the model was told what is wrong';
    return;
}


sub not_repaired {
    my ($run, $c, $messages) = play($SCHEMA,
        [ { text => '{"n": 12}' }, { text => '{"n": 13}' },
          { text => '{"n": 3}' } ], max_iterations => 8);
    is_mismatch($run, qr{/n\b}, 'twice wrong');
    is $run->{iterations_used}, 2, 'one repair, not more';
    is_deeply [ map { $_->{role} } @$messages ], [ qw(user assistant) ],
              'one turn is committed';
    return;
}


sub no_budget {
    my ($run, $c, $messages) = play($SCHEMA,
        [ { text => '{"n": 12}' }, { text => '{"n": 3}' } ],
        max_iterations => 1);
    is_mismatch($run, qr{/n\b}, 'no budget to repair');
    is $run->{iterations_used}, 1, 'one iteration';
    is $messages->[1]{content_blocks}[0]{text}, '{"n": 12}',
       'what the model said is committed';
    return;
}


sub mismatches {
    my %cases = (
        'prose' => [ 'It is five.', qr/JSON/ ],
        '{"n": "5"}' => [ '{"n": "5"}', qr{/n\b} ],
        '{"n": 5.5}' => [ '{"n": 5.5}', qr{/n\b} ],
        'a missing field' => [ '{"s": "x"}', qr{\bn\b} ],
        'an unknown field' => [ '{"n": 5, "x": 1}', qr{\bx\b} ],
        'a long string' => [ '{"n": 5, "s": "four"}', qr{/s\b} ],
        'half of it' => [ '{"n": 5', qr/JSON/ ],
        'an array' => [ '[5]', qr/\w/ ],
        'a wrapper that is not there' => [ '{"value": {"n": 5}}', qr/\w/ ],
    );
    for my $name (sort keys %cases) {
        my ($text, $reason) = @{$cases{$name}};
        my ($run) = play($SCHEMA, [ { text => $text } ],
                         max_iterations => 1);
        is_mismatch($run, $reason, $name);
    }

    my ($run) = play($SCHEMA, [ { text => '{"n": 5', finish => 'length' } ]);
    is_mismatch($run, qr/max_tokens/, 'cut off');
    ($run) = play($SCHEMA, [ { text => '' } ]);
    is_mismatch($run, qr/empty/, 'empty');
    return;
}


sub roots {
    my %cases = (
        array => [ { type => 'array', items => { type => 'integer' } },
                   '[1, 2]', [ 1, 2 ] ],
        string => [ { enum => [ 'yes', 'no' ] }, '"yes"', 'yes' ],
        union => [ { anyOf => [ { type => 'string' },
                                { type => 'array',
                                  items => { type => 'string' } } ] },
                   '["a"]', [ 'a' ] ],
    );
    for my $name (sort keys %cases) {
        my ($schema, $text, $value) = @{$cases{$name}};
        $t->mock->forget;

        # what the wrapper's member is called, the provider is told
        play($schema, [ { text => 'x' } ], max_iterations => 1);
        my $sent = (prompts())[0]{response_format}{json_schema}{schema};
        is $sent->{type}, 'object', "$name: wrapped for the provider";
        my ($member) = keys %{$sent->{properties}};
        is_deeply $sent->{required}, [ $member ], 'in one member';

        my ($run, $c, $messages) = play($schema,
            [ { text => qq({"$member": $text}) } ]);
        is_answer($run, $messages, $value, "$name, unwrapped");
        is_deeply $run->{effective_config}{output_format_schema}, $schema,
                  'the schema shows as it was sent';

        my $again = $t->finished($t->run($c, script(
            { text => qq({"$member": $text}) })));
        is $again->{status}, 'completed', 'a second run';
    }
    return;
}


sub after_tools {
    my ($run, $c, $messages) = play($SCHEMA, [
        { tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
        { text => '{"n": 3}' } ], mcp => '');
    is_answer($run, $messages, { n => 3 }, 'after a tool');
    is_deeply [ map { $_->{role} } @$messages ],
              [ qw(user assistant tool assistant) ], 'its turns';
    return;
}


sub forced_tool {
    my $c = $t->conversation(output_format_schema => $SCHEMA, mcp => '');
    my $run = $t->finished($t->run($c, script(
        { tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
        { text => '{"n": 3}' }), tool_choice => { kind => 'any' }));
    is_deeply $run->{final_structured_output}, { n => 3 },
              'a forced tool, then the answer';
    return;
}


sub numbers {
    my $schema = { type => 'object', properties => {
        map { $_ => { type => 'number' } } qw(a b c d e f) },
        required => [ 'a' ] };
    my $text = '{"a": 0.7, "b": 1e21, "c": 9007199254740993, "d": 0.1,'
               . ' "e": 18446744073709551616, "f": 1E400}';
    my ($run, $c) = play($schema, [ { text => $text } ], temperature => 0.7);
    my $raw = $t->get("/agents/runs/$run->{id}")->{content};
    like $raw, qr/"a":\s*0\.7\b[^0-9]/, '0.7 stays 0.7';
    like $raw, qr/"b":\s*1(?:\.0)?e\+?21\b/i, '1e21';
    like $raw, qr/"c":\s*9007199254740993\b/, 'an integer over 2^53';
    like $raw, qr/"e":\s*18446744073709551616\b/, 'one over 2^64';
    like $raw, qr/"f":\s*1E400\b/, 'a real beyond a double';
    like $raw, qr/"temperature":\s*0\.7\b[^0-9]/, 'temperature';
    return;
}
