# MCP's revision without a handshake, and how a server's era is found out.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my $server = AgentsTest::Mcp::handler();
my %flipped;    # in the scripted server: what is modern now

my $t = AgentsTest->new(
    location => 'agents_tool_timeout 2s; agents_discovery_timeout 3s;',
    handlers => {
        '/flip' => sub { $flipped{$_[0]{rest}} ^= 1; return { body => '' } },
        '/era' => sub { my ($req) = @_;
            return $server->({ %$req, rest => $flipped{$req->{rest}}
                                              ? '/modern' : '' }) },
        '/no' => \&no,
    })->start;

subtest 'the exchange' => \&exchange;
subtest 'headers of arguments' => \&arguments;
subtest 'a tool that asks' => \&asks;
subtest 'a legacy server is remembered' => \&remembered;
subtest 'a server that has changed' => \&changed;
subtest 'ways to refuse' => \&refusals;
subtest 'one that says nothing' => \&mute;
subtest 'cancelled by closing' => \&cancelled;
subtest 'two hundred farewells' => \&farewells;
$t->clean;

done_testing;


sub methods {
    my ($path) = @_;
    return map { $_->{json} ? $_->{json}{method} : $_->{method} }
           @{$t->mock->requests($path)};
}


sub play {
    my ($url, @calls) = @_;
    my $c = $t->conversation(mcp_servers => [ { alias => 'm',
                                                url => $url } ]);
    my $run = $t->finished($t->run($c, script({ tools => \@calls },
                                              { text => 'done' })), 20);
    return ($run, grep { $_->{type} eq 'tool_result' }
                  map { @{$_->{content_blocks}} } @{$t->messages($c)});
}


sub is_five {
    my ($name, $run, $result) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $run->{status}, 'completed', "$name: completed"
        or diag explain $run->{error};
    is_deeply $result->{content}, [ { type => 'text', text => '5' } ],
              'the result' or diag explain $result;
    return;
}


sub exchange {
    my @add = ([ 'm-add', { a => 2, b => 3 } ]);
    for my $way ('', '/sse', '/pages', '/pages/sse') {
        $t->mock->forget;
        is_five("modern$way", play($t->mcp("/modern$way"), @add));
        my @methods = methods('/mcp');
        is_deeply [ grep { $_ ne 'tools/list' } @methods ], [ 'tools/call' ],
                  'neither initialize nor DELETE' or diag "@methods";
    }

    my ($call) = grep { $_->{json}{method} eq 'tools/call' }
                 @{$t->mock->requests('/mcp')};
    my $headers = $call->{headers};
    is $headers->{'mcp-protocol-version'}, '2026-07-28', 'version';
    is $headers->{'mcp-method'}, 'tools/call', 'method';
    is $headers->{'mcp-name'}, 'add', 'name';
    is $headers->{accept}, 'application/json, text/event-stream', 'Accept';
    is $headers->{'accept-encoding'}, 'identity', 'Accept-Encoding';
    is_deeply [ sort keys %{$call->{json}{params}{_meta}} ],
              [ map { "io.modelcontextprotocol/$_" } qw(clientCapabilities
                clientInfo protocolVersion) ], '_meta';
    return;
}


sub arguments {
    $t->mock->forget;
    my ($run, @results) = play($t->mcp('/modern'),
        [ 'm-place', { where => "caf\x{e9}" } ], [ 'm-place', {} ],
        [ 'm-place', { where => 'here' } ], [ 'm-wrong', {} ]);
    is_deeply [ map { $_->{content}[0]{text} } @results[0 .. 2] ],
              [ '=?base64?Y2Fmw6k=?=', 'nowhere', 'here' ], 'as headers';
    my ($prompt) = grep { $_->{path} =~ /completions/ }
                   @{$t->mock->requests};
    my @names = map { $_->{function}{name} } @{$prompt->{json}{tools}};
    is_deeply [ grep { /place|wrong/ } @names ], [ 'm-place' ],
              'a tool that asks for a header wrongly is left out';
    is $results[3]{is_error}, JSON::PP::true, 'and unknown';
    return;
}


sub asks {
    my $json = JSON::PP->new->utf8;
    $t->mock->forget;
    my ($run, @results) = play($t->mcp('/modern'),
        map { [ 'm-ask', { what => $_ } ] } qw(form roots state model ever));
    is $run->{status}, 'completed', 'completed' or diag explain $run->{error};

    my @text = map { $_->{content}[0]{text} } @results;
    my $state = "\x{e9} \"\\/";
    is_deeply $json->decode($text[0]), [ { one => { action => 'decline' } },
              "$state form" ], 'a form is declined, the state is given back';
    is_deeply $json->decode($text[1]), [ { one => { roots => [] } }, undef ],
              'there are no roots, and a state that was not given is not';
    is_deeply $json->decode($text[2]), [ undef, "$state state" ],
              'nothing but the state';
    like $text[3], qr/asks for what is not supported/, 'a model';
    like $text[4], qr/again and again/, 'one that has never enough';
    is_deeply [ map { $_->{is_error} ? 1 : 0 } @results ], [ 0, 0, 0, 1, 1 ],
              'errors';

    my @calls = grep { $_->{method} eq 'tools/call'
                       && $_->{params}{arguments}{what} eq 'form' }
                map { $_->{json} || () } @{$t->mock->requests('/mcp')};
    is scalar @calls, 2, 'asked twice';
    isnt $calls[0]{id}, $calls[1]{id}, 'by another id';
    delete @{$calls[1]{params}}{qw(inputResponses requestState)};
    is_deeply $calls[1]{params}, $calls[0]{params}, 'the same parameters';
    return;
}


