# End to end against an MCP server that others have written: the reference
# server of the protocol's own project, over streamable HTTP.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Npm;

my $package = AgentsTest::Npm::package('@modelcontextprotocol/'
                                       . 'server-everything', '2026.8.31');
plan skip_all => AgentsTest::Npm::why() unless defined $package;

my $port = AgentsTest::free_port();
my $server = AgentsTest::Npm->node($port, { PORT => $port },
                                   "$package/dist/index.js",
                                   'streamableHttp');
my @MCP = (mcp_servers => [ { alias => 'all',
                              url => "http://127.0.0.1:$port/mcp" } ]);

for my $m (AgentsTest->matrix) {
    my $store = $m->{name};
    my $t = AgentsTest->new(%$m)->start;
    subtest "its tools on $store" => sub { tools($t) };
    subtest "echo and get-sum on $store" => sub { calls($t) };
    subtest "what it refuses on $store" => sub { refused($t) };
    subtest "ten runs at once on $store" => sub { ten($t) };
    $t->clean("$store: no error logged");
}

done_testing;


sub results {
    my ($t, $c) = @_;
    return grep { $_->{type} eq 'tool_result' }
           map { @{$_->{content_blocks}} } @{$t->messages($c)};
}


# What of them is offered to the model.
sub tools {
    my ($t) = @_;
    my ($run) = $t->flow('what is there?', @MCP);
    is $run->{status}, 'completed', 'discovered'
        or diag explain $run->{error};
    my ($prompt) = grep { $_->{path} =~ /completions/ }
                   reverse @{$t->mock->requests};
    my %tools = map { $_->{function}{name} => $_->{function} }
                @{$prompt->{json}{tools}};
    ok $tools{$_}, $_ for qw(all-echo all-get-sum);
    ok keys %tools > 5, keys(%tools) . ' tools';
    for my $name (sort keys %tools) {
        my $schema = $tools{$name}{parameters};
        is $schema->{type}, 'object', "$name: an object";
        ok length $tools{$name}{description}, 'described';
        unlike JSON::PP::encode_json($schema), qr/"(?:\$schema|\$ref|oneOf)"/,
               'without what models do not take';
    }
    is $tools{'all-get-sum'}{parameters}{properties}{a}{type}, 'number',
       'the parameters of get-sum';
    return;
}


sub calls {
    my ($t) = @_;
    my $c = $t->conversation(@MCP);
    my $run = $t->finished($t->run($c, script(
        { tools => [ [ 'all-echo', { message => "h\x{e9}llo \x{1f600}" } ],
                     [ 'all-get-sum', { a => 2, b => 3 } ] ] },
        { tools => [ [ 'all-get-sum', { a => 40, b => 2 } ] ] },
        { tool_results => 1 })));
    is $run->{status}, 'completed', 'completed' or diag explain $run->{error};
    like $run->{final_text}, qr/\b42\b/, 'the model has the last sum';

    my @results = results($t, $c);
    is_deeply [ map { $_->{is_error} ? 1 : 0 } @results ], [ 0, 0, 0 ],
              'three results';
    like $results[0]{content}[0]{text}, qr/h\x{e9}llo \x{1f600}/, 'echo';
    like $results[1]{content}[0]{text}, qr/\b5\b/, 'get-sum';
    return;
}


sub refused {
    my ($t) = @_;
    my $c = $t->conversation(@MCP);
    my $run = $t->finished($t->run($c, script(
        { tools => [ [ 'all-get-sum', { a => 'two' } ],
                     [ 'all-no-such', {} ] ] }, { text => 'well' })));
    is $run->{final_text}, 'well', 'the run goes on';
    is_deeply [ map { $_->{is_error} ? 1 : 0 } results($t, $c) ], [ 1, 1 ],
              'both are errors';
    return;
}


# Each run has a session of its own.
sub ten {
    my ($t) = @_;
    my @started = map { my $c = $t->conversation(@MCP);
        [ $c, $t->run($c, script({ tools => [ [ 'all-get-sum',
            { a => 100, b => $_ } ] ] }, { tool_results => 1 })) ] } 1 .. 10;
    my @texts = map { $t->finished($_->[1])->{final_text} || '' } @started;
    is_deeply [ grep { $texts[$_] !~ /\b@{[ 101 + $_ ]}\b/ } 0 .. 9 ], [],
              'each has its own sum';
    return;
}
