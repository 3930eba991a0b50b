package AgentsTest::Mcp;

# An MCP server over streamable HTTP, as a handler for AgentsTest::Server.
#
#     '/mcp' => AgentsTest::Mcp::handler(tools => [...], ...)
#
# What follows "/mcp" in the url chooses how it behaves, several at a time:
#
#     /sse          answers as text/event-stream, with a priming event first
#     /session      demands the session id that initialize gave
#     /pages        tools/list in pages of one tool
#     /loop         tools/list gives the same cursor for ever
#     /lost         forgets the session at the first tools/call (404)
#     /plain        (or nothing) JSON answers, no session
#     /hang-M  /cut-M  /reset-M  /garbage-M  /error-M  /big-M  /status-M
#     /slow-M       where M is initialize, list or call: that method hangs, is
#                   cut off in its body, is reset, answers no JSON, a JSON-RPC
#                   error, 10 MB, status 500, or after one second
#
# Tools: echo {text}, add {a, b}, slow {seconds}, fail {} (isError), big
# {bytes}, big_text as a resource, empty {} (no content), blocks {} (one of
# each kind); add says readOnlyHint.  Options: tools => a list that takes the
# place of these in tools/list, call => sub { my ($name, $args) = @_; result }.

use strict;
use warnings;
use JSON::PP;

my $json = JSON::PP->new->canonical->allow_nonref->utf8;
my %short = (initialize => 'initialize', 'tools/list' => 'list',
             'tools/call' => 'call');


sub handler {
    my (%options) = @_;
    my %sessions;
    my $n = 0;

    return sub {
        my ($req) = @_;
        my %is = map { $_ => 1 } split m{/}, $req->{rest};

        return { status => 405, headers => { Allow => 'POST, DELETE' } }
            if $req->{method} eq 'GET';
        if ($req->{method} eq 'DELETE') {
            delete $sessions{$req->{headers}{'mcp-session-id'} || ''};
            return { status => 204 };
        }

        my $message = $req->{json};
        return rpc_error($req, undef, -32700, 'Parse error', 400)
            unless ref $message eq 'HASH' && defined $message->{method};

        my $accept = $req->{headers}{accept} || '';
        return { status => 406, body => "wants both media types\n" }
            unless $accept =~ m{application/json}
                   && $accept =~ m{text/event-stream};

        my $method = $message->{method};
        my $what = $short{$method} || '';
        my %headers;

        if ($is{session} || $is{lost}) {
            if ($method eq 'initialize') {
                my $id = 'session-' . ++$n;
                $sessions{$id} = 1;
                $headers{'Mcp-Session-Id'} = $id;

            } elsif (!$sessions{$req->{headers}{'mcp-session-id'} || ''}) {
                return rpc_error($req, $message->{id}, -32001,
                                 'Session not found', 404);
            }
        }
        if ($is{lost} && $what eq 'call' && !$sessions{lost}++) {
            %sessions = (lost => 1);
            return rpc_error($req, $message->{id}, -32001,
                             'Session not found', 404);
        }

        return { status => 202 } unless exists $message->{id};
        return fault($req, $message, \%is, $what) || say_result(
            $message, result($message, \%is, \%options), \%is, \%headers);
    };
}


sub fault {
    my ($req, $message, $is, $what) = @_;

    return { hang => 1 } if $is->{"hang-$what"};
    return { reset => 1 } if $is->{"reset-$what"};
    return { body => '{"jsonrpc": "2.0", "id"', length => 1000, close => 1,
             headers => { 'Content-Type' => 'application/json' } }
        if $is->{"cut-$what"};
    return { body => '<html>no JSON</html>',
             headers => { 'Content-Type' => 'application/json' } }
        if $is->{"garbage-$what"};
    return rpc_error($req, $message->{id}, -32603, 'said no', 200)
        if $is->{"error-$what"};
    return { status => 500, body => "broken\n" } if $is->{"status-$what"};
    # put together by hand: JSON::PP would take seconds
    return { headers => { 'Content-Type' => 'application/json' },
             body => '{"jsonrpc": "2.0", "id": ' . $json->encode($message->{id})
                     . ', "result": {"content": [{"type": "text", "text": "'
                     . 'x' x 10_485_760 . '"}]}}' }
        if $is->{"big-$what"};
    return;
}


