# The MCP project's own conformance suite, for what a client of tools alone has
# to do, of both eras.  docs/mcp.md lists the scenarios that do not apply.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Npm;

my $suite = '@modelcontextprotocol/conformance';
my $modules = AgentsTest::Npm::packages($suite => '0.2.0-alpha.12',
                                        node => '22.23.3');
plan skip_all => AgentsTest::Npm::why() unless defined $modules;

my @scenarios = (
    map({ [ $_, '2025-06-18' ] } qw(initialize tools_call)),
    map({ [ $_, '2025-11-25' ] } qw(initialize tools_call sse-retry)),
    map({ [ $_, '2026-07-28' ] } qw(tools_call request-metadata
        http-standard-headers http-custom-headers http-invalid-tool-headers
        json-schema-ref-no-deref sep-2322-client-request-state)),
);

my $json = JSON::PP->new->canonical->allow_nonref;
my $t = AgentsTest->new(handlers => {
    '/v1/chat/completions' => \&model })->start;
my @command = (AgentsTest::Npm::node_binary(), "$modules/$suite/dist/index.js",
    'client', '--command', "$^X $FindBin::Bin/lib/conformance-client.pl",
    '--timeout', 60_000);
my %env = (
    AGENTS_CONFORMANCE_BASE => $t->base,
    AGENTS_CONFORMANCE_TOKEN => $t->token,
    AGENTS_CONFORMANCE_MODEL => $AgentsTest::MODEL,
    AGENTS_CONFORMANCE_PLANE => $AgentsTest::PLANE,
);

while (my @batch = splice @scenarios, 0, 4) {
    judge(@$_) for map { [ @$_, start(@$_) ] } @batch;
}
$t->clean;

done_testing;


sub judge {
    my ($scenario, $version, $out) = @_;
    my $text = do { local $/; <$out> };
    close $out;
    is $? >> 8, 0, "$scenario, $version" or diag $text;
    my ($passed) = $text =~ m{Passed: (\d+)/\d+};
    ok $passed, ($passed || 0) . ' checks';
    unlike $text, qr/SKIPPED: scenario/, 'are made';
    return;
}


# The scenario's output, as it comes.
sub start {
    my ($scenario, $version) = @_;
    my $pid = open my $out, '-|';
    die "fork: $!\n" unless defined $pid;
    return $out if $pid;

    open STDERR, '>&', \*STDOUT;
    open STDIN, '<', '/dev/null';
    local @ENV{keys %env} = values %env;
    exec @command, '--scenario', $scenario, '--spec-version', $version;
    exit 127;
}


# Calls what the suite says, or else every tool, then ends.
sub model {
    my ($req) = @_;
    my $prompt = AgentsTest::Model::prompt($req);
    my @messages = @{$prompt->{messages}};
    return AgentsTest::Model::completion({ text => 'done' }, $prompt)
        if $messages[-1]{role} ne 'user';

    my $plan = eval { $json->decode(AgentsTest::Model::text_of(
                          $messages[-1]{content})) };
    my @calls = ref $plan eq 'HASH' && $plan->{calls}
        ? map { [ "m-$_->{name}", $_->{arguments} ] } @{$plan->{calls}}
        : map { [ $_->{function}{name}, arguments($_->{function}) ] }
          @{$req->{json}{tools} || []};
    return AgentsTest::Model::completion(
        @calls ? { tools => \@calls } : { text => 'done' }, $prompt);
}


sub arguments {
    my ($function) = @_;
    my %one = (string => 'x', number => 2, integer => 2,
               boolean => JSON::PP::true, object => {}, array => []);
    my $parameters = $function->{parameters};
    return { a => 2, b => 3 } if $function->{name} =~ /add_numbers/;
    return { map { my $type = $parameters->{properties}{$_}{type} || '';
                   $_ => exists $one{$type} ? $one{$type} : 'x' }
             @{$parameters->{required} || []} };
}
