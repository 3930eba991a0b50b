# MCP servers that refuse, hang, cut off, redirect, say too much or nothing:
# a call that fails is an is_error result, a server that cannot be discovered
# ends the run, and neither hangs nor harms a worker.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use Time::HiRes qw(time);

my $down = AgentsTest::free_port();
my $good = AgentsTest::Mcp::handler();
my $json = JSON::PP->new->canonical;

# what a server may do to tools/call, or to any method: "/odd/NAME"
my %odd = (
    'redirect' => { status => 307, headers => { Location => '/mcp' } },
    'status-401' => { status => 401, body => 'who are you?',
                      headers => { 'WWW-Authenticate' => 'Bearer' } },
    'status-403' => { status => 403, json => { error => 'forbidden' } },
    'status-404' => { status => 404, body => '' },
    'status-503' => { status => 503, body => "<html>busy</html>" },
    'html' => { body => '<html>hello</html>',
                headers => { 'Content-Type' => 'text/html' } },
    'empty' => { body => '', headers => {
                 'Content-Type' => 'application/json' } },
    'accepted' => { status => 202 },
    'null' => { json => undef },
    'number' => { json => 7 },
    'deep' => { body => '[' x 100_000, headers => {
                'Content-Type' => 'application/json' } },
    'no-result' => sub { { json => { jsonrpc => '2.0', id => $_[0] } } },
    'other-id' => sub { answer("x$_[0]") },
    'string-id' => sub { answer("$_[0]") },
    'null-id' => sub { answer(undef) },
    'bad-result' => sub { { json => { jsonrpc => '2.0', id => $_[0],
                                      result => 'text' } } },
    'hang-body' => { body => '{"jsonrpc"', length => 100, hang => 1 },
    'trickle' => { chunks => [ map { [ 0.4, ' ' ] } 1 .. 40 ], headers => {
                   'Content-Type' => 'application/json' } },
    'sse-end' => { body => ": nothing\n\n", headers => {
                   'Content-Type' => 'text/event-stream' } },
    'sse-other' => sub { sse(answer("x$_[0]")) },
    'sse-nonsense' => { body => "data: {nonsense\n\n", headers => {
                        'Content-Type' => 'text/event-stream' } },
    'sse-half' => { body => 'data: {"jsonrpc": "2.0"', headers => {
                    'Content-Type' => 'text/event-stream' } },
    'sse-hang' => { chunks => [ [ 0, ": wait\n\n" ] ], hang => 1,
                    headers => { 'Content-Type' => 'text/event-stream' } },
    'sse-endless' => { chunks => [ map { [ 0, ': ' . 'x' x 500_000
                                           . "\n\n" ] } 1 .. 40 ],
                       headers => { 'Content-Type' => 'text/event-stream' } },
    'sse-flood' => { body => "data: 1\n\n" x 20_000, headers => {
                     'Content-Type' => 'text/event-stream' } },
    'sse-progress' => { chunks => [ map { [ 0.1, 'data: ' . $json->encode({
                        jsonrpc => '2.0', method => 'notifications/progress',
                        params => { progress => $_ } }) . "\n\n" ] } 1 .. 80 ],
                        headers => { 'Content-Type' => 'text/event-stream' } },
    'sse-requests' => { body => join('', map { 'data: ' . $json->encode({
                        jsonrpc => '2.0', id => "r$_", method => 'roots/list' })
                        . "\n\n" } 1 .. 300), headers => {
                        'Content-Type' => 'text/event-stream' } },
    'sse-again' => { body => "id: \xe9\nretry: 0\ndata:\n\n", headers => {
                     'Content-Type' => 'text/event-stream' } },
    'sse-later' => { body => "id: 1\nretry: 99999999999999999999\ndata:\n\n",
                     headers => { 'Content-Type' => 'text/event-stream' } },
    'sse-bad-id' => { body => "id: a\x01b\ndata:\n\n", headers => {
                      'Content-Type' => 'text/event-stream' } },
    'accel' => { body => '', headers => { 'X-Accel-Redirect' => '/secret',
                 'Content-Type' => 'application/json' } },
    'headers' => { headers => { map { ("X-$_" => 'x') } 1 .. 2000 },
                   json => {} },
    'header' => { headers => { 'X-Long' => 'x' x 60_000 }, json => {} },
);

