# A client in TypeScript, with types made from docs/openapi.json: it compiles,
# and the reference's four conversations go as they should.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Openapi;
use File::Copy ();
use File::Path ();

my $modules = AgentsTest::Openapi::tools();
plan skip_all => AgentsTest::Npm::why() unless defined $modules;

# beside the packages, where its imports are looked for
my $folder = "$modules/../typed-client";
File::Path::remove_tree($folder);
File::Path::make_path($folder);
File::Copy::copy("$FindBin::Bin/openapi/examples.mts", $folder)
    or die "examples.mts: $!\n";

my %model = (
    'What is 2 + 2?' => [ { text => '4' } ],
    'Search the docs' => [
        { tools => [ [ 'docs-search', { query => 'limits' } ] ] },
        { text => 'It answers 429.' } ],
    'Find me a meeting time' => [
        { tools => [ [ 'confirm_booking', { slot => 'ten' } ] ] },
        { text => 'It is booked.' } ],
    'User u-123 logged in' => [
        { text => '{"event": {"type": "login", "user_id": "u-123", '
                  . '"seconds": 1800}}' } ],
);

subtest 'it compiles' => \&compiled or do { done_testing; exit };

for my $store (AgentsTest->stores) {
    my $t = AgentsTest->new(store => $store, handlers => {
        '/v1/chat/completions' => \&model,
        '/mcp' => AgentsTest::Mcp::handler(
            tools => [ { name => 'search', inputSchema => {
                type => 'object', properties => {
                    query => { type => 'string' } } } } ],
            call => sub { { content => [ { type => 'text',
                text => "about $_[1]{query}" } ] } }),
    })->start;
    subtest "it works on $store" => sub { works($t) };
    $t->clean("$store: no error logged");
}

done_testing;


# Knows the questions, and counts the replies since.
sub model {
    my ($req) = @_;
    my $prompt = AgentsTest::Model::prompt($req);
    my ($text, $round) = AgentsTest::Model::position($prompt->{messages});
    my $replies = $model{$text};
    return { status => 400, body => 'never heard' } unless $replies;
    return AgentsTest::Model::completion($replies->[$round], $prompt);
}


sub compiled {
    my ($status, @lines) = AgentsTest::Openapi::node(
        'openapi-typescript/bin/cli.js', $AgentsTest::Openapi::DOCUMENT,
        '-o', "$folder/api.d.mts");
    is $status, 0, 'types were made' or diag join "\n", @lines;

    ($status, @lines) = AgentsTest::Openapi::node(
        'typescript/bin/tsc', qw(--strict --noEmitOnError --skipLibCheck
        --target es2022 --module nodenext --lib), 'es2022,dom',
        '--outDir', $folder, "$folder/examples.mts");
    is $status, 0, 'tsc finds nothing' or diag join "\n", @lines;
    return $status == 0;
}


sub works {
    my ($t) = @_;
    local $ENV{API} = $t->base;
    local $ENV{TOKEN} = $t->token;
    local $ENV{MCP} = $t->mcp;
    my ($status, @lines) = AgentsTest::Openapi::node("$folder/examples.mjs");
    my $said = eval { JSON::PP::decode_json($lines[-1]) } || {};
    is $status, 0, 'it ends well' or diag join "\n", @lines;

    is_deeply $said->{hello}, { answer => '4', tokens => 15,
        roles => [ 'user', 'assistant' ] }, 'hello world';
    is_deeply $said->{search}, { answer => 'It answers 429.', iterations => 2,
        calls => [ 'docs-search' ], results => [ 'about limits' ] },
        'the tool of an MCP server';
    is_deeply $said->{booking}, { asked => 'confirm_booking',
        answer => 'It is booked.' }, 'a tool of the caller';
    is_deeply eval { JSON::PP::decode_json($said->{events}{answer}) },
        { event => { type => 'login', user_id => 'u-123', seconds => 1800 } },
        'a structured answer';
    is_deeply $said->{refusals}, { status => 400, conflict => 0,
        pointers => [ '/defaults/max_iterations' ] }, 'refusals';
    return;
}
