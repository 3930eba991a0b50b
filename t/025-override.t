# config_override and the operator's ceilings: what a run runs with, what it
# says of it, and what the next run is left with.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my $ASK = { name => 'ask', input_schema => { type => 'object' } };
my $SCHEMA = { type => 'object', properties => { n => { type => 'integer' } },
               required => [ 'n' ] };

my $t = AgentsTest->new(
    location => 'agents_max_iterations 9;',
    plane => 'model small provider=scripted id=small max_tokens=1000;')
    ->start;

subtest 'sparse' => \&sparse;
subtest 'lists are replaced' => \&lists;
subtest 'text for this run' => \&text_mode;
subtest 'a schema for this run' => \&schema_mode;
subtest 'null' => \&nulls;
subtest 'what is refused' => \&refused;
subtest 'ceilings' => \&ceilings;
subtest 'ceilings of the effective model' => \&effective_model;
subtest 'what comes back goes in again' => \&round_trip;
subtest 'a configuration that changes' => \&changed;
$t->clean;

done_testing;


sub prompt {
    my ($prompt) = grep { $_->{path} =~ /completions/ }
                   reverse @{$t->mock->requests};
    return $prompt->{json};
}


sub with {
    my ($c, $override, $text) = @_;
    return $t->finished($t->run($c, $text || 'x',
                                config_override => $override));
}


sub tokens { return $_[0]{max_completion_tokens} || $_[0]{max_tokens} }


sub sparse {
    my $c = $t->conversation(temperature => 0.5, max_tokens => 500,
                             system_prompt => 'Be kind.');
    my $run = with($c, { max_tokens => 900, max_iterations => 2 });
    is tokens(prompt()), 900, 'max_tokens is the run\'s';
    is prompt()->{temperature}, 0.5, 'temperature the conversation\'s';
    is_deeply $run->{effective_config}, {
        model => $AgentsTest::MODEL, data_plane_id => $AgentsTest::PLANE,
        execution_cluster => 'shared', max_iterations => 2,
        max_tokens => 900, temperature => 0.5,
        output_format_schema => undef, mcp_servers => [], tools => [] },
        'effective_config is the whole of it, without the system prompt';
    is prompt()->{messages}[0]{content}, 'Be kind.', 'which still holds';

    $c = $t->reread($c);
    is $c->{defaults}{max_tokens}, 500, 'the defaults stay';
    $run = $t->finished($t->run($c, 'y'));
    is tokens(prompt()), 500, 'and hold for the next run';

    $run = with($t->reread($c), { model => 'small' });
    is prompt()->{model}, 'small', 'another model';
    return;
}


sub lists {
    my $c = $t->conversation(mcp => '', tools => [ $ASK ]);
    my $names = sub { return [ sort map { $_->{function}{name} }
                               @{prompt()->{tools} || []} ] };

    with($c, { tools => [ { %$ASK, name => 'other' } ] });
    ok !(grep { $_ eq 'ask' } @{$names->()}), 'tools are replaced';
    ok +(grep { $_ eq 'other' } @{$names->()}), 'by the run\'s';
    ok +(grep { $_ eq 'mcp-add' } @{$names->()}), 'the servers stay';

    my $run = with($t->reread($c), { mcp_servers => [ { alias => 'b',
                   url => $t->mcp } ] });
    ok !(grep { /^mcp-/ } @{$names->()}), 'servers are replaced';
    ok +(grep { $_ eq 'b-add' } @{$names->()}), 'by the run\'s';
    is_deeply [ map { $_->{alias} } @{$run->{effective_config}{mcp_servers}} ],
              [ 'b' ], 'as effective_config says';

    $t->mock->forget;
    $run = with($t->reread($c), { mcp_servers => [], tools => [] });
    is_deeply $names->(), [], 'both can be emptied';
    is scalar @{$t->mock->requests('/mcp')}, 0, 'no server is asked';
    is_deeply $run->{effective_config}{tools}, [], 'as effective_config says';
    return;
}


