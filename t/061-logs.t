# The variables of the logs: what each answer of the API is about, refusals and
# replays included, and a line for each request to an MCP server.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use HTTP::Tiny;

# a name that would end the value, the line, or an entry of JSON
my $TOOL = qq(a"b\nc\\d\t127.0.0.1);
my $PORTABLE = 'mcp-a_b_c_d_127_0_0_1';

# as a line of the error log might begin
my $FORGED = '[info] 1#1: forged';

my @API = qw(status agents_company agents_user agents_conversation_id
             agents_run_id agents_run_status agents_error);
my @MCP = qw(agents_company agents_user agents_conversation_id agents_run_id
             agents_mcp_alias agents_mcp_host agents_mcp_server_name
             agents_mcp_tool status request_time agents_mcp_upstream
             agents_run_status);

for my $store (AgentsTest->stores) {
    my $t = AgentsTest->new(store => $store,
        handlers => { '/away' => \&away, '/lines' => \&no_list, '/odd' => AgentsTest::Mcp::handler(
            tools => [ { name => $TOOL,
                         inputSchema => { type => 'object' } } ],
            call => sub { return { content => [ { type => 'text',
                text => $_[0] eq $TOOL ? 'called' : 'another' } ] } }) },
        http => 'log_format api \'$request_id|' . join('|', map { "\$$_" } @API)
                . '\'; log_format mcp \'' . join('|', map { "\$$_" } @MCP)
                . '\'; log_format mcp_json escape=json \'{"run": '
                . '"$agents_run_id", "tool": "$agents_mcp_tool"}\';',
        location => 'agents_tool_timeout 2s; agents_discovery_timeout 2s;'
                    . ' add_header X-Request-Id $request_id always;'
                    . ' access_log logs/api.log api;',
        mcp_location => 'log_subrequest on; access_log logs/mcp.log mcp;'
                        . ' access_log logs/mcp.json mcp_json;');
    $t->{http_client} = HTTP::Tiny->new(keep_alive => 0, timeout => 15);
    $t->start;

    subtest "the API's answers on $store" => sub { answers($t) };
    subtest "requests to MCP servers on $store" => sub { requests($t) };
    subtest "calls that fail on $store" => sub { failures($t) };
    subtest "a call that is cancelled on $store" => sub { cancelled($t) };
    subtest "texts of many lines on $store" => sub { one_line($t) };
    $t->allow(qr/while (?:reading|connecting).*upstream/,
              qr/upstream (?:prematurely|timed out|sent)/);
    $t->clean("$store: no error logged");
}

done_testing;


sub lines {
    my ($t, $name) = @_;
    return split /\n/, AgentsTest::slurp($t->prefix . "/logs/$name");
}


# The values of the line about this answer; '' for what there is not.
sub logged {
    my ($t, $answer) = @_;
    my $id = $answer->{headers}{'x-request-id'};
    my ($line) = $t->wait_for(5, sub {
        (grep { /^\Q$id\E\|/ } lines($t, 'api.log'))[0] });
    return unless defined $line;
    my ($request, @values) = split /\|/, $line, -1;
    return map { $_ eq '-' ? '' : $_ } @values;
}


sub says {
    my ($t, $name, $answer, @expected) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply [ logged($t, $answer) ], \@expected, $name;
    return $answer;
}


sub answers {
    my ($t) = @_;
    my $list = '/agents/conversations';
    my @ann = qw(acme ann);

    my $c = says($t, 'a list', $t->get($list), 200, @ann, ('') x 4);
    $c = $t->post($list, $t->conversation_body);
    my $id = $c->{json}{id};
    says($t, 'a new conversation', $c, 201, @ann, $id, '', '', '');
    my $eve = $t->conversation(as => { user => 'eve' });

    my $runs = "$list/$id/runs";
    my $body = $t->run_body($c->{json}, 'hello');
    my $run = $t->post($runs, $body);
    my $run_id = $run->{json}{id};
    says($t, 'a new run', $run, 202, @ann, $id, $run_id, 'pending', '');
    $t->finished($run_id);
    says($t, 'a replay', $t->post($runs, $body), 202, @ann, $id, $run_id,
         'completed', '');
    says($t, 'a run', $t->get("/agents/runs/$run_id"), 200, @ann, $id,
         $run_id, 'completed', '');
    says($t, 'its head', $t->request('HEAD', "/agents/runs/$run_id"), 200,
         @ann, $id, $run_id, 'completed', '');
    says($t, 'messages', $t->get("$list/$id/messages"), 200, @ann, $id,
         '', '', '');

    # refusals
    says($t, 'no token', $t->get($list, token => undef), 401, ('') x 5,
         'unauthorized');
    says($t, 'a bad token', $t->get($list, token => 'x'), 401, ('') x 5,
         'invalid-token');
    says($t, 'no permission', $t->post($list, {}, permissions => [ 'read' ]),
         403, @ann, '', '', '', 'insufficient-scope');
    says($t, 'no such path', $t->get('/agents/x'), 404, ('') x 5,
         'not-found');
    says($t, 'no such method', $t->request('BREW', $list), 405, ('') x 5,
         'method-not-allowed');
    says($t, 'a bad body', $t->post($runs, '{'), 400, @ann, '', '', '',
         'invalid-request');
    says($t, 'another type', $t->post($runs, '{}', headers => {
         'Content-Type' => 'text/plain' }), 415, @ann, '', '', '',
         'unsupported-media-type');
    says($t, "another user's", $t->get("$list/$eve->{id}"), 404, @ann,
         '', '', '', 'not-found');
    says($t, 'no such run', $t->get('/agents/runs/' . uuid()), 404, @ann,
         '', '', '', 'not-found');
    says($t, 'an old version', $t->post($runs, $t->run_body($c->{json}, 'x')),
         409, @ann, $id, '', '', 'version-conflict');
    says($t, 'another payload', $t->post($runs,
         { %$body, payload => { kind => 'user_message', text => 'x' } }),
         422, @ann, $id, '', '', 'idempotency-mismatch');

    # a failed run
    $c = $t->conversation(mcp => '/status-initialize');
    $body = $t->run_body($c, 'hello');
    $run_id = $t->post("$list/$c->{id}/runs", $body)->{json}{id};
    $t->finished($run_id);
    my @failed = (@ann, $c->{id}, $run_id, 'failed',
                  'AgentLoopMcpDiscoveryFailed');
    says($t, 'a failed run', $t->get("/agents/runs/$run_id"), 200, @failed);
    says($t, 'its replay', $t->post("$list/$c->{id}/runs", $body), 202,
         @failed);
    return;
}


sub requests {
    my ($t) = @_;
    my $before = () = lines($t, 'mcp.log');
    my $host = '127.0.0.1:' . $t->mock->port;
    my $c = $t->conversation(mcp_servers => [
        { alias => 'mcp', url => $t->mock->url('/odd') },
        { alias => 'late', url => $t->mcp('/slow-call') },
        { alias => 'bad', url => $t->mcp('/status-call') } ]);
    my $run = $t->finished($t->run($c, script(
        { tools => [ [ $PORTABLE, {} ], [ 'late-add', { a => 1, b => 2 } ],
                     [ 'bad-add', { a => 1, b => 2 } ] ] },
        { text => 'end' })));
    is $run->{status}, 'completed', 'a run' or diag explain $run->{error};

    my (@of, @calls);
    $t->wait_for(5, sub {
        my @lines = lines($t, 'mcp.log');
        @of = map { my @v = split /\|/, $_, -1;
                    my %of; @of{@MCP} = @v; \%of }
              @lines[$before .. $#lines];
        @calls = grep { length $_->{agents_mcp_tool}
                        && $_->{agents_mcp_tool} ne '-' } @of;
        return @calls == 3;
    });
    my %call = map { $_->{agents_mcp_alias} => $_ } @calls;
    is_deeply [ sort keys %call ], [ qw(bad late mcp) ], 'a line for each call';
    cmp_ok scalar @of, '>=', 3 * 4, 'and for each request besides';

    for (@of) {
        is_deeply [ @$_{@MCP[0 .. 3]} ],
                  [ 'acme', 'ann', $c->{id}, $run->{id} ],
                  "whose it is: $_->{agents_mcp_alias}";
    }
    is $call{$_}{agents_mcp_host}, $host, "$_: host" for sort keys %call;
    is $call{late}{agents_mcp_server_name}, '127.0.0.1', 'server name';
    is $call{late}{agents_mcp_upstream}, "http://$host/mcp/slow-call",
       'upstream';
    is $call{late}{agents_mcp_tool}, 'add', "the server's own name of the tool";
    is $call{late}{status}, 200, 'status';
    cmp_ok $call{late}{request_time}, '>=', 0.9, 'time: that of the call';
    is $call{bad}{status}, 500, 'the status of a failure';
    is $call{mcp}{agents_mcp_tool}, 'a\\x22b\\x0Ac\\x5Cd\\x09127.0.0.1',
       'an odd name is escaped';

    my ($odd) = grep { defined && $_->{tool} eq $TOOL }
                map { my $line = eval { JSON::PP::decode_json($_) };
                      ok $line, 'a line of JSON' or diag($_); $line }
                lines($t, 'mcp.json');
    is $odd && $odd->{run}, $run->{id}, 'and comes whole out of escape=json';
    return;
}


sub away {
    my ($req) = @_;
    return { status => 307, headers => { Location => 'http://127.0.0.2/' } }
        if $req->{json} && ($req->{json}{method} || '') eq 'tools/call';
    return AgentsTest::Mcp::handler()->($req);
}


# The lines of these runs' calls, or where they have none, of all requests.
sub of_runs {
    my ($t, @runs) = @_;
    my %is = map { $_->{id} => 1 } @runs;
    my @of = grep { $is{$_->{agents_run_id}} } map {
        my %of; @of{@MCP} = split /\|/, $_, -1; \%of } lines($t, 'mcp.log');
    my @calls = grep { $_->{agents_mcp_tool} =~ /^[^-]/ } @of;
    return @calls ? @calls : @of;
}


# A line for each, and in it what the server said, or what nginx would say.
sub failures {
    my ($t) = @_;
    my %status = (hang => 504, hangm => 504, reset => 502, cut => 200,
                  big => 200, garbage => 200, error => 200, status => 500,
                  away => 307);
    my %url = (map({ $_ => $t->mcp("/$_-call") } keys %status),
               hangm => $t->mcp('/modern/hang-call'),
               away => $t->mock->url('/away'));
    my $c = $t->conversation(mcp_servers => [
        map { { alias => $_, url => $url{$_} } } sort keys %url ]);
    my $run = $t->finished($t->run($c, script({ tools => [
        map { [ "$_-add", { a => 1, b => 2 } ] } sort keys %url ] },
        { text => 'end' })));
    is $run->{final_text}, 'end', 'a run' or diag explain $run->{error};

    my @calls;
    $t->wait_for(5, sub { @calls = of_runs($t, $run); @calls == 9 });
    my %got = map { $_->{agents_mcp_alias} => $_->{status} } @calls;
    is_deeply \%got, \%status, 'the status of each';
    is scalar @calls, 9, 'one line for each';
    my ($late) = grep { $_->{agents_mcp_alias} eq 'hang' } @calls;
    cmp_ok $late->{request_time}, '>=', 1.9, 'time: that of the wait';

    my $port = AgentsTest::free_port();
    $c = $t->conversation(mcp_servers => [ { alias => 'down',
        url => "http://127.0.0.1:$port/mcp" } ]);
    $run = $t->finished($t->run($c, 'x'));
    ok $t->wait_for(5, sub { of_runs($t, $run) }), 'a server that is down';
    is_deeply [ map { $_->{status} } of_runs($t, $run) ], [ 502 ], '    once';
    return;
}


sub cancelled {
    my ($t) = @_;
    my $c = $t->conversation(mcp => '/hang-call');
    $t->mock->forget;
    my $run = $t->run($c, script({ tools => [ [ 'mcp-add',
                                              { a => 1, b => 2 } ] ] }));
    $t->wait_for(5, sub { grep { ($_->{json}{method} || '') eq 'tools/call' }
                          @{$t->mock->requests('/mcp')} });
    $t->post("/agents/runs/$run->{id}/cancel");
    $t->finished($run);
    ok $t->wait_for(5, sub { grep { $_->{agents_mcp_tool} eq 'add' }
                             of_runs($t, $run) }), 'a line';
    is_deeply [ map { $_->{status} } of_runs($t, $run) ], [ 499 ], 'as such';
    return;
}


# An error whose text would begin another line of the log.
sub no_list {
    my ($req) = @_;
    return AgentsTest::Mcp::handler()->($req)
        if $req->{json} && ($req->{json}{method} || '') ne 'tools/list';
    return { json => { jsonrpc => '2.0', id => $req->{json}{id},
                       error => { code => -1, message =>
                                  "no\r\n$FORGED by a server\e[2J" } } };
}


sub one_line {
    my ($t) = @_;
    my $answer = $t->post('/agents/conversations', { %{$t->conversation_body},
                          "x\n$FORGED by a user\x7f" => 1 });
    is $answer->{status}, 400, 'a body with an odd name';
    like $answer->{json}{errors}[0]{pointer}, qr/\n\Q$FORGED\E by/,
         'which the answer has as it is';

    my $run = $t->finished($t->run($t->conversation(
        mcp_servers => [ { alias => 'mcp', url => $t->mock->url('/lines') } ]),
        'x'));
    like $run->{error}{detail} || $run->{error}{message}, qr/by a server/,
         'a server that says an odd thing' or diag explain $run->{error};

    for my $who (qw(user server)) {
        my @lines = grep { /by a $who/ } lines($t, 'error.log');
        ok scalar @lines, "what a $who says is in the log";
        is_deeply [ grep { !/^[0-9\/]+ [0-9:]+ \[(?:info|warn|notice)\] / }
                    @lines ], [], '    in a line of ours';
        is_deeply [ grep { /[^\x20-\x7e]/ } @lines ], [], '    and no more';
    }
    return;
}
