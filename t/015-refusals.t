# The order in which a POST of a run is checked, what a refusal leaves as it
# was, what GET shows and POST takes again, and refusals over HTTP/2.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use AgentsTest;

my $json = JSON::PP->new->utf8->canonical;
my $confirm = { name => 'confirm', input_schema => { type => 'object' } };

for my $store (AgentsTest->stores) {
    my $t = AgentsTest->new(store => $store,
        location => 'agents_max_runs_per_user 2;');
    $t->start;

    subtest "one after the other, $store" => sub { order($t) };
    subtest "a state before a configuration, $store" => sub { state($t) };
    subtest "a replay before all of it, $store" => sub { replay($t) };
    subtest "an id of any version, $store" => sub { any_version($t) };
    subtest "the bound on runs comes last, $store" => sub { bound($t) };
    subtest "every field, again, $store" => sub { again($t) };
    subtest "null is nothing, $store" => sub { nulls($t) };
    subtest "contents of outputs, $store" => sub { contents($t) };
    $t->clean("$store: no error logged");
}

subtest 'over HTTP/2' => \&http2;
done_testing;


sub runs_of { return "/agents/conversations/$_[0]{id}/runs" }


sub is_refused {
    my ($answer, $status, $slug, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($got) = ($answer->{json}{type} || '') =~ m{/errors/([a-z-]+)$};
    is_deeply [ $answer->{status}, $got ], [ $status, $slug ],
              "$name: $status $slug" or diag $answer->{content};
    return;
}


# Each request has all the faults that the next ones have, and one more.
sub order {
    my ($t) = @_;
    my $c = $t->conversation;
    my $path = runs_of($c);
    my $foreign = '/agents/conversations/01890000-0000-7000-8000-000000000000'
                  . '/runs';
    my $body = $t->run_body($c, {
        kind => 'tool_outputs',
        outputs => [ { tool_use_id => 'none', content => '' } ] },
        expected_version => 7,
        tool_choice => { kind => 'specific_tool', name => 'none' },
        config_override => { model => 'no.such' });
    my $text = { headers => { 'content-type' => 'text/plain' } };

    is_refused($t->post("$path/", 'no JSON', token => undef, %$text),
               404, 'not-found', 'the path');
    is_refused($t->request('PUT', $path, 'no JSON', token => undef, %$text),
               405, 'method-not-allowed', 'the method');
    is_refused($t->post($foreign, 'no JSON', token => undef, %$text),
               401, 'unauthorized', 'no token');
    is_refused($t->post($foreign, 'no JSON', token => 'bad', %$text),
               401, 'invalid-token', 'a bad token');
    is_refused($t->post($foreign, 'no JSON', permissions => [ 'read' ],
                        %$text),
               403, 'insufficient-scope', 'no permission');
    is_refused($t->post($foreign, 'no JSON', %$text),
               415, 'unsupported-media-type', 'the type');
    is_refused($t->post($foreign, 'no JSON'), 400, 'invalid-request',
               'the form, on a conversation that is not there');
    is_refused($t->post('/agents/conversations/x/runs', { %$body, x => 1 }),
               400, 'invalid-request', 'the form, with an id that is none');
    is_refused($t->post($path, { %$body, x => 1 }, user => 'bob'),
               400, 'invalid-request', "the form, on another's conversation");
    is_refused($t->post($foreign, $body), 404, 'not-found',
               'the conversation');
    is_refused($t->post('/agents/conversations/x/runs', $body),
               404, 'not-found', 'an id that is none');
    is_refused($t->post($path, $body, user => 'bob'), 404, 'not-found',
               "another's conversation");
    is_refused($t->post($path, $body), 409, 'version-conflict', 'version');
    $body->{expected_version} = 0;
    is_refused($t->post($path, $body), 400, 'unknown-tool-use-id',
               'tool outputs');
    $body->{payload} = { kind => 'user_message', text => 'a' };
    is_refused($t->post($path, $body), 400, 'invalid-effective-config',
               'the configuration');
    delete $body->{config_override};
    is_refused($t->post($path, $body), 400, 'unknown-tool-choice-name',
               'the catalog');

    is_deeply $t->reread($c), $c, 'nothing has changed';
    is_deeply $t->messages($c), [], 'nothing was said';
    delete $body->{tool_choice};
    my $answer = $t->post($path, $body);
    is $answer->{status}, 202, 'the same client_op_id starts a run';
    is $answer->{headers}{'idempotency-replayed'}, undef, 'for the first time';
    $t->finished($answer->{json});
    return;
}


sub state {
    my ($t) = @_;
    my $c = $t->conversation(tools => [ $confirm ]);
    my $path = runs_of($c);
    my %bad = (tool_choice => { kind => 'specific_tool', name => 'none' },
               config_override => { model => 'no.such' });

    my $run = $t->run($c, script({ tools => [ [ 'confirm', {} ] ],
                                   delay => 0.5 }));
    my $answer = $t->post($path, $t->run_body($c, 'x', %bad));
    is_refused($answer, 409, 'version-conflict', 'a run under way');
    is $answer->{json}{active_run_id}, $run->{id}, 'which is named';
    is $answer->{json}{current_version}, 0, 'with the version';

    $run = $t->finished($run);
    is $run->{status}, 'requires_action', 'it waits';
    $c = $t->reread($c);
    $answer = $t->post($path, $t->run_body($c, 'x', %bad));
    is_refused($answer, 409, 'version-conflict', 'calls that wait');
    is $answer->{json}{pending_run_id}, $run->{id}, 'of the run named';

    my $id = $run->{pending_tool_calls}[0]{tool_use_id};
    my $output = sub { my $x = shift; map { { tool_use_id => $_,
                                              content => $x } } @_ };
    for ([ 'unknown-tool-use-id', 'none', $id ],
         [ 'incomplete-tool-outputs' ],
         [ 'incomplete-tool-outputs', $id, $id ],
         [ 'invalid-effective-config', $id ]) {
        my ($slug, @ids) = @$_;
        is_refused($t->post($path, $t->run_body($c, {
            kind => 'tool_outputs', outputs => [ $output->('a', @ids) ] },
            %bad)), 400, $slug, 'outputs of ' . scalar @ids);
    }
    is_deeply $t->reread($c), $c, 'nothing has changed';
    return;
}


sub replay {
    my ($t) = @_;
    my $c = $t->conversation;
    my $path = runs_of($c);
    my $body = $t->run_body($c, 'hello', config_override => {
        temperature => 0.5, max_tokens => 100 });
    my $run = $t->finished($t->post($path, $body)->{json});

    for ([ 'the same', {} ], [ 'another version', { expected_version => 9 } ],
         [ 'the id in upper case',
           { client_op_id => uc $body->{client_op_id} } ],
         [ 'the default spelled out', { tool_choice => { kind => 'auto' } } ],
         [ 'null for nothing', { tool_choice => undef } ],
         [ 'a number otherwise', { config_override => {
               max_tokens => 100.0, temperature => 0.5, model => undef } } ]) {
        my ($name, $change) = @$_;
        my $answer = $t->post($path, { %$body, %$change });
        is_deeply [ $answer->{status},
                    $answer->{headers}{'idempotency-replayed'},
                    $answer->{json}{id} ], [ 202, 'true', $run->{id} ],
                  "$name: the run" or diag $answer->{content};
    }
    for ([ 'another text', { payload => { kind => 'user_message',
                                          text => 'hello ' } } ],
         [ 'outputs', { payload => { kind => 'tool_outputs',
                                     outputs => [] } } ],
         [ 'another choice', { tool_choice => { kind => 'any' } } ],
         [ 'no override', { config_override => {} } ],
         [ 'a model that is none', { config_override => { model => 'x' } } ],
         [ 'text mode', { config_override => { output_format_schema => undef,
               temperature => 0.5, max_tokens => 100 } } ]) {
        my ($name, $change) = @$_;
        is_refused($t->post($path, { %$body, expected_version => 9,
                                     %$change }),
                   422, 'idempotency-mismatch', $name);
    }
    return;
}


# A client_op_id is compared in lower case and shown as it was sent.
sub any_version {
    my ($t) = @_;
    my $c = $t->conversation;
    for my $id ('C232AB00-9414-11EC-B3C8-9F6BDECED846',
                '5df41881-3aed-3515-88a7-2f4a814cf09e',
                '00000000-0000-0000-0000-000000000000',
                'FFFFFFFF-ffff-FFFF-ffff-FFFFFFFFFFFF',
                '019a1443-806C-7d9a-a4fd-6a5586bfe20f') {
        my $body = $t->run_body($c, 'x', client_op_id => $id);
        my $run = $t->post(runs_of($c), $body);
        is $run->{status}, 202, "$id is taken" or diag $run->{content};
        is $run->{json}{client_op_id}, $id, 'and shown as it is';
        for my $again (lc $id, uc $id) {
            my $answer = $t->post(runs_of($c),
                                  { %$body, client_op_id => $again });
            is_deeply [ $answer->{status}, @{$answer->{json}}{qw(id
                        client_op_id)} ], [ 202, $run->{json}{id}, $id ],
                      "$again is the same";
        }
        $t->finished($run->{json});
        $c = $t->reread($c);
    }
    return;
}


sub bound {
    my ($t) = @_;
    my @c = map { $t->conversation } 1 .. 3;
    my @bodies = map { $t->run_body($_, script({ text => 'x',
                                                 delay => 0.7 })) } @c;
    my @runs = map { $t->post(runs_of($c[$_]), $bodies[$_])->{json} } 0, 1;

    is_refused($t->post(runs_of($c[2]), { %{$bodies[2]},
        tool_choice => { kind => 'any' } }), 400, 'unknown-tool-choice-name',
        'the catalog comes before it');
    my $answer = $t->post(runs_of($c[2]), $bodies[2]);
    is_refused($answer, 429, 'too-many-runs', 'one too many');
    is $answer->{headers}{'retry-after'}, 1, 'Retry-After';
    is $t->post(runs_of($c[0]), $bodies[0])->{status}, 202,
       'a replay comes before it';
    $t->finished($_) for @runs;
    $answer = $t->post(runs_of($c[2]), $bodies[2]);
    is $answer->{status}, 202, 'the id was not used up';
    $t->finished($answer->{json});
    return;
}


# With a value of its own in every field there is.
sub again {
    my ($t) = @_;
    my $all = {
        name => 'all', system_prompt => 'Be brief.',
        defaults => {
            model => $AgentsTest::MODEL, data_plane_id => $AgentsTest::PLANE,
            execution_cluster => 'shared', max_iterations => 7,
            max_tokens => 333, temperature => 0.7,
            output_format_schema => { type => 'object',
                additionalProperties => JSON::PP::false,
                required => [ 'a' ], title => 'T',
                properties => { a => { type => [ 'number', 'null' ],
                                       minimum => -0.1, maximum => 1e21 },
                                b => { const => "\x{1f600}\x{7f}" } } },
            mcp_servers => [ { alias => 'docs', url => $t->mcp,
                               description => 'd' } ],
            tools => [ { name => 'confirm', description => 'c',
                         input_schema => { oneOf => [ {} ], x => 1.5 } } ] } };
    my $first = $t->post('/agents/conversations', $all)->{json};
    is_deeply { map { $_ => $first->{$_} } keys %$all }, $all,
              'shown as it was sent';

    my $second = $t->post('/agents/conversations',
        { map { $_ => $first->{$_} } keys %$all })->{json};
    is_deeply $second->{defaults}, $first->{defaults}, 'and taken again';

    my $choice = { kind => 'specific_tool', mcp_alias => 'docs',
                   name => 'add' };
    my $body = $t->run_body($first, script(
        { tools => [ [ 'docs-add', { a => 1, b => 2 } ] ] },
        { tools => [ [ 'confirm', {} ] ] }), tool_choice => $choice,
        config_override => $first->{defaults});
    my $run = $t->post(runs_of($first), $body)->{json};
    is_deeply $run->{effective_config}, $first->{defaults},
              'defaults are an override';
    is_deeply $run->{tool_choice}, $choice, 'tool_choice';
    is_deeply $run->{payload}, $body->{payload}, 'payload';
    $run = $t->finished($run);
    is $run->{status}, 'requires_action', 'it waits' or diag explain $run;

    my $outputs = { kind => 'tool_outputs', outputs => [
        { tool_use_id => $run->{pending_tool_calls}[0]{tool_use_id},
          content => [ { type => 'text', text => 'yes' } ],
          is_error => JSON::PP::true } ] };
    my $next = $t->post(runs_of($first), $t->run_body($t->reread($first),
        $outputs, config_override => $run->{effective_config},
        tool_choice => undef));
    is $next->{status}, 202, 'effective_config is an override'
        or diag $next->{content};
    is_deeply $next->{json}{payload}, $outputs, 'outputs as they were sent';
    is_deeply $next->{json}{effective_config}, $run->{effective_config},
              'the same configuration';
    $next = $t->finished($next->{json});
    is_refused($t->post(runs_of($first), $t->run_body($t->reread($first),
                        $next->{payload})), 400, 'unknown-tool-use-id',
               'a payload that is shown is well-formed');

    my $third = $t->post('/agents/conversations',
                         { defaults => $next->{effective_config} });
    is $third->{status}, 201, 'effective_config makes a conversation';
    is_deeply $third->{json}{defaults}, $next->{effective_config}, 'of it';
    return;
}


sub nulls {
    my ($t) = @_;
    my @config = qw(max_iterations max_tokens temperature output_format_schema
                    mcp_servers tools);
    my $body = $t->conversation_body(name => undef, system_prompt => undef,
        map({ $_ => undef } @config), max_iterations => undef);
    $body->{defaults}{system_prompt} = undef;
    my $answer = $t->post('/agents/conversations', $body);
    is $answer->{status}, 201, 'in a conversation' or diag $answer->{content};
    my $c = $answer->{json};
    is_deeply [ @$c{qw(name system_prompt)} ], [ undef, undef ], 'no names';
    is_deeply [ @{$c->{defaults}}{@config} ], [ 3, 2048, 0, undef, [], [] ],
              'the defaults';
    ok !exists $c->{defaults}{system_prompt}, 'and no more';

    for my $override (undef, {}, { map { $_ => undef } @config,
                      qw(model data_plane_id execution_cluster) }) {
        my $run = $t->post(runs_of($c), $t->run_body($c, 'hello',
            tool_choice => undef, config_override => $override));
        is $run->{status}, 202, 'in a run' or diag $run->{content};
        is_deeply $run->{json}{effective_config}, $c->{defaults},
                  'nothing is overridden';
        is_deeply $run->{json}{tool_choice}, { kind => 'auto' }, 'auto';
        $t->finished($run->{json});
        $c = $t->reread($c);
    }
    $c = $t->conversation(tools => [ { %$confirm, description => undef } ],
        mcp_servers => [ { alias => 'a', url => $t->mcp,
                           description => undef } ]);
    is_deeply $c->{defaults}{tools}, [ $confirm ], 'in a tool';
    is_deeply $c->{defaults}{mcp_servers},
              [ { alias => 'a', url => $t->mcp } ], 'in a server';
    return;
}


# A string, an empty one, text blocks, none of them; is_error null.
sub contents {
    my ($t) = @_;
    my @contents = ('', "a\n\x{1f600}", [], [ { type => 'text', text => '' },
                    { type => 'text', text => 'b' } ]);
    my $c = $t->conversation(tools => [ $confirm ]);
    my $run = $t->finished($t->run($c, script({ tools => [
        map { [ 'confirm', { n => $_ } ] } 0 .. $#contents ] })));
    my @ids = map { $_->{tool_use_id} } @{$run->{pending_tool_calls}};
    my $answer = $t->post(runs_of($c), $t->run_body($t->reread($c), {
        kind => 'tool_outputs', outputs => [ map { {
            tool_use_id => $ids[$_], content => $contents[$_],
            is_error => undef } } reverse 0 .. $#contents ] }));
    is $answer->{status}, 202, 'in any order' or diag $answer->{content};
    $t->finished($answer->{json});

    my ($said) = grep { $_->{role} eq 'tool' } @{$t->messages($c)};
    my %by = map { $_->{tool_use_id} => $_ } @{$said->{content_blocks}};
    is_deeply [ map { join '|', map { $_->{text} } @{$by{$_}{content}} } @ids ],
              [ '', $contents[1], '', '|b' ], 'what was said';
    is_deeply [ map { $_->{is_error} ? 1 : 0 } values %by ], [ (0) x @ids ],
              'and none is an error';
    return;
}


# None has a body that is left unread: nginx then resets the stream, which some
# clients take for a failure.
sub http2 {
    my $port = AgentsTest::free_port();
    my $t = AgentsTest->new(
        replace => { 'listen 127.0.0.1:%PORT%;' =>
                     "listen 127.0.0.1:%PORT%; listen 127.0.0.1:$port http2;" });
    $t->start;
    my $token = $t->token;
    my $curl = sub {
        my ($path, @args) = @_;
        open my $out, '-|', 'curl', '-s', '-i', '--http2-prior-knowledge',
            '-H', "Authorization: Bearer $token", @args,
            "http://127.0.0.1:$port$path" or die "curl: $!\n";
        local $/;
        my ($head, $body) = split /\r\n\r\n/, <$out>, 2;
        my ($status) = $head =~ m{^HTTP/2 (\d+)};
        my ($type) = $head =~ /^content-type: ([^\r\n]*)/mi;
        return join ' ', $status, $type,
               ($body || '') =~ m{"type":"http://127.0.0.1:$port/errors/([^"]*)}
               ? $1 : length($body || '');
    };
    my @post = ('-H', 'Content-Type: application/json', '-d');
    my $problem = 'application/problem+json';

    is $curl->('/agents/nothing'), "404 $problem not-found", 'nothing there';
    is $curl->('/agents/nothing', '-I'), "404 $problem 0", 'HEAD';
    is $curl->('/agents/conversations', '-X', 'PUT'),
       "405 $problem method-not-allowed", 'the method';
    is $curl->('/agents/conversations', @post, '{'),
       "400 $problem invalid-request", 'the form';
    is $curl->('/agents/conversations', '-X', 'POST'),
       "415 $problem unsupported-media-type", 'the type';
    $t->clean;
    return;
}
