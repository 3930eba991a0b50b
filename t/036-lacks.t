# A model that refuses what it is asked for: on each protocol it is asked again
# without, and never again for the same, by whichever worker, which is said once.
# What is left in the end is an instruction, in the system prompt alone.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Workers;

my $json = JSON::PP->new->canonical->allow_nonref;
my $ASK = { name => 'ask', input_schema => { type => 'object' } };
my $SCHEMA = { type => 'object', required => [ 'n' ],
    additionalProperties => JSON::PP::false,
    properties => { n => { type => 'integer', maximum => 9 } } };

# What a prompt has that may be refused, and how each form of a provider says
# that it does.
my %LACKS = (
    temperature => [ sub { defined $_[0]{temperature} },
        openai => "Unsupported value: 'temperature' does not support 0 with"
                  . ' this model. Only the default (1) value is supported.',
        anthropic => 'temperature: Extra inputs are not permitted',
        bedrock => 'The model returned the following errors: `temperature` is'
                   . ' deprecated for this model.' ],
    choice => [ sub { ($_[0]{choice} // 'auto') ne 'auto' },
        openai => 'This model does not support this tool_choice',
        anthropic => 'tool_choice: forced tool use is not supported on this'
                     . ' model',
        bedrock => "This model doesn't support the toolConfig.toolChoice.any"
                   . ' field. Remove toolConfig.toolChoice.any and try again.'
    ],
    format => [ sub { $_[0]{format} },
        openai => "Invalid parameter: 'response_format' of type 'json_schema'"
                  . ' is not supported with this model.',
        anthropic => 'output_config.format: Extra inputs are not permitted',
        bedrock => 'extraneous key [outputConfig] is not permitted' ],
    # some make a strict tool of a format, and say so
    format_tool => [ sub { $_[0]{format} },
        bedrock => 'tools.0.custom.strict: Extra inputs are not permitted' ],
    strict => [ sub { grep { exists $_->{strict} } @{$_[0]{tools}} },
        openai => 'tools.0.function.strict: Extra inputs are not permitted' ],
    stream => [ sub { $_[0]{stream} },
        openai => 'Streaming is not supported for this model',
        anthropic => 'stream: streaming is not supported for this model',
        bedrock => 'The model is unsupported for streaming.' ],
);
my @protocols = AgentsTest::Protocols->all;

my $t = AgentsTest->new(AgentsTest::Workers::conf(),
    AgentsTest::Protocols->configured('', map { my $name = $_->name;
        [ "$name-lacking", $name, '' ],
        [ "$name-late", $name, '' ],
        [ "$name-blamed", $name, '' ],
        [ "$name-toolless", $name, 'no_native_format' ],
        [ "$name-bare", $name, 'no_native_format no_forced_choice' ],
        [ "$name-bare-whole", $name,
          'no_native_format no_forced_choice no_stream' ] } @protocols),
    handlers => { map { $_->path => strict($_) } @protocols })->start;
my $via = AgentsTest::Workers->new($t);

for my $protocol (@protocols) {
    my $name = $protocol->name;
    subtest "$name: learned" => sub { learned($protocol) };
    subtest "$name: refused in a stream" => sub { late($protocol) };
    subtest "$name: another's fault" => sub { blamed($protocol) };
    subtest "$name: the tool that stands in" => sub { toolless($protocol) };
    subtest "$name: an instruction" => sub { instructed("$name-bare") };
    subtest "$name: an instruction, whole"
        => sub { instructed("$name-bare-whole") };
}
subtest 'a format that is called a strict tool' => \&format_tool;
subtest 'forgotten with the configuration' => \&forgotten;
$t->clean;

done_testing;


# The scripted model, that refuses what its system prompt says it lacks; by an
# error in a stream where it says so.
sub strict {
    my ($protocol) = @_;
    my $model = AgentsTest::Model::handler();

    return sub {
        my ($req) = @_;
        my $prompt = AgentsTest::Model::prompt($req);
        my ($late, $lacks)
            = $prompt->{system} =~ /^(late )?lacks:([a-z_ ]*)/;

        # what is wrong is something else, that has the name of it
        return { $protocol->error('invalid_request_error',
                     "tools.0.properties: 'tool_choice' is not allowed"),
                 status => 400 } if $prompt->{system} =~ /^blames/;

        for my $lack (split ' ', $lacks // '') {
            my ($asks, %words) = @{$LACKS{$lack}};
            next unless $asks->($prompt);
            my @error = ('invalid_request_error', $words{$protocol->form});
            return { headers => { 'Content-Type' => $protocol->type },
                     body => $protocol->broken(@error) } if $late;
            return { $protocol->error(@error), status => 400 };
        }
        return $model->($req);
    };
}


sub prompts {
    return map { AgentsTest::Model::prompt($_) }
           grep { AgentsTest::Protocols->of($_) } @{$t->mock->requests};
}


# What prompts of this run were asked for, in order.
sub asked_for {
    return map { my $prompt = $_;
                 [ grep { $_ ne 'format_tool' && $LACKS{$_}[0]->($prompt) }
                   sort keys %LACKS ] }
           @_;
}


sub play {
    my ($worker, $model, $system, @script) = @_;
    my ($c, $run);
    $t->mock->forget;
    $via->to($worker, sub {
        $c = $t->conversation(model => $model, mcp => '', tools => [ $ASK ],
            system_prompt => $system, output_format_schema => $SCHEMA);
        $run = $t->run($c, script(@script), tool_choice => { kind => 'any' });
    });
    return ($t->finished($run), $c);
}


sub learned {
    my ($protocol) = @_;
    my @lacks = grep { my (undef, %words) = @{$LACKS{$_}};
                       $words{$protocol->form} }
                grep { $_ ne 'format_tool' } sort keys %LACKS;
    my $model = $protocol->name . '-lacking';
    my $add = { tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] };
    my ($one, $two) = $via->pids;

    my ($run) = play($one, $model, "lacks: @lacks", $add,
                     { text => '{"n": 3}' });
    is_deeply $run->{final_structured_output}, { n => 3 }, 'it comes to an end'
        or diag explain $run->{error};
    is $run->{iterations_used}, 2, 'in two iterations';
    is scalar @{$run->{submitted_inference_job_ids}}, 2, 'of two jobs';
    my @prompts = prompts();
    is scalar @prompts, 2 + @lacks, 'each refusal cost one request more';
    my @seen = asked_for(@prompts);
    is_deeply $seen[$_ - 1], [ @lacks[$_ - 1 .. $#lacks] ],
              "asked without one thing more: $_" for 1 .. @lacks;
    is_deeply [ @seen[-2, -1] ], [ [], [] ], 'then for none of them';
    like $prompts[-1]{system}, qr/JSON Schema.*"maximum":9/s,
         'the format is an instruction';
    like $prompts[-2]{system}, qr/a call of at least one of the tools/,
         'as the choice was';

    for my $worker ($one, $two) {
        ($run) = play($worker, $model, "lacks: @lacks", $add,
                      { text => '{"n": 3}' });
        is $run->{status}, 'completed', 'the next run'
            or diag explain $run->{error};
        is scalar prompts(), 2, 'is not refused';
    }
    my @said = $t->log =~ /"\Q$model\E" is not asked for this any more/g;
    is scalar @said, scalar @lacks, 'the log says each thing once';
    return;
}


sub late {
    my ($protocol) = @_;
    my ($worker) = $via->pids;
    my ($run) = play($worker, $protocol->name . '-late',
        'late lacks: temperature',
        { tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
        { text => '{"n": 3}' });
    is $run->{status}, 'completed', 'it comes to an end'
        or diag explain $run->{error};
    is_deeply [ map { defined $_->{temperature} ? 1 : 0 } prompts() ],
              [ 1, 0, 0 ], 'asked for once';
    return;
}


# The words of an error may be those of the one who asks: what it takes for
# something lacking does not become better without, and is not learned.
sub blamed {
    my ($protocol) = @_;
    my $model = $protocol->name . '-blamed';
    my ($worker) = $via->pids;
    my ($run) = play($worker, $model, 'blames it', { text => '{"n": 3}' });
    is $run->{error}{type}, 'AgentLoopInferenceFailed', 'it fails'
        or diag explain $run->{error};
    is_deeply [ map { $_->{choice} // 'auto' } prompts() ], [ qw(any auto) ],
              'without it, too';

    ($run) = play($worker, $model, 'Be brief.',
                  { tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
                  { text => '{"n": 3}' });
    is $run->{status}, 'completed', 'the next run';
    is +(prompts())[0]{choice}, 'any', 'is asked with it';
    unlike $t->log, qr/"\Q$model\E" is not asked for this/, 'nothing is learned';
    return;
}


sub format_tool {
    $t->mock->forget;
    my $run = $t->flow(script({ text => '{"n": 3}' }), model => 'bedrock-late',
        system_prompt => 'lacks: format_tool', output_format_schema => $SCHEMA);
    is_deeply $run->{final_structured_output}, { n => 3 }, 'an answer'
        or diag explain $run->{error};
    my @prompts = prompts();
    is_deeply [ map { $_->{format} ? 1 : 0 } @prompts ], [ 1, 1, 0 ],
              'without a format in the end';
    return;
}


# Of a model that has no format of its own.
sub toolless {
    my ($protocol) = @_;
    my $model = $protocol->name . '-toolless';
    $t->mock->forget;
    my $run = $t->flow(script({ text => '{"n": 3}' }), model => $model,
        system_prompt => 'lacks: choice', output_format_schema => $SCHEMA);
    is_deeply $run->{final_structured_output}, { n => 3 }, 'an answer'
        or diag explain $run->{error};
    is $run->{iterations_used}, 1, 'in one iteration';
    my @prompts = prompts();
    is_deeply [ map { [ map { $_->{name} } @{$_->{tools}} ] } @prompts ],
              [ [ 'final_answer-json' ], [] ], 'refused, and left out';
    like $prompts[1]{system}, qr/JSON Schema/, 'for an instruction';
    return;
}


# Nothing of it, nor of what was wrong with the answer, is shown.
sub instructed {
    my ($model) = @_;
    my ($worker) = $via->pids;
    my ($run, $c) = play($worker, $model, 'Be brief.',
        { tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
        { text => "```json\n{\"n\": 47114711}\n```" },
        { text => "```json\n{\"n\": 3}\n```" });
    is_deeply $run->{final_structured_output}, { n => 3 }, 'an answer'
        or diag explain $run->{error};
    is $run->{iterations_used}, 3, 'mended once';

    my @prompts = prompts();
    is_deeply [ map { $_->{choice} // 'auto' } @prompts ], [ ('auto') x 3 ],
              'no call is forced';
    is_deeply [ grep { $_->{name} =~ /final/ } map { @{$_->{tools}} }
                @prompts ], [], 'no tool stands in';
    ok !(grep { $_->{format} } @prompts), 'nor is a format sent';
    is scalar(grep { $_->{system} =~ /^Be brief\..*JSON Schema/s } @prompts),
       3, 'but an instruction';
    my @shown = ($t->messages($c), $t->get("/agents/runs/$run->{id}")->{json},
                 $t->reread($c));
    my $shown = $json->encode(\@shown) =~ s/\Q${\$json->encode(
                    $run->{payload}{text})}\E//gr;
    unlike $shown, qr/JSON Schema|at least one of the tools|47114711|```/,
           'nothing of that is shown';
    is $t->messages($c)->[-1]{content_blocks}[0]{text}, '{"n":3}',
       'the answer is JSON alone';
    return;
}


# It may be another model by now.
sub forgotten {
    ok $t->reload(gone => 1), 'a reload';
    delete $t->{http_client};
    my ($run) = $t->flow('hello', model => 'anthropic-lacking');
    is $run->{final_text}, 'echo: hello', 'a run';
    my ($prompt) = reverse grep { $_->{model} eq 'claude-scripted' } prompts();
    is $prompt->{temperature}, 0, 'asks for everything';
    return;
}
