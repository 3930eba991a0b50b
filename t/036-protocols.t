# The same conversations on each protocol, streamed or in one body: nothing of
# it shows but in the requests.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Npm;
use AgentsTest::Vendors;

my $json = JSON::PP->new->canonical->allow_nonref;
my $ASK = { name => 'ask', description => 'Asks.', input_schema => {
            type => 'object', properties => { q => { type => 'string' } } } };
my $SCHEMA = { type => 'object', additionalProperties => JSON::PP::false,
    required => [ 'n' ], properties => { n => { type => 'integer' } } };
my @protocols = AgentsTest::Protocols->all;
my %bodies;     # what was sent, by protocol

my @matrix = AgentsTest->matrix;

for my $m (@matrix) {
    my $t = AgentsTest->new(%$m, AgentsTest::Protocols->configured)->start;

    for my $protocol (@protocols) {
        next if $m != $matrix[0] && $protocol->name ne $protocol->form;
        for my $way ('streamed', 'whole') {
            my $name = $protocol->name;
            my $o = { t => $t, protocol => $protocol, way => $way,
                      model => "$name-$way" };
            subtest "$name, $way, $m->{name}" => sub {
                $protocol->name eq $protocol->form
                    ? each_of($o, $m == $matrix[0]) : some_of($o);
            };
        }
    }
    $t->clean("$m->{name}: no error logged, no prompt refused");
}

subtest 'what the vendors\' libraries say of it' => \&vendors;

done_testing;


sub each_of {
    my ($o, $first) = @_;
    plain($o);
    mixed($o);
    opaque($o);
    prefix($o);
    forget($o);
    return unless $first;       # the rest leaves the store aside
    loop($o);
    forced($o);
    failing_tools($o);
    unfinished_thinking($o);
    odd_replies($o);
    structured($o);
    odd_texts($o);
    checker($o);
    forget($o);
    return;
}


# What has the form of another protocol.
sub some_of {
    my ($o) = @_;
    plain($o);
    loop($o);
    opaque($o);
    forget($o);
    return;
}


sub flow {
    my ($o, $script, %defaults) = @_;
    forget($o);
    return $o->{t}->flow(script(@$script), model => $o->{model}, %defaults);
}


# The last conversation goes on.
sub go_on {
    my ($o, $c, $payload, %fields) = @_;
    my $t = $o->{t};
    return $t->finished($t->run($t->reread($c), $payload, %fields));
}


# Begins a new list of requests; the old one is kept for the vendors.
sub forget {
    my ($o) = @_;
    $bodies{$o->{protocol}->form}{$_->{body}}++ for asked($o);
    return $o->{t}->mock->forget;
}


sub asked {
    my ($o) = @_;
    return grep { AgentsTest::Protocols->of($_) } @{$o->{t}->mock->requests};
}


sub prompts {
    my ($o) = @_;
    return map { AgentsTest::Model::prompt($_) } asked($o);
}


sub types {
    my ($messages) = @_;
    return [ map { [ $_->{role},
                     map { $_->{type} } @{$_->{content_blocks}} ] }
             @$messages ];
}