sub rpc_error {
    my ($req, $id, $code, $text, $status) = @_;
    return { status => $status, json => { jsonrpc => '2.0', id => $id,
             error => { code => $code, message => $text } } };
}


sub say_result {
    my ($message, $result, $is, $headers) = @_;
    my $method = $short{$message->{method}} || '';
    my $delay = delete $result->{_delay} || $is->{"slow-$method"} || 0;
    my $answer = { jsonrpc => '2.0', id => $message->{id},
                   $result->{_error} ? (error => $result->{_error})
                                     : (result => $result) };

    return { json => $answer, delay => $delay, headers => $headers }
        unless $is->{sse};

    return {
        headers => { %$headers, 'Content-Type' => 'text/event-stream' },
        chunks => [
            [ 0, "id: 1\ndata:\n\n: a comment\n\n" ],
            [ 0, 'data: ' . $json->encode({ jsonrpc => '2.0',
                 method => 'notifications/message', params => {
                 level => 'info', data => 'working' } }) . "\r\n\r\n" ],
            [ $delay, "id: 2\nevent: message\ndata: "
                      . $json->encode($answer) . "\n\n" ],
        ],
    };
}


sub result {
    my ($message, $is, $options) = @_;
    my ($method, $params) = @$message{qw(method params)};

    if ($method eq 'initialize') {
        return {
            protocolVersion => $params->{protocolVersion} || '2025-06-18',
            capabilities => { tools => {} },
            serverInfo => { name => 'scripted', version => '1' },
        };
    }

    return list($params, $is, $options) if $method eq 'tools/list';

    if ($method eq 'tools/call') {
        my $args = $params->{arguments} || {};
        return $options->{call}->($params->{name}, $args) if $options->{call};
        return call($params->{name}, $args);
    }

    return { _error => { code => -32601, message => 'Method not found' } };
}


sub list {
    my ($params, $is, $options) = @_;
    my $tools = $options->{tools} || tools();

    return { tools => $tools, nextCursor => 'again' } if $is->{loop};
    return { tools => $tools } unless $is->{pages};

    my $at = $params->{cursor} || 0;
    return { tools => [ $tools->[$at] ],
             $at < $#$tools ? (nextCursor => '' . ($at + 1)) : () };
}


sub tools {
    my $object = sub {
        my (%properties) = @_;
        return { type => 'object', required => [ sort keys %properties ],
                 properties => { map { $_ => { type => $properties{$_} } }
                                 keys %properties } };
    };
    return [
        { name => 'echo', description => 'Says the text again.',
          inputSchema => $object->(text => 'string') },
        { name => 'add', description => 'Adds two numbers.',
          annotations => { readOnlyHint => JSON::PP::true },
          inputSchema => $object->(a => 'number', b => 'number') },
        { name => 'slow', description => 'Takes its time.',
          inputSchema => $object->(seconds => 'number') },
        { name => 'fail', description => 'Always fails.',
          inputSchema => { type => 'object' } },
        { name => 'big', description => 'Says much.',
          inputSchema => $object->(bytes => 'integer') },
        { name => 'empty', description => 'Says nothing.',
          inputSchema => { type => 'object' } },
        { name => 'blocks', description => 'One block of each kind.',
          inputSchema => { type => 'object' } },
    ];
}


sub call {
    my ($name, $args) = @_;
    my $text = sub {
        return { content => [ { type => 'text', text => "$_[0]" } ] };
    };

    return $text->($args->{text}) if $name eq 'echo';
    return $text->($args->{a} + $args->{b}) if $name eq 'add';
    return { %{$text->('slept')}, _delay => $args->{seconds} }
        if $name eq 'slow';
    return { %{$text->('it failed')}, isError => JSON::PP::true }
        if $name eq 'fail';
    return $text->('x' x $args->{bytes}) if $name eq 'big';
    return {} if $name eq 'empty';
    return { content => [
        { type => 'text', text => 'first' },
        { type => 'image', data => 'AAAA', mimeType => 'image/png' },
        { type => 'resource_link', uri => 'file:///x', name => 'x' },
        { type => 'resource', resource => { uri => 'file:///y',
          mimeType => 'text/plain', text => 'inside' } },
        { type => 'unheard-of' },
    ] } if $name eq 'blocks';
    return { _error => { code => -32602, message => "Unknown tool: $name" } };
}


1;