sub text_mode {
    my $c = $t->conversation(output_format_schema => $SCHEMA);
    my $run = with($c, { output_format_schema => undef }, 'hello');
    is $run->{final_text}, 'echo: hello', 'null is text mode for this run';
    is $run->{final_structured_output}, undef, 'alone';
    is $run->{effective_config}{output_format_schema}, undef, 'as it says';
    ok !exists prompt()->{response_format}, 'the provider has no schema';

    $c = $t->reread($c);
    is_deeply $c->{defaults}{output_format_schema}, $SCHEMA,
              'the defaults keep it';
    $run = $t->finished($t->run($c, script({ text => '{"n": 1}' })));
    is_deeply $run->{final_structured_output}, { n => 1 },
              'and so does the next run';
    return;
}


sub schema_mode {
    my $c = $t->conversation;
    my $run = with($c, { output_format_schema => $SCHEMA },
                   script({ text => '{"n": 1}' }));
    is_deeply $run->{final_structured_output}, { n => 1 }, 'structured';
    $run = $t->finished($t->run($t->reread($c), 'x'));
    is $run->{final_text}, 'echo: x', 'for that run alone';
    return;
}


sub nulls {
    my $c = $t->conversation(max_tokens => 500, tools => [ $ASK ]);
    my $run = with($c, { max_tokens => undef, tools => undef,
                         model => undef, temperature => undef });
    is $run->{status}, 'completed', 'null is as good as nothing';
    is $run->{effective_config}{max_tokens}, 500, 'the default holds';
    is scalar @{$run->{effective_config}{tools}}, 1, 'for lists, too';
    return;
}


sub refused {
    my $c = $t->conversation;
    my %cases = (
        '/config_override/system_prompt' => { system_prompt => 'x' },
        '/config_override/name' => { name => 'x' },
        '/config_override/max_iterations' => { max_iterations => 0 },
        '/config_override/temperature' => { temperature => 1.5 },
        '/config_override/tools/0/name' => { tools => [ { name => 'a-b',
            input_schema => { type => 'object' } } ] },
        '/config_override/mcp_servers/0/alias' => { mcp_servers => [ {
            alias => 'a_b', url => $t->mcp } ] },
        '/config_override/model' => { model => 'none' },
        '/config_override/data_plane_id' => { data_plane_id => uuid() },
        '/config_override/execution_cluster' => {
            execution_cluster => 'mine' },
        '/config_override/mcp_servers/0/url' => { mcp_servers => [ {
            alias => 'ab', url => 'http://10.0.0.1/' } ] },
    );
    for my $pointer (sort keys %cases) {
        my $answer = $t->post("/agents/conversations/$c->{id}/runs",
            $t->run_body($c, 'x', config_override => $cases{$pointer}));
        is $answer->{status}, 400, $pointer or diag $answer->{content};
        is_deeply [ map { $_->{pointer} } @{$answer->{json}{errors}} ],
                  [ $pointer ], 'its pointer';
    }
    is $t->reread($c)->{version}, 0, 'nothing happened';
    return;
}


sub create {
    my (%defaults) = @_;
    return $t->post('/agents/conversations',
                    $t->conversation_body(%defaults));
}


sub ceilings {
    my $answer = create(max_iterations => 10);
    is $answer->{status}, 400, 'more iterations than the operator allows';
    is $answer->{json}{errors}[0]{pointer}, '/defaults/max_iterations',
       'pointer';
    like $answer->{json}{errors}[0]{detail}, qr/\b9\b/, 'the ceiling is told';
    is create(max_iterations => 9)->{status}, 201, 'as many are fine';

    is create(max_tokens => 32_001)->{status}, 400, 'more tokens';
    is create(max_tokens => 32_000)->{status}, 201, 'as many';

    my $c = $t->conversation;
    for ([ max_iterations => 10 ], [ max_tokens => 32_001 ]) {
        $answer = $t->post("/agents/conversations/$c->{id}/runs",
            $t->run_body($c, 'x', config_override => { @$_ }));
        is $answer->{status}, 400, "$_->[0] of a run";
        is $answer->{json}{errors}[0]{pointer}, "/config_override/$_->[0]",
           'pointer';
        like $answer->{json}{type}, qr{/invalid-effective-config$}, 'type';
    }

    my $small = $t->conversation(model => 'small');
    is $small->{defaults}{max_tokens}, 1000,
       'a default above the ceiling is lowered to it';
    my $run = $t->finished($t->run($small, 'x'));
    is tokens(prompt()), 1000, 'and sent so';
    is create(model => 'small', max_tokens => 1001)->{status}, 400,
       'what was asked for is not';
    return;
}


