# Bodies that are refused, and the edge of what is taken.  data/bad_*.json are
# tables: "set", "unset" and "repeat" (a character, so many times) change a good
# body by JSON pointer, "text" and "bytes" (in hex) stand for the whole of it;
# "errors" is the whole list that comes back, each entry with its pointer, its
# detail (what follows a "~" is a pattern), and its code where that is not
# invalid-request.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use HTTP::Tiny;
use JSON::PP;
use AgentsTest;

my $json = JSON::PP->new->utf8->canonical;
my $operation = '01234567-89ab-4cde-8f01-23456789abcd';

my $t = AgentsTest->new(
    location => 'agents_max_iterations 50;',
    replace => { 'client_max_body_size 16m;' => '',
                 'agents_mcp_allow 127.0.0.0/8;' =>
                 'agents_mcp_deny *.denied.example;'
                 . ' agents_mcp_allow 127.0.0.0/8;' },
    plane => "}\n    agents_data_plane 11111111-1111-4111-8111-111111111111 {\n"
             . "        company other;\n        cluster shared;\n"
             . "        model $AgentsTest::MODEL provider=scripted"
             . ' max_tokens=32000;');
# a connection each: on a kept one HTTP::Tiny's two writes wait for each other
$t->{http_client} = HTTP::Tiny->new(keep_alive => 0, timeout => 70);
$t->allow(qr/client intended to send too large body/);
$t->start;

cmp_ok @{table('bad_conversations')} + @{table('bad_runs')}, '>=', 150,
       'as many bad bodies as were promised';
bad_conversations();
bad_runs();
deep();
many();
large();
good();
again();

$t->clean;
within();
done_testing;


sub bad_conversations {
    my $base = $t->conversation_body;
    my $path = '/agents/conversations';

    for my $case (@{table('bad_conversations')}) {
        refused($t->post($path, body($base, $case)), $case,
                "a conversation, $case->{name}");
    }
    is $t->get($path)->{json}{total_records}, 0, 'no conversation was made';
    return;
}


# All with one client_op_id: a refused request does not use it up.
sub bad_runs {
    my $conversation = $t->conversation(
        mcp_servers => [ { alias => 'docs', url => $t->mcp } ],
        tools => [ { name => 'confirm', input_schema => {} } ]);
    my $path = "/agents/conversations/$conversation->{id}/runs";
    my $base = { client_op_id => $operation, expected_version => 0,
                 payload => { kind => 'user_message', text => 'hello' } };

    for my $case (@{table('bad_runs')}) {
        refused($t->post($path, body($base, $case)), $case,
                "a run, $case->{name}");
    }
    is_deeply $t->reread($conversation), $conversation,
              'the conversation is as it was';
    is_deeply $t->messages($conversation), [], 'nothing was said';

    my $answer = $t->post($path, $base);
    is $answer->{status}, 202, 'the client_op_id was not used up';
    is $answer->{headers}{'idempotency-replayed'}, undef, 'this is no replay';
    $t->finished($answer->{json});
    return;
}


sub table {
    my ($name) = @_;
    open my $in, '<', "$FindBin::Bin/data/$name.json" or die "$name: $!\n";
    local $/;
    return $json->decode(scalar <$in>);
}


# The case's body, as the bytes to send.
sub body {
    my ($base, $case) = @_;
    return encoded($case->{text}) if defined $case->{text};
    return pack 'H*', $case->{bytes} if defined $case->{bytes};

    my $body = $json->decode($json->encode($base));
    my %set = %{$case->{set} || {}};

    for (keys %{$case->{repeat} || {}}) {
        my ($character, $times) = @{$case->{repeat}{$_}};
        $set{$_} = $character x $times;
    }
    $set{'/defaults/mcp_servers'} = [
        map { { alias => "a$_", url => 'http://127.0.0.1/' } }
        1 .. $case->{servers} ] if $case->{servers};
    $set{'/defaults/tools'} = [
        map { { name => "a$_", input_schema => {} } } 1 .. $case->{tools}
    ] if $case->{tools};

    for (sort keys %set) {
        my ($parent, $key) = place($body, $_);
        $parent->{$key} = $set{$_};
    }
    for (@{$case->{unset} || []}) {
        my ($parent, $key) = place($body, $_);
        delete $parent->{$key};
    }
    return $json->encode($body);
}


sub encoded {
    my ($text) = @_;
    utf8::encode($text);
    return $text;
}


sub place {
    my ($value, $pointer) = @_;
    my (undef, @keys) = split m{/}, $pointer, -1;
    s/~1/\//g, s/~0/~/g for @keys;
    my $last = pop @keys;
    $value = $value->{$_} for @keys;
    return ($value, $last);
}