sub fails {
    my ($run, $type, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $run->{status}, 'failed', "$name: failed";
    return is(($run->{error} || {})->{type}, $type, $type)
           || diag explain $run;
}


sub plain {
    my ($o) = @_;
    my $text = "\x{e4} \x{4e2d} \x{1f600} \"quoted\\ \n\t\x{7f}";
    my ($run) = flow($o, [ { text => $text, usage => { prompt_tokens => 169,
        completion_tokens => 8, total_tokens => 177 } } ],
        system_prompt => 'Be brief.');
    is $run->{final_text}, $text, 'any characters come through';
    is_deeply $run->{usage}, { prompt_tokens => 169, completion_tokens => 8,
                               total_tokens => 177 }, 'usage';
    my ($request) = asked($o);
    my ($prompt) = prompts($o);
    is $request->{path}, expected_path($o), 'the path';
    is !!$prompt->{stream}, $o->{way} eq 'streamed', "asked for: $o->{way}";
    is $prompt->{model}, $o->{protocol}->model, 'the model';
    is $prompt->{system}, 'Be brief.', 'the system prompt';
    is_deeply $prompt->{tools}, [], 'no tools';
    return;
}


sub expected_path {
    my ($o) = @_;
    my $path = $o->{protocol}->path;
    return $path unless $o->{protocol}->form eq 'bedrock';
    my $model = $o->{protocol}->model =~ s/:/%3A/r;
    return "$path/$model/converse" . ($o->{way} eq 'streamed' ? '-stream'
                                                              : '');
}


# Calls of MCP tools, one and several a turn, with text beside them.
sub loop {
    my ($o) = @_;
    my ($run, $c) = flow($o, [
        { text => 'first', tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
        { tools => [ map { [ 'mcp-echo', { text => "no. $_" }, "id_$_" ] }
                     1 .. 3 ] },
        { tools => [ [ 'mcp-echo', { text => '' } ] ] },
        { tool_results => 1 } ], mcp => '');
    is $run->{iterations_used}, 4, 'the loop' or diag explain $run->{error};
    is_deeply types($o->{t}->messages($c)), [ [ 'user', 'text' ],
        [ 'assistant', 'text', 'tool_use' ], [ 'tool', 'tool_result' ],
        [ 'assistant', ('tool_use') x 3 ], [ 'tool', ('tool_result') x 3 ],
        [ 'assistant', 'tool_use' ], [ 'tool', 'tool_result' ],
        [ 'assistant', 'text' ] ], 'its turns';

    my ($last) = reverse prompts($o);
    is_deeply [ map { $_->{role} } grep { $_->{role} ne 'system' }
                @{$last->{messages}} ],
              [ 'user', 'assistant', 'tool', 'assistant', ('tool') x 3,
                'assistant', 'tool' ], 'as the model sees them';
    like $last->{messages}[$_ + 3]{content}, qr/no\. $_/, "result $_"
        for 1 .. 3;
    is_deeply $json->decode($last->{messages}[1]{tool_calls}[0]{function}
              {arguments}), { a => 1, b => 2 }, 'the arguments';
    return;
}


# MCP calls and calls for the caller in one turn: two runs, one turn of results.
sub mixed {
    my ($o) = @_;
    my ($run, $c) = flow($o, [
        { tools => [ [ 'ask', { q => 'one' }, 'ask_1' ],
                     [ 'mcp-add', { a => 1, b => 2 }, 'add_1' ],
                     [ 'ask', { q => 'two' }, 'ask_2' ] ] },
        { text => 'both' } ], mcp => '', tools => [ $ASK ]);
    is $run->{status}, 'requires_action', 'a mixed turn pauses'
        or diag explain $run->{error};
    is_deeply [ map { $_->{tool_use_id} } @{$run->{pending_tool_calls}} ],
              [ qw(ask_1 ask_2) ], 'for the caller';
    $run = go_on($o, $c, { kind => 'tool_outputs', outputs => [
        { tool_use_id => 'ask_2', content => '', is_error => JSON::PP::true },
        { tool_use_id => 'ask_1', content => 'first' } ] });
    is $run->{final_text}, 'both', 'and goes on'
        or diag explain $run->{error};
    my ($last) = reverse prompts($o);
    is_deeply [ map { $_->{tool_call_id} } grep { $_->{role} eq 'tool' }
                @{$last->{messages}} ], [ qw(ask_1 add_1 ask_2) ],
              'results in the order of the calls';

    # a user's word after calls that the catalog has forgotten
    $run = go_on($o, $c, 'and now?', config_override => {
                 tools => [], mcp_servers => [] });
    is $run->{final_text}, 'echo: and now?', 'a history with calls, no tools'
        or diag explain $run->{error};
    return;
}


sub forced {
    my ($o) = @_;
    my $t = $o->{t};
    my $c = $t->conversation(model => $o->{model}, mcp => '',
                             tools => [ $ASK ]);
    my %kinds = (
        any => [ { kind => 'any' }, 'any' ],
        one => [ { kind => 'specific_tool', name => 'add',
                   mcp_alias => 'mcp' }, [ 'mcp-add' ] ],
    );
    for my $kind (sort keys %kinds) {
        my ($choice, $sent) = @{$kinds{$kind}};
        forget($o);
        my $run = go_on($o, $c, script(
            { tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
            { text => $kind }), tool_choice => $choice);
        is $run->{final_text}, $kind, "forced: $kind"
            or diag explain $run->{error};
        my @prompts = prompts($o);
        is_deeply $prompts[0]{choice}, $sent, 'in the first inference';
        is $prompts[1]{choice} // 'auto', 'auto', 'alone';
    }
    my $run = go_on($o, $c, script({ tools => [ [ 'ask', {}, 'forced_1' ] ] }),
        tool_choice => { kind => 'specific_tool', name => 'ask' });
    is $run->{status}, 'requires_action', 'the caller\'s tool, forced';
    return;
}


# What goes wrong with a call is told to the model.
sub failing_tools {
    my ($o) = @_;
    my ($run, $c) = flow($o, [
        { tools => [ [ 'mcp-nope', {} ], [ 'mcp-add', '{"a": 1, ' ],
                     [ 'mcp-add', '[1]' ], [ 'ask', '7' ],
                     [ 'mcp-echo', { text => '' } ] ] },
        { text => 'told' } ], mcp => '', tools => [ $ASK ]);
    is $run->{final_text}, 'told', 'calls that fail'
        or diag explain $run->{error};
    my @results = map { @{$_->{content_blocks}} }
                  grep { $_->{role} eq 'tool' } @{$o->{t}->messages($c)};
    is_deeply [ map { $_->{is_error} ? 1 : 0 } @results ], [ 1, 1, 1, 1, 0 ],
              'are errors';
    my ($last) = reverse prompts($o);
    my @sent = grep { $_->{role} eq 'tool' } @{$last->{messages}};
    is scalar @sent, 5, 'all of them sent';
    is_deeply [ map { $_->{is_error} ? 1 : 0 } @sent ], [ 1, 1, 1, 1, 0 ],
              'as such' unless $o->{protocol}->form eq 'openai';
    return;
}


sub odd_replies {
    my ($o) = @_;
    fails((flow($o, [ { text => 'half of', finish => 'length' } ]))[0],
          'AgentLoopSchemaDecodeFailed', 'cut by max_tokens');
    fails((flow($o, [ { text => '' } ]))[0],
          'AgentLoopSchemaDecodeFailed', 'empty');
    fails((flow($o, [ { refusal => 'I will not.' } ]))[0],
          'AgentLoopRefused', 'refused');
    fails((flow($o, [ { text => 'x', finish => 'content_filter' } ]))[0],
          $o->{protocol}->form eq 'anthropic' ? 'AgentLoopRefused'
          : 'AgentLoopContentFiltered', 'filtered');

    my ($run) = flow($o, [ { tools => [ [ 'mcp-add', '{"a": 1', 'cut' ] ],
                             finish => 'length' } ], mcp => '');
    fails($run, 'AgentLoopSchemaDecodeFailed', 'cut in a call');
    return;
}


sub structured {
    my ($o) = @_;
    my ($run, $c) = flow($o, [ { tools => [ [ 'mcp-add',
        { a => 1, b => 2 } ] ] }, { text => '{"n": 12.5}' },
        { text => '{"n": 3}' } ], output_format_schema => $SCHEMA, mcp => '');
    is_deeply $run->{final_structured_output}, { n => 3 },
              'a structured answer, mended' or diag explain $run->{error};
    is $run->{iterations_used}, 3, 'in three inferences';
    is_deeply types($o->{t}->messages($c)), [ [ 'user', 'text' ],
        [ 'assistant', 'tool_use' ], [ 'tool', 'tool_result' ],
        [ 'assistant', 'text' ] ], 'its turns';
    ok $_->{format}, 'the format is the provider\'s' for prompts($o);
    return;
}


# Thinking goes back as it came, in the next inference and in the next run, and
# shows nowhere.
sub opaque {
    my ($o) = @_;
    my $t = $o->{t};
    my @thinking = ([ "h\x{e4}mm \x{1f600} \\u0041 / </script>\n", 'c2ln/+==' ],
                    [ 'second thoughts', 'U0lH' ]);
    forget($o);
    my $c = $t->conversation(model => $o->{model}, mcp => '',
                             tools => [ $ASK ]);
    my $run = $t->run($c, script(
        { thinking => \@thinking, redacted => 'cmVkYWN0ZWQ=', text => 'aloud',
          tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
        { thinking => [ [ 'third', 'VEhJ' ] ], delay => 0.2,
          tools => [ [ 'ask', {}, 'thought_1' ] ] },
        { text => 'thought' }));
    my $live = $t->wait_for(10, sub {
        my $now = $t->get("/agents/runs/$run->{id}")->{json};
        @{$now->{live}{messages}} == 2 ? $now->{live}{messages}
        : $now->{status} =~ /pending|running/ ? undef : [];
    });
    is_deeply types($live), [ [ 'assistant', 'text', 'tool_use' ],
                              [ 'tool', 'tool_result' ] ], 'live is without it';
    $run = $t->finished($run);
    is $run->{status}, 'requires_action', 'with thinking'
        or diag explain $run->{error};
    $run = go_on($o, $c, { kind => 'tool_outputs', outputs => [
        { tool_use_id => 'thought_1', content => 'yes' } ] });
    is $run->{final_text}, 'thought', 'resumed' or diag explain $run->{error};
    go_on($o, $c, 'a word more');

    my @blocks = map { [ expected_thinking($o, @$_) ] }
                 [ \@thinking, 'cmVkYWN0ZWQ=' ],
                 [ [ [ 'third', 'VEhJ' ] ], undef ];
    my @seen = map { [ map { @{$_->{opaque} || []} ? $_->{opaque} : () }
                       grep { $_->{role} eq 'assistant' }
                       @{$_->{messages}} ] } prompts($o);
    is_deeply \@seen, $o->{protocol}->form eq 'openai' ? [ ([]) x 4 ]
        : [ [], [ $blocks[0] ], ([ @blocks ]) x 2 ], 'it is sent back';
    my @own = grep { $_->{role} ne 'user' } @{$t->messages($c)};
    my $all = $json->encode([ \@own, $t->get("/agents/runs/$run->{id}") ]);
    unlike $all, qr/second thoughts|U0lH|opaque|reasoning/, 'nothing shows it';
    is_deeply types([ @{$t->messages($c)}[1, 3] ]),
              [ [ 'assistant', 'text', 'tool_use' ],
                [ 'assistant', 'tool_use' ] ], 'nor a block of its own';

    # another model does not see what it cannot read
    forget($o);
    $run = go_on($o, $c, 'elsewhere', config_override => {
                 model => 'other-' . $o->{protocol}->name });
    is $run->{final_text}, 'echo: elsewhere', 'another model'
        or diag explain $run->{error};
    is_deeply [ map { @{$_->{opaque} || []} }
                @{(prompts($o))[0]{messages}} ], [], 'does not see it';
    return;
}


# Cut off in the midst of it, or behind it, with nothing said: it may neither go
# back unsigned nor end a turn, and the conversation goes on.
sub unfinished_thinking {
    my ($o) = @_;
    for my $thinking ([ 'half a tho', '' ], [ 'a whole one', 'c2ln' ]) {
        my ($run, $c) = flow($o, [ { thinking => [ $thinking ],
                                     finish => 'length' } ]);
        is $run->{error}{type}, 'AgentLoopSchemaDecodeFailed', 'cut off'
            or diag explain $run;
        $run = go_on($o, $c, 'and then?');
        like $run->{final_text}, qr/^echo: /, 'the next one is taken'
            or diag explain $run->{error};
    }
    my ($run, $c) = flow($o, [
        { thinking => [ [ 'hm', '' ] ], tools => [ [ 'ask', {}, 'un_1' ] ] },
        { text => 'fine' } ], tools => [ $ASK ]);
    $run = go_on($o, $c, { kind => 'tool_outputs', outputs => [
        { tool_use_id => 'un_1', content => 'yes' } ] });
    is $run->{final_text}, 'fine', 'what is not signed is not sent back'
        or diag explain $run->{error};
    return;
}


sub expected_thinking {
    my ($o, $thinking, $redacted) = @_;
    return $o->{protocol}->form eq 'bedrock'
        ? (map({ { reasoningContent => { reasoningText => {
                   text => $_->[0], signature => $_->[1] } } } } @$thinking),
           defined $redacted ? { reasoningContent => {
                   redactedContent => $redacted } } : ())
        : (map({ { type => 'thinking', thinking => $_->[0],
                   signature => $_->[1] } } @$thinking),
           defined $redacted ? { type => 'redacted_thinking',
                                 data => $redacted } : ());
}


# What an inference sends, up to its mark, is how the next one begins: byte for
# byte, but for the mark, which moves on.
sub prefix {
    my ($o) = @_;
    return if $o->{protocol}->form eq 'openai';
    my ($run, $c) = flow($o, [
        map({ { thinking => [ [ "no. $_", 'c2ln' ] ],
                tools => [ [ 'mcp-echo', { z => 1, text => "\x{e4}$_", a => 1,
                             n => 1 } ] ] } } 1 .. 3), { text => 'x' } ],
        mcp => '', system_prompt => 'Be brief.', tools => [ $ASK ]);
    go_on($o, $c, 'more');
    my @bodies = map { $_->{body} } asked($o);
    is scalar @bodies, 5, 'five inferences';
    my @marks = map { [ /"cache_control"|"cachePoint"/g ] } @bodies;
    is_deeply [ map { scalar @$_ } @marks ], [ (2) x 5 ],
              'two marks each: system and tools, and the end';

    for my $i (1 .. $#bodies) {
        my ($before, $after) = map { before_mark($_) } @bodies[$i - 1, $i];
        ok index($after, $before) == 0, "prompt $i is how the next begins"
            or diag "$before\n$after";
        is head($bodies[$i]), head($bodies[$i - 1]), 'tools and system';
    }
    return;
}


# The messages up to the last mark, without any.
sub before_mark {
    my ($body) = @_;
    my ($text) = $body =~ /"messages":\[(.*)/;
    $text =~ s/,\{"cachePoint":.*//
        or $text =~ s/,"cache_control":\{"type":"ephemeral"\}\}\]\}\].*//;
    return $text;
}


# What stands before and behind the messages.
sub head {
    my ($body) = @_;
    my ($before) = $body =~ /^(.*?)"messages":\[/;
    my ($behind) = $body =~ /.*\](,"inferenceConfig":.*)/;
    return $before . ($behind // '');
}


# Texts that a provider refuses when they are sent as they are.
sub odd_texts {
    my ($o) = @_;
    my $t = $o->{t};
    my $c = $t->conversation(model => $o->{model}, system_prompt => " \n");
    my $run = go_on($o, $c, " \t\n");
    is $run->{status}, 'completed', 'blank texts'
        or diag explain $run->{error};
    is $t->messages($c)->[0]{content_blocks}[0]{text}, " \t\n",
       'stay as they came in the messages';
    return;
}


# The look that the scripted model takes at each request finds what it should:
# a good one passes, and each change of it does not.
sub checker {
    my ($o) = @_;
    my $protocol = $o->{protocol};
    flow($o, [ { thinking => [ [ 'hm', 'c2ln' ] ], text => 'aloud', tools => [
        map { [ 'mcp-echo', { text => $_ }, "call_$_" ] } 'a', 'b' ] },
        { text => 'x' } ], mcp => '', system_prompt => 'Be brief.');
    my ($good) = reverse asked($o);
    is AgentsTest::Protocols::violation($protocol, $good), undef,
       'a good prompt';

    my %bad = (bad_prompts($protocol->form));
    for my $name (sort keys %bad) {
        my $body = $json->decode($json->encode($good->{json}));
        $bad{$name}->($body);
        ok defined AgentsTest::Protocols::violation($protocol,
               { %$good, json => $body }), "not: $name";
    }
    return;
}


sub bad_prompts {
    my ($protocol) = @_;
    my %bad = (
        'no messages' => sub { delete $_[0]{messages} },
        'an unknown member' => sub { $_[0]{top_k} = 1 },
        'a last word of the model' => sub { push @{$_[0]{messages}},
            $protocol eq 'openai' ? { role => 'assistant', content => 'x' }
            : { role => 'assistant', content => [ $protocol eq 'bedrock'
                ? { text => 'x' } : { type => 'text', text => 'x' } ] } },
        'the same turn twice' => sub {
            splice @{$_[0]{messages}}, 1, 0, $_[0]{messages}[1] },
        'no turn of the user' => sub {
            splice @{$_[0]{messages}}, $protocol eq 'openai', 1 },
        'no results' => sub {
            pop @{$_[0]{messages}} for 1 .. ($protocol eq 'openai' ? 2 : 1) },
    );
    return (%bad,
        'results in another order' => sub { my $m = $_[0]{messages};
            @$m[-2, -1] = @$m[-1, -2] },
        'a result too few' => sub { pop @{$_[0]{messages}} },
        'an odd id' => sub { $_[0]{messages}[2]{tool_calls}[0]{id} = 'a.b';
            $_[0]{messages}[3]{tool_call_id} = 'a.b' },
        'arguments that are a list' => sub {
            $_[0]{messages}[2]{tool_calls}[0]{function}{arguments} = '[]' },
        'an odd name' => sub { $_[0]{tools}[0]{function}{name} = 'a b' },
        'no tools but a choice' => sub { delete $_[0]{tools} },
        'two limits' => sub { $_[0]{max_tokens} = 1 })
        if $protocol eq 'openai';

    my $last = sub { $_[0]{messages}[-1]{content} };
    %bad = (%bad,
        'results in another order' => sub { my $c = $last->($_[0]);
            @$c[0, 1] = @$c[1, 0] },
        'a result too few' => sub { shift @{$last->($_[0])} },
        'text before the results' => sub { unshift @{$last->($_[0])},
            $protocol eq 'bedrock' ? { text => 'x' }
            : { type => 'text', text => 'x' } },
        'blank text' => sub { $_[0]{messages}[0]{content}[0]{text} = ' ' },
        'no limit' => sub { delete $_[0]{max_tokens};
                            delete $_[0]{inferenceConfig}{maxTokens} });
    return (%bad,
        'no tools' => sub { delete $_[0]{toolConfig} },
        'an odd name' => sub {
            $_[0]{toolConfig}{tools}[0]{toolSpec}{name} = 'a b' },
        'two kinds in one block' => sub {
            $_[0]{messages}[1]{content}[1]{toolUse} = {} },
        'a result without text' => sub {
            $last->($_[0])->[0]{toolResult}{content} = [] },
        'an empty description' => sub {
            $_[0]{toolConfig}{tools}[0]{toolSpec}{description} = '' })
        if $protocol eq 'bedrock';

    return (%bad,
        'an odd name' => sub { $_[0]{tools}[0]{name} = 'a b' },
        'a choice that is not offered' => sub {
            $_[0]{tool_choice} = { type => 'tool', name => 'nope' } },
        'a mark on thinking' => sub { $_[0]{messages}[1]{content}[0]
            {cache_control} = { type => 'ephemeral' } },
        'a union at the root' => sub {
            $_[0]{tools}[0]{input_schema}{anyOf} = [] });
}


# Each body that was sent; and so that this can fail, three that are wrong.
sub vendors {
    plan skip_all => AgentsTest::Npm::why()
        unless AgentsTest::Vendors::available();
    my %sent = map { $_ => [ sort keys %{$bodies{$_}} ] } keys %bodies;
    my @wrong = AgentsTest::Vendors::wrong(%sent);
    ok !@wrong, "$_: " . @{$sent{$_}} . ' bodies' for sort keys %sent;
    diag join "\n", @wrong[0 .. ($#wrong > 9 ? 9 : $#wrong)] if @wrong;

    my %bad = (
        openai => '{"model":"x","messages":[],"tool_choice":"any"}',
        anthropic => '{"model":"x","max_tokens":1,"messages":[],"top_k":1}',
        bedrock => '{"messages":[{"role":"user","content":[{"text":"x",'
                   . '"cachePoint":{"type":"default"}}]}],"unknown":1}',
    );
    @wrong = AgentsTest::Vendors::wrong(map { $_ => [ $bad{$_} ] } keys %bad);
    for my $protocol (sort keys %bad) {
        ok scalar(grep { /^$protocol 0: / } @wrong), "$protocol: a wrong one";
    }
    ok scalar(grep { m{^bedrock 0: /messages/0/content/0: 2 members} } @wrong),
       'a block of two kinds';
    return;
}
