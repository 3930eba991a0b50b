# Input schemas of tools, an MCP server's and the caller's, as the model is
# shown them: normalised and not strict, every tool there whatever it declares.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my $false = JSON::PP::false;
my $true = JSON::PP::true;
my $json = JSON::PP->new->canonical->utf8;

# what is declared, and what is shown of it
my %SCHEMAS = (
    one_of => [
        { type => 'object', properties => { v => { oneOf => [
            { type => 'string', format => 'date' }, { type => 'null' } ] } } },
        { type => 'object', properties => { v => { anyOf => [
            { type => 'string', description => '(format: date)' },
            { type => 'null' } ] } }, additionalProperties => $false } ],
    ref => [
        { type => 'object', properties => { a => { '$ref' => '#/$defs/a' } },
          required => [ 'a' ],
          '$defs' => { a => { type => 'object', properties => {
              x => { type => 'integer', minimum => 1 } } } } },
        { type => 'object', properties => { a => { type => 'object',
            properties => { x => { type => 'integer',
                                   description => '(minimum: 1)' } },
            additionalProperties => $false } }, required => [ 'a' ],
          additionalProperties => $false } ],
    tree => [
        { type => 'object', properties => { node => { '$ref' => '#/$defs/n' } },
          '$defs' => { n => { type => 'object', properties => {
              name => { type => [ 'string', 'null' ] },
              children => { type => 'array',
                            items => { '$ref' => '#/$defs/n' } } } } } },
        { type => 'object', properties => { node => { type => 'object',
            properties => {
                name => { anyOf => [ { type => 'string' },
                                     { type => 'null' } ] },
                children => { type => 'array', items => {} } },
            additionalProperties => $false } },
          additionalProperties => $false } ],
    maps => [
        { type => 'object', additionalProperties => $true, properties => {
            any => { type => 'object' },
            map => { type => 'object',
                     additionalProperties => { type => 'string' } } } },
        { type => 'object', additionalProperties => $false, properties => {
            any => { type => 'object' },
            map => { type => 'object',
                     additionalProperties => { type => 'string' } } },
          description => '(additionalProperties: true)' } ],
    nothing => [ { type => 'object' },
                 { type => 'object', properties => {} } ],
);

# what no model API would take, nor a caller be allowed to declare
my %ODD = (
    null => undef, true => $true, list => [ 1, 2 ], text => 'object',
    strings => { type => 'string' },
    union => { anyOf => [ { type => 'string' }, { type => 'number' } ] },
    remote => { '$ref' => 'https://example.com/schema.json' },
    loop => { '$ref' => '#' },
    bomb => bomb(30),
    wide => { type => 'object', properties => {
        map { $_ => { type => 'string' } } 1 .. 10_000 } },
    deep => 'DEEP',
);

my $t = AgentsTest->new(handlers => {
    '/mcp' => AgentsTest::Mcp::handler(),
    '/nasty' => \&nasty })->start;

subtest 'tools of a server' => \&servers;
subtest 'tools of the caller' => \&callers;
subtest 'the same text each time' => \&steady;
$t->clean;

done_testing;


# A schema of a few lines that is 2^30 places long when it is written out.
sub bomb {
    my ($levels) = @_;
    my %defs = ("d$levels" => { type => 'string' });
    for my $i (0 .. $levels - 1) {
        my $next = { '$ref' => '#/$defs/d' . ($i + 1) };
        $defs{"d$i"} = { type => 'object',
                         properties => { a => $next, b => $next } };
    }
    return { '$ref' => '#/$defs/d0', '$defs' => \%defs };
}


# A list of all of them; the deep one is deeper than JSON::PP would write.
sub nasty {
    my ($req) = @_;
    my @tools = ({ name => 'absent' });
    push @tools, { name => $_, inputSchema => $SCHEMAS{$_}[0] }
        for sort keys %SCHEMAS;
    push @tools, { name => $_, inputSchema => $ODD{$_} } for sort keys %ODD;
    my $answer = AgentsTest::Mcp::handler(tools => [ @tools ],
        call => sub { { content => [ { type => 'text',
            text => "$_[0] " . $json->encode($_[1]) } ] } })->($req);
    my $body = $json->encode($answer->{json} || {});
    my $deep = '{"properties":{"a":' x 20_000 . '{}' . '}}' x 20_000;
    return $answer unless $body =~ s/"DEEP"/$deep/;
    return { headers => { 'Content-Type' => 'application/json' },
             body => $body };
}


