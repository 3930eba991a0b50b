# A real model: llama.cpp's server with a small one, which "make test-llm" has
# put into the build folder.  It may say what it likes: what is asked here has to
# hold of any reply.  Each one comes as a stream, which the grammar of a schema
# or a forced call bounds where there is one.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use AgentsTest;

my $ASK = { name => 'confirm_booking',
    description => 'Ask the user to confirm a proposed booking slot.',
    input_schema => { type => 'object', additionalProperties => JSON::PP::false,
        required => [ 'slot', 'people' ], properties => {
            slot => { type => 'string', enum => [ qw(morning noon evening) ] },
            people => { type => 'integer', minimum => 1, maximum => 9 } } } };
my $SCHEMA = { type => 'object', additionalProperties => JSON::PP::false,
    required => [ qw(city capital inhabitants near) ], properties => {
        city => { type => 'string', enum => [ qw(Paris Lyon Nice) ] },
        capital => { type => 'boolean' },
        inhabitants => { type => 'integer', minimum => 0,
                         maximum => 99_999_999 },
        near => { type => 'array', minItems => 1, maxItems => 2, items => {
                  type => 'string', enum => [ qw(sea mountains river) ] } } } };

my $WEATHER = { name => 'weather', description => 'The weather of a city.',
    inputSchema => { type => 'object', required => [ 'city', 'tomorrow' ],
        properties => { city => { type => 'string', enum => [ qw(Rome Oslo) ] },
                        tomorrow => { type => 'boolean' } } } };

my $json = JSON::PP->new->canonical;
my $top = $AgentsTest::TOP;
my $llm = AgentsTest::free_port();
my $folder = AgentsTest::build_dir() . '/local-model';
my $log = "$folder/serve.log";
my $server = serve();
END { end_server() if $server }

# what it says passes by, so that its type is logged
my $t = AgentsTest->new(
    handlers => { '/weather' => AgentsTest::Mcp::handler(
        tools => [ $WEATHER ], call => sub { { content => [ { type => 'text',
            text => "It is raining in $_[1]{city}." } ] } }) },
    http => 'log_format llm "$status $sent_http_content_type";'
            . ' agents_provider local { protocol openai; timeout 100s;'
            . ' endpoint http://127.0.0.1:%PORT%/llm/v1; api_key none; }',
    plane => 'model local provider=local id=local max_tokens=2048'
             . ' no_named_choice no_format_with_tools;',
    server => "location /llm/ { proxy_pass http://127.0.0.1:$llm/;"
              . ' proxy_buffering off; proxy_read_timeout 120s;'
              . ' client_max_body_size 16m; access_log logs/llm.log llm; }',
)->start;

subtest 'a text' => \&text;
subtest 'a structured answer' => \&structured;
subtest 'a tool that the caller answers' => \&caller_tool;
subtest 'a tool of an MCP server' => \&mcp_tool;
subtest 'streams' => \&streams;
subtest 'the demonstration' => \&demonstration;
$t->clean;
end_server();

done_testing;


sub serve {
    my $pid = fork;
    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', $log;
        open STDERR, '>&', \*STDOUT;
        exec "$top/util/local-model", 'serve', $folder, $llm;
        exit 127;
    }
    my $http = HTTP::Tiny->new(timeout => 5);
    for (1 .. 600) {
        return $pid if $http->get("http://127.0.0.1:$llm/health")->{success};
        last if waitpid($pid, 1) == $pid;       # WNOHANG
        Time::HiRes::sleep(0.1);
    }
    kill 'KILL', $pid;
    die "the model's server does not come up: ", AgentsTest::slurp($log);
}


sub end_server {
    local $?;
    kill 'TERM', $server;
    waitpid $server, 0;
    undef $server;
    return;
}


sub play {
    my ($text, $choice, %defaults) = @_;
    my $c = $t->conversation(model => 'local', max_tokens => 1024, %defaults);
    my $run = $t->run($c, $text, $choice ? (tool_choice => $choice) : ());
    return ($t->finished($run, 200), $c);
}


sub is_used {
    my ($run, $iterations) = @_;
    is $run->{iterations_used}, $iterations, "iterations: $iterations";
    cmp_ok $run->{usage}{$_}, '>', 0, $_ for qw(prompt_tokens
                                                completion_tokens);
    return;
}


sub text {
    my ($run, $c) = play('What is the capital of France?', undef,
        system_prompt => 'Answer in one short sentence.');
    is $run->{status}, 'completed', 'completed' or diag explain $run->{error};
    like $run->{final_text}, qr/\S/, 'with a text';
    note $run->{final_text};
    is_used($run, 1);
    is $t->messages($c)->[1]{content_blocks}[0]{text}, $run->{final_text},
       'which is the message, too';
    return;
}