# On both workers.
sub remembered {
    my $url = $t->mcp('/session') . '?remembered';
    is_five('first', play($url, [ 'm-add', { a => 2, b => 3 } ]));
    my $begins = sub {
        $t->mock->forget;
        is_five($_[0], play($url, [ 'm-add', { a => 2, b => 3 } ]));
        return (methods('/mcp'))[0];
    };
    is_deeply [ map { $begins->("again, $_") } 1 .. 4 ],
              [ ('initialize') x 4 ], 'not asked again';
    return;
}


sub changed {
    my $url = $t->mock->url('/era/one');
    my $flip = $t->mock->url('/flip/one');
    my @add = ([ 'm-add', { a => 2, b => 3 } ]);

    is_five('legacy', play($url, @add));
    HTTP::Tiny->new->get($flip);
    $t->mock->forget;
    is_five('then modern', play($url, @add));
    is_deeply [ methods('/era') ], [ qw(initialize tools/list tools/call) ],
              'found out';
    $t->mock->forget;
    is_five('modern', play($url, @add));
    is_deeply [ methods('/era') ], [ qw(tools/list tools/call) ],
              'and forgotten';
    HTTP::Tiny->new->get($flip);
    is_five('and back', play($url, @add));
    return;
}


# What servers that know the handshake alone say to what they do not know.
sub no {
    my ($req) = @_;
    my $message = $req->{json};
    return $server->({ %$req, rest => '' })
        unless ref $message eq 'HASH' && $message->{params}
               && $message->{params}{_meta};

    my ($how) = $req->{rest} =~ m{(-?\d+|\w+)$};
    my $error = sub { return { status => $_[1], json => { jsonrpc => '2.0',
        id => $_[2], error => { code => $_[0], message => 'no',
        data => { supported => [ '2025-06-18' ] } } } } };
    return $how eq 'reset' ? { reset => 1 }
         : $how eq 'html' ? { body => '<html>' }
         : $how eq 'empty' ? { status => 202 }
         : $how < 0 ? $error->($how, 400, undef) : { status => $how };
}


sub refusals {
    for my $how (qw(400 404 405 406 415 500 503 -32000 -32600 -32601 -32602
                    -32022 reset html empty)) {
        is_five($how, play($t->mock->url("/no/$how"),
                           [ 'm-add', { a => 2, b => 3 } ]));
    }
    for my $how (401, 403, 302, -32020, -32021) {
        my ($run) = play($t->mock->url("/no/$how"), [ 'm-fail', {} ]);
        is $run->{error}{type}, 'AgentLoopMcpDiscoveryFailed',
           "$how is the end";
        is_deeply [ methods("/no/$how") ], [ 'tools/list' ],
                  'without another question';
    }
    $t->allow(qr/upstream prematurely closed|Connection reset by peer/);
    return;
}


sub mute {
    is_five('mute', play($t->mcp('/mute'), [ 'm-add', { a => 2, b => 3 } ]));
    return;
}


sub cancelled {
    for my $way ('modern', 'session') {
        my $c = $t->conversation(mcp_servers => [ { alias => 'm',
            url => $t->mcp("/$way/hang-call") } ]);
        $t->mock->forget;
        my $run = $t->run($c, script({ tools => [ [ 'm-fail', {} ] ] }));
        $t->wait_for(5, sub { grep { $_ eq 'tools/call' } methods('/mcp') });
        $t->post("/agents/runs/$run->{id}/cancel");
        $run = $t->finished($run);
        is $run->{error}{type}, 'AgentLoopCancelled', "$way: cancelled";
        next if $way eq 'modern';
        ok $t->wait_for(5, sub { grep { $_ eq 'DELETE' } methods('/mcp') }),
           'the session is ended';
        is_deeply [ (methods('/mcp'))[-2, -1] ],
                  [ 'notifications/cancelled', 'DELETE' ],
                  'after it was told';
    }
    is_deeply [ grep { $_->{path} =~ /modern/ && $_->{json}
                       && $_->{json}{method} =~ /notif/ }
                @{$t->mock->requests('/mcp')} ], [], 'modern: not told';
    return;
}


sub farewells {
    my $c = $t->conversation(mcp_servers => [ { alias => 'm',
        url => $t->mcp('/session/hang-call') } ]);
    $t->mock->forget;
    my $run = $t->run($c, script({ tools => [ map { [ 'm-fail', {} ] }
                                              1 .. 200 ] }));
    $t->wait_for(10, sub {
        200 == grep { $_ eq 'tools/call' } methods('/mcp') });
    $t->post("/agents/runs/$run->{id}/cancel");
    $run = $t->finished($run);
    is $run->{error}{type}, 'AgentLoopCancelled', 'cancelled';
    ok $t->wait_for(10, sub { grep { $_ eq 'DELETE' } methods('/mcp') }),
       'the session is ended';
    is scalar(grep { $_ eq 'notifications/cancelled' } methods('/mcp')), 200,
       'after all calls were';
    return;
}