my $t = AgentsTest->new(
    location => 'agents_tool_timeout 2s; agents_discovery_timeout 4s;',
    server => 'location /secret { return 200 "not for you"; }',
    handlers => { map({ my $name = $_; (
        "/call/$name" => sub { odd($_[0], $name, 'tools/call') },
        "/init/$name" => sub { odd($_[0], $name, 'initialize') },
        "/list/$name" => sub { odd($_[0], $name, 'tools/list') },
    ) } keys %odd),
    '/blocks' => AgentsTest::Mcp::handler(call => sub { return {
        content => [ map { { type => 'odd' } } 1 .. 50_000 ] } }),
    '/no-text' => \&raw, '/orders' => \&orders,
    '/forger' => sub { { json => { jsonrpc => '2.0', id => $_[0]{json}{id},
        error => { code => -1, message =>
            "no\r\n1999/01/01 00:00:00 [warn] forged\e[31m" } } } },
    '/wordy' => AgentsTest::Mcp::handler(call => sub { return {
        _error => { code => -1, message => $_[1]{text}
                                           . "\x{1f4a5}" x 500 } } }) })
    ->start;

# of the servers' doing
$t->allow(qr/while (?:reading|sending|connecting).*upstream/,
          qr/upstream (?:prematurely|timed out|sent)/);
$t->wait_for(5, sub { $t->workers == 2 });
my @workers = $t->workers;

my @scripted = qw(hang cut reset garbage error big status);
my %calls = map { ($_ => start_call($t->mock->url("/call/$_"))) } keys %odd;
$calls{"scripted $_"} = start_call($t->mcp("/$_-call")) for @scripted;

subtest "a call: $_" => sub { call_fails($_) } for sort keys %calls;
subtest 'slow, but in time' => \&slow;
subtest 'a tool that says it failed' => \&is_error;
subtest 'a result that is too long' => \&too_long;
subtest 'an error of the protocol' => \&protocol_error;
subtest 'requests of the server' => \&requests;
subtest 'a result of very many blocks' => \&blocks;
subtest 'text that is none' => \&no_text;
subtest 'headers that a proxy obeys' => \&not_obeyed;
subtest 'one of several' => \&one_of_several;

my %lost = map { my $m = $_;
    map { ("$m: $_" => start($t->mock->url("/$m/$_"))) } keys %odd }
    qw(init list);
for my $method ('initialize', 'list') {
    $lost{"$method: scripted $_"} = start($t->mcp("/$_-$method"))
        for @scripted;
}
$lost{'down'} = start("http://127.0.0.1:$down/mcp");

subtest "discovery: $_" => sub { not_discovered($_) } for sort keys %lost;
subtest 'one server of two' => \&one_server;
subtest 'egress' => \&egress;
subtest 'the workers' => \&workers;
$t->clean;

done_testing;


sub answer {
    my ($id) = @_;
    return { json => { jsonrpc => '2.0', id => $id, result => {
             protocolVersion => '2025-06-18', capabilities => { tools => {} },
             serverInfo => { name => 'x', version => '1' }, tools => [],
             content => [ { type => 'text', text => 'not for you' } ] } } };
}


sub sse {
    my ($answer) = @_;
    return { body => 'data: ' . $json->encode($answer->{json}) . "\n\n",
             headers => { 'Content-Type' => 'text/event-stream' } };
}


sub odd {
    my ($req, $name, $method) = @_;
    my $message = $req->{json};
    my $again = $req->{method} eq 'GET' && $name eq 'sse-again';
    return $good->($req) unless $again || ref $message eq 'HASH'
                                && ($message->{method} || '') eq $method;
    my $what = $odd{$name};
    return ref $what eq 'CODE' ? $what->($message->{id}) : { %$what };
}