sub structured {
    my ($run) = play('Describe the city of Nice.', undef,
                     output_format_schema => $SCHEMA);
    is $run->{status}, 'completed', 'completed' or diag explain $run->{error};
    my $value = $run->{final_structured_output};
    note($json->encode($value));
    is_deeply [ sort keys %$value ], [ qw(capital city inhabitants near) ],
              'the members of the schema';
    like $value->{city}, qr/^(?:Paris|Lyon|Nice)\z/, 'one of the cities';
    ok JSON::PP::is_bool($value->{capital}), 'true or false';
    like $value->{inhabitants}, qr/^\d{1,8}\z/, 'a number within its bounds';
    ok @{$value->{near}} >= 1 && @{$value->{near}} <= 2, 'one or two places';
    is_deeply [ grep { !/^(?:sea|mountains|river)\z/ } @{$value->{near}} ], [],
              'of those that there are';
    is_used($run, 1);
    return;
}


sub caller_tool {
    my ($run, $c) = play('A table for two at noon.',
        { kind => 'specific_tool', name => 'confirm_booking' },
        tools => [ { name => 'other', input_schema => { type => 'object' } },
                   $ASK ]);
    is $run->{status}, 'requires_action', 'it waits'
        or diag explain $run->{error};
    my ($call, @more) = @{$run->{pending_tool_calls}};
    is $call->{name}, 'confirm_booking', 'for the tool that was forced';
    is_deeply [ sort keys %{$call->{arguments}} ], [ qw(people slot) ],
              'with the arguments that it has';
    like $call->{arguments}{slot}, qr/^(?:morning|noon|evening)\z/, 'a slot';
    like $call->{arguments}{people}, qr/^[1-9]\z/, 'a number';
    note($json->encode($call));

    # with no tool to call any more it has to say something
    my $next = $t->run($t->reread($c), { kind => 'tool_outputs', outputs => [
        map { { tool_use_id => $_->{tool_use_id},
                content => 'The user has confirmed.' } } $call, @more ] },
        config_override => { tools => [] });
    $next = $t->finished($next, 200);
    is $next->{status}, 'completed', 'and goes on'
        or diag explain $next->{error};
    like $next->{final_text}, qr/\S/, 'with a text';
    note $next->{final_text};
    return;
}


# What it does once it has the result is its own affair, but for the budget.
sub mcp_tool {
    my ($run, $c) = play('Do I need an umbrella in Rome?',
        { kind => 'specific_tool', name => 'weather', mcp_alias => 'mcp' },
        mcp_servers => [ { alias => 'mcp', url => $t->mock->url('/weather') } ],
        tools => [ $ASK ], max_iterations => 4);
    my ($call) = grep { ($_->{json}{method} || '') eq 'tools/call' }
                 @{$t->mock->requests('/weather')};
    my $params = $call->{json}{params};
    is $params->{name}, 'weather', 'the tool was called'
        or diag explain $run->{error};
    note($json->encode($params->{arguments}));
    is_deeply [ sort keys %{$params->{arguments}} ], [ qw(city tomorrow) ],
              'with its arguments';
    like $params->{arguments}{city}, qr/^(?:Rome|Oslo)\z/, 'a city';
    ok JSON::PP::is_bool($params->{arguments}{tomorrow}), 'true or false';

    my @blocks = map { @{$_->{content_blocks}} } @{$t->messages($c)};
    is $blocks[1]{name}, 'mcp-weather', 'the call is a message';
    is $blocks[2]{content}[0]{text},
       "It is raining in $params->{arguments}{city}.", 'and its result';
    cmp_ok $run->{iterations_used}, '>=', 2, 'which the model was told';
    note $run->{final_text} // $run->{error}{message} // $run->{status};
    return;
}


sub streams {
    my @replies = split /\n/, AgentsTest::slurp($t->prefix . '/logs/llm.log');
    cmp_ok scalar @replies, '>=', 6, 'replies: ' . @replies;
    is_deeply [ grep { $_ !~ m{^200 text/event-stream} } @replies ], [],
              'each came as a stream';
    return;
}


# make run MODEL=local
sub demonstration {
    my $data = $t->prefix . '/demonstration';
    my $script = "$top/conf-examples/quickstart/quickstart.pl";
    plan skip_all => 'no njs for this nginx' unless AgentsTest::njs();

    my $out = qx($^X $script --build @{[AgentsTest::build_dir()]} \\
                 --data $data --port @{[three_ports()]} --local $folder \\
                 --once 2>&1 </dev/null);
    is $?, 0, 'it comes to its end' or diag $out;
    like $out, qr/tool called +demo-search_docs/, 'with a call';
    like $out, qr/completed +\d iterations/, 'as completed';
    like $out, qr/answer +\S/, 'and an answer';
    return;
}


sub three_ports {
    for (1 .. 50) {
        my $port = AgentsTest::free_port();
        my @open = map { IO::Socket::INET->new(LocalAddr => '127.0.0.1',
            LocalPort => $port + $_, Proto => 'tcp', Listen => 1) } 1, 2;
        return $port if @open == 2;
    }
    die "no three free ports\n";
}