# One test a case: all that an answer of faults has to be.
sub refused {
    my ($answer, $case, $name) = @_;
    my $problem = $answer->{json} || {};
    my @expected = map { { pointer => $_->[0], detail => $_->[1],
                           code => $_->[2] || 'invalid-request' } }
                   @{$case->{errors}};
    my $errors = $problem->{errors};
    my @got = map { { %$_ } } ref $errors eq 'ARRAY' ? @$errors : ();

    for (0 .. ($#got < $#expected ? $#got : $#expected)) {
        my ($pattern) = $expected[$_]{detail} =~ /^~(.*)/s or next;
        $expected[$_]{detail} = $got[$_]{detail}
            if $got[$_]{detail} =~ /$pattern/;
    }

    # the first fault that is not of the form speaks for all
    my ($first) = grep { $_->{code} ne 'invalid-request' } @expected;
    $first ||= $expected[0];
    my $detail = $first->{detail};
    $detail = "$first->{pointer} $detail" if length $first->{pointer};
    $detail .= '; ' . @expected . ' faults in all, see "errors"'
        if @expected > 1;
    my ($instance) = map { m{(/agents/[^?]*)} } $answer->{url};

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply {
        status => $answer->{status},
        content_type => $answer->{headers}{'content-type'},
        log_id => ($problem->{log_id} || '') =~ /^[0-9a-f]{32}$/ ? 1 : 0,
        errors => \@got,
        map({ $_ => $problem->{$_} } qw(type detail instance)),
        $case->{title} ? (title => $problem->{title}) : (),
        in_body => $problem->{status},
        more => join(' ', grep { !/^(?:type|title|status|detail|instance
                                    |log_id|errors)$/x }
                          sort keys %$problem),
    }, {
        status => 400,
        content_type => 'application/problem+json',
        log_id => 1,
        errors => \@expected,
        type => $t->base . "/errors/$first->{code}",
        detail => $detail,
        instance => $instance,
        $case->{title} ? (title => $case->{title}) : (),
        in_body => 400,
        more => '',
    }, "$name: 400" or diag($answer->{content});
    return;
}


# 64 levels are taken, 65 are not; very deep ones harm no one.
sub deep {
    my $of = sub {
        my ($levels) = @_;
        my $body = $json->encode($t->conversation_body(
            tools => [ { name => 'a', input_schema => { x => 'DEEP' } } ]));
        my $in = $levels - 5;   # body, defaults, tools, tool, input_schema
        my $value = '[' x $in . ']' x $in;
        $body =~ s/"DEEP"/$value/;
        return $body;
    };
    my $path = '/agents/conversations';

    is $t->post($path, $of->(64))->{status}, 201, 'nested 64 deep: taken';
    for (65, 2000, 100_000) {
        refused($t->post($path, $of->($_)),
                { errors => [ [ '', '~line 1, column \d+.* 64 ' ] ] },
                "nested $_ deep");
    }
    my $case = { errors => [ [ '', '~line 1, column \d+.* 64 ' ] ] };
    refused($t->post($path, '[' x 100_000), $case, 'brackets alone');
    refused($t->post($path, '{"a":' x 100_000), $case, 'braces alone');
    return;
}


# An answer stays bounded, and says how many faults there were.
sub many {
    my $answer = $t->post('/agents/conversations', {
        %{$t->conversation_body}, map { ("x$_" => 1) } 1 .. 5000 });

    is $answer->{status}, 400, '5000 unknown fields: 400';
    cmp_ok scalar @{$answer->{json}{errors}}, '>=', 100, 'many are listed';
    cmp_ok length $answer->{content}, '<', 100_000, 'but not without end';
    like $answer->{json}{detail}, qr/5000/, 'their number is told';
    return;
}


# 16 MB are taken where the configuration says nothing of it.
sub large {
    my $path = '/agents/conversations';
    my $of = sub { '{"x": "' . 'a' x ($_[0] - 9) . '"}' };

    refused($t->post($path, $of->(16 * 1024 * 1024)),
            { errors => [ [ '/defaults', 'is required' ],
                          [ '/x', '~^is not a known field here' ] ] },
            'a body of 16 MB');

    my $answer = $t->post($path, $of->(16 * 1024 * 1024 + 1));
    is $answer->{status}, 413, 'a byte more: 413';
    is $answer->{json}{type}, $t->base . '/errors/payload-too-large',
       'payload-too-large';
    return;
}


# Nor does a location within the API's own make it less, where a body's length
# is not told beforehand.
sub within {
    my $body = '{"x": "' . 'a' x 2_000_000 . '"}';
    my $chunk = sprintf("%x\r\n", length $body) . "$body\r\n0\r\n\r\n";

    for my $location ('limit_except GET { allow all; }',
                      'if ($http_x_set) { set $seen 1; }') {
        my $inner = AgentsTest->new(location => $location, mock => $t->mock,
            server => 'set $seen 0;',
            replace => { 'client_max_body_size 16m;' => '' });
        $inner->start;
        my $token = $inner->token;
        like $inner->raw("POST /agents/conversations HTTP/1.1\r\n"
                         . "Host: x\r\nX-Set: 1\r\nConnection: close\r\n"
                         . "Authorization: Bearer $token\r\n"
                         . "Content-Type: application/json\r\n"
                         . "Transfer-Encoding: chunked\r\n\r\n$chunk"),
             qr{^HTTP/1\.1 400 }, "2 MB in chunks within $location";
        $inner->clean;
    }
    return;
}


# The last of what is allowed.
sub good {
    my $schema = { type => 'object', properties => {} };
    my $long = "\x{1f600}" x 1000;
    my %cases = (
        'name of 1000 characters' => { name => $long },
        'name empty' => { name => '' },
        'name null' => { name => undef },
        'system_prompt of 100000' => { system_prompt => "\x{20ac}" x 100_000 },
        'max_iterations 1' => { max_iterations => 1 },
        'max_iterations at the ceiling' => { max_iterations => 50 },
        'max_iterations 3.0' => { max_iterations => 'RAW:3.0' },
        'max_iterations null' => { max_iterations => undef },
        'max_tokens 1' => { max_tokens => 1 },
        'max_tokens at the ceiling' => { max_tokens => 32000 },
        'temperature 0' => { temperature => 0 },
        'temperature 1' => { temperature => 1 },
        'temperature 0.7' => { temperature => 0.7 },
        'lists empty' => { mcp_servers => [], tools => [] },
        'lists null' => { mcp_servers => undef, tools => undef },
        'schema null' => { output_format_schema => undef },
        'schema without a type' => { output_format_schema => {} },
        'schema of a string' =>
            { output_format_schema => { type => 'string' } },
        'schema of a string or null' =>
            { output_format_schema => { type => [ 'string', 'null' ] } },
        'schema of values that look like keywords' =>
            { output_format_schema => { properties => { pattern =>
                { const => { '$ref' => 1 }, enum => [ { oneOf => 2 } ],
                  default => { format => 3 } } } } },
        'schema with what is dropped' =>
            { output_format_schema => { '$schema' => 'x', '$id' => 'y',
                '$comment' => 'z', examples => [ 1 ], deprecated =>
                JSON::PP::true, readOnly => JSON::PP::false,
                writeOnly => JSON::PP::true, type => 'object' } },
        '16 servers' => { mcp_servers => [
            map { { alias => "a$_", url => 'http://127.0.0.1/' } } 1 .. 16 ] },
        'aliases that differ in case' => { mcp_servers => [
            map { { alias => $_, url => 'http://127.0.0.1/' } } 'a', 'A' ] },
        'alias of 8' => { mcp_servers => [
            { alias => 'Abcdefg8', url => 'HTTP://127.0.0.1:65535/x?y=z',
              description => undef } ] },
        'server that is public' => { mcp_servers => [
            { alias => 'a', url => 'https://93.184.216.34/mcp' },
            { alias => 'b', url => 'https://mcp.example.com' },
            { alias => 'c', url => 'https://denied.example/' } ] },
        '128 tools' => { tools => [
            map { { name => "a$_", input_schema => {} } } 1 .. 128 ] },
        'tool of 64' => { tools => [ { name => 'a' x 64,
            description => '', input_schema => $schema } ] },
        'tool with any keyword' => { tools => [ { name => '9_',
            input_schema => { type => 'object', oneOf => [ {} ],
                              '$defs' => {}, patternProperties => {} } } ] },
        'data plane in upper case' =>
            { data_plane_id => uc $AgentsTest::PLANE },
        'system_prompt in both' => { system_prompt => 'x',
                                     inside => 'x' },
    );

    for my $name (sort keys %cases) {
        my %fields = %{$cases{$name}};
        my $inside = delete $fields{inside};
        my $body = $t->conversation_body(%fields);
        $body->{defaults}{system_prompt} = $inside if defined $inside;
        my $text = $json->encode($body);
        $text =~ s/"RAW:([^"]*)"/$1/;
        my $answer = $t->post('/agents/conversations', $text);
        is $answer->{status}, 201, "a conversation, $name: 201"
            or diag($answer->{content});
    }
    return;
}


# What GET shows is taken by a POST, and comes back the same.
sub again {
    my $first = $t->conversation(
        name => "caf\x{e9} \x{1f600} \"\\/\b\f\n\r\t\x{7f}\x{2028}",
        system_prompt => 'Be brief.', temperature => 0.7, max_tokens => 7,
        output_format_schema => { type => 'object',
            properties => { b => { type => 'number', minimum => 0.1 },
                            a => { enum => [ 1, 1.5, 'x', undef ] } } },
        mcp_servers => [ { alias => 'x', url => $t->mcp } ],
        tools => [ { name => 'a', description => 'b', input_schema => {} } ]);
    my $shown = $t->get("/agents/conversations/$first->{id}");

    is_deeply $shown->{json}, $first, 'GET shows what POST answered';
    like $shown->{content}, qr/"temperature": ?0\.7[,}]/,
         'numbers leave as they came';

    my %body = map { $_ => $first->{$_} } qw(name system_prompt defaults);
    my $second = $t->post('/agents/conversations', \%body);
    is $second->{status}, 201, 'it makes another one';
    is_deeply { map { $_ => $second->{json}{$_} } keys %body }, \%body,
              'just like it';
    return;
}
