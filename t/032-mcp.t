# MCP servers that behave, each in its own way: JSON and SSE, sessions that
# are kept and lost, pages of tools, and what the exchange looks like to them.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use Time::HiRes qw(time);

my $good = AgentsTest::Mcp::handler();
my $json = JSON::PP->new->canonical->utf8;
my @ADD = ('m-add', { a => 2, b => 3 });
my %type = ('Content-Type' => 'text/event-stream');

# ways to say an answer as an event stream
my %say = (
    'crlf' => sub { { body => "event: message\r\ndata: $_[0]\r\n\r\n" } },
    'cr' => sub { { body => "data: $_[0]\r\r" } },
    'bom' => sub { { body => "\xef\xbb\xbfdata: $_[0]\n\n" } },
    'no-blank' => sub { { body => "data:$_[0]\n\n" } },
    'lines' => sub { (my $text = $_[0]) =~ s/,/,\ndata: /g;
                     return { body => "data: $text\n\n" } },
    'bytes' => sub { { chunks => [ map { [ 0, $_ ] } split //,
                       "id: 1\ndata: $_[0]\n\n" ] } },
    'split' => sub { { chunks => [ [ 0, 'data: ' . substr($_[0], 0, 20) ],
                       [ 0.2, substr($_[0], 20) . "\r" ],
                       [ 0.1, "\n\r\n" ] ] } },
    'other-type' => sub { { body => "event: note\ndata: {\"id\": 1}\n\n"
                            . "data: $_[0]\n\n" } },
    'open' => sub { { chunks => [ [ 0, "data: $_[0]\n\n" ] ], hang => 1 } },
    'ping' => sub { { chunks => [ [ 0, 'data: ' . $json->encode({
                      jsonrpc => '2.0', id => 77, method => 'ping' })
                      . "\n\n" ], [ 0.2, "data: $_[0]\n\n" ] ] } },
    'twice' => sub { my ($id) = $_[0] =~ /"id":(\d+)/;
                     return { body => "data: $_[0]\n\n" . 'data: {"jsonrpc":'
                              . "\"2.0\",\"id\":$id,\"result\":{}}\n\n" } },
    'json' => sub { { body => $_[0], headers => {
                    'Content-Type' => 'Application/JSON; charset=utf-8' } } },
    'array' => sub { { body => "[$_[0]]", headers => {
                     'Content-Type' => 'application/json' } } },
);

for my $m (AgentsTest->matrix) {
    my $store = $m->{name};
    my $t = AgentsTest->new(%$m, handlers => {
        map({ my $name = $_; ("/say/$name" => sub { say_it($_[0], $name) }) }
            keys %say),
        '/named' => AgentsTest::Mcp::handler(tools => named()),
        '/long' => AgentsTest::Mcp::handler(tools => [ {
            name => 'x' x 61, inputSchema => { type => 'object' } } ]),
    })->start;

    subtest "the exchange on $store" => sub { exchange($t) };
    subtest "behaviours on $store" => sub { behaviours($t) };
    subtest "a lost session on $store" => sub { lost($t) };
    subtest "pages of tools on $store" => sub { pages($t) };

    if ($m->{store} eq 'sqlite') {
        subtest 'ways to answer' => sub { ways($t) };
        subtest 'streams that end too soon' => sub { resumed($t) };
        subtest 'side by side' => sub { side_by_side($t) };
        subtest 'odd names' => sub { names($t) };
        subtest 'a name that is too long' => sub { long($t) };
        subtest 'discovered by each run' => sub { each_run($t) };
    }
    $t->clean("$store: no error logged");
}

done_testing;


sub say_it {
    my ($req, $name) = @_;
    my $answer = $good->($req);
    return $answer unless exists $answer->{json} && !$answer->{status};
    my $said = $say{$name}->($json->encode($answer->{json}));
    return { headers => { %type }, %$said };
}


sub named {
    return [ map { { name => $_, inputSchema => { type => 'object' } } }
             'with.dots', 'with-dash', 'with_both-and.more' ];
}


sub play {
    my ($t, $url, @calls) = @_;
    my $c = $t->conversation(mcp_servers => [ { alias => 'm',
                                                url => $url } ]);
    my $run = $t->finished($t->run($c, script({ tools => \@calls },
                                              { text => 'done' })));
    my @results = grep { $_->{type} eq 'tool_result' }
                  map { @{$_->{content_blocks}} } @{$t->messages($c)};
    return ($run, @results);
}