sub servers { return [ map { { alias => "s$_", url => $_[$_] } } 0 .. $#_ ] }


sub start {
    my ($url) = @_;
    my $c = $t->conversation(mcp_servers => servers($url));
    return [ $c, $t->run($c, 'hello'), time ];
}


sub start_call {
    my ($url) = @_;
    my $c = $t->conversation(mcp_servers => servers($url));
    my $run = $t->run($c, script({ tools => [
        [ 's0-echo', { text => 'x' } ] ] }, { text => 'so be it' }));
    return [ $c, $run, time ];
}


sub results {
    my ($c) = @_;
    return grep { $_->{type} eq 'tool_result' }
           map { @{$_->{content_blocks}} } @{$t->messages($c)};
}


sub call_fails {
    my ($name) = @_;
    my ($c, $run) = @{$calls{$name}};
    $run = $t->finished($run, 15);
    is $run->{status}, 'completed', 'the run goes on'
        or diag explain $run->{error};
    is $run->{final_text}, 'so be it', 'to its answer';
    my ($result) = results($c);
    is $result->{is_error}, JSON::PP::true, 'the result is an error';
    my $text = $result->{content}[0]{text};
    like $text, qr/\w{3}/, "in words: " . substr $text, 0, 70;
    ok length $text < 2000, 'not too many';
    unlike $text, qr/not for you/, 'and not another one\'s';
    return;
}


sub not_discovered {
    my ($name) = @_;
    my ($c, $run) = @{$lost{$name}};
    $run = $t->finished($run, 15);
    is $run->{status}, 'failed', 'failed' or diag explain $run;
    is $run->{error}{type}, 'AgentLoopMcpDiscoveryFailed', 'its code'
        or diag explain $run->{error};
    is $run->{error}{title}, 'MCP Discovery Failed', 'title';
    like $run->{error}{docs_url}, qr{/errors/mcp-discovery-failed$}, 'page';
    like $run->{error}{message}, qr/\bs0\b/, 'the message names the server'
        or diag $run->{error}{message};
    is $run->{iterations_used}, 0, 'the model was not asked';
    is $t->reread($c)->{version}, 0, 'nothing is committed';
    return;
}


sub play {
    my ($url, @calls) = @_;
    my $c = $t->conversation(mcp_servers => servers(ref $url ? @$url : $url));
    my $run = $t->finished($t->run($c, script({ tools => \@calls },
                                              { text => 'done' })), 15);
    return ($run, results($c));
}


sub slow {
    my ($run, $result) = play($t->mcp('/slow-call'), [ 's0-echo',
                              { text => 'late' } ]);
    is $result->{content}[0]{text}, 'late', 'its result';
    is $result->{is_error}, JSON::PP::false, 'is none';
    ($run, $result) = play($t->mcp('/slow-list/sse'), [ 's0-echo',
                           { text => 'late' } ]);
    is $result->{content}[0]{text}, 'late', 'slow discovery, too';
    return;
}


sub is_error {
    my ($run, @results) = play($t->mcp, [ 's0-fail', {} ], [ 's0-empty', {} ],
                               [ 's0-blocks', {} ]);
    is $run->{status}, 'completed', 'the run goes on';
    is $results[0]{is_error}, JSON::PP::true, 'isError is is_error';
    is_deeply $results[0]{content}, [ { type => 'text',
              text => 'it failed' } ], 'with the tool\'s words';
    is $results[1]{is_error}, JSON::PP::false, 'no content is no error';
    is ref $results[1]{content}, 'ARRAY', 'content is a list';
    is $results[2]{is_error}, JSON::PP::false, 'blocks of all kinds';
    is scalar(grep { $_->{type} ne 'text' } @{$results[2]{content}}), 0,
       'become text';
    my $text = join "\n", map { $_->{text} } @{$results[2]{content}};
    like $text, qr/first/, 'a text';
    like $text, qr{file:///x}, 'a link';
    like $text, qr/inside/, 'a resource';
    return;
}


sub too_long {
    my ($run, $result) = play($t->mcp, [ 's0-big', { bytes => 120_000 } ]);
    is $result->{is_error}, JSON::PP::false, 'no error';
    my $text = join '', map { $_->{text} } @{$result->{content}};
    ok length $text < 103_000 && length $text > 99_000, 'cut to size'
        or diag length $text;
    is substr($text, 102_399), "x\n[17600 more bytes were left out]",
       'with a line of how much is missing';

    my $c = $t->conversation(mcp => '');
    $run = $t->finished($t->run($c, script({ tools => [ [ 'mcp-echo',
        { text => "\x{20ac}" x 36_000 } ] ] }, { text => 'done' })));
    ($result) = results($c);
    like $result->{content}[0]{text}, qr/^\x{20ac}+[^\x{20ac}\x{fffd}]+$/,
         'cut at a character';
    return;
}


sub protocol_error {
    my ($run, $result) = play($t->mcp('/error-call'), [ 's0-echo',
                              { text => 'x' } ]);
    is $result->{is_error}, JSON::PP::true, 'an error';
    like $result->{content}[0]{text}, qr/said no/, 'in the server\'s words';

    my @results;
    (undef, @results) = play($t->mock->url('/wordy'),
        map { [ 's0-echo', { text => 'x' x $_ } ] } 0 .. 3);
    for (@results) {
        like $_->{content}[0]{text}, qr/: x*(?:\x{1f4a5}){50,}\.\z/,
             'a long one is cut at a character';
    }

    ($run) = play($t->mock->url('/forger'), [ 's0-echo', { text => 'x' } ]);
    like $run->{error}{message}, qr/ an error: no  1999.* forged \[31m/,
         'one with other lines in it is one line';
    is scalar(grep { /^1999.*forged|\e/ } split /\n/, $t->log), 0,
       'of the log, too';
    return;
}


# No more of them are answered than a sane server would send.
sub requests {
    my @said = grep { $_->{json} && !defined $_->{json}{method} }
               @{$t->mock->requests('/call/sse-requests')};
    is scalar @said, 64, '64 of 300 are answered';
    is_deeply [ grep { $_->{json}{error}{code} != -32601 } @said ], [],
              'as unknown';
    return;
}


sub blocks {
    my ($run, $result) = play($t->mock->url('/blocks'), [ 's0-echo',
                              { text => 'x' } ]);
    is $result->{is_error}, JSON::PP::false, 'no error';
    is scalar @{$result->{content}}, 1001, 'a thousand, and a word'
        or diag scalar @{$result->{content}};
    is $result->{content}[-1]{text}, '(49000 more blocks were left out)',
       'of the others';
    return;
}


sub raw {
    my ($req) = @_;
    my $message = $req->{json};
    return $good->($req) unless ref $message eq 'HASH'
        && ($message->{method} || '') eq 'tools/call';
    return { headers => { 'Content-Type' => 'application/json' },
             body => '{"jsonrpc":"2.0","id":' . $message->{id} . ',"result":{'
                     . '"content":[{"type":"text","text":"a\\u0000b'
                     . "\xff" . 'c\\ud800d"}],"content2":1,"content2":2}}' };
}


# What nginx would do for a server that is behind it, and trusted.
sub orders {
    my ($req) = @_;
    my $answer = $good->($req);
    my %headers = (
        'X-Accel-Limit-Rate' => 1, 'X-Accel-Buffering' => 'yes',
        'X-Accel-Expires' => 3600, 'X-Accel-Charset' => 'utf-16',
        'Cache-Control' => 'max-age=3600', 'Set-Cookie' => 'a=b',
        'Refresh' => '0; url=/secret', 'Content-Encoding' => 'identity',
        'Link' => '</secret>; rel=preload');
    return { %$answer, headers => { %{$answer->{headers} || {}}, %headers } };
}


sub not_obeyed {
    my $seen = () = @{$t->mock->requests('/orders')};
    for my $way ('', '/sse', '/modern') {
        my $begin = time;
        my ($run, @results) = play($t->mock->url("/orders$way"),
            [ 's0-big', { bytes => 50_000 } ],
            [ 's0-echo', { text => "\x{20ac}" } ]);
        is $results[0]{content}[0]{text}, 'x' x 50_000, "the result$way";
        is $results[1]{content}[0]{text}, "\x{20ac}", 'in UTF-8';
        cmp_ok time - $begin, '<', 10, 'at no rate of the server\'s';
    }
    my @requests = @{$t->mock->requests('/orders')};
    cmp_ok scalar @requests, '>', $seen + 6, 'each time anew';
    is scalar(grep { defined $_->{headers}{cookie} } @requests), 0,
       'no cookie is given back';
    return;
}


sub no_text {
    my ($run, $result) = play($t->mock->url('/no-text'), [ 's0-echo',
                              { text => 'x' } ]);
    is $run->{status}, 'completed', 'completed' or diag explain $run->{error};
    is $result->{content}[0]{text}, "a\x{fffd}b\x{fffd}c\x{fffd}d",
       'U+0000, broken UTF-8 and half a surrogate';
    return;
}


sub one_of_several {
    my $begin = time;
    my ($run, @results) = play([ $t->mcp, $t->mcp('/hang-call') ],
        [ 's0-echo', { text => 'a' } ], [ 's1-echo', { text => 'b' } ],
        [ 's0-fail', {} ], [ 's0-echo', { text => 'd' } ]);
    is_deeply [ map { $_->{is_error} ? 1 : 0 } @results ], [ 0, 1, 1, 0 ],
              'the others have theirs, in call order';
    my $took = time - $begin;
    ok $took > 1.5 && $took < 5, "after one timeout: $took s";
    like $results[1]{content}[0]{text}, qr/time|second/i, 'as it says';
    return;
}


sub one_server {
    my $c = $t->conversation(mcp_servers => servers($t->mcp,
        $t->mcp('/status-list')));
    my $run = $t->finished($t->run($c, 'x'));
    is $run->{error}{type}, 'AgentLoopMcpDiscoveryFailed',
       'one that cannot be discovered is enough';
    like $run->{error}{message}, qr/\bs1\b/, 'it is named';
    unlike $run->{error}{message}, qr/\bs0\b/, 'and no other';

    my $begin = time;
    $c = $t->conversation(mcp_servers => servers(map {
        $t->mcp('/slow-initialize') } 1 .. 5));
    $run = $t->finished($t->run($c, 'x'));
    is $run->{status}, 'completed', 'five slow ones';
    my $took = time - $begin;
    ok $took < 3, "are discovered side by side: $took s";
    return;
}


# Only 127.0.0.0/8 is allowed beside what is public.
sub egress {
    my @denied = ('http://10.0.0.1/mcp', 'http://192.168.1.1/',
        'http://169.254.169.254/latest/', 'http://[::1]/mcp',
        'http://[::ffff:10.0.0.1]/mcp', 'http://0.0.0.0/', 'http://10.1/',
        'http://[fe80::1]/', 'http://100.64.0.1/');
    for my $url (@denied) {
        my $answer = $t->post('/agents/conversations',
            $t->conversation_body(mcp_servers => servers($url)));
        is $answer->{status}, 400, "$url is refused at once"
            or diag $answer->{content};
        is $answer->{json}{errors}[0]{pointer}, '/defaults/mcp_servers/0/url',
           'its pointer';
    }
    my @malformed = ('ftp://127.0.0.1/', 'http://', '127.0.0.1', '/mcp',
        'http://u:p@127.0.0.1/', 'http://127.0.0.1/#x', "http://a b/",
        "http://127.0.0.1/\r\nX: y", 'http://127.0.0.1:99999/');
    for my $url (@malformed) {
        my $answer = $t->post('/agents/conversations',
            $t->conversation_body(mcp_servers => servers($url)));
        (my $name = $url) =~ s/[\r\n]/?/g;
        is $answer->{status}, 400, "$name is no url";
    }
    return;
}


sub workers {
    is_deeply [ sort $t->workers ], [ sort @workers ], 'are the same';
    is $t->flow('hello')->{final_text}, 'echo: hello', 'and serve on';
    return;
}