sub effective_model {
    my $c = $t->conversation;
    is $c->{defaults}{max_tokens}, 2048, 'the plain default';
    my $run = with($c, { model => 'small' });
    is $run->{effective_config}{max_tokens}, 1000,
       'is lowered for a smaller model';
    is tokens(prompt()), 1000, 'and sent so';
    is $t->reread($c)->{defaults}{max_tokens}, 2048, 'for that run';

    my $answer = $t->post("/agents/conversations/$c->{id}/runs",
        $t->run_body($t->reread($c), 'x', config_override => {
            model => 'small', max_tokens => 1001 }));
    is $answer->{status}, 400, 'what the run asks for is not';
    return;
}


# What GET shows can be sent again.
sub round_trip {
    my $c = $t->conversation(mcp => '', tools => [ $ASK ],
                             output_format_schema => $SCHEMA,
                             temperature => 0.25);
    my $again = $t->post('/agents/conversations',
                         { defaults => $c->{defaults} });
    is $again->{status}, 201, 'defaults' or diag $again->{content};
    is_deeply $again->{json}{defaults}, $c->{defaults}, 'the same';

    my $run = $t->finished($t->run($c, script({ text => '{"n": 1}' })));
    my $next = $t->post("/agents/conversations/$c->{id}/runs", {
        client_op_id => uuid(), expected_version => 2,
        payload => $run->{payload}, tool_choice => $run->{tool_choice},
        config_override => $run->{effective_config} });
    is $next->{status}, 202, 'payload, tool_choice and effective_config'
        or diag $next->{content};
    $next = $t->finished($next->{json});
    is_deeply $next->{effective_config}, $run->{effective_config}, 'the same';
    return;
}


# What is no longer configured when a conversation goes on.
sub changed {
    my $c = $t->conversation(model => 'small');
    my $plain = $t->conversation(max_iterations => undef);
    is $plain->{defaults}{max_iterations}, 3, 'three iterations by default';
    my $other = $t->conversation;
    my $known = $t->run_body($other, 'x', config_override => {
        model => 'small', max_iterations => 9 });
    my $old = $t->post("/agents/conversations/$other->{id}/runs", $known);
    is $t->finished($old->{json})->{status}, 'completed', 'a run of them';
    local @$t{qw(plane location)} = ('', 'agents_max_iterations 2;');
    $t->reload(gone => 1) or die "no reload\n";
    $t->wait_for(5, sub { $t->workers == 2 }) or die "old workers stay\n";

    my $answer = $t->post("/agents/conversations/$c->{id}/runs",
                          $t->run_body($c, 'x'));
    is $answer->{status}, 400, 'a model that is gone';
    like $answer->{json}{type}, qr{/invalid-effective-config$}, 'type';
    my $run = with($c, { model => $AgentsTest::MODEL, max_iterations => 2 });
    is $run->{status}, 'completed', 'another one can be named';

    $run = $t->finished($t->run($plain, 'x'));
    is $run->{effective_config}{max_iterations}, 2,
       'a default above a new ceiling is lowered';
    my $new = create(max_iterations => undef);
    is $new->{json}{defaults}{max_iterations}, 2,
       'in a new conversation, too';

    $answer = $t->post("/agents/conversations/$other->{id}/runs", $known);
    is_deeply [ $answer->{status}, $answer->{headers}{'idempotency-replayed'},
                $answer->{json}{id} ], [ 202, 'true', $old->{json}{id} ],
              'a run that is known is told of, whatever is configured now';
    return;
}