sub is_five {
    my ($run, $result, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $run->{status}, 'completed', "$name: completed"
        or diag explain $run->{error};
    is_deeply $result->{content}, [ { type => 'text', text => '5' } ],
              'the result' or diag explain $result;
    is $result->{is_error}, JSON::PP::false, 'no error';
    return;
}


sub offered {
    my ($t) = @_;
    my ($prompt) = grep { $_->{path} =~ /completions/ }
                   reverse @{$t->mock->requests};
    return map { $_->{function} } @{$prompt->{json}{tools}};
}


sub exchange {
    my ($t) = @_;
    $t->mock->forget;
    my $url = $t->mcp('/session') . '?a=b%20c&d';
    is_five(play($t, $url, [ @ADD ]), 'a session');

    my @seen = @{$t->mock->requests('/mcp')};
    my @methods = map { $_->{json}{method} || $_->{method} } @seen;
    my ($initialize) = grep { ($_->{json}{method} || '') eq 'initialize' }
                       @seen;
    my $headers = $initialize->{headers};
    is $initialize->{json}{jsonrpc}, '2.0', 'JSON-RPC';
    like $initialize->{json}{params}{protocolVersion}, qr/^20\d\d-\d\d-\d\d$/,
         'a version';
    ok length $initialize->{json}{params}{clientInfo}{name}, 'a name';
    is ref $initialize->{json}{params}{capabilities}, 'HASH', 'capabilities';
    ok !defined $headers->{'mcp-session-id'}, 'no session yet';
    like $headers->{'content-type'}, qr{^application/json}, 'Content-Type';
    like $headers->{accept}, qr{application/json.*text/event-stream}, 'Accept';
    is $headers->{'accept-encoding'}, 'identity', 'Accept-Encoding';
    is $headers->{host}, '127.0.0.1:' . $t->mock->port, 'Host';
    ok !defined $headers->{authorization}, 'no Authorization';
    ok !defined $headers->{origin}, 'no Origin';
    ok !defined $headers->{cookie}, 'no Cookie';
    is_deeply [ grep { ($_->{query} || '') ne 'a=b%20c&d' } @seen ], [],
              'the query goes with every request';

    my $at = 0;
    $at++ until $methods[$at] eq 'initialize';
    is_deeply [ @methods[$at .. $at + 3] ], [ 'initialize',
        'notifications/initialized', 'tools/list', 'tools/call' ],
        'in the right order' or diag "@methods";
    my ($call) = grep { ($_->{json}{method} || '') eq 'tools/call' } @seen;
    is $call->{headers}{'mcp-session-id'}, 'session-1', 'with the session';
    like $call->{headers}{'mcp-protocol-version'}, qr/^20\d\d-/,
         'and the version';
    is $call->{json}{params}{name}, 'add', 'the server\'s own name';
    is_deeply $call->{json}{params}{arguments}, { a => 2, b => 3 },
              'the arguments as they were';

    my $end = $t->wait_for(3, sub {
        grep { $_->{method} eq 'DELETE' } @{$t->mock->requests('/mcp')} });
    ok $end, 'the session is ended';
    return;
}


sub behaviours {
    my ($t) = @_;
    for my $way ('', '/sse', '/session', '/sse/session', '/pages/sse',
                 '/slow-call/sse') {
        is_five(play($t, $t->mcp($way), [ @ADD ]), $way || 'plain');
    }
    my ($run, @results) = play($t, $t->mcp('/sse'),
        map { [ 'm-echo', { text => "n$_" } ] } 1 .. 10);
    is_deeply [ map { $_->{content}[0]{text} } @results ],
              [ map { "n$_" } 1 .. 10 ], 'ten at once, in order';
    return;
}


sub lost {
    my ($t) = @_;
    $t->mock->forget;
    is_five(play($t, $t->mcp('/lost'), [ @ADD ]), 'made anew');
    my @methods = map { $_->{json} ? $_->{json}{method} : () }
                  @{$t->mock->requests('/mcp')};
    is scalar(grep { $_ eq 'initialize' } @methods), 2, 'initialized twice';
    is scalar(grep { $_ eq 'tools/call' } @methods), 2, 'called twice';
    return;
}


sub pages {
    my ($t) = @_;
    $t->mock->forget;
    is_five(play($t, $t->mcp('/pages'), [ @ADD ]), 'pages');
    is scalar offered($t), 7, 'all tools are offered';
    is scalar(grep { ($_->{json}{method} || '') eq 'tools/list' }
              @{$t->mock->requests('/mcp')}), 8,
       'in seven pages, after the question of the era';

    $t->mock->forget;
    is_five(play($t, $t->mcp('/loop'), [ @ADD ]), 'a cursor that repeats');
    is scalar offered($t), 7, 'gives each tool once';
    ok scalar(grep { ($_->{json}{method} || '') eq 'tools/list' }
              @{$t->mock->requests('/mcp')}) <= 3, 'and is soon given up';
    return;
}


sub ways {
    my ($t) = @_;
    for my $way (sort keys %say) {
        is_five(play($t, $t->mock->url("/say/$way"), [ @ADD ]), $way);
    }
    my $ping = $t->wait_for(3, sub {
        grep { $_->{json} && !exists $_->{json}{method}
               && ($_->{json}{id} || 0) == 77 }
        @{$t->mock->requests('/say/ping')} });
    ok $ping, 'a ping is answered';
    return;
}


sub resumed {
    my ($t) = @_;
    $t->mock->forget;
    is_five(play($t, $t->mcp('/resume/session'), [ @ADD ]), 'resumed');

    my @gets = grep { $_->{method} eq 'GET' } @{$t->mock->requests('/mcp')};
    is_deeply [ map { $_->{headers}{'last-event-id'} } @gets ],
              [ 'first', 'second' ], 'twice, by the ids of complete events';
    is scalar(grep { ($_->{headers}{'mcp-session-id'} || '')
                     =~ /^session-\d/ } @gets), 2, 'with the session';
    is_deeply [ map { $_->{headers}{accept} } @gets ],
              [ ('text/event-stream') x 2 ], 'Accept';
    is_deeply [ grep { defined $_->{headers}{'content-type'} } @gets ], [],
              'no body, no type';
    like $gets[0]{headers}{'mcp-protocol-version'}, qr/^20/, 'the version';
    is scalar(grep { $_->{json} && $_->{json}{method} eq 'tools/call' }
              @{$t->mock->requests('/mcp')}), 1, 'the call was made once';

    my ($run, $result) = play($t, $t->mcp('/gone'), [ @ADD ]);
    is $result->{is_error}, JSON::PP::true, 'one that cannot be resumed';
    like $result->{content}[0]{text},
         qr/connection ended .* may have taken effect/, 'says so';
    return;
}


sub side_by_side {
    my ($t) = @_;
    my $begin = time;
    my ($run, @results) = play($t, $t->mcp,
                               map { [ 'm-slow', { seconds => 0.5 } ] } 1 .. 8);
    my $took = time - $begin;
    is scalar(grep { !$_->{is_error} } @results), 8, 'eight calls';
    ok $took < 2.5, "of half a second each: $took s";

    $begin = time;
    my $c = $t->conversation(mcp_servers => [ map { { alias => "m$_",
        url => $t->mcp("/slow-initialize") . "?$_" } } 1 .. 8 ]);
    $run = $t->finished($t->run($c, 'hello'));
    $took = time - $begin;
    is $run->{status}, 'completed', 'eight servers';
    ok $took < 5, "that take a second to open: $took s";
    return;
}


sub names {
    my ($t) = @_;
    my $url = $t->mock->url('/named');
    my $c = $t->conversation(mcp_servers => [ { alias => 'm',
                                                url => $url } ]);
    $t->finished($t->run($c, 'what is there?'));
    my @sent = map { $_->{name} } offered($t);
    is scalar @sent, 3, 'three tools';
    is scalar(grep { !/^[A-Za-z0-9_-]{1,64}$/ } @sent), 0,
       'under names that a provider takes' or diag "@sent";

    $t->mock->forget;
    my $run = $t->finished($t->run($t->reread($c), script(
        { tools => [ map { [ $_, {} ] } @sent ] }, { text => 'done' })));
    is $run->{status}, 'completed', 'called by them';
    my @names = map { $_->{name} } grep { $_->{type} eq 'tool_use' }
                map { @{$_->{content_blocks}} } @{$t->messages($c)};
    is_deeply \@names, [ map { "m-$_->{name}" } @{named()} ],
              'in messages they have the server\'s own';
    is_deeply [ sort map { $_->{json}{params}{name} }
                grep { ($_->{json}{method} || '') eq 'tools/call' }
                @{$t->mock->requests('/named')} ],
              [ sort map { $_->{name} } @{named()} ],
              'as the server sees them';
    return;
}


sub long {
    my ($t) = @_;
    my $url = $t->mock->url('/long');
    my $run = $t->finished($t->run($t->conversation(mcp_servers => [ {
        alias => 'm', url => $url } ]), 'x'));
    is $run->{status}, 'completed', 'a letter, a dash and 61 are 63'
        or diag explain $run->{error};
    my $c = $t->conversation(mcp_servers => [ { alias => 'four',
        url => $t->mock->url('/long') } ]);
    $run = $t->finished($t->run($c, 'x'));
    is $run->{error}{type}, 'AgentLoopToolNameTooLong', 'over 64 is not';
    is_deeply $run->{submitted_inference_job_ids}, [], 'no job was begun';
    is $run->{error}{title}, 'Tool wire name too long', 'title';
    like $run->{error}{message}, qr/four-xxx/, 'the tool is named';
    return;
}


sub each_run {
    my ($t) = @_;
    my $c = $t->conversation(mcp => '');
    $t->finished($t->run($c, 'x'));
    $t->mock->forget;
    $t->finished($t->run($t->reread($c), 'y'));
    is scalar(grep { ($_->{json}{method} || '') eq 'tools/list' }
              @{$t->mock->requests('/mcp')}), 1, 'each run lists anew';
    return;
}
