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
#     /modern       speaks the revision without a handshake alone, and takes
#                   nothing that it does not allow
#     /mute         hangs until there was an initialize
#     /resume       a call's stream ends before the answer, which a GET gives;
#     /gone         or does not
#     /hang-M  /cut-M  /reset-M  /garbage-M  /error-M  /big-M  /status-M
#     /slow-M       where M is initialize, list or call: that method hangs, is
#                   cut off in its body, is reset, answers no JSON, a JSON-RPC
#                   error, 10 MB, status 500, or after one second
#
# Tools: echo {text}, add {a, b}, slow {seconds}, fail {} (isError), big
# {bytes}, empty {} (no content), blocks {} (one of each kind); add says
# readOnlyHint.  A modern one has ask {what} too, which wants input first:
# "form", "roots", "state" (nothing but its state), "model", or "ever" (form
# after form), and place {where}, whose argument is a header.  Options: tools =>
# a list that takes the place of these in tools/list, call => sub { my ($name,
# $args) = @_; result }.

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

        return modern($req, \%is, \%options) if $is{modern};
        return resumed($req, \%is, \%sessions)
            if $req->{method} eq 'GET' && ($is{resume} || $is{gone});
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
        $sessions{initialized} = 1 if $method eq 'initialize';
        return { hang => 1 } if $is{mute} && !$sessions{initialized};
        return fault($req, $message, \%is, $what)
            || interrupted($message, \%is, \%sessions, $what) || say_result(
            $message, result($message, \%is, \%options), \%is, \%headers);
    };
}


# A stream that ends after an event with an id and nothing in it.
sub interrupted {
    my ($message, $is, $sessions, $what) = @_;
    return unless ($is->{resume} || $is->{gone}) && $what eq 'call';

    $sessions->{answer} = $json->encode({ jsonrpc => '2.0',
        id => $message->{id},
        result => call(@{$message->{params}}{qw(name arguments)}) });
    return { body => "id: first\nretry: 200\ndata:\n\nid: unfinished\n",
             headers => { 'Content-Type' => 'text/event-stream' } };
}


# The same stream once more, then the answer.
sub resumed {
    my ($req, $is, $sessions) = @_;
    my $last = $req->{headers}{'last-event-id'} || '';
    my %type = ('Content-Type' => 'text/event-stream');

    return { status => 405 } if $is->{gone};
    return { headers => \%type, body => "id: second\ndata:\n\n" }
        if $last eq 'first';
    return { headers => \%type, body => "data: $sessions->{answer}\n\n" }
        if $last eq 'second';
    return { status => 400 };
}


# The revision 2026-07-28, strictly.
sub modern {
    my ($req, $is, $options) = @_;
    my ($message, $headers) = @$req{qw(json headers)};
    my $version = '2026-07-28';

    return { status => 405 } if $req->{method} ne 'POST';
    return rpc_error($req, undef, -32700, 'Parse error', 400)
        unless ref $message eq 'HASH' && exists $message->{id};

    my ($id, $method, $params) = @$message{qw(id method params)};
    my $refuse = sub {
        my ($code, $text, $status) = @_;
        return { status => $status || 400, json => { jsonrpc => '2.0',
                 id => $id, error => { code => $code, message => $text,
                 data => { supported => [ $version ] } } } };
    };
    return $refuse->(-32022, 'Unsupported protocol version')
        if $method eq 'initialize';

    my $meta = $params->{_meta} || {};
    my $say = 'io.modelcontextprotocol';
    return $refuse->(-32602, 'who asks?')
        unless ref $meta->{"$say/clientCapabilities"} eq 'HASH'
               && $meta->{"$say/clientInfo"}{name}
               && $meta->{"$say/protocolVersion"} eq $version;
    return $refuse->(-32020, 'the headers say something else')
        unless ($headers->{'mcp-protocol-version'} || '') eq $version
               && ($headers->{'mcp-method'} || '') eq $method
               && !$headers->{'mcp-session-id'}
               && ($method ne 'tools/call'
                   || $headers->{'mcp-name'} eq $params->{name});

    my $result = $method eq 'tools/list' ? list($params, $is, { %$options,
            tools => $options->{tools} || [ @{tools()}, modern_tools() ] })
        : $method eq 'tools/call' ? modern_call($params, $headers)
        : return $refuse->(-32601, 'Method not found', 404);
    $result->{resultType} ||= 'complete' unless $result->{_error};
    return fault($req, $message, $is, $short{$method})
           || say_result($message, $result, $is, {});
}


sub modern_tools {
    my %string = (type => 'string');
    my %where = (%string, 'x-mcp-header' => 'Where');
    return (
        { name => 'ask', inputSchema => { type => 'object',
          properties => { what => \%string } } },
        { name => 'place', inputSchema => { type => 'object',
          properties => { where => \%where } } },
        { name => 'wrong', inputSchema => { type => 'object', properties => {
          list => { type => 'array', items => \%where } } } },
    );
}


sub modern_call {
    my ($params, $headers) = @_;
    my ($name, $args) = @$params{qw(name arguments)};
    my ($given, $state) = @$params{qw(inputResponses requestState)};
    my $text = sub { { content => [ { type => 'text', text => $_[0] } ] } };

    return $text->($headers->{'mcp-param-where'} || 'nowhere')
        if $name eq 'place';
    return call($name, $args) unless $name eq 'ask';

    my %wanted = (
        form => { method => 'elicitation/create', params => {} },
        ever => { method => 'elicitation/create', params => {} },
        roots => { method => 'roots/list' },
        model => { method => 'sampling/createMessage', params => {} },
    );
    my $what = $args->{what};
    return $text->($json->encode([ $given, $state ]))
        if $what ne 'ever' && ($given || $state);
    return { resultType => 'input_required',
             $wanted{$what} ? (inputRequests => { one => $wanted{$what} }) : (),
             $what eq 'roots' ? () : (requestState => "\x{e9} \"\\/ $what") };
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
