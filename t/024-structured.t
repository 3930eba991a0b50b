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
subtest 'any keyword at the root' => \&any_root;
subtest 'for the wire' => \&wire;
subtest 'schemas that are refused' => \&refused;
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


# Each of these says alone what the answer has to be: one that fits, one that
# does not.
sub any_root {
    my @cases = (
        [ { type => 'number' }, '1.5', '"x"' ],
        [ { type => [ 'boolean', 'null' ] }, 'null', '0' ],
        [ { type => [ 'object', 'null' ], required => [ 'a' ] },
          '{"a":{"value":1}}', '{"b":1}' ],
        [ { const => { a => 1 } }, '{"a":1.0}', '{"a":2}' ],
        [ { enum => [ 1, 'b', undef, [ 2 ] ] }, '[2]', '"1"' ],
        [ { properties => { value => { type => 'string' } },
            required => [ 'value' ] }, '{"value":"x"}', '{"value":1}' ],
        [ { minimum => 5 }, '5', '4.5' ],
        [ { maximum => 5 }, '5', '6' ],
        [ { minLength => 2 }, '"\u00e4\u00f6"', '"\u00e4"' ],
        [ { maxLength => 2 }, '"\u00e4\u00f6"', '"\u00e4\u00f6\u00fc"' ],
        [ { minItems => 1 }, '[0]', '[]' ],
        [ { maxItems => 1 }, '[0]', '[0,1]' ],
        [ { items => { type => 'integer' } }, '[1,2.0]', '[1,"2"]' ],
        [ { anyOf => [ { type => 'string' }, { type => 'null' } ] }, '"x"',
          '1' ],
        [ { additionalProperties => JSON::PP::false }, '{}', '{"a":1}' ],
        [ { title => 'T', description => 'Any.', default => 1 },
          '[{"b":null}]' ],
        [ {}, 'true' ],
    );
    my $json = JSON::PP->new->canonical->allow_nonref;
    for (@cases) {
        my ($schema, $text, $bad) = @$_;
        my $name = $json->encode($schema);
        my ($run, $c, $messages) = play($schema,
                                        [ { text => qq({"value": $text}) } ]);
        is_answer($run, $messages, $json->decode($text), $name);
        next unless defined $bad;
        ($run) = play($schema, [ { text => qq({"value": $bad}) } ],
                      max_iterations => 1);
        is_mismatch($run, qr{/\w*: }, "$name, another answer");
    }
    return;
}


# What the provider's grammar does not take is told there, and held to here.
sub wire {
    my $schema = { '$schema' => 'https://json-schema.org/draft/2020-12/schema',
        '$id' => 'https://example.com/answer', '$comment' => 'none',
        type => 'object', additionalProperties => JSON::PP::false,
        required => [ 'code', 'examples' ], title => 'Answer', properties => {
            code => { type => 'string', description => 'A code.',
                      minLength => 2, maxLength => 4, examples => [ 'ab' ],
                      deprecated => JSON::PP::true },
            examples => { type => 'array', minItems => 1, items => {
                type => 'integer', minimum => 1, default => 1,
                readOnly => JSON::PP::true } } } };
    $t->mock->forget;
    my ($run, $c, $messages) = play($schema,
        [ { text => '{"code": "abcde", "examples": [1]}' },
          { text => '{"code": "abcd", "examples": [1]}' } ]);
    is_answer($run, $messages, { code => 'abcd', examples => [ 1 ] },
              'mended');
    is $run->{iterations_used}, 2, 'the first answer was too long';
    is_deeply $run->{effective_config}{output_format_schema}, $schema,
              'the schema shows as it was sent';

    my $format = (prompts())[0]{response_format}{json_schema};
    ok $format->{strict}, 'the grammar is used';
    is_deeply $format->{schema}, {
        type => 'object', additionalProperties => JSON::PP::false,
        required => [ 'code', 'examples' ], title => 'Answer', properties => {
            code => { type => 'string', description => "A code.\n"
                . "Least number of characters: 2.\n"
                . 'Greatest number of characters: 4.' },
            examples => { type => 'array', minItems => 1, items => {
                type => 'integer', minimum => 1,
                description => 'Default: 1.' } } } }, 'what it has no word for'
        . ' is told, annotations are dropped';

    ($run) = play($schema, [ { text => '{"code": "a", "examples": [1]}' } ],
                  max_iterations => 1);
    is_mismatch($run, qr{/code: }, 'too short');
    return;
}


sub refused {
    my $c = $t->conversation;
    my $deep = { type => 'string', pattern => '^a' };
    $deep = { anyOf => [ { type => 'null' }, { properties => { 'a/b' =>
              { items => $deep } } } ] };
    my @cases = (
        [ { oneOf => [ {} ] }, '/oneOf' ],
        [ { '$ref' => '#' }, '/$ref' ],
        [ { type => 'string', format => 'date' }, '/format' ],
        [ { '$defs' => {}, type => 'null' }, '/$defs' ],
        [ $deep, '/anyOf/1/properties/a~1b/items/pattern' ],
        [ { additionalProperties => JSON::PP::true }, '/additionalProperties' ],
        [ { additionalProperties => {} }, '/additionalProperties' ],
        [ { type => [ 'string', 'integer' ] }, '/type' ],
        [ { type => 'date' }, '/type' ],
        [ { properties => [] }, '/properties' ],
        [ { required => 'a' }, '/required' ],
        [ { required => [ 'a', 1 ] }, '/required/1' ],
        [ { enum => [] }, '/enum' ],
        [ { minLength => -1 }, '/minLength' ],
        [ { items => [ {} ] }, '/items' ],
        [ { properties => { a => JSON::PP::true } }, '/properties/a' ],
        [ [], '' ],
    );
    for (@cases) {
        my ($schema, $at) = @$_;
        my $body = $t->conversation_body(output_format_schema => $schema);
        is_refused($t->post('/agents/conversations', $body),
                   "/defaults/output_format_schema$at");
        $body = $t->run_body($c, 'hello', config_override =>
                             { output_format_schema => $schema });
        is_refused($t->post("/agents/conversations/$c->{id}/runs", $body),
                   "/config_override/output_format_schema$at");
    }
    my $many = $t->post('/agents/conversations', $t->conversation_body(
        output_format_schema => { enum => [ 1 .. 100_001 ] }));
    is_refused($many, '/defaults/output_format_schema');
    is $t->reread($c)->{version}, 0, 'nothing happened';
    return;
}


sub is_refused {
    my ($answer, $pointer) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $answer->{status}, 400, "$pointer: 400";
    my $problem = $answer->{json};
    like $problem->{type}, qr{/errors/invalid-output-schema$}, 'its type';
    is_deeply [ map { [ @$_{qw(pointer code)} ] } @{$problem->{errors}} ],
              [ [ $pointer, 'invalid-output-schema' ] ], 'its place';
    my ($keyword) = $pointer =~ m{([\w\$]+)$};
    like $problem->{errors}[0]{detail}, qr/"\Q$keyword\E"/,
         'the keyword by name'
        if $keyword !~ /^(?:\d+|a|output_format_schema)$/ && $keyword ne 'items';
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