# name => the function that the model was offered.
sub offered {
    my ($request) = grep { $_->{path} =~ /completions/ }
                    @{$t->mock->requests};
    return map { $_->{function}{name} => $_->{function} }
           @{$request->{json}{tools}};
}


sub is_plain {
    my ($function, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $schema = $function->{parameters};
    is $schema->{type}, 'object', "$name: an object";
    is ref $schema->{properties}, 'HASH', 'with properties';
    ok !(grep { exists $schema->{$_} } qw(anyOf oneOf allOf enum $ref not)),
       'and no union at its root';
    is $json->encode([ $function->{strict} ]), '[false]', 'not strict';
    return;
}


sub servers {
    $t->mock->forget;
    my ($run) = $t->flow(script({ tools => [ [ 'm-deep', { a => 1 } ],
                                             [ 'm-one_of', { v => 'x' } ] ] },
                                { text => 'done' }),
        mcp_servers => [ { alias => 'm', url => $t->mock->url('/nasty') } ]);
    is $run->{status}, 'completed', 'the run' or diag explain $run->{error};

    my %tools = offered();
    is_deeply [ sort keys %tools ],
              [ sort map { "m-$_" } keys %SCHEMAS, keys %ODD, 'absent' ],
              'no tool is left out';

    for my $name (sort keys %SCHEMAS) {
        is_plain($tools{"m-$name"}, $name);
        is_deeply $tools{"m-$name"}{parameters}, $SCHEMAS{$name}[1],
                  'its schema as it should be';
    }
    for my $name (sort keys %ODD) {
        is_plain($tools{"m-$name"}, $name);
        next if $name eq 'deep';
        is_deeply $tools{"m-$name"}{parameters}{properties}, {}, 'open';
        ok !exists $tools{"m-$name"}{parameters}{additionalProperties},
           'to any property';
        ok length $tools{"m-$name"}{parameters}{description},
           'and a note says so';
    }
    is_deeply [ sort map { $_->{json}{params}{name} }
                grep { ref $_->{json} eq 'HASH'
                       && ($_->{json}{method} || '') eq 'tools/call' }
                @{$t->mock->requests} ], [ 'deep', 'one_of' ],
              'the server is called by its own names';
    return;
}


sub callers {
    my @tools = map { { name => $_, description => "Does $_.",
                        input_schema => $SCHEMAS{$_}[0] } } sort keys %SCHEMAS;
    push @tools, { name => 'bomb', input_schema => { type => 'object',
                                                     %{$ODD{bomb}} } };
    $t->mock->forget;
    my ($run, $c) = $t->flow('hello', tools => [ @tools ]);
    is $run->{status}, 'completed', 'the run' or diag explain $run->{error};
    is_deeply $run->{effective_config}{tools}[$_]{input_schema},
              $tools[$_]{input_schema}, "$tools[$_]{name} shows as declared"
        for 0 .. $#tools;

    my %seen = offered();
    for my $name (sort keys %SCHEMAS) {
        is_plain($seen{$name}, $name);
        is_deeply $seen{$name}{parameters}, $SCHEMAS{$name}[1],
                  'its schema as a server\'s would be';
        is $seen{$name}{description}, "Does $name.", 'its description';
    }
    is_plain($seen{bomb}, 'bomb');
    like $seen{bomb}{parameters}{description}, qr/too large/, 'is told of';
    return;
}


# Providers cache prompts by their bytes.
sub steady {
    my %config = (mcp_servers => [ { alias => 'm',
                                     url => $t->mock->url('/nasty') } ]);
    my @bodies;
    for (1, 2) {
        $t->mock->forget;
        $t->flow('hello', %config);
        my ($request) = grep { $_->{path} =~ /completions/ }
                        @{$t->mock->requests};
        push @bodies, $request->{body} =~ /"tools":(\[.*\])/s;
    }
    is scalar @bodies, 2, 'two prompts';
    ok $bodies[0] eq $bodies[1], 'with the same text';
    return;
}
